"""Parameters: what a command accepts and how its query answers (SCPI-99 volume 1, chapters 7 and 8)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from hil.visa.scpi.errors import ScpiError
from hil.visa.scpi.parser import Kind, Token

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

INFINITY = 9.9e37
"""What SCPI writes for infinity."""
NOT_A_NUMBER = 9.91e37
"""What SCPI writes for a result that is not a number."""

_WRONG_KIND = {Kind.NUMBER: -128, Kind.CHARACTERS: -148, Kind.STRING: -158, Kind.BLOCK: -168, Kind.EXPRESSION: -178}
_MULTIPLIERS = {"G": 1e9, "MA": 1e6, "K": 1e3, "M": 1e-3, "U": 1e-6, "N": 1e-9, "P": 1e-12}


class Parameter(Protocol[T_co]):
    """One parameter of a command: reads program data, writes response data."""

    def parse(self, token: Token) -> T_co:
        """The value of one token; raises ScpiError with the standard number."""
        ...

    def accepts(self, token: Token) -> bool:
        """Whether a token could be meant for this parameter, for optional ones."""
        ...


class Value(Parameter[T], Protocol[T]):
    """A parameter that can be written, read back and documented."""

    def format(self, value: T, /) -> str:
        """Response data: what the instrument answers, and what a driver sends."""
        ...

    def read(self, text: str) -> T:
        """The value in response data, as a driver reads it; raises ValueError."""
        ...

    def check(self, value: T, /) -> T:
        """The value when a driver may send it; raises ValueError that names the range."""
        ...

    @property
    def unit(self) -> str:
        """Unit of the value, empty when it has none."""
        ...

    @property
    def span(self) -> str:
        """Range in words, for documentation."""
        ...


def wrong_kind(token: Token) -> ScpiError:
    """The error for a token of another kind than the parameter: number, word, string, block or expression."""
    return ScpiError(_WRONG_KIND[token.kind], token.text[:40])


def suffixes(unit: str) -> dict[str, float]:
    """The unit suffixes a parameter of this unit accepts, with their factor.

    >>> suffixes("Hz")["MHZ"], suffixes("V")["MV"]
    (1000000.0, 0.001)
    """
    if not unit:
        return {}
    base = unit.upper()
    if base in ("DBM", "DB", "PCT", "DEG"):
        return {base: 1.0}
    known = {base: 1.0} | {prefix + base: factor for prefix, factor in _MULTIPLIERS.items()}
    if base in ("HZ", "OHM"):
        known["M" + base] = 1e6  # SCPI-99 7.1.1: MHZ and MOHM are mega
    return known


@dataclass(frozen=True)
class Number:
    """A number with a unit and a range; accepts MINimum, MAXimum and DEFault.

    Args:
        unit: unit of the value, empty for none.
        low: smallest value, in the unit.
        high: largest value, in the unit.
        default: what DEFault means; the smallest value when left out.
        step: resolution [unit]; a value is rounded to it. 0 keeps every digit.
        infinity: whether INFinity is a value too.
    """

    unit: str
    low: float
    high: float
    default: float | None = None
    step: float = 0.0
    infinity: bool = False
    known_suffixes: dict[str, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "known_suffixes", suffixes(self.unit))

    @property
    def span(self) -> str:
        """Range in words."""
        return f"{self.low:g} to {self.high:g}" + (", or infinity" if self.infinity else "")

    def accepts(self, token: Token) -> bool:
        """Numbers and their keywords."""
        return token.kind is Kind.NUMBER or (token.kind is Kind.CHARACTERS and self._keyword(token) is not None)

    def parse(self, token: Token) -> float:
        """The number in the declared unit, inside the range.

        Raises:
            ScpiError: -131 or -138 for the suffix, -141 for an unknown keyword, -222 outside the range.
        """
        if token.kind is Kind.CHARACTERS:
            value = self._keyword(token)
            if value is None:
                raise ScpiError(-141, token.text)
            return value
        if token.kind is not Kind.NUMBER:
            raise wrong_kind(token)
        value = token.value
        if token.suffix:
            if not self.known_suffixes:
                raise ScpiError(-138, token.suffix)
            factor = self.known_suffixes.get(token.suffix)
            if factor is None:
                raise ScpiError(-131, token.suffix)
            value *= factor
        if self.infinity and value >= INFINITY:
            return math.inf
        value = self._rounded(value)
        if not self.low <= value <= self.high:
            raise ScpiError(-222, f"{token.text}{token.suffix} is not within {self.span} {self.unit}".rstrip())
        return value

    def format(self, value: float) -> str:
        """Shortest text that keeps twelve digits."""
        return f"{INFINITY:G}" if math.isinf(value) else f"{value:.12G}"

    def read(self, text: str) -> float:
        """The number in response data; SCPI's not-a-number and infinity become those of Python."""
        value = float(text)
        if value == NOT_A_NUMBER:
            return math.nan
        return math.copysign(math.inf, value) if abs(value) == INFINITY else value

    def check(self, value: float) -> float:
        """The value when it is inside the range.

        Raises:
            ValueError: for a value outside the range or not a number.
        """
        inside = self.low <= value <= self.high or (self.infinity and value == math.inf)
        if isinstance(value, bool) or not inside:
            raise ValueError(f"must be within {self.span} {self.unit}".rstrip())
        return float(value)

    def _rounded(self, value: float) -> float:
        if self.step and math.isfinite(value):
            return float(f"{round(value / self.step) * self.step:.12g}")
        return value

    def _keyword(self, token: Token) -> float | None:
        word = token.text.upper()
        if word in ("MIN", "MINIMUM"):
            return self.low
        if word in ("MAX", "MAXIMUM"):
            return self.high
        if word in ("DEF", "DEFAULT"):
            return self.low if self.default is None else self.default
        if self.infinity and word in ("INF", "INFINITY"):
            return math.inf
        return None


