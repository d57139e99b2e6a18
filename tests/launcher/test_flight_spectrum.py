"""The flight of 30 March 2025, replayed: loss of attitude after lift-off, caught by a rule, ended by the receivers.

The vehicle is notional. That a limit cycle with a bending mode spends the thrust vector control's finite energy is
our hypothesis, after Delta III (1998); it is no statement of the company's. The times it is compared with are published.
"""

from __future__ import annotations

import pytest

from hil.signal import HIGH
from hil.units import ms, s

TRUE_MODE_HZ = 2.2


@pytest.fixture
def true_mode(rig):
    """The vehicle bends at 2.2 Hz, and its filters were made for 5.5 Hz."""
    for plane in ("pitch", "yaw"):
        rig.inject("plant", "parameter", name=f"modes.{plane}_1.free_hz", value=TRUE_MODE_HZ)


@pytest.mark.requirement("FTS-R-40", "AV-R-10")
def test_lost_attitude_ends_in_the_sea_inside_the_hazard_area(true_mode, ascent, range_safety, geometry, measure):
    """A mode nobody surveyed spends the gimbals' energy; a rule fires, both receivers act, the vehicle falls at sea."""
    lost = ascent.attitude_error_deg.expect(above=10.0, within=40 * s)
    decided = range_safety.key.expect(HIGH, within=15 * s)
    impact = ascent.events.expect("impact", within=60 * s)
    measure("spectrum.attitude_lost", ascent.t_plus_s(lost.at), "s", info=True)
    measure("spectrum.decided", ascent.t_plus_s(decided.at), "s", info=True)
    measure("spectrum.impact", ascent.t_plus_s(impact.at), "s", info=True)
