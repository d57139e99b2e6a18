"""How long a termination takes, link by link, over thirty falls alike: the time-delay analysis.

The vehicle flies without its flight computer: what loses control is of no matter to the chain that ends the flight.
"""

from __future__ import annotations

import pytest

from hil.signal import HIGH
from hil.units import ms, s
from hil_launcher.clients.delay_links import links
from hil_launcher.clients.termination import LossOfControl, Termination, TruthWatch, record_links, thrust_is_gone

TURNED = (1, 2, 8)
DRAWS = [pytest.param(number, marks=pytest.mark.draw(number)) for number in range(1, 31)]


@pytest.mark.requirement("RNG-R-11", "RNG-R-12", "RNG-R-20", "RNG-R-21", "RNG-R-23", "RNG-R-24")
@pytest.mark.parametrize("draw", DRAWS)
def test_every_link_of_a_termination_is_in_time(
    draw, unguided, cold_pad, range_safety, receivers, fitted_engine, profile, measure, record
):
    """From the violation over tracks, rule, officer, uplink, receivers and valves to the end of thrust."""
    violation = TruthWatch(unguided, "violation", LossOfControl(*profile.values("range.loss_of_control", "-")))
    for engine in TURNED:
        unguided.fault("gimbal_hard_over", at=unguided.at(6 * s), engine=engine, axis="yaw", angle_deg=6.0)
    range_safety.key.expect(HIGH, within=40 * s)
    ended = TruthWatch(unguided, "thrust_gone", thrust_is_gone(unguided.rated_thrust_n))
    cold_pad.rig.clock.sleep(1 * s)

    chain = Termination(range_safety, cold_pad.preloaded, receivers, fitted_engine)
    edges = chain.edges(unguided.t0_ns, violation.edge, ended.edge)
    record_links(record, links(edges))
    print({k: None if e is None else unguided.t_plus_s(e.at_ns) for k, e in edges.items()}, [(e.value,unguided.t_plus_s(e.at)) for e in unguided.events.history()], unguided.now('rise_m'))
    assert None not in edges.values()
