"""Faults of a bus: what can go wrong with frames, nodes and the wire, all seeded.

A fault is put on a bus, or on one of its nodes: target ``bus.node``, or target ``bus`` and the parameter ``node``.
Parameters in brackets may be left out.

=========== ============================================ ======================================================
kind        what happens                                 parameters beside the selection
=========== ============================================ ======================================================
drop        receivers (one, or all) lose frames that     --
            were good on the wire: controller overrun
delay       frames of a node (or of all) are handed to   ``delay_ns``, [``jitter_ns``]: uniform, on top; the
            its controller late                          order of one node's frames stays
duplicate   frames are sent twice in a row               --
corrupt     a bit is flipped on the wire: error frame,   [``bit``]: bit after start of frame, from 0; random
            repetition, error counters                   without it; [``at``] ``receivers``: the sender does not
                                                         see it, the receivers find a wrong CRC
garble      data are changed before they are sent, the   [``byte``, ``mask``]: what is inverted; one random bit
            frame is good on the wire                    without them
babble      a node sends one frame for ever (babbling    [``id``] 0, [``length``] 8 bytes, [``period_ns``]: back
            idiot)                                       to back without it
silent      a node sends nothing; it still acknowledges  --
open        a node's stub is open; on a bus: all nodes   on a bus: ``beyond``: their names, comma-separated
            beyond the break are cut off
=========== ============================================ ======================================================

Corrupt and open also work on a node that is a controller in RTL; of its frames only bits behind the header are flipped,
and on its bus all see them flipped.

Drop, delay, duplicate, corrupt and garble take a selection: [``id``] arbitration identifier, [``probability``]
0 to 1, [``count``] how many frames at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from hil.can.frame import Frame
from hil.closed import nearest
from hil.errors import HilError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator

    from hil.can.node import CanNode
    from hil.can.wire import CanWire
    from hil.faults import Fault

_SELECTION = ("id", "probability", "count")
_PARAMETERS: dict[str, tuple[str, ...]] = {
    "drop": _SELECTION,
    "delay": ("delay_ns", "jitter_ns", *_SELECTION),
    "duplicate": _SELECTION,
    "corrupt": ("bit", "at", *_SELECTION),
    "garble": ("byte", "mask", *_SELECTION),
    "babble": ("id", "length", "period_ns"),
    "silent": (),
    "open": ("beyond",),
}
_PER_NODE = ("babble", "silent")
_AT_BIT_LEVEL = ("corrupt", "open")
_HEADER_BITS = 19  # random corruption lies behind the identifier of a standard frame: no arbitration is lost by it
_EOF_BITS = 7


@dataclass(slots=True)
class Selection:
    """Which frames a fault hits: of one node, with one identifier, with a probability, so many at most."""

    rng: Generator
    node: str | None
    arbitration_id: int | None
    probability: float
    left: int | None

    def hits(self, node: str, frame: Frame) -> bool:
        """Whether this frame is hit; draws from the random stream only for a frame that fits."""
        if self.left == 0 or (self.node is not None and self.node != node):
            return False
        if self.arbitration_id is not None and self.arbitration_id != frame.arbitration_id:
            return False
        return self.probability >= 1.0 or float(self.rng.random()) < self.probability

    def spend(self) -> None:
        """Count one frame hit."""
        if self.left is not None:
            self.left -= 1


@dataclass(slots=True)
class Corruption(Selection):
    """Flips one bit of selected frames on the wire."""

    bit: int | None
    at_receivers: bool = False
    """Whether only the receivers see it; they all do."""

    def position(self, node: str, frame: Frame, bits: int) -> int | None:
        """The bit that is flipped, counted from start of frame; None when this frame is not hit."""
        if (self.bit is not None and self.bit >= bits) or not self.hits(node, frame):
            return None
        return self.bit if self.bit is not None else int(self.rng.integers(_HEADER_BITS, bits - _EOF_BITS))


@dataclass(slots=True)
class Delay(Selection):
    """Holds selected frames back before they reach the controller."""

    delay_ns: int
    jitter_ns: int

    def of(self, node: str, frame: Frame) -> int:
        """How long this frame is held [ns]."""
        if not self.hits(node, frame):
            return 0
        self.spend()
        return self.delay_ns + (int(self.rng.integers(0, self.jitter_ns + 1)) if self.jitter_ns else 0)


@dataclass(slots=True)
class Garble(Selection):
    """Changes the data of selected frames before they are sent, so that only an end-to-end check can notice."""

    byte: int | None
    mask: int

    def of(self, node: str, frame: Frame) -> Frame:
        """The frame as it will be sent."""
        size = len(frame.data)
        if not size or (self.byte is not None and self.byte >= size) or not self.hits(node, frame):
            return frame
        self.spend()
        data = bytearray(frame.data)
        if self.byte is None:
            index, shift = divmod(int(self.rng.integers(0, 8 * size)), 8)
            data[index] ^= 1 << shift
        else:
            data[self.byte] ^= self.mask
        return frame._replace(data=bytes(data))


_Entry = TypeVar("_Entry", bound=Selection)


class BusFaults:
    """The faults now present on one wire; the wire and its nodes ask it about every frame."""

    def __init__(self) -> None:
        self.dropping: list[Selection] = []
        self.duplicating: list[Selection] = []
        self.corrupting: list[Corruption] = []
        self.delaying: list[Delay] = []
        self.garbling: list[Garble] = []
        self.at_sender = False
        """Whether frames must be shown to the faults before they are queued."""

    def add(self, present: list[_Entry], entry: _Entry) -> Callable[[], None]:
        """Make a fault present in one of the lists; the returned call takes it away."""
        present.append(entry)
        self.at_sender = bool(self.delaying or self.garbling)

        def undo() -> None:
            present[:] = [other for other in present if other is not entry]
            self.at_sender = bool(self.delaying or self.garbling)

        return undo

    def drops(self, receiver: str, frame: Frame) -> bool:
        """Whether this receiver loses the frame."""
        return _any_hit(self.dropping, receiver, frame)

    def duplicates(self, sender: str, frame: Frame) -> bool:
        """Whether the sender's controller sends the frame once more."""
        return _any_hit(self.duplicating, sender, frame)

    def corrupted_bit(self, sender: str, frame: Frame, bits: int) -> tuple[Corruption | None, int | None]:
        """The bit flipped on the wire and the fault that does it; nothing is counted yet."""
        for corruption in self.corrupting:
            position = corruption.position(sender, frame, bits)
            if position is not None:
                return corruption, position
        return None, None

    def delay_ns(self, sender: str, frame: Frame) -> int:
        """How long the frame is held before it reaches the sender's controller [ns]."""
        return sum(delay.of(sender, frame) for delay in self.delaying)

    def garbled(self, sender: str, frame: Frame) -> Frame:
        """The frame as the sender's controller gets it."""
        for garble in self.garbling:
            frame = garble.of(sender, frame)
        return frame


