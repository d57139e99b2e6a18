"""The flight of 30 March 2025, replayed: loss of attitude after lift-off, caught by a rule, ended by the receivers.

The vehicle is notional. That a limit cycle with a bending mode spends the finite energy of the thrust vector control is
our hypothesis, after Delta III (1998); it is no statement of the company's. The times it is held against are published.
"""

from __future__ import annotations

import pytest

from hil.signal import HIGH
from hil.units import s
from hil_launcher.clients.event_table import HYPOTHESIS, EventTable
from hil_launcher.clients.footprint import Dispersion


@pytest.fixture
def true_mode(rig, profile):
    """The first bending mode as it was, not as it was believed: the notch filters stand elsewhere."""
    for plane in ("pitch", "yaw"):
        name, value = f"modes.{plane}_1.free_hz", profile.value("spectrum.true_mode", "Hz")
        rig.inject("plant", "parameter", name=name, value=value)


@pytest.mark.requirement("FTS-R-40", "RNG-R-30", "RNG-R-31")
@pytest.mark.measures("spectrum.attitude_lost", "spectrum.thrust_off", "spectrum.impact", "range.footprint_margin")
def test_lost_attitude_ends_at_sea_inside_the_hazard_area(
    true_mode, ascent, range_safety, receivers, engines, geometry, profile, measure, record
):
    """A mode nobody surveyed spends the gimbals' energy; a rule fires, both receivers act, the vehicle falls at sea."""
    record("note", text=HYPOTHESIS)
    lost = ascent.attitude_error_deg.expect(above=10.0, within=40 * s)
    horizontal = ascent.tilt_deg.expect(above=90.0, within=10 * s, since=lost.at)
    fired = range_safety.rules.expect("loss_of_control", within=15 * s)
    decided = range_safety.key.expect(HIGH, within=10 * s, since=fired.at)
    acted = [receiver.shutdown_output.expect(HIGH, within=1 * s, since=decided.at) for receiver in receivers]
    off = ascent.thrust_n.expect(below=0.05 * ascent.rated_thrust_n, within=2 * s, since=decided.at)
    impact = ascent.events.expect("impact", within=60 * s)

    for engine in engines.values():
        engine.abort_cause.expect("FTS", within=1 * s, since=decided.at)
    footprint = ascent.footprint(Dispersion.of(profile))
    measure("spectrum.attitude_lost", ascent.t_plus_s(lost.at), "s")
    measure("spectrum.loss_to_rule", (fired.at - lost.at) / s, "s")
    measure("spectrum.horizontal_to_cut", (off.at - horizontal.at) / s, "s")
    measure("spectrum.thrust_off", ascent.t_plus_s(off.at), "s")
    measure("spectrum.impact", ascent.t_plus_s(impact.at), "s")
    measure("range.footprint_margin", footprint.margin_m(geometry.impact_limit), "m")
    measure("range.falls_into_hazard_area", geometry.hazard_area.contains(footprint.impact), "1")

    table = EventTable(ascent, record, profile)
    table.row("attitude error above 10 deg", lost)
    table.row("past horizontal", horizontal)
    table.row("rule fires: loss of control", fired)
    table.row("range decides", decided)
    table.row("receiver A closes its shutdown line", acted[0])
    table.row("receiver B closes its shutdown line", acted[1])
    table.row("thrust below 5 %", off)
    table.row("impact", impact)


@pytest.mark.requirement("AV-R-10")
@pytest.mark.measures("spectrum.attitude_lost_without_energy_limit")
def test_the_mode_alone_does_not_explain_the_published_times(true_mode, rig, ascent, range_safety, measure, record):
    """With gimbals that never tire the same mode costs the attitude only after the vehicle was seen to be lost."""
    rig.inject("plant", "tvc_energy", left_rad=1e6)
    lost = ascent.attitude_error_deg.expect(above=10.0, within=70 * s)
    impact = ascent.events.expect("impact", within=70 * s)
    measure("spectrum.attitude_lost_without_energy_limit", ascent.t_plus_s(lost.at), "s")
    measure("spectrum.impact_without_energy_limit", ascent.t_plus_s(impact.at), "s")