@dataclass(frozen=True)
class Integer:
    """A whole number; numbers are rounded as IEEE 488.2 wants it.

    Args:
        low: smallest value.
        high: largest value.
        unit: unit of the value, empty for none.
    """

    low: int
    high: int
    unit: str = ""

    @property
    def span(self) -> str:
        """Range in words."""
        return f"{self.low} to {self.high}"

    def accepts(self, token: Token) -> bool:
        """Numbers, MINimum and MAXimum."""
        return token.kind is Kind.NUMBER or token.text.upper() in ("MIN", "MINIMUM", "MAX", "MAXIMUM")

    def parse(self, token: Token) -> int:
        """The number, rounded half up.

        Raises:
            ScpiError: as :meth:`Number.parse`.
        """
        exact = Number(self.unit, -math.inf, math.inf).parse(token) if token.kind is Kind.NUMBER else self._word(token)
        value = math.floor(exact + 0.5) if math.isfinite(exact) else exact
        if not self.low <= value <= self.high:
            raise ScpiError(-222, f"{token.text} is not within {self.span}")
        return int(value)

    def format(self, value: int) -> str:
        """Decimal digits."""
        return str(value)

    def read(self, text: str) -> int:
        """The whole number in response data."""
        return int(float(text))

    def check(self, value: int) -> int:
        """The value when it is a whole number inside the range.

        Raises:
            ValueError: otherwise.
        """
        if isinstance(value, bool) or value != int(value) or not self.low <= value <= self.high:
            raise ValueError(f"must be a whole number within {self.span}")
        return int(value)

    def _word(self, token: Token) -> float:
        if token.kind is not Kind.CHARACTERS:
            raise wrong_kind(token)
        word = token.text.upper()
        if word in ("MIN", "MINIMUM"):
            return self.low
        if word in ("MAX", "MAXIMUM"):
            return self.high
        raise ScpiError(-141, token.text)


@dataclass(frozen=True)
class Boolean:
    """ON or OFF; a number other than zero is ON."""

    unit: str = ""
    span: str = "ON or OFF"

    def accepts(self, token: Token) -> bool:
        """Numbers, ON and OFF."""
        return token.kind is Kind.NUMBER or token.text.upper() in ("ON", "OFF")

    def parse(self, token: Token) -> bool:
        """True for ON.

        Raises:
            ScpiError: -224 for another word, -138 for a unit.
        """
        if token.kind is Kind.NUMBER:
            if token.suffix:
                raise ScpiError(-138, token.suffix)
            return abs(token.value) >= 0.5
        if token.kind is not Kind.CHARACTERS:
            raise wrong_kind(token)
        word = token.text.upper()
        if word not in ("ON", "OFF"):
            raise ScpiError(-224, token.text)
        return word == "ON"

    def format(self, value: bool, /) -> str:
        """1 or 0."""
        return "1" if value else "0"

    def read(self, text: str) -> bool:
        """True for 1."""
        return {"1": True, "0": False, "ON": True, "OFF": False}[text.strip().lstrip("+").upper()]

    def check(self, value: bool, /) -> bool:
        """The value when it is a truth value.

        Raises:
            ValueError: otherwise; 1 and 0 are not accepted in place of True and False.
        """
        if value is not True and value is not False:
            raise ValueError("must be True or False")
        return value


