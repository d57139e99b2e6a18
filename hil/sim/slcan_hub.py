r"""A CAN bus for several programs on one machine without a CAN stack: pseudo-terminals that speak slcan (LAWICEL).

    python -m hil.sim.slcan_hub --ports 2 --link /tmp/bus_a_

makes two serial ports, links them as ``/tmp/bus_a_0`` and ``/tmp/bus_a_1``, prints their paths and ``ready``; to
python-can each is ``can.Bus(interface="slcan", channel="/tmp/bus_a_0", bitrate=500000)``.

The hub stores and forwards: every frame goes to every other open port of the same bit rate, in the order it came. It
has no arbitration, no bit timing and no error frames, so it proves nothing about a bus; the simulated wire or a real
bus does. A port that is not read loses frames, which are counted. What came at once is forwarded at once, and a frame
is answered with what next goes to its port, 20 ms later at most.

Commands: ``S0`` to ``S9`` bit rate, ``O`` open, ``L`` open to listen only, ``C`` close, ``t`` ``T`` ``r`` ``R`` a
frame (answered ``z`` or ``Z``), ``V`` ``N`` ``F`` version, serial number, status. Others are answered by BEL.
"""

from __future__ import annotations

import argparse
import os
import re
import selectors
import sys
import termios
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hil.errors import HilError
from hil.realtime import request_class
from hil.sim.serial_port import Port, open_port
from hil.sim.signals import on_end

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

_OK, _BELL = b"\r", b"\a"
_CHUNK = 1 << 14
_LINE_MAX = 64  # bytes of the longest command, with room
_STANDARD, _EXTENDED = rb"[0-7][0-9A-Fa-f]{2}", rb"[01][0-9A-Fa-f]{7}"
_LENGTHS = b"|".join(rb"%d[0-9A-Fa-f]{%d}" % (count, 2 * count) for count in range(9))
_DATA = re.compile(rb"(?:t" + _STANDARD + rb"|T" + _EXTENDED + rb")(?:" + _LENGTHS + rb")")
_REMOTE = re.compile(rb"(?:r" + _STANDARD + rb"|R" + _EXTENDED + rb")[0-8]")
_FRAME = re.compile(_DATA.pattern + b"|" + _REMOTE.pattern)
_RATE = re.compile(rb"S[0-9]")
_OWED_S = 0.02  # how long an answer to a frame waits for something else to go to its port [s]
_OWED_MAX = 256  # bytes of such answers


