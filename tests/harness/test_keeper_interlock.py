"""Interlocks that the keeper reads on a real I/O card: open, never seen, lost, silent; each keeps an output off."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from sim_world import ServedCard

from hil.clock import WallClock
from hil.errors import InstrumentError
from hil.safety.interlock import Interlocks
from hil.safety.plan import InterlockPlan
from hil.units import ms, s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FAST = 10.0  # rig seconds a second: clocks are compared every 100 ms


@pytest.fixture
def card() -> Iterator[ServedCard]:
    with ServedCard() as served:
        yield served


@pytest.fixture
def clock() -> WallClock:
    """The keeper's clock."""
    return WallClock(factor=_FAST)


@pytest.fixture
def read(card: ServedCard, clock: WallClock) -> Iterator[Callable[..., Interlocks]]:
    """``read("di_out")`` reads these channels as interlocks of a supply."""
    opened: list[Interlocks] = []

    def read_them(*ports: str) -> Interlocks:
        plans = [
            InterlockPlan(
                card="hil.io.stream_card:StreamCard",
                address=card.server.address,
                name="stand",
                port=port,
                level="high",
            )
            for port in ports
        ]
        opened.append(Interlocks(clock, {"psu": plans}, {}))
        opened[-1].open()
        return opened[-1]

    yield read_them
    for each in opened:
        each.close()


def comes(clock: WallClock, why: Callable[[], bool], within_s: float = 5.0) -> bool:
    """Whether it comes to that, while the keeper's clock runs."""
    clock.every(10 * ms, lambda: None)
    return clock.wait(clock.now + round(within_s * _FAST * s), why, "what the interlock reads")


def test_an_interlock_permits_while_it_reads_its_level_and_no_longer(card, clock, read):
    interlocks = read("di_out")
    assert interlocks.why_not("psu") == "interlock stand.di_out high reads low"
    card.do(lambda: card.box["out"].drive(28.0, 0.1))
    assert comes(clock, lambda: interlocks.why_not("psu") == "")
    card.do(card.box["out"].release)
    assert comes(clock, lambda: interlocks.why_not("psu") == "interlock stand.di_out high reads low")


def test_an_interlock_that_opened_for_a_moment_is_told_once(card, clock, read):
    card.do(lambda: card.box["out"].drive(28.0, 0.1))
    interlocks = read("di_out")
    assert comes(clock, lambda: interlocks.why_not("psu") == "")
    interlocks.why_opened("psu")
    assert interlocks.why_opened("psu") == ""
    card.do(card.box["out"].release)
    card.do(lambda: card.box["out"].drive(28.0, 0.1))
    assert comes(clock, lambda: interlocks.why_opened("psu") == "interlock stand.di_out high was open for a moment")
    assert comes(clock, lambda: interlocks.why_not("psu") == "")
    assert interlocks.why_opened("psu") == ""


def test_of_several_interlocks_one_that_is_open_is_enough(card, clock, read):
    card.do(lambda: card.box["out"].drive(28.0, 0.1))
    interlocks = read("di_out", "di_key")
    assert comes(clock, lambda: "di_key high reads low" in interlocks.why_not("psu"))
    card.do(lambda: card.box["key"].drive(28.0, 0.1))
    assert comes(clock, lambda: interlocks.why_not("psu") == "")


def test_what_a_lost_card_said_last_permits_nothing(card, clock, read):
    card.do(lambda: card.box["out"].drive(28.0, 0.1))
    interlocks = read("di_out")
    assert comes(clock, lambda: interlocks.why_not("psu") == "")
    card.do(card.server.drop)
    assert comes(clock, lambda: interlocks.why_not("psu").startswith("interlock stand.di_out high cannot be read"))


def test_what_a_silent_card_said_last_permits_nothing(card, clock, read, monkeypatch):
    monkeypatch.setattr("hil.io.conversation._SILENCE_S", 0.2)
    card.do(lambda: card.box["out"].drive(28.0, 0.1))
    interlocks = read("di_out")
    assert comes(clock, lambda: interlocks.why_not("psu") == "")
    going_on = threading.Event()
    card.clock.post(lambda: going_on.wait(10.0))  # the card hangs, its connection stays
    try:
        assert comes(clock, lambda: "it has not answered for" in interlocks.why_not("psu"))
    finally:
        going_on.set()


def test_a_channel_that_the_card_does_not_have_is_refused_when_it_is_opened(read):
    with pytest.raises(InstrumentError, match="has no channel di_door"):
        read("di_door")
