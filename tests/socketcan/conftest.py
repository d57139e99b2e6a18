"""Tests on a real CAN stack; they run as root in the guest that ``.ci/guest/run`` boots, and are NOT_RUN elsewhere.

The harness is on can0. Foreign programs are on can1, which is on the same bus.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from can_stack import BITRATE_BPS, bring_up, eventually, ip, listeners

from hil.can.real import open_real
from hil.clock import WallClock
from hil.units import ms, s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hil.can.frame import Frame
    from hil.can.real import RealLink


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "HIL_GUEST_SHARE" not in os.environ:
        missing = pytest.mark.skip("NOT_RUN: there is no real CAN stack; run make test-socketcan")
        for item in items:
            item.add_marker(missing)


class Ear:
    """A link with what it heard and logged.

    Args:
        clock: its clock.
        link: the link.
        lines: of its frame log.
    """

    def __init__(self, clock: WallClock, link: RealLink, lines: list[str]) -> None:
        self.clock, self.link, self.lines = clock, link, lines
        self.frames: list[Frame] = []
        link.listen(self.frames.append)

    def wait(self, condition: Callable[[], bool], within_ns: int = 10 * s) -> bool:
        """Run the world until a condition holds."""
        return self.clock.wait(self.clock.now + within_ns, condition)

    def hears(self, count: int) -> list[Frame]:
        """Run the world until so many frames were heard; all that were."""
        self.wait(lambda: len(self.frames) >= count)
        return self.frames

    def hears_nothing(self, for_ns: int = 200 * ms) -> bool:
        """Run the world; whether no frame was heard."""
        return not self.wait(lambda: bool(self.frames), for_ns)


@pytest.fixture(scope="session")
def controllers() -> None:
    """The controllers can0 and can1, up."""
    for channel in ("can0", "can1"):
        bring_up(channel)


@pytest.fixture
def vcan() -> Iterator[str]:
    """A virtual CAN interface of its own."""
    ip("link", "add", "vcan0", "type", "vcan")
    ip("link", "set", "vcan0", "up")
    yield "vcan0"
    ip("link", "del", "vcan0")


@pytest.fixture
def ear() -> Iterator[Callable[..., Ear]]:
    """Opens a link of the harness on a channel; options as :func:`hil.can.real.open_real`."""
    with ExitStack() as closing:

        def opened(channel: str, *, listen_only: bool = False) -> Ear:
            clock, lines = WallClock(), list[str]()
            link = open_real(
                "bus_a",
                clock,
                interface="socketcan",
                channel=channel,
                bitrate_bps=BITRATE_BPS,
                log=lines.append,
                listen_only=listen_only,
            )
            closing.callback(link.shutdown)
            return Ear(clock, link, lines)

        yield opened


@pytest.fixture
def candump() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts candump on a channel; it listens when this returns, and ends by itself after ``count`` frames."""
    with ExitStack() as closing:

        def started(channel: str, count: int) -> subprocess.Popen[str]:
            before = listeners(channel)
            command = ["candump", "-L", "-n", str(count), f"{channel},0:0,#FFFFFFFF"]
            program = closing.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            closing.callback(program.kill)
            assert eventually(lambda: listeners(channel) > before)
            return program

        yield started
