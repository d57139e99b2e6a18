"""How long a qualification run waits for its keeper before it says that the rig is not safe."""

from __future__ import annotations

import pytest

from hil.campaign.qualify import patience_s
from hil.safety.launch import leaving_s
from hil.safety.plan import BusPlan, CardPlan, KeeperPlan, LabPlan, OutletPlan, SafeStepPlan

SHORT = [SafeStepPlan(write="off", within_ms=100.0)]
LONG = [SafeStepPlan(write="off", within_ms=4_000.0), SafeStepPlan(query="?", expect="0", within_ms=1_000.0)]
LAB = LabPlan(coordinator="lab:1", place="bench")


def plan(kind: str, **changes: object) -> KeeperPlan:
    """A plan with one part of a kind whose sequence is long, or is in one phase."""
    by_kind = {
        "outlet": OutletPlan(name="psu", hazard=2, safe=LONG, driver="-", resource="-"),
        "card": CardPlan(name="stand", hazard=2, safe=LONG, driver="-", address="-", outputs={}),
        "bus": BusPlan(
            name="bus", hazard=2, safe=LONG, interface="-", channel="-", bitrate_bps=500_000, database="-", send=[]
        ),
        "phase": OutletPlan(name="psu", hazard=2, safe=SHORT, safe_in={"fuelled": LONG}, driver="-", resource="-"),
    }
    part = by_kind[kind]
    field = "cards" if kind == "card" else "buses" if kind == "bus" else "outlets"
    given = {"rig": "r", "silence_s": 3.0, "deadline_s": 60, "hold_s": 60, "lease_s": 5, "who": "", field: [part]}
    return KeeperPlan.model_validate(given | changes)


@pytest.mark.parametrize("kind", ["outlet", "card", "bus", "phase"])
def test_a_keeper_has_the_time_of_the_longest_sequence_of_any_part_in_any_phase_twice(kind):
    assert patience_s(plan(kind), 10.0) == 3.0 + 2 * 5.0 + 10.0


def test_a_keeper_of_a_place_has_the_time_to_give_it_back():
    with_place = plan("outlet", lab=LAB)
    assert leaving_s(with_place) > 0.0
    assert patience_s(with_place, 10.0) == patience_s(plan("outlet"), 10.0) + leaving_s(with_place)
