"""Program messages to program message units: headers, parameters, blocks (IEEE 488.2 chapter 7).

Bytes are decoded as Latin-1, so that the bytes of a block keep their values.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import NamedTuple

from hil.visa.scpi.errors import ScpiError

_MNEMONIC_MAX = 12
_DIGITS_MAX = 255
_EXPONENT_MAX = 32_000

_BLANK = re.compile(r"[\x00-\x09\x0b-\x20]*")
_HEADER = re.compile(r"(?P<common>\*)?(?P<root>:)?(?P<path>[A-Za-z]\w*(?::[A-Za-z]\w*)*)(?P<query>\?)?", re.ASCII)
_NUMBER = re.compile(r"(?P<digits>[+-]?(?:\d+\.?\d*|\.\d+))(?:[ \t]*[eE][ \t]*(?P<exponent>[+-]?\d+))?", re.ASCII)
_SUFFIX = re.compile(r"[ \t]*(?P<suffix>[A-Za-z%/][A-Za-z0-9%/.^-]*)?", re.ASCII)
_CHARACTERS = re.compile(r"[A-Za-z]\w*", re.ASCII)
_NONDECIMAL = re.compile(r"#(?:[Hh](?P<H>[0-9A-Fa-f]+)|[Qq](?P<Q>[0-7]+)|[Bb](?P<B>[01]+))", re.ASCII)
_STRING = re.compile(r'"((?:[^"]|"")*)"|\'((?:[^\']|\'\')*)\'')
_BASES = {"H": 16, "Q": 8, "B": 2}


class Kind(IntEnum):
    """What a parameter looks like, before anyone asks what it means."""

    NUMBER = 0
    CHARACTERS = 1
    STRING = 2
    BLOCK = 3
    EXPRESSION = 4


class Token(NamedTuple):
    """One parameter of a program message unit."""

    kind: Kind
    text: str
    suffix: str = ""
    value: float = 0.0


class Unit(NamedTuple):
    """One program message unit: a header and its parameters."""

    path: tuple[str, ...]
    """Mnemonics in upper case, as they were sent."""
    query: bool
    common: bool
    absolute: bool
    tokens: tuple[Token, ...]

    @property
    def header(self) -> str:
        """The header as text, for messages."""
        return ("*" if self.common else "") + ":".join(self.path) + ("?" if self.query else "")


def split_messages(data: bytes, *, end: bool) -> tuple[list[bytes], bytes]:
    """Cut what arrived into program messages at line feeds that are not inside a block.

    Args:
        data: what arrived so far and was not yet cut off.
        end: whether END came with the last byte, which ends the last message as well.

    Returns:
        The complete messages without their terminator, and the rest that waits for more.
    """
    messages: list[bytes] = []
    start = position = 0
    while True:
        newline = data.find(b"\n", position)
        block = _block_span(data, position, len(data) if newline < 0 else newline)
        if block is not None:
            position = block
            if position <= len(data):
                continue
            newline = -1  # the block has not arrived completely
        if newline < 0:
            break
        messages.append(data[start:newline])
        start = position = newline + 1
    rest = data[start:]
    if end and rest:
        messages.append(rest)
        rest = b""
    return messages, rest


def _block_span(data: bytes, start: int, stop: int) -> int | None:
    """End index of the first block that begins in data[start:stop]; None when there is none."""
    quote = b""
    for match in re.finditer(rb"[\"']|#(\d)", data[start:stop]):
        found = match.group()
        if found in (b'"', b"'"):
            quote = b"" if quote == found else quote or found
        elif not quote:
            digits = int(match.group(1))
            begin = start + match.end()
            if digits == 0:  # indefinite: up to END
                return len(data) + 1
            length = data[begin : begin + digits]
            if len(length) < digits:
                return len(data) + 1
            if length.isdigit():
                return begin + digits + int(length)
    return None


def parse(message: str) -> tuple[list[Unit], ScpiError | None]:
    """Parse a program message (without terminator).

    Returns:
        The units before the first syntax error, and that error (None when there was none).
    """
    units: list[Unit] = []
    position, size = 0, len(message)
    try:
        while True:
            position = _skip(message, position)
            if position >= size:
                return units, None
            if message[position] == ";":
                position += 1
                continue
            unit, position = _unit(message, position)
            units.append(unit)
    except ScpiError as error:
        return units, error


def _skip(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position


def _unit(text: str, position: int) -> tuple[Unit, int]:
    match = _HEADER.match(text, position)
    if match is None:
        raise ScpiError(-110 if text[position] in ":*" else -101, repr(text[position])[1:-1])
    path = tuple(match["path"].upper().split(":"))
    common = match["common"] is not None
    if common and (len(path) > 1 or match["root"]):
        raise ScpiError(-110, match.group())
    for mnemonic in path:
        if len(mnemonic) > _MNEMONIC_MAX:
            raise ScpiError(-112, mnemonic[:40])
    position = match.end()
    if position < len(text) and text[position] > " " and text[position] != ";":
        raise _after_header(text[position], match.group())
    tokens, position = _tokens(text, position)
    unit = Unit(path, match["query"] is not None, common, match["root"] is not None, tokens)
    return unit, position


def _after_header(found: str, header: str) -> ScpiError:
    if found in ":?*":
        return ScpiError(-110, header + found)
    return ScpiError(-111 if found in ",#\"'(@+-.=" else -101, header + repr(found)[1:-1])


def _tokens(text: str, position: int) -> tuple[tuple[Token, ...], int]:
    """Parameters up to the end of the unit; the position returned is at ';' or at the end."""
    tokens: list[Token] = []
    position, size = _skip(text, position), len(text)
    if position >= size or text[position] == ";":
        return (), position
    while True:
        token, position = _token(text, position)
        tokens.append(token)
        position = _skip(text, position)
        if position >= size or text[position] == ";":
            return tuple(tokens), position
        if text[position] != ",":
            raise _after_parameter(token, text[position : position + 12])
        position = _skip(text, position + 1)


def _after_parameter(token: Token, found: str) -> ScpiError:
    if not (found[0].isascii() and found[0].isprintable()):
        return ScpiError(-101, repr(found[0])[1:-1])
    return ScpiError(-121 if token.kind is Kind.NUMBER and found[0] in "0123456789.+-#" else -103, found)


def _token(text: str, position: int) -> tuple[Token, int]:
    first = text[position : position + 1]
    if first.isascii() and (first.isdigit() or (first and first in "+-.")):
        return _number(text, position)
    if first.isascii() and first.isalpha():
        match = _CHARACTERS.match(text, position)
        if match is None or len(match.group()) > _MNEMONIC_MAX:
            raise ScpiError(-144, text[position : position + 40])
        return Token(Kind.CHARACTERS, match.group()), match.end()
    if first in ('"', "'"):
        match = _STRING.match(text, position)
        if match is None:
            raise ScpiError(-151, text[position : position + 40])
        body = match[1] if match[1] is not None else match[2]
        return Token(Kind.STRING, body.replace(first * 2, first)), match.end()
    if first == "#":
        return _hash(text, position)
    if first == "(":
        return _expression(text, position)
    if first in ("", ",", ";"):
        raise ScpiError(-102, "an empty parameter")
    raise ScpiError(-101, repr(first)[1:-1])


def _number(text: str, position: int) -> tuple[Token, int]:
    match = _NUMBER.match(text, position)
    if match is None:
        raise ScpiError(-121, text[position : position + 12])
    exponent = match["exponent"]
    if len(match["digits"]) > _DIGITS_MAX:
        raise ScpiError(-124, f"{len(match['digits'])} digits")
    if exponent is not None and (len(exponent) > 6 or abs(int(exponent)) > _EXPONENT_MAX):
        raise ScpiError(-123, exponent[:12])
    value = float(match["digits"] + ("" if exponent is None else f"e{exponent}"))
    tail = _SUFFIX.match(text, match.end())
    suffix, stop = ("", match.end()) if tail is None or not tail["suffix"] else (tail["suffix"], tail.end())
    if len(suffix) > _MNEMONIC_MAX:
        raise ScpiError(-134, suffix[:40])
    return Token(Kind.NUMBER, match.group(), suffix.upper(), value), stop


def _hash(text: str, position: int) -> tuple[Token, int]:
    match = _NONDECIMAL.match(text, position)
    if match is not None:
        base = match.lastgroup or "H"
        return Token(Kind.NUMBER, match.group(), "", float(min(int(match[base], _BASES[base]), 1 << 64))), match.end()
    count = text[position + 1 : position + 2]
    if not (count.isascii() and count.isdigit()):
        raise ScpiError(-161 if count in ("", "(") else -121, text[position : position + 12])
    begin = position + 2
    if count == "0":
        return Token(Kind.BLOCK, text[begin:]), len(text)
    length = text[begin : begin + int(count)]
    begin += int(count)
    if not (length.isascii() and length.isdigit()) or len(length) < int(count) or begin + int(length) > len(text):
        raise ScpiError(-161, f"{text[position:begin]} announces more than the {len(text) - begin} bytes that came")
    stop = begin + int(length)
    return Token(Kind.BLOCK, text[begin:stop]), stop


def _expression(text: str, position: int) -> tuple[Token, int]:
    depth = 0
    for index in range(position, len(text)):
        if text[index] == "(":
            depth += 1
        elif text[index] == ")":
            depth -= 1
            if depth == 0:
                return Token(Kind.EXPRESSION, text[position + 1 : index].strip()), index + 1
    raise ScpiError(-171, text[position : position + 40])
