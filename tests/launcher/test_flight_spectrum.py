"""The flight of 30 March 2025, replayed: loss of attitude after lift-off, caught by a rule, ended by the receivers.

The vehicle is notional, and so is the wind of the day. That a limit cycle with a bending mode spends the finite energy
of the thrust vector control is our hypothesis, after Delta III (1998); it is no statement of the company's. The times
it is held against are published.
"""

from __future__ import annotations

import pytest

from hil.signal import HIGH
from hil.units import s
from hil_launcher.clients.event_table import HYPOTHESIS, EventTable
from hil_launcher.clients.footprint import Dispersion


@pytest.fixture
def that_day(rig, profile):
    """The first bending mode as it was, not as it was believed, and the wind of the day: off the land."""
    for plane in ("pitch", "yaw"):
        name, value = f"modes.{plane}_1.free_hz", profile.value("spectrum.true_mode", "Hz")
        rig.inject("plant", "parameter", name=name, value=value)
    rig.inject("plant", "wind", from_deg=profile.value("spectrum.wind_from", "deg"))


@pytest.mark.requirement("FTS-R-40", "FTS-R-44", "RNG-R-30", "RNG-R-31")
@pytest.mark.measures("spectrum.attitude_lost", "spectrum.thrust_off", "spectrum.impact", "range.footprint_margin")
def test_lost_attitude_is_terminated_inside_the_closed_area(
    that_day, ascent, pad, range_safety, receivers, engines, geometry, profile, measure, record
):
    """A mode nobody surveyed spends the gimbals' energy; a rule fires, both receivers act, the fall hurts nobody."""
    record("note", text=HYPOTHESIS)
    pad.uplink.follow_flight()
    swings = ascent.truth("gimbal_9_y_deg").expect(above=profile.value("spectrum.swing", "deg"), within=20 * s)
    is_lost_deg = profile.value("flight.attitude_is_lost", "deg")
    lost = ascent.attitude_error_deg.expect(above=is_lost_deg, within=40 * s)
    horizontal = ascent.tilt_deg.expect(above=90.0, within=10 * s, since=lost.at)
    fired = range_safety.rules.expect("loss_of_control", within=15 * s, since=ascent.t0_ns)
    decided = range_safety.decisions.expect("loss_of_control", within=10 * s, since=fired.at)
    keyed = range_safety.key.expect(HIGH, within=1 * s, since=decided.at)
    shut = [receiver.shutdown_output.expect(HIGH, within=1 * s, since=keyed.at) for receiver in receivers]
    acted = [receiver.terminate_output.expect(HIGH, within=1 * s, since=keyed.at) for receiver in receivers]
    off = ascent.thrust_n.expect(below=ascent.gone_thrust_n, within=2 * s, since=keyed.at)
    for engine in engines.values():
        engine.abort_cause.expect("FTS", within=1 * s, since=keyed.at)
    impact = ascent.events.expect("impact", within=60 * s)
    assert [event.value for event in ascent.events.history(off.at)] == ["impact"]  # it falls in one piece

    footprint = ascent.footprint(Dispersion.of(profile))
    measure("spectrum.attitude_lost", ascent.t_plus_s(lost.at), "s")
    measure("spectrum.loss_to_rule", (fired.at - lost.at) / s, "s")
    measure("spectrum.horizontal_to_cut", (off.at - horizontal.at) / s, "s")
    measure("spectrum.thrust_off", ascent.t_plus_s(off.at), "s")
    measure("spectrum.impact", ascent.t_plus_s(impact.at), "s")
    measure("range.footprint_margin", footprint.margin_m(geometry.impact_limit), "m")
    closed_m = geometry.closed_margin_m(footprint.impact)
    measure("range.falls_into_closed_area", closed_m > 0.0, "1")
    measure("spectrum.impact_inside_closed_area", closed_m, "m")
    measure("spectrum.impact_from_shore", geometry.hazard_area.margin_m(footprint.impact), "m", info=True)

    sent = pad.preloaded.edges(keyed.at)
    EventTable(ascent, record, profile).rows(
        {
            "gimbals swing more than 1 deg": swings,
            "energy of the thrust vector control spent": ascent.occurred("tvc_exhausted"),
            "attitude error above 10 deg": lost,
            "past horizontal": horizontal,
            "rule fires: loss of control": fired,
            "range decides": decided,
            "ARM burst": sent["ARM"],
            "receiver A closes its shutdown line": shut[0],
            "receiver B closes its shutdown line": shut[1],
            "TERMINATE burst": sent["TERMINATE"],
            "receiver A closes its terminate line": acted[0],
            "receiver B closes its terminate line": acted[1],
            "thrust below 5 %": off,
            "impact": impact,
        }
    )


@pytest.mark.requirement("AV-R-10")
@pytest.mark.measures("spectrum.attitude_lost_without_energy_limit", "spectrum.height_without_energy_limit")
def test_the_mode_alone_does_not_explain_the_published_times(that_day, rig, ascent, profile, measure, record):
    """With gimbals that never tire the same mode costs the attitude only after the vehicle was seen to be lost."""
    rig.inject("plant", "tvc_energy", left_rad=1e6)
    is_lost_deg = profile.value("flight.attitude_is_lost", "deg")
    lost = ascent.attitude_error_deg.expect(above=is_lost_deg, within=70 * s)
    ascent.fly_to(round(profile.value("spectrum.latest_impact", "s") * s))
    measure("spectrum.attitude_lost_without_energy_limit", ascent.t_plus_s(lost.at), "s")
    measure("spectrum.height_without_energy_limit", ascent.now("rise_m"), "m")
