"""The simulated CAN bus: a wire with a bit rate that nodes attach to, exact to the bit.

    clock = VirtualClock()
    wire = CanWire(clock, "bus_a", 500_000, Streams(1).stream("bus_a", "wire"))
    engine, fts = wire.attach("engine"), wire.attach("fts")
    fts.on_frame(print)
    engine.send(Frame(0x123, bytes(8)))
    clock.sleep(1 * ms)

Classic CAN 2.0A/B, and CAN FD where the wire has a data bit rate. A python-can user meets the same wire as
``can.Bus(interface="hil", channel="bus_a")``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from weakref import WeakValueDictionary

from hil.can import faults as bus_faults
from hil.can.bit_segment import BitSegment, Seat
from hil.can.node import CanNode
from hil.can.segment import BitTime
from hil.can.tally import Tally
from hil.closed import nearest
from hil.errors import BusError
from hil.units import s

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator

    from hil.clock import Clock
    from hil.faults import Fault

DATA_BITRATE_MAX_BPS = 8_000_000
"""Highest data bit rate of CAN FD (CiA 601-1 [bit/s])."""
TX_DEPTH = 128
"""Frames a controller queues unless told otherwise; the next one is refused, as by ENOBUFS on SocketCAN."""
_OPEN: WeakValueDictionary[str, CanWire] = WeakValueDictionary()  # the one registry: python-can finds a wire by name
_NAME = re.compile(r"[A-Za-z][\w.-]*")


@dataclass(frozen=True, slots=True)
class WireStats:
    """What a wire has carried."""

    frames: int
    error_frames: int
    load: float
    """Fraction (0 to 1) of the last second in which the wire was not idle."""
    mean_load: float
    """The same since the clock started."""


class CanWire:
    """A simulated CAN bus.

    The newest open wire of a name is the one ``can.Bus(interface="hil", channel=name)`` finds.

    Args:
        clock: the rig clock.
        name: the channel; also the name in the frame log.
        bitrate_bps: bit rate, 1 bit/s to 1 Mbit/s.
        rng: the random stream of its faults.
        log: called with each line of the frame log (candump text, no end of line) as the run goes on.
        data_bitrate_bps: bit rate of the data phase of CAN FD frames that switch, up to 8 Mbit/s and at least
            ``bitrate_bps``; None for classic CAN, on which a CAN FD frame is refused.

    Raises:
        BusError: for a name that does not fit a candump line or a bit rate that CAN does not have.
    """

    def __init__(
        self,
        clock: Clock,
        name: str,
        bitrate_bps: int,
        rng: Generator,
        *,
        log: Callable[[str], None] | None = None,
        data_bitrate_bps: int | None = None,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise BusError(f"bus name {name!r} does not fit a frame log; begin with a letter, no blanks")
        if not 1 <= bitrate_bps <= 1_000_000:
            raise BusError(f"bus {name}: {bitrate_bps} bit/s is outside 1 to 1 000 000 bit/s, the range of classic CAN")
        if data_bitrate_bps is not None and not bitrate_bps <= data_bitrate_bps <= DATA_BITRATE_MAX_BPS:
            raise BusError(
                f"bus {name}: a data bit rate of {data_bitrate_bps} bit/s is outside {bitrate_bps} (its bit rate) to "
                f"{DATA_BITRATE_MAX_BPS} bit/s, the range of CAN FD"
            )
        self.clock = clock
        self.name = name
        self.bitrate_bps = bitrate_bps
        self.data_bitrate_bps = data_bitrate_bps
        self.rng = rng
        self.faults = bus_faults.BusFaults()
        self._tally = Tally(name, log)
        self._bit_time = BitTime(bitrate_bps, data_bitrate_bps)
        self._nodes: dict[str, CanNode] = {}
        self._seat = Seat(name, fd=data_bitrate_bps is not None)
        self._main = BitSegment(clock, self._bit_time, self._tally, self.faults, self._seat)
        self._cuts: dict[int, frozenset[str]] = {}
        self._cut_count = 0
        self._segments: dict[tuple[int, ...], BitSegment] = {(): self._main}
        _OPEN[name] = self

    def attach(
        self,
        name: str,
        *,
        tx_depth: int = TX_DEPTH,
        tx_policy: Literal["fifo", "priority"] = "fifo",
        auto_recover: bool = True,
        fd: bool | None = None,
    ) -> CanNode:
        """Put a controller on the wire.

        Args:
            name: its name on this wire.
            tx_depth: how many frames it queues.
            tx_policy: ``"fifo"`` sends in the order queued (SocketCAN), ``"priority"`` the lowest identifier first.
            auto_recover: whether it leaves bus-off by itself after 128 times 11 recessive bits.
            fd: whether its controller knows CAN FD; as the wire unless given. On a wire with CAN FD a classic
                controller answers FD frames with error frames.

        Raises:
            BusError: when a node of that name is on the wire, the queue has no place at all, or CAN FD is asked for on
                a classic wire.
        """
        self._nodes = {known: node for known, node in self._nodes.items() if node.attached}
        if name in self._nodes:
            raise BusError(f"bus {self.name} has a node {name!r} already; names on a wire are unique")
        if tx_depth < 1:
            raise BusError(
                f"node {name!r} on bus {self.name}: a transmit queue of {tx_depth} frames can send nothing; "
                "give 1 or more"
            )
        if fd and self.data_bitrate_bps is None:
            raise BusError(f"node {name!r}: bus {self.name} is classic CAN; give the wire data_bitrate_bps for CAN FD")
        segment = self._segment_of(name)
        node = CanNode(
            name,
            self.clock,
            segment,
            tx_depth=tx_depth,
            tx_policy=tx_policy,
            auto_recover=auto_recover,
            fd=self.data_bitrate_bps is not None if fd is None else fd,
        )
        self._nodes[name] = node
        segment.join(node)
        return node

    def node(self, name: str) -> CanNode:
        """A node by name.

        Raises:
            BusError: when no such node is on the wire.
        """
        node = self._nodes.get(name)
        if node is None or not node.attached:
            raise BusError(f"bus {self.name} has no node {name!r}; {nearest(name, self.nodes)}")
        return node

    @property
    def nodes(self) -> list[str]:
        """The names of the nodes on the wire, in the order they were attached."""
        return [name for name, node in self._nodes.items() if node.attached]

    def load(self, window_ns: int = 1 * s) -> float:
        """The fraction (0 to 1) of the last ``window_ns`` (at most 10 s) in which the wire was not idle.

        Stuff bits, error frames and intermissions count; what a cut-off part of the bus does, does not.

        Raises:
            BusError: for a window that is not positive or longer than 10 s.
        """
        return self._tally.load(window_ns, self.clock.now, self._main.busy_since())

    @property
    def stats(self) -> WireStats:
        """Counts and load so far."""
        mean_load = self._tally.mean_load(self.clock.now, self._main.busy_since())
        return WireStats(self._tally.frames, self._tally.error_frames, self.load(), mean_load)

    def apply(self, fault: Fault) -> Callable[[], None]:
        """Put a fault on the wire or on one of its nodes now; the returned call takes it away.

        Kinds and parameters are listed in :mod:`hil.can.faults`.

        Raises:
            HilError: for a node that is not on this wire, an unknown kind or parameter, or a value out of range.
        """
        clear = bus_faults.apply(self, fault)
        self._choose_again()

        def undo() -> None:
            clear()
            self._choose_again()

        return undo

    def cut(self, beyond: frozenset[str]) -> Callable[[], None]:
        """Separate some nodes from the others; each part is a bus of its own. The returned call joins them again.

        The frame log and the load are those of the part that keeps the other nodes.
        """
        self._cut_count += 1
        number = self._cut_count
        self._cuts[number] = beyond
        self._arrange()

        def undo() -> None:
            self._cuts.pop(number, None)
            self._arrange()

        return undo

    def close(self) -> None:
        """Detach every node at once and take the wire out of the registry; harmless when done before."""
        for node in self._nodes.values():
            if node.attached:
                node.power(False)
                node.detach()
        if _OPEN.get(self.name) is self:
            del _OPEN[self.name]

    def _choose_again(self) -> None:
        """A frame that was chosen and has not started yet meets the faults as they are now."""
        for segment in self._segments.values():
            segment.changed()

    def _arrange(self) -> None:
        """Put every node on the segment that the present cuts leave it on."""
        for name, node in self._nodes.items():
            segment = self._segment_of(name)
            if segment is not node.segment:
                node.move(segment)

    def _segment_of(self, node: str) -> BitSegment:
        sides = tuple(number for number, cut in self._cuts.items() if node in cut)
        if sides not in self._segments:
            self._segments[sides] = BitSegment(self.clock, self._bit_time, Tally(self.name), self.faults, self._seat)
        return self._segments[sides]


def find_wire(channel: str) -> CanWire | None:
    """The newest open wire of that name, or None."""
    return _OPEN.get(channel)


def open_channels() -> list[str]:
    """The names of all open wires."""
    return sorted(_OPEN)
