"""Control of the vehicle in flight: it stays where it is pointed."""

from __future__ import annotations

import pytest

from hil.units import s


@pytest.mark.requirement("AV-R-10")
def test_flight_is_stable_to_t_plus_60(ascent, range_safety, measure):
    """With the bending modes as surveyed the vehicle stays on its programme, and nobody terminates it."""
    ascent.fly_to(60 * s)

    measure("flight.attitude_error", ascent.largest_attitude_error_deg(0, 60 * s), "deg")
    assert range_safety.key.stays(False, for_=0)