def _any_hit(selections: list[Selection], node: str, frame: Frame) -> bool:
    for selection in selections:
        if selection.hits(node, frame):
            selection.spend()
            return True
    return False


def apply(wire: CanWire, fault: Fault) -> Callable[[], None]:
    """Put a fault on a wire or one of its nodes now; the returned call takes it away.

    Raises:
        HilError: for a node that is not on this wire, an unknown kind or parameter, or a value out of range.
    """
    known = _PARAMETERS.get(fault.kind)
    if known is None:
        raise HilError(f"bus {wire.name} knows no fault {fault.kind!r}; {nearest(fault.kind, list(_PARAMETERS))}")
    fault.take_only(*known, "node")
    node = _node(wire, fault)
    if node is not None and node.bits is not None and fault.kind not in _AT_BIT_LEVEL:
        raise HilError(
            f"fault {fault.kind!r} on {fault.target}: node {node.name} is a controller in RTL, whose queue and logic "
            f"are its own; on it the bus has {', '.join(_AT_BIT_LEVEL)}, and its article has faults inside the FPGA"
        )
    if fault.kind == "open":
        return wire.cut(_beyond(wire, fault, node))
    if fault.kind in _PER_NODE:
        return _misbehave(wire, fault, node)
    return _disturb(wire, fault, (wire.rng, node.name if node else None, *_selected(fault)))


