"""The CAN stack of the kernel that these tests run on, as seen from user space."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from hil.clock import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable

BITRATE_BPS = 500_000
PATIENCE_S = 20.0  # the guest is emulated: a program takes up to a second to start, on a busy host several
_LOOK_S = 0.01


def ip(*words: str) -> str:
    """What ``ip`` says."""
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def bring_up(channel: str, *options: str) -> None:
    """Set a controller's bit rate and options and bring it up."""
    ip("link", "set", channel, "down")
    ip("link", "set", channel, "up", "type", "can", "bitrate", str(BITRATE_BPS), *options)


def eventually(condition: Callable[[], object]) -> bool:
    """Whether a condition comes true in time."""
    watch = Stopwatch()
    while not condition():
        if watch.elapsed_s > PATIENCE_S:
            return False
        threading.Event().wait(_LOOK_S)
    return True


def listeners(channel: str) -> int:
    """How many sockets listen on a channel, as the kernel counts."""
    lists = Path("/proc/net/can").glob("rcvlist_*")
    return sum(line.split()[0] == channel for file in lists for line in file.read_text().splitlines() if line.split())


def heard_by(program: subprocess.Popen[str]) -> list[str]:
    """What candump printed, without stamps and channel."""
    printed, _ = program.communicate(timeout=PATIENCE_S)
    return [line.split()[2] for line in printed.splitlines()]
