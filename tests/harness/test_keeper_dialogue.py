"""The keeper's dialogue with an instrument: an answer belongs to its question, and no wait outlasts its reason."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from keeper_bench import Instrument

from hil.clock import Stopwatch
from hil.errors import InstrumentError
from hil.safety.dialogue import Dialogue
from hil.visa.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

SOON_S = 0.05
LONG_S = 5.0


@pytest.fixture
def instrument() -> Iterator[Instrument]:
    made = Instrument()
    yield made
    made.close()


@pytest.fixture
def upstream(instrument: Instrument) -> Iterator[Upstream]:
    opened = Upstream.open(instrument.resource, "psu")
    yield opened
    opened.close()


@pytest.fixture
def dialogue(upstream: Upstream) -> Dialogue:
    return Dialogue(upstream)


def test_an_answer_that_comes_too_late_is_not_taken_for_that_of_the_next_question(
    instrument: Instrument, dialogue: Dialogue
) -> None:
    instrument.slow.clear()
    assert dialogue.ask(b"VOLT? (@1)", SOON_S) is None
    instrument.slow.set()
    assert dialogue.ask(b"MEAS:VOLT? (@1:4)", LONG_S) == b"0.0,0.0,0.0,0.0"


@pytest.mark.parametrize("times", [1, 3])
def test_a_question_for_the_identity_that_was_broken_off_confuses_nothing(
    instrument: Instrument, dialogue: Dialogue, times: int
) -> None:
    instrument.slow.clear()
    for _ in range(times):
        assert dialogue.ask(b"*IDN?", SOON_S) is None
    instrument.slow.set()
    assert dialogue.ask(b"VOLT? (@1)", LONG_S) == b"7"
    assert dialogue.ask(b"OUTP? (@1:4)", LONG_S) == b"0,0,0,0"


def test_what_nobody_asked_for_is_no_answer(instrument: Instrument, dialogue: Dialogue) -> None:
    assert dialogue.ask(b"VOLT? (@1)", LONG_S) == b"7"
    instrument.say(b"0,0,0,0\n")
    assert dialogue.ask(b"VOLT? (@1)", LONG_S) == b"7"


def test_an_instrument_that_cannot_be_settled_has_no_answer(instrument: Instrument, dialogue: Dialogue) -> None:
    instrument.answers = {"*IDN?": "somebody else,1,2,3", "VOLT? (@1)": None}
    assert dialogue.ask(b"VOLT? (@1)", SOON_S) is None
    assert dialogue.ask(b"OUTP? (@1:4)", SOON_S) is None
    assert "OUTP? (@1:4)" not in instrument.heard


def test_an_answer_in_two_pieces_is_one(instrument: Instrument, dialogue: Dialogue) -> None:
    instrument.answers["VOLT? (@1)"] = b"1234"
    wake_r, wake_w = os.pipe()
    asked: list[bool] = []

    def second_half() -> bool:
        if not asked:
            asked.append(True)
            return False
        if len(asked) == 1:
            instrument.await_heard("VOLT? (@1)")
            instrument.say(b"5\n")
        asked.append(True)
        return False

    os.write(wake_w, b"!")
    assert dialogue.ask(b"VOLT? (@1)", LONG_S, (wake_r,), second_half) == b"12345"
    os.close(wake_r)
    os.close(wake_w)


def test_a_line_feed_in_a_block_does_not_end_an_answer(instrument: Instrument, dialogue: Dialogue) -> None:
    instrument.answers["VOLT? (@1)"] = b"#14a\nbc\n"
    assert dialogue.ask(b"VOLT? (@1)", LONG_S) == b"#14a\nbc"


def test_an_instrument_that_hangs_up_is_found_at_once(instrument: Instrument, dialogue: Dialogue) -> None:
    instrument.slow.clear()
    watch = Stopwatch()
    instrument.hang_up()
    with pytest.raises(InstrumentError, match="psu"):
        dialogue.ask(b"VOLT? (@1)", LONG_S)
    assert watch.elapsed_s < LONG_S / 2


def test_an_instrument_that_takes_nothing_any_more_is_not_waited_for_ever(
    instrument: Instrument, dialogue: Dialogue
) -> None:
    instrument.slow.clear()
    dialogue.tell(b"VOLT? (@1)")
    with pytest.raises(InstrumentError, match="takes nothing any more"):
        dialogue.tell(b"x" * (64 << 20))


def test_another_instrument_behind_a_connection_made_anew_is_refused(
    instrument: Instrument, upstream: Upstream
) -> None:
    instrument.answers["*IDN?"] = "Keysight Technologies,N6702C,ANOTHER,E.02"
    with pytest.raises(InstrumentError, match="ANOTHER"):
        upstream.reopened()
    with pytest.raises(InstrumentError, match="closed"):
        upstream.send(b"OUTP ON")


def test_an_instrument_that_is_closed_or_cannot_be_opened_takes_no_other_with_it(
    instrument: Instrument, dialogue: Dialogue
) -> None:
    other = Instrument()
    opened = Upstream.open(other.resource, "load")
    other.close()
    with pytest.raises(InstrumentError, match="load"):
        opened.reopened()
    opened.close()
    assert dialogue.ask(b"VOLT? (@1)", LONG_S) == b"7"