class Choice:
    """One of several words, each with short and long form; the value is the short form.

    Args:
        words: the words as manuals write them, for example ``"FIXed", "STEP", "LIST"``.
    """

    unit = ""

    def __init__(self, *words: str) -> None:
        self.words = {word: _short(word) for word in words}
        self._known = {key: short for word, short in self.words.items() for key in (word.upper(), short)}

    @property
    def span(self) -> str:
        """The words."""
        return ", ".join(self.words)

    def accepts(self, token: Token) -> bool:
        """Words this parameter knows."""
        return token.kind is Kind.CHARACTERS and token.text.upper() in self._known

    def parse(self, token: Token) -> str:
        """The short form of the word.

        Raises:
            ScpiError: -224 for a word that is not one of them.
        """
        if token.kind is not Kind.CHARACTERS:
            raise wrong_kind(token)
        short = self._known.get(token.text.upper())
        if short is None:
            raise ScpiError(-224, token.text)
        return short

    def format(self, value: str) -> str:
        """The short form."""
        return value

    def read(self, text: str) -> str:
        """The short form of the answer."""
        return self._known[text.strip().upper()]

    def check(self, value: str) -> str:
        """The short form when it is one of the words.

        Raises:
            ValueError: otherwise.
        """
        short = self._known.get(value.upper())
        if short is None:
            raise ValueError(f"must be one of {self.span}")
        return short


class Text:
    """A quoted string."""

    unit = ""
    span = "a string"

    def accepts(self, token: Token) -> bool:
        """Strings."""
        return token.kind is Kind.STRING

    def parse(self, token: Token) -> str:
        """The string without its quotes.

        Raises:
            ScpiError: for anything but a string.
        """
        if token.kind is not Kind.STRING:
            raise wrong_kind(token)
        return token.text

    def format(self, value: str) -> str:
        """The string in double quotes."""
        doubled = value.replace('"', '""')
        return f'"{doubled}"'

    def read(self, text: str) -> str:
        """The string in response data."""
        return text.strip().strip('"').replace('""', '"')

    def check(self, value: str) -> str:
        """The value when it can be sent: printable ASCII.

        Raises:
            ValueError: otherwise.
        """
        if not (value.isascii() and value.isprintable()):
            raise ValueError("must be printable ASCII")
        return value


class Block:
    """Arbitrary block data."""

    def accepts(self, token: Token) -> bool:
        """Blocks."""
        return token.kind is Kind.BLOCK

    def parse(self, token: Token) -> bytes:
        """The bytes of the block.

        Raises:
            ScpiError: for anything but a block.
        """
        if token.kind is not Kind.BLOCK:
            raise wrong_kind(token)
        return token.text.encode("latin-1")


class Numbers:
    """A list of numbers of one kind, which takes all number tokens that are left.

    Args:
        each: what each of them must be.
        most: how many there may be.
    """

    def __init__(self, each: Number, most: int) -> None:
        self.each = each
        self.most = most

    @property
    def unit(self) -> str:
        """Unit of each number."""
        return self.each.unit

    @property
    def span(self) -> str:
        """Range and count in words."""
        return f"1 to {self.most} values, each {self.each.span}"

    def accepts(self, token: Token) -> bool:
        """What each number accepts."""
        return self.each.accepts(token)

    def parse(self, token: Token) -> tuple[float, ...]:
        """One of the numbers; the engine joins the tuples.

        Raises:
            ScpiError: as :meth:`Number.parse`.
        """
        return (self.each.parse(token),)

    def format(self, value: tuple[float, ...]) -> str:
        """The numbers with commas between them."""
        return ",".join(map(self.each.format, value))

    def read(self, text: str) -> tuple[float, ...]:
        """The numbers in response data."""
        return tuple(self.each.read(part) for part in text.split(","))

    def check(self, value: tuple[float, ...]) -> tuple[float, ...]:
        """The values when each is inside the range and there are not too many.

        Raises:
            ValueError: otherwise.
        """
        if not 1 <= len(value) <= self.most:
            raise ValueError(f"must be 1 to {self.most} values, not {len(value)}")
        return tuple(map(self.each.check, value))


def _short(word: str) -> str:
    match = re.match(r"[A-Z0-9]+", word)
    if match is None:
        raise ValueError(f"{word!r} has no short form in capitals")
    return match.group()
