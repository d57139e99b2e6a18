"""What dies in the kill matrix: small tests that switch a supply on through the keeper, tell so, and meet their end.

Each is run in a pytest of its own by test_kill_matrix.py; the ends that come from outside find a test that waits.
"""

from __future__ import annotations

import ctypes
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hil.clock import boot_ns
from hil.errors import InstrumentError
from hil.units import ms, s
from hil.visa.keysight_n6700 import KeysightN6700

if TYPE_CHECKING:
    from hil.rig.world import Rig

_LONG_NS = 25 * s


class News:
    """The way to whoever watches this test."""

    def __init__(self) -> None:
        self.link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.link.connect(os.environ["HIL_KILL_NEWS"])

    def energised(self) -> None:
        """Tell that the output is on, and go on when the watcher has seen it."""
        self.link.sendall(f"energised {os.getpid()}\n".encode())
        assert self.link.recv(16) == b"go\n"

    def dying(self) -> None:
        """Tell when the end comes."""
        self.link.sendall(f"dying {boot_ns()}\n".encode())


def switch_on(rig: Rig) -> KeysightN6700:
    """28 V at the load."""
    psu = rig.instrument("psu", KeysightN6700)
    output = psu.output(1)
    output.voltage_v = 28.0
    output.current_limit_a = 2.0
    output.enabled = True
    return psu


@pytest.fixture
def news() -> News:
    return News()


@pytest.fixture
def live(rig: Rig, news: News) -> Rig:
    switch_on(rig)
    news.energised()
    return rig


@pytest.fixture
def broken(live: Rig, news: News) -> None:
    news.dying()
    raise RuntimeError("the set-up fails after it has switched on")


def test_assertion_fails(live: Rig, news: News) -> None:
    news.dying()
    assert live is None


def test_setup_raises(broken: None) -> None:
    pass


def test_blocking_read(live: Rig, news: News) -> None:
    news.dying()
    news.link.recv(1)


def test_waits(live: Rig) -> None:
    live.clock.sleep(_LONG_NS)


def test_measures(live: Rig) -> None:
    psu = live.instrument("psu", KeysightN6700)
    for _ in range(1000):
        live.clock.sleep(20 * ms)
        assert psu.output(1).measured_voltage_v > 0.0


def test_segfault(live: Rig, news: News) -> None:
    news.dying()
    ctypes.string_at(0)


def test_os_exit(live: Rig, news: News) -> None:
    news.dying()
    os._exit(0)


def test_holds_the_interpreter(live: Rig, news: News) -> None:
    news.dying()
    ctypes.PyDLL(None).sleep(60)


def test_disk_full(live: Rig, news: News) -> None:
    with Path(os.environ["HIL_KILL_FILL"]).open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            news.dying()
    live.undo("nothing", lambda: None)


def test_refused_at_once(rig: Rig) -> None:
    with pytest.raises(InstrumentError):
        switch_on(rig)
