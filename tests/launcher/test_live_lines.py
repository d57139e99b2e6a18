"""Flight termination into live lines: what a grant permits, and the hardware that acts by itself.

For a rig with live lines, and a grant: ``hil qualify tests/launcher/test_live_lines.py --rig rigs/live_fts.toml --
--grant live_fts-fts.terminate.grant``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hil.errors import InstrumentError
from hil.signal import HIGH, LOW
from hil.units import ms
from hil.visa.classes import DCPower
from hil_launcher.clients.uplink import ACTION

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.io.card import IoCard
    from hil.rig.world import Rig

_BUS_V = 28.0
_FIRING_A = 2.5  # below what fires an initiator here, notional [A]
_TIMER_NS = 250 * ms  # of the safety chain as specified for the bench, docs/hazard-3.md
_CONTACTOR_NS = 50 * ms  # within which a contactor moves


@pytest.fixture
def card(rig: Rig) -> IoCard:
    """The stand, with the safety chain on its control supply and its contactor closed."""
    found = rig.card("stand")
    found.switch("do_safety_chain_power", on=True)
    found.level("di_contactor").expect(HIGH, within=500 * ms)
    return found


@pytest.fixture
def bus_on(rig: Rig) -> Callable[[], None]:
    """Makes the initiator bus live."""
    output = rig.instrument("psu_fire", DCPower).output(3)

    def energise() -> None:
        rig.undo("initiator bus", output.off)
        output.voltage_v, output.current_limit_a = _BUS_V, 8.0
        output.on()

    return energise


@pytest.mark.requirement("SAF-R-01")
def test_a_granted_terminate_fires_the_line(rig, fts, uplink, card, bus_on, strong_dbm):
    """Two persons granted it: ARM and TERMINATE bring the firing current into the initiator."""
    rig.permit(ACTION)
    bus_on()
    uplink.send_sequence(["ARM", "TERMINATE"], level_dbm=strong_dbm)
    card.amps(f"load_initiator_{fts.name[-1]}").expect(above=_FIRING_A, within=200 * ms)


@pytest.mark.requirement("SAF-R-02")
def test_a_line_that_was_not_permitted_stays_dead(rig, card, bus_on):
    """The run has a grant, but this test did not ask for the action: the supply refuses."""
    with pytest.raises(InstrumentError, match=r"fts\.terminate was not permitted in this test"):
        bus_on()
    assert card.volts("ai_initiator_bus").stays(below=1.0, for_=100 * ms)


@pytest.mark.requirement("SAF-R-03")
def test_the_contactor_opens_when_the_pulses_stop(rig, card, bus_on):
    """Without pulses the timer runs out, the contactor opens, and the bus is dead; nobody's software is asked."""
    rig.permit(ACTION)
    bus_on()
    card.volts("ai_initiator_bus").expect(above=_BUS_V - 1.0, within=100 * ms)
    with rig.inject("timer", "open"):
        card.level("di_contactor").expect(LOW, within=_TIMER_NS + _CONTACTOR_NS)
        assert card.volts("ai_initiator_bus").stays(below=1.0, for_=_CONTACTOR_NS)
        card.volts("ai_initiator_supply").expect(above=_BUS_V - 1.0, within=0)


@pytest.mark.requirement("SAF-R-04")
def test_the_emergency_stop_opens_the_contactor_and_holds_it(rig, card, bus_on):
    """Pressed, it opens the contactor while the pulses go on; let go, it closes nothing."""
    rig.permit(ACTION)
    bus_on()
    with rig.inject("safety_chain", "emergency_stop"):
        card.level("di_emergency_stop").expect(LOW, within=10 * ms)
        card.level("di_contactor").expect(LOW, within=_CONTACTOR_NS)
    card.level("di_emergency_stop").expect(HIGH, within=10 * ms)
    assert card.level("di_contactor").stays(LOW, for_=500 * ms)


@pytest.mark.requirement("SAF-R-05")
def test_without_the_arming_plug_nothing_is_energised(rig, card, bus_on):
    """The plug is pulled after the permit: the supply refuses, and the bus stays dead."""
    rig.permit(ACTION)
    with rig.inject("safety_chain", "plug_missing"):
        card.level("di_contactor").expect(LOW, within=_CONTACTOR_NS)
        with pytest.raises(InstrumentError, match=r"interlock stand\.di_arming_plug high reads low"):
            bus_on()
        assert card.volts("ai_initiator_bus").stays(below=1.0, for_=100 * ms)
