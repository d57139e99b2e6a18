"""What an operator says to one kept part: SCPI to an instrument, words to an I/O card or a bus."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from hil.errors import InstrumentError
from hil.safety.kept_part import WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping

_ANSWER_S = 10.0
_PROTECTED = "-203,"  # how a refusal of the keeper begins in the error queue
_NO_ERROR = ("0,", "+0,")


def say(doors: Mapping[str, str], part: str, message: str) -> list[str]:
    """Send one message to a part; each has a connection of its own, so that other programs may have theirs.

    Args:
        doors: where every part is reached, by name.
        part: its name.
        message: a command or a query, in SCPI of an instrument, in words of an I/O card or a bus.

    Returns:
        Of an instrument its answer, where there is one, and its error, where there is one; else the answer.

    Raises:
        InstrumentError: when there is no such part, or no answer.
    """
    if part not in doors:
        raise InstrumentError(f"the keeper does not keep {part}; it keeps {', '.join(doors)}")
    in_words = doors[part].startswith(WORDS)
    try:
        found = _in_words(doors[part], message) if in_words else _in_scpi(doors[part], message)
    except (OSError, UnicodeEncodeError) as problem:
        raise InstrumentError(f"{part}: {message!r}: {problem}") from problem
    if not all(found):
        raise InstrumentError(f"{part}: the keeper has closed the connection: the rig was made safe")
    return found if in_words else [line for line in found if not line.startswith(_NO_ERROR)]


def _in_scpi(door: str, message: str) -> list[str]:
    """What an instrument answers, and then its error queue."""
    _, host, port, _ = door.split("::")
    with socket.create_connection((host, int(port)), timeout=_ANSWER_S) as link, link.makefile("rb") as lines:
        link.sendall(f"{message}\nSYST:ERR?\n".encode("latin-1"))
        found = [lines.readline().decode("latin-1").strip()]
        if "?" in message and not found[0].startswith(_PROTECTED):
            found.append(lines.readline().decode("latin-1").strip())
    return found


def _in_words(door: str, message: str) -> list[str]:
    """What a part answers that is spoken to in words: one line."""
    host, port = door.removeprefix(WORDS).split(":")
    with socket.create_connection((host, int(port)), timeout=_ANSWER_S) as link, link.makefile("rb") as lines:
        link.sendall(f"{message}\n".encode("ascii"))
        return [lines.readline().decode("ascii").strip()]
