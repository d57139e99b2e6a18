"""The record of a lease: what one file says, and the word that is read before each write to hardware."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from hil.safety.holder import Holder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SIZE = 8192  # bytes of a record
_SIZE_BEFORE = 1024  # of one that does not say what its keeper holds
_MAGIC = 0x314C_4948_5345_534C  # also the version of the layout
_WORDS = struct.Struct("=10Q")
_LAST = struct.Struct("=Q")
KEPT_AT = " at "
"""Stands between the name of a kept part and its address."""
KEEPS_BYTES = 7168
"""What a record has room for of what its keeper holds."""
_TEXTS = {"boot": 48, "user": 64, "host": 80, "since_utc": 40, "who": 160, "why": 400, "keeps": KEEPS_BYTES}  # bytes
_WHY_ENDS = _WORDS.size + sum(_TEXTS.values()) - KEEPS_BYTES


class State(IntEnum):
    """What a rig's lease says of the rig."""

    FREE = 0
    HELD = 1
    SAFING = 2
    UNSAFE = 3


class Word(IntEnum):
    """Where the numbers of a record stand, in words of eight bytes."""

    MAGIC = 0
    TOKEN = 1
    SUPERSEDED = 2
    STATE = 3
    RENEWED = 4
    TTL = 5
    PID = 6
    START = 7
    UID = 8
    PID_SPACE = 9


@dataclass(frozen=True, slots=True)
class Record:
    """What one record says.

    Args:
        token: the fencing token: greater with each lease of the rig.
        state: of the rig.
        holder: the process that has the lease.
        uid: its user's number.
        renewed_ns: when it was renewed last [ns since boot].
        ttl_ns: for how long that holds [ns].
        user: its user's name.
        host: name of the machine.
        since_utc: when it was acquired.
        who: what the holder says it is for.
        why: why the rig is UNSAFE or SAFING; "" otherwise.
        superseded: token of the lease that took over; 0 for none.
        keeps: what its keeper holds that is hazardous, ``NAME at ADDRESS``, a line each; "" when that was not said.
        harmless: whether the holder can have left nothing that is unsafe: it held the rig without a keeper.
    """

    token: int
    state: State
    holder: Holder
    uid: int
    renewed_ns: int
    ttl_ns: int
    user: str
    host: str
    since_utc: str
    who: str
    why: str = ""
    keeps: str = ""
    superseded: int = 0
    harmless: bool = False

    def encode(self) -> bytes:
        """The record as bytes; texts that are too long are cut."""
        held = self.holder
        words = _WORDS.pack(
            _MAGIC, self.token, self.superseded, self.state, self.renewed_ns, self.ttl_ns,
            held.pid, held.start_ticks, self.uid, held.pid_space,
        )  # fmt: skip
        texts = (held.boot, self.user, self.host, self.since_utc, self.who, self.why, self.keeps)
        parts = [_text(text, room) for text, room in zip(texts, _TEXTS.values(), strict=True)]
        last = _LAST.pack(self.harmless)
        return b"".join([words, *parts]).ljust(_SIZE - len(last), b"\0") + last

    @classmethod
    def decode(cls, content: bytes) -> Record:
        """Read a record.

        Raises:
            ValueError: when the bytes are no record.
        """
        if len(content) == _SIZE_BEFORE:
            content = content[: -_LAST.size].ljust(_SIZE - _LAST.size, b"\0") + content[-_LAST.size :]
        if len(content) != _SIZE:
            raise ValueError(f"has {len(content)} bytes, a record has {_SIZE}")
        magic, token, superseded, state, renewed, ttl, pid, start, uid, space = _WORDS.unpack_from(content)
        if magic != _MAGIC:
            raise ValueError(f"begins with {content[:8].hex()}, a record of this version with {_MAGIC:016x}")
        texts: dict[str, str] = {}
        at = _WORDS.size
        for name, room in _TEXTS.items():
            texts[name] = content[at : at + room].split(b"\0", 1)[0].decode("utf-8", "replace")
            at += room
        holder = Holder(pid, start, space, texts.pop("boot"))
        (harmless,) = _LAST.unpack_from(content, _SIZE - _LAST.size)
        return cls(
            token, State(state), holder, uid, renewed, ttl, superseded=superseded, harmless=bool(harmless), **texts
        )


class Opened:
    """A record of this process, mapped: one word is read in well under a microsecond.

    It is locked until it is closed or the process is gone; that tells of its end in other process namespaces.

    Args:
        path: file of the record, which nobody else has opened yet.
    """

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), _SIZE)  # has a duplicate of the descriptor, and with it the lock
            self._file = os.dup(file.fileno())
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self.words = memoryview(self._bytes).cast("Q")

    def explain(self, why: str) -> None:
        """Write the reason of the state that is written next; a text that is too long is cut."""
        room = _TEXTS["why"]
        self._bytes[_WHY_ENDS - room : _WHY_ENDS] = _text(why, room)

    def hand_on(self, keeps: Sequence[str], *, harmless: bool) -> None:
        """Write what was left before, in place of what this holder keeps.

        Args:
            keeps: what the last holder kept, ``NAME at ADDRESS``.
            harmless: whether that one can have left nothing that is unsafe.
        """
        self._bytes[_WHY_ENDS : _WHY_ENDS + KEEPS_BYTES] = _text("\n".join(keeps), KEEPS_BYTES)
        self._bytes[_SIZE - _LAST.size :] = _LAST.pack(harmless)

    def to_disk(self) -> None:
        """Have the record survive a power cut."""
        self._bytes.flush()

    def close(self) -> None:
        """Unlock it; it stays mapped, so that another thread may still look."""
        fcntl.flock(self._file, fcntl.LOCK_UN)
        os.close(self._file)


def _text(text: str, room: int) -> bytes:
    content = text.replace("\0", " ").encode()[: room - 1].decode("utf-8", "ignore")
    return content.encode().ljust(room, b"\0")
