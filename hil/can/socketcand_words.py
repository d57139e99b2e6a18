r"""The words of socketcand, by which a CAN bus is reached over TCP: what a server of python-can's client needs of them.

Source: https://github.com/linux-can/socketcand, doc/protocol.md, raw mode.

>>> frame_word(Frame(0x123, bytes([1, 0xAB])), 1_700_000_000_000_001_999)
b'< frame 123 1700000000.000001 01AB >'
>>> Words().feed(b"< open can0 >< send 00000123 2 1 ab >")
['open can0', 'send 00000123 2 1 ab']
>>> str(sent_frame("send 00000123 2 1 ab"))
'00000123#01AB'
"""

from __future__ import annotations

import re

from hil.can.error_message import ERR_FLAG
from hil.can.frame import Frame
from hil.errors import BusError
from hil.units import s, us

HI = b"< hi >"
"""What the server says first."""
OK = b"< ok >"
"""The answer to ``open`` and ``rawmode``."""
_SEND = re.compile(r"send ([0-9A-Fa-f]{3}|[0-9A-Fa-f]{8}) ([0-8])((?: [0-9A-Fa-f]{1,2})*) ?", re.ASCII)
_STANDARD_DIGITS = 3
_STANDARD_MAX, _EXTENDED_MAX = 0x7FF, 0x1FFFFFFF
_WORD_MAX = 256


class Words:
    """Cuts what comes into words: what stands between angle brackets."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Take bytes, as they were cut by the network; the words that are whole now.

        Raises:
            BusError: for what is no word of the protocol.
        """
        *words, self._rest = (self._rest + data).split(b">")
        found: list[str] = []
        for word in words:
            before, bracket, text = word.partition(b"<")
            if before.strip() or not bracket or not text.isascii():
                raise BusError(f"socketcand: {word[:80]!r} is no word in angle brackets")
            found.append(text.decode("ascii").strip())
        if len(self._rest) > _WORD_MAX:
            raise BusError(f"socketcand: {len(self._rest)} bytes without the end of a word")
        return found


def sent_frame(word: str) -> Frame:
    """The frame that a client asks to be sent.

    Raises:
        BusError: for a word that is no classic data frame: remote frames have no form in this protocol.
    """
    found = _SEND.fullmatch(word)
    if found is None:
        raise BusError(f"socketcand: {word[:80]!r} is no classic data frame; it is sent as < send 123 2 01 02 >")
    data = bytes(int(byte, 16) for byte in found[3].split())
    identifier, extended = int(found[1], 16), len(found[1]) > _STANDARD_DIGITS
    if len(data) != int(found[2]) or identifier > (_EXTENDED_MAX if extended else _STANDARD_MAX):
        raise BusError(f"socketcand: {word[:80]!r} has {len(data)} bytes or an identifier that no frame has")
    return Frame(identifier, data, extended)


def frame_word(frame: Frame, unix_ns: int) -> bytes:
    """A received data frame with its stamp [ns since 1970], which is rounded down to a microsecond."""
    name = f"{frame.arbitration_id:08X}" if frame.extended else f"{frame.arbitration_id:03X}"
    return f"< frame {name} {_stamp(unix_ns)} {frame.data.hex().upper()} >".encode("ascii")


def error_word(classes: int, unix_ns: int) -> bytes:
    """An error message of the controller by its classes; the protocol does not carry its data."""
    return f"< error {classes | ERR_FLAG:08X} {_stamp(unix_ns)} >".encode("ascii")


def _stamp(unix_ns: int) -> str:
    seconds, rest_ns = divmod(max(0, unix_ns), s)
    return f"{seconds}.{rest_ns // us:06d}"