def _node(wire: CanWire, fault: Fault) -> CanNode | None:
    """The node a fault is put on; a rig may call the bus something else than its channel."""
    named = "" if fault.target == wire.name else fault.target.rpartition(".")[2]
    name = str(fault.parameters.get("node", named if "." in fault.target else ""))
    return wire.node(name) if name else None


def _disturb(
    wire: CanWire, fault: Fault, selection: tuple[Generator, str | None, int | None, float, int | None]
) -> Callable[[], None]:
    faults = wire.faults
    match fault.kind:
        case "drop":
            return faults.add(faults.dropping, Selection(*selection))
        case "duplicate":
            return faults.add(faults.duplicating, Selection(*selection))
        case "delay":
            delay = Delay(*selection, _whole(fault, "delay_ns"), _whole(fault, "jitter_ns", default=0))
            return faults.add(faults.delaying, delay)
        case "corrupt":
            corruption = Corruption(*selection, _maybe(fault, "bit"), _at_receivers(fault))
            return faults.add(faults.corrupting, corruption)
        case _:
            mask = _whole(fault, "mask", default=0xFF, least=1, most=0xFF)
            return faults.add(faults.garbling, Garble(*selection, _maybe(fault, "byte"), mask))


def _at_receivers(fault: Fault) -> bool:
    place = fault.parameters.get("at", "wire")
    if place not in ("wire", "receivers"):
        raise HilError(f"fault 'corrupt' on {fault.target}: at={place!r}; it is 'wire' (all see it) or 'receivers'")
    return place == "receivers"


def _misbehave(wire: CanWire, fault: Fault, node: CanNode | None) -> Callable[[], None]:
    if node is None:
        raise HilError(f"fault {fault.kind!r} needs a node: target {wire.name}.NODE, or node='NODE'")
    if fault.kind == "silent":
        return node.silence()
    identifier = _whole(fault, "id", default=0, most=0x7FF)
    frame = Frame(identifier, bytes(_whole(fault, "length", default=8, most=8)))
    return node.babble(frame, _maybe(fault, "period_ns", least=1))


def _beyond(wire: CanWire, fault: Fault, node: CanNode | None) -> frozenset[str]:
    """The names of the nodes that are cut off."""
    given = fault.parameters.get("beyond", "" if node is None else node.name)
    names = [name.strip() for name in str(given).split(",") if name.strip()]
    if not names:
        raise HilError(
            f"fault 'open' on {fault.target} needs the nodes beyond the break: beyond='NODE, NODE', "
            f"or one node: target {wire.name}.NODE, or node='NODE'"
        )
    return frozenset(wire.node(name).name for name in names)


def _selected(fault: Fault) -> tuple[int | None, float, int | None]:
    probability = fault.number("probability", 1.0)
    if not 0.0 <= probability <= 1.0:
        raise HilError(
            f"fault {fault.kind!r} on {fault.target}: probability={probability} is outside 0 to 1; 1 hits every frame"
        )
    return _maybe(fault, "id"), probability, _maybe(fault, "count")


def _maybe(fault: Fault, name: str, *, least: int = 0) -> int | None:
    return _whole(fault, name, least=least) if name in fault.parameters else None


def _whole(fault: Fault, name: str, *, default: int | None = None, least: int = 0, most: int | None = None) -> int:
    """A parameter as a whole number within its range.

    Raises:
        HilError: when it is missing, not whole, or out of range.
    """
    value = fault.number(name, default)
    if not value.is_integer() or value < least or (most is not None and value > most):
        limits = f"at least {least}" if most is None else f"{least} to {most}"
        raise HilError(f"fault {fault.kind!r} on {fault.target}: {name}={value:g} must be a whole number, {limits}")
    return int(value)