class SlcanHub:
    """Serial ports that are one CAN bus; a context manager.

    Args:
        ports: how many.
        link: prefix of the symbolic links to them; none are made unless given.
        prepare: called first in the hub's thread, to give it a scheduling class.

    Raises:
        HilError: when there are less than two, or a link cannot be made.
    """

    def __init__(self, ports: int, *, link: str | None = None, prepare: Callable[[], object] | None = None) -> None:
        if ports < 2:
            raise HilError(f"a hub of {ports} ports joins nothing; give 2 or more")
        self.ports = [open_port() for _ in range(ports)]
        self._links = [Path(f"{link}{number}") for number in range(ports)] if link else []
        self._prepare = prepare
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._run, name="slcan hub", daemon=True)
        try:
            for path, port in zip(self._links, self.ports, strict=False):
                _make_link(path, port)
        except HilError:
            self._release()
            raise
        for port in self.ports:
            self._selector.register(port.master, selectors.EVENT_READ, port)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def paths(self) -> list[str]:
        """The serial ports: the links to them where there are."""
        return [str(path) for path in self._links] or [port.path for port in self.ports]

    @property
    def lost(self) -> int:
        """Frames that any client did not read in time."""
        return sum(port.lost for port in self.ports)

    def close(self) -> None:
        """End the hub and take its ports away; harmless when done before."""
        if self._thread.is_alive():
            os.write(self._waker, b"\0")
            self._thread.join()
            self._release()

    # -- the hub's thread ---------------------------------------------------------------------------------

    def _run(self) -> None:
        if self._prepare is not None:
            self._prepare()
        while True:
            owing = any(port.owed for port in self.ports)
            ready = self._selector.select(_OWED_S if owing else None)
            for key, events in ready:
                port: Port | None = key.data
                if port is None:
                    return
                if events & selectors.EVENT_READ:
                    self._read(port)
                port.push()
            for port in self.ports:
                if port.owed and (not ready or len(port.owed) > _OWED_MAX):
                    port.give(())
                if port.awaited is not bool(port.unsent):
                    port.awaited = bool(port.unsent)
                    mode = selectors.EVENT_READ | (selectors.EVENT_WRITE if port.awaited else 0)
                    self._selector.modify(port.master, mode, port)

    def _read(self, port: Port) -> None:
        data = os.read(port.master, _CHUNK)
        *lines, port.partial = (port.partial + data).split(b"\r")
        if len(port.partial) > _LINE_MAX:
            port.partial = b""
            port.refused += 1
        frames: list[bytes] = []
        for line in lines:
            if port.is_open and not port.listens_only and _FRAME.fullmatch(line):
                frames.append(line + _OK)
                port.owed += b"z\r" if line[:1] in b"tr" else b"Z\r"
            else:
                self._forward(port, frames)
                frames = []
                answer = self._answer(port, line.strip(b"\n"))
                port.refused += answer == _BELL
                port.give((answer,))
        self._forward(port, frames)

    def _forward(self, port: Port, frames: list[bytes]) -> None:
        """Hand the frames of a port to all others."""
        port.sent += len(frames)
        for other in self.ports:
            if frames and other is not port and other.is_open and other.rate == port.rate:
                count = other.give(frames)
                other.received += count
                other.lost += len(frames) - count

    def _answer(self, port: Port, line: bytes) -> bytes:
        """The answer to a line that is no frame, or a frame of a port that must not send."""
        kind = line[:1]
        if line in (b"O", b"L"):
            port.is_open, port.listens_only = True, line == b"L"
        elif line == b"C":
            port.is_open = False
            port.unsent = port.owed = b""
            termios.tcflush(port.slave, termios.TCIFLUSH)
        elif _RATE.fullmatch(line) and not port.is_open:
            port.rate = line
        elif kind in _FIXED and len(line) == 1:
            return _FIXED[kind]
        elif line:
            return _BELL
        return _OK

    def _release(self) -> None:
        for path in self._links:
            if path.is_symlink():
                path.unlink()
        for port in self.ports:
            os.close(port.master)
            os.close(port.slave)
        self._selector.close()
        os.close(self._woken)
        os.close(self._waker)


_FIXED = {b"V": b"V1013\r", b"N": b"N0001\r", b"F": b"F00\r"}


def main(arguments: Sequence[str]) -> int:
    """Run a hub until SIGTERM or SIGINT, then print what every port has carried.

    Args:
        arguments: the command line without the program's name.

    Returns:
        The exit code: 0, or 2 when a hub cannot be made.
    """
    parser = argparse.ArgumentParser(prog="python -m hil.sim.slcan_hub", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--ports", type=int, default=2, help="how many serial ports")
    parser.add_argument("--link", help="prefix of symbolic links to them, for example /tmp/bus_a_")
    parser.add_argument("--priority", type=int, default=0, help="SCHED_FIFO priority, 1 to 99; none unless given")
    options = parser.parse_args(arguments)
    ended = threading.Event()
    on_end(ended.set)
    urgent = partial(request_class, options.priority) if options.priority else None
    try:
        hub = SlcanHub(options.ports, link=options.link, prepare=urgent)
    except HilError as refusal:
        print(f"error {refusal}", file=sys.stderr, flush=True)
        return 2
    with hub:
        print("\n".join(hub.paths), "ready", sep="\n", flush=True)
        ended.wait()
    for path, port in zip(hub.paths, hub.ports, strict=True):
        print(f"{path} sent {port.sent} received {port.received} lost {port.lost} refused {port.refused}", flush=True)
    return 0


def _make_link(path: Path, port: Port) -> None:
    try:
        if path.is_symlink():
            path.unlink()  # of a hub that did not end in order
        path.symlink_to(port.path)
    except OSError as problem:
        raise HilError(
            f"{path} cannot be made a link to {port.path}: {problem.strerror}; give another --link"
        ) from problem


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
