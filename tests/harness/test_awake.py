"""Looking before sleep finds what sleep would have found, and ends when its time is over."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from hil.awake import Awake
from hil.clock import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Iterator

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def test_what_has_come_is_found_without_waiting(pair: Pair) -> None:
    here, there = pair
    there.send(b"!")
    assert Awake(here).look(0.0) == [here.fileno()]


def test_what_comes_during_the_sleep_ends_it(pair: Pair) -> None:
    here, there = pair
    threading.Timer(0.02, there.send, (b"!",)).start()
    assert Awake(here).wait(10.0) == [here.fileno()]


def test_the_end_of_a_connection_is_found_too(pair: Pair) -> None:
    here, there = pair
    there.close()
    assert Awake(here).wait(10.0) == [here.fileno()]


@pytest.mark.parametrize("within_s", [0.0, 50e-6, 0.01])
def test_nothing_is_found_when_the_time_is_over(pair: Pair, within_s: float) -> None:
    watch = Stopwatch()
    assert Awake(pair[0]).wait(within_s) == []
    assert watch.elapsed_s >= within_s
