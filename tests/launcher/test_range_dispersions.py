"""Good flights are left alone: dispersed vehicles on dispersed days, seen by range safety as built.

The flights are flown in the small (RK4, steps of 20 ms, steering at 50 Hz); trackers and range are the rig's own
articles. Fifty flights in five trials.
"""

from __future__ import annotations

import pytest

from hil.signal import HIGH
from hil.units import s
from hil_launcher.clients.dispersed_flight import LEFT_OUT, DispersedFlight

FLIGHTS = 50
EACH = 10  # flights of a trial
UNTIL_S = 60.0


@pytest.mark.requirement("RNG-R-13")
@pytest.mark.measures("range.false_terminations", "flight.attitude_error")
@pytest.mark.parametrize("first", range(1, FLIGHTS + 1, EACH))
def test_dispersed_good_flights_are_not_terminated(first, rig, range_safety, measure, record):
    """Ten vehicles within their tolerances, on ten days, fly to T+60 on their programme, and the range keys nothing."""
    record("note", text=LEFT_OUT)
    commands, errors_deg = 0, []
    for seed in range(first, first + EACH):
        begun_ns = rig.clock.now
        flying = DispersedFlight(rig, range_safety, seed)
        flying.lift_off()
        flight = flying.fly_to(UNTIL_S)
        range_safety.liftoff.expect(lambda _: True, within=0, since=begun_ns)  # it was seen, not slept through
        errors_deg.append(flight.error_deg())
        alarms = (*range_safety.violation.history(begun_ns + 1 * s), *range_safety.key.history(begun_ns + 1 * s))
        commands += any(edge.value is HIGH for edge in alarms)  # a rule that fired is a command on its way
    measure("range.false_terminations", commands, "1")
    measure("flight.attitude_error", max(errors_deg), "deg")
    measure("range.dispersed_flights", len(errors_deg), "1", info=True)
