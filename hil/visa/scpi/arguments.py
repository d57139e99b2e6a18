"""Matching what was sent with what a command takes: channel lists, optional and repeated parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from hil.visa.scpi.errors import ScpiError
from hil.visa.scpi.parameters import Numbers, Parameter, wrong_kind
from hil.visa.scpi.parser import Kind, Token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")

_CHANNEL = re.compile(r"\s*(\d{1,4})\s*(?::\s*(\d{1,4})\s*)?\Z", re.ASCII)


class Channels:
    """A channel list ``(@1,3:5)``.

    Args:
        channels: the instrument's channels: 1 to this number, or these numbers, of which a range takes those within.
    """

    def __init__(self, channels: int | Sequence[int]) -> None:
        self.known = range(1, channels + 1) if isinstance(channels, int) else tuple(channels)

    def accepts(self, token: Token) -> bool:
        """Expressions."""
        return token.kind is Kind.EXPRESSION

    def parse(self, token: Token) -> tuple[int, ...]:
        """The channels in the order they are listed.

        Raises:
            ScpiError: -171 for a list that cannot be read, -222 for a channel that does not exist.
        """
        if token.kind is not Kind.EXPRESSION:
            raise wrong_kind(token)
        if not token.text.startswith("@"):
            raise ScpiError(-171, f"({token.text[:40]})")
        return tuple(self._listed(token.text))

    def _listed(self, text: str) -> Iterator[int]:
        for part in text[1:].split(","):
            match = _CHANNEL.match(part)
            if match is None:
                raise ScpiError(-171, f"({text[:40]})")
            first = int(match[1])
            last = first if match[2] is None else int(match[2])
            for channel in (first, last):
                if channel not in self.known:
                    raise ScpiError(-222, f"channel {channel} of {len(self.known)}")
            low, high = min(first, last), max(first, last)
            within = [channel for channel in self.known if low <= channel <= high]
            yield from within if first <= last else reversed(within)


class Rest:
    """All tokens that are left, unread: for commands whose parameters repeat in groups."""

    def accepts(self, token: Token) -> bool:
        """Anything."""
        del token
        return True

    def parse(self, token: Token) -> tuple[Token, ...]:
        """One of the tokens; the engine joins the tuples."""
        return (token,)


@dataclass(frozen=True)
class Optional(Generic[T]):
    """A parameter that may be left out.

    Args:
        inner: what it is when it is there.
        default: what the command gets when it is not.
    """

    inner: Parameter[T]
    default: T | None = None

    def accepts(self, token: Token) -> bool:
        """What the parameter inside accepts."""
        return self.inner.accepts(token)

    def parse(self, token: Token) -> T:
        """As the parameter inside."""
        return self.inner.parse(token)


def arguments(parameters: tuple[Parameter[object], ...], tokens: tuple[Token, ...]) -> tuple[object, ...]:
    """Match the tokens of a unit with the parameters of its command.

    Raises:
        ScpiError: -109 for a missing parameter, -108 for one too many, or what a parameter raises.
    """
    values: list[object] = []
    position = 0
    for parameter in parameters:
        token = tokens[position] if position < len(tokens) else None
        if isinstance(parameter, Optional) and (token is None or not parameter.accepts(token)):
            values.append(parameter.default)
            continue
        if token is None:
            raise ScpiError(-109)
        if isinstance(parameter, Rest):
            values.append(tokens[position:])
            position = len(tokens)
            continue
        if isinstance(parameter, Numbers):
            run = _run_of(parameter, tokens, position)
            values.append(run)
            position += len(run)
            continue
        values.append(parameter.parse(token))
        position += 1
    if position < len(tokens):
        raise ScpiError(-108, tokens[position].text[:40])
    return tuple(values)


def _run_of(parameter: Numbers, tokens: tuple[Token, ...], position: int) -> tuple[float, ...]:
    found = list(parameter.parse(tokens[position]))
    for token in tokens[position + 1 :]:
        if token.kind not in (Kind.NUMBER, Kind.CHARACTERS):
            break
        found += parameter.parse(token)
    if len(found) > parameter.most:
        raise ScpiError(-223, f"{len(found)} values, at most {parameter.most}")
    return tuple(found)
