"""The safety chain at its connector: timer, emergency stop, arming plug, contactor, and what reads back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit_world import UnitWorld

from hil.units import ms
from hil_launcher.models.safety_chain import FiringLine, SafetyChain

TIMER_NS, CLOSING_NS, OPENING_NS = 250 * ms, 25 * ms, 15 * ms
READ_BACKS = ("contactor", "emergency_stop", "arming_plug")


class Chain(UnitWorld):
    """The chain on its control supply, with 28 V behind a load on its line."""

    def __init__(self) -> None:
        super().__init__(SafetyChain, "safety_chain.toml")
        self.wiring.pin("psu.out3").drive(28.0, 0.1)
        self.bus = self.wiring.pin("stand.load")
        self.bus.load(100.0)
        self.wiring.net("supply", ["psu.out3", "unit.line_in"])
        self.wiring.net("bus", ["unit.line_out", "stand.load"])
        self.power()
        for name in READ_BACKS:
            self.level(name)
        self.clock.sleep(10 * ms)

    @property
    def live(self) -> bool:
        """Whether there is voltage behind the contactor."""
        return self.bus.volts > 1.0

    def levels(self) -> tuple[bool, ...]:
        """What reads back: contactor, emergency stop, arming plug."""
        return tuple(self.level(name) for name in READ_BACKS)

    def pulse(self, times: int = 1, every_ns: int = 50 * ms) -> None:
        """Give pulses; the last one's end is now."""
        for _ in range(times):
            self.clock.sleep(every_ns - 5 * ms)
            self.line("timer", high=True)
            self.clock.sleep(5 * ms)
            self.line("timer", high=False)


def test_without_pulses_the_contactor_is_open_and_the_others_read_back():
    chain = Chain()
    assert chain.levels() == (False, True, True)
    assert not chain.live


def test_pulses_close_the_contactor_and_hold_it():
    chain = Chain()
    chain.pulse(2)
    for _ in range(40):
        chain.pulse()
        assert chain.live
    assert chain.levels() == (True, True, True)


def test_a_level_that_stays_high_is_no_pulse():
    chain = Chain()
    chain.line("timer", high=True)
    chain.clock.sleep(CLOSING_NS)
    assert chain.live
    chain.clock.sleep(TIMER_NS)
    assert not chain.live


@pytest.fixture(scope="module")
def chain() -> Chain:
    """One chain for many examples; each leaves it open."""
    return Chain()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(10, 600), min_size=1, max_size=12))
def test_the_line_is_live_only_while_a_pulse_was_within_the_time_of_the_timer(chain, gaps_ms):
    for gap_ms in gaps_ms:
        chain.pulse(every_ns=gap_ms * ms)
        chain.clock.sleep(CLOSING_NS)
        assert chain.live
    chain.clock.sleep(TIMER_NS - CLOSING_NS - 10 * ms)
    assert chain.live
    chain.clock.sleep(10 * ms + OPENING_NS)
    assert not chain.live


@pytest.mark.parametrize("kind", ["emergency_stop", "plug_missing"])
def test_what_was_stopped_closes_only_after_the_pulses_have_paused(kind):
    chain = Chain()
    chain.pulse(3)
    let_go = chain.fault(kind)
    chain.clock.sleep(OPENING_NS)
    assert not chain.live
    let_go()
    chain.pulse(10)
    assert chain.levels() == (False, True, True)
    chain.clock.sleep(TIMER_NS)
    chain.pulse(3)
    assert chain.live


def test_a_button_that_was_let_go_while_no_pulses_came_holds_nothing():
    chain = Chain()
    chain.fault("emergency_stop")()
    chain.pulse(3)
    assert chain.live


def test_a_welded_contactor_reads_back_closed_with_nobody_to_hold_it():
    chain = Chain()
    chain.pulse(3)
    freed = chain.fault("contactor_welded")
    chain.clock.sleep(1000 * ms)
    assert chain.live
    assert chain.levels()[0]
    freed()
    assert not chain.live


def test_a_timer_that_is_stuck_leaves_the_emergency_stop():
    chain = Chain()
    chain.pulse(3)
    chain.fault("timer_stuck")
    chain.clock.sleep(1000 * ms)
    assert chain.live
    chain.fault("emergency_stop")
    chain.clock.sleep(OPENING_NS)
    assert not chain.live


def test_without_its_control_supply_it_opens_and_says_nothing():
    chain = Chain()
    chain.pulse(3)
    chain.power(0.0)
    chain.clock.sleep(100 * ms)
    assert not chain.live
    assert chain.levels() == (False, False, False)


def test_a_firing_line_brings_the_bus_to_its_initiator_only_while_it_is_told():
    world = UnitWorld(FiringLine, "firing_line.toml")
    initiator = world.wiring.pin("stand.initiator")
    initiator.load(1.0)
    world.wiring.net("initiator", ["unit.initiator", "stand.initiator"])
    world.power()
    world.clock.sleep(1 * ms)
    assert initiator.amps == pytest.approx(0.0, abs=1e-3)
    world.line("fire", high=True)
    world.clock.sleep(1 * ms)
    assert initiator.amps == pytest.approx(28.0 / 9.05, rel=0.02)
    world.line("fire", high=False)
    world.clock.sleep(1 * ms)
    assert initiator.amps == pytest.approx(0.0, abs=1e-3)
