"""The watchdog of a simulated I/O card: what becomes of its outputs when nobody feeds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.clock import VirtualClock
from hil.errors import InstrumentError
from hil.io.sim_card import SimIoCard
from hil.signal import Timeline
from hil.sim.card_watchdog import CardWatchdog
from hil.units import ms
from hil.wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT_MS = 100


class Bench:
    """A key and a source of the card, each on a load."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        wiring = Wiring(self.clock)
        self.pins = [wiring.pin(f"box.{name}") for name in ("key", "source")]
        for pin in self.pins:
            pin.load(1e3)
        self.card = SimIoCard(
            "stand", wiring, timeline=Timeline(self.clock), ports=["do_key", "ao_source", "ai_source"], ohms={}
        )
        wiring.net("key", ["stand.do_key", "box.key"])
        wiring.net("source", ["stand.ao_source", "stand.ai_source", "box.source"])
        self.watchdog = CardWatchdog(self.card, self.clock)

    def energise(self) -> None:
        self.card.switch("do_key", on=True)
        self.card.drive("ao_source", 5.0)

    @property
    def on(self) -> list[bool]:
        return [pin.volts > 1.0 for pin in self.pins]


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.energise()
    return bench


def test_an_output_stays_for_as_long_as_it_is_fed_and_every_one_goes_when_it_is_not(bench: Bench):
    bench.watchdog.guard(TIMEOUT_MS)
    for _ in range(5):
        bench.clock.sleep((TIMEOUT_MS - 1) * ms)
        bench.watchdog.feed()
    assert bench.on == [True, True]
    bench.clock.sleep(TIMEOUT_MS * ms)
    assert bench.on == [False, False]


@pytest.mark.parametrize("mend", [CardWatchdog.feed, CardWatchdog.stop], ids=["fed", "stopped"])
def test_once_it_ran_out_nothing_may_be_energised_until_it_is_set_anew(bench: Bench, mend: Callable[..., None]):
    bench.watchdog.guard(TIMEOUT_MS)
    bench.watchdog.demand()
    bench.clock.sleep(TIMEOUT_MS * ms)
    mend(bench.watchdog)
    with pytest.raises(InstrumentError, match="stand: its watchdog was not fed for 100 ms and took every output off"):
        bench.watchdog.demand()
    bench.watchdog.guard(TIMEOUT_MS)
    bench.watchdog.demand()


def test_set_to_nothing_it_takes_nothing_off(bench: Bench):
    bench.watchdog.guard(TIMEOUT_MS)
    bench.watchdog.guard(0)
    bench.clock.sleep(10 * TIMEOUT_MS * ms)
    assert bench.on == [True, True]


@given(st.lists(st.integers(1, 2 * TIMEOUT_MS), max_size=10))
def test_the_outputs_are_on_just_as_long_as_no_pause_reached_its_time(pauses_ms: list[int]):
    bench = Bench()
    bench.energise()
    bench.watchdog.guard(TIMEOUT_MS)
    for pause_ms in pauses_ms:
        bench.clock.sleep(pause_ms * ms)
        bench.watchdog.feed()
    assert bench.on == [max(pauses_ms, default=0) < TIMEOUT_MS] * 2
