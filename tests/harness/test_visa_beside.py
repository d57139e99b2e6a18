"""Instruments on a paced clock: the world runs while one of them answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sim_world import Served, open_socket

from hil.clock import WallClock
from hil.errors import ClockError
from hil.units import ms, s
from hil.visa.beside import Beside
from hil.visa.door import Session, open_manager

if TYPE_CHECKING:
    from collections.abc import Iterator


class Bench:
    """A session with a supply that takes 50 ms for everything."""

    def __init__(self, served: Served) -> None:
        self.clock = WallClock(max_lateness_ns=1 * s)
        resource = open_socket(open_manager("@py"), f"TCPIP0::127.0.0.1::{served.server.port}::SOCKET")
        self.said: list[tuple[str, str]] = []
        note = lambda direction, text: self.said.append((direction, text))  # noqa: E731
        self.session = Session(resource, name="psu", transcript=note, beside=Beside(self.clock, "psu"))


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Served(latency_ns=50 * ms) as served:
        bench = Bench(served)
        yield bench
        bench.session.close()


def test_ticks_go_on_while_an_instrument_answers(bench: Bench) -> None:
    ticks: list[int] = []
    bench.clock.every(5 * ms, lambda: ticks.append(len(bench.said)))
    assert bench.session.identify().model == "N6702C"
    assert ticks.count(1) >= 8  # asked, not answered


def test_the_clock_says_that_it_waits_for_an_instrument(bench: Bench) -> None:
    told: list[tuple[int, bool]] = []
    bench.clock.every(5 * ms, lambda: told.append((len(bench.said), bench.clock.is_held_up)))
    bench.session.identify()
    bench.clock.sleep(20 * ms)
    assert (1, True) in told  # asked, not answered
    assert told[-1] == (2, False)


def test_an_answer_that_was_not_waited_for_is_not_that_of_the_next_question(bench: Bench) -> None:
    def broken_off() -> None:
        raise LookupError

    bench.clock.at(bench.clock.now + 10 * ms, broken_off)
    with pytest.raises(LookupError):
        bench.session.query("OUTP? (@1:4)")
    assert bench.session.identify().model == "N6702C"
    assert bench.said[1] == ("write", "<device clear: the last query was broken off>")


def test_a_question_in_a_callback_is_refused_and_not_asked(bench: Bench) -> None:
    bench.clock.at(bench.clock.now, lambda: bench.session.query("*IDN?"))
    with pytest.raises(ClockError, match="an answer of psu was started inside an event callback"):
        bench.clock.sleep(1 * ms)
    bench.session.identify()
    assert [text for direction, text in bench.said if direction == "read"][:-1] == []
