"""What the host and the peer inside the simulator say to each other, over one packet socket.

Hot path, binary, little endian; times are relative to power-up.

- host: ``G`` until_ns, then inputs (at_ns, channel, payload): run to the last exchange instant not after ``until_ns``
- peer: ``R`` reached_ps, the outputs as text of 0, 1, X and Z (empty when unchanged), then events (at_ps, channel,
  payload); early at the first output or event
- peer: ``P`` reached_ps, in between, as a sign of life

Everything else is JSON behind a ``J``: the greeting, and questions with their answers.
A channel below :data:`BINDINGS` is an input port, by its place; above, a binding.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import NamedTuple, cast

VERSION = 2
RESET_CLOCKS = 2
"""Clocks after power-up from which a known output is told although the reset still lasts: it is there at the pins."""
BINDINGS = 0x8000
"""Channels from here on are bindings, by their place in the RTL file."""
NOT_REACHED = 0xFFFF
"""Channel of the note, last in a reply, that says how many inputs of the grant, from the end, were not reached."""
PACKET_MAX = 65_536

GRANT, REPLY, PROGRESS, JSON = b"G", b"R", b"P", b"J"
_HEAD = struct.Struct("<cQH")
_ITEM = struct.Struct("<QHH")
_TIME = struct.Struct("<cQ")


class Item(NamedTuple):
    """One input or event: when (ns in grants, ps in replies), on which channel, and what."""

    at: int
    channel: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a grant: how far the simulator got [ps], its outputs as text ("" for unchanged), events."""

    reached_ps: int
    outputs: str
    events: tuple[Item, ...]


def _pack(items: list[Item]) -> list[bytes]:
    parts: list[bytes] = []
    for at, channel, payload in items:
        parts += (_ITEM.pack(at, channel, len(payload)), payload)
    return parts


def _unpack(packet: bytes, place: int, count: int) -> list[Item]:
    items: list[Item] = []
    for _ in range(count):
        at, channel, length = _ITEM.unpack_from(packet, place)
        place += _ITEM.size
        items.append(Item(at, channel, packet[place : place + length]))
        place += length
    return items


def pack_grant(until_ns: int, inputs: list[Item]) -> bytes:
    """A grant.

    >>> unpack_grant(pack_grant(1000, [Item(10, 2, b"x")]))
    (1000, [Item(at=10, channel=2, payload=b'x')])
    """
    head = _HEAD.pack(GRANT, until_ns, len(inputs))
    return b"".join([head, *_pack(inputs)]) if inputs else head


def unpack_grant(packet: bytes) -> tuple[int, list[Item]]:
    """What a grant says: until when [ns], and the inputs."""
    _, until_ns, count = _HEAD.unpack_from(packet)
    return until_ns, _unpack(packet, _HEAD.size, count) if count else []


def pack_reply(reached_ps: int, outputs: str, events: list[Item]) -> bytes:
    """A reply.

    >>> unpack_reply(pack_reply(5, "01X", [Item(4, 1, b"")]))
    Reply(reached_ps=5, outputs='01X', events=(Item(at=4, channel=1, payload=b''),))
    """
    head = _HEAD.pack(REPLY, reached_ps, len(events))
    return b"".join([head, *_pack(events), outputs.encode()]) if events or outputs else head


def unpack_reply(packet: bytes) -> Reply:
    """What a reply says."""
    _, reached_ps, count = _HEAD.unpack_from(packet)
    if len(packet) == _HEAD.size:
        return Reply(reached_ps, "", ())
    events = _unpack(packet, _HEAD.size, count)
    place = _HEAD.size + sum(_ITEM.size + len(event.payload) for event in events)
    return Reply(reached_ps, packet[place:].decode(), tuple(events))


def pack_progress(reached_ps: int) -> bytes:
    """A sign of life."""
    return _TIME.pack(PROGRESS, reached_ps)


def unpack_progress(packet: bytes) -> int:
    """How far the simulator had got [ps]."""
    return int(_TIME.unpack(packet)[1])


def pack_json(value: object) -> bytes:
    """Anything that is not on the hot path."""
    return JSON + json.dumps(value).encode()


def unpack_json(packet: bytes) -> dict[str, object]:
    """The inverse of :func:`pack_json`, for a mapping."""
    return cast("dict[str, object]", json.loads(packet[1:]))
