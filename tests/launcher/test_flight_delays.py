"""How long a termination takes, link by link, over thirty falls alike: the time-delay analysis.

The vehicle flies without its flight computer: what loses control is of no matter to the chain that ends the flight.
"""

from __future__ import annotations

import pytest

from hil.signal import HIGH
from hil.units import ms, s
from hil_launcher.clients.ascent import ENGINES
from hil_launcher.clients.delay_links import EDGES, links
from hil_launcher.clients.termination import LossOfControl, Termination, TruthWatch, record_links, thrust_is_gone

TURNS = ((8_000 * ms, 6.0), (9_300 * ms, -6.0))  # T+ at which all gimbals are thrown over, and how far [deg]
TURN_NS = 1_290 * ms  # how long each time: the vehicle then flies on at some 45 deg, and never comes down by itself
DRAWS = [pytest.param(number, marks=pytest.mark.draw(number)) for number in range(1, 31)]


@pytest.mark.requirement("RNG-R-11", "RNG-R-12", "RNG-R-20", "RNG-R-21", "RNG-R-23", "RNG-R-24", "FTS-R-05", "ENG-R-12")
@pytest.mark.measures("range.rule_to_thrust_off", "range.report_to_rule", "range.rule_to_decision_officer")
@pytest.mark.parametrize("draw", DRAWS)
def test_every_link_of_a_termination_is_in_time(
    draw, unguided, cold_pad, range_safety, receivers, fitted_engine, icd, profile, measure, record
):
    """From the violation over tracks, rule, officer, uplink, receivers and valves to the end of thrust."""
    violation = TruthWatch(unguided, "violation", LossOfControl(*profile.values("range.loss_of_control", "-")))
    for begin, angle_deg in TURNS:
        at = unguided.at(begin)
        for engine in ENGINES:
            throw = {"engine": engine, "axis": "yaw", "angle_deg": angle_deg}
            unguided.rig.inject("plant", "gimbal_hard_over", at=at, until=at + TURN_NS, **throw)
    range_safety.key.expect(HIGH, within=20 * s)
    ended = TruthWatch(unguided, "thrust_gone", thrust_is_gone(unguided.gone_thrust_n))
    unguided.rig.clock.sleep(1 * s)

    chain = Termination(range_safety, cold_pad, receivers, fitted_engine, off_a=icd.off_a)
    edges = chain.edges(unguided.t0_ns, violation.edge, ended.edge)
    assert "impact" not in [event.value for event in unguided.events.history()]  # it was the cut that ended the thrust
    assert [name for name in EDGES if edges[name] is None] == []
    found = links(edges)
    record_links(record, found)
    for link in found:
        if link.measurement:
            measure(link.measurement, link.value_ms, "ms")
