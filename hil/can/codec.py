"""Fast coding of one message: places and factors taken once from what cantools read.

cantools stays the judge. A :class:`Codec` codes what is plainly right, and then exactly as cantools does; what is out
of range, missing, unknown, not finite or of an unusual type it leaves to cantools, which codes or refuses it. Messages
with multiplexed or floating-point signals, of mixed byte orders, or with signals of more than 32 bits are left to
cantools altogether.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cantools.database.conversion import BaseConversion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cantools.database import Message, Signal

    from hil.can.protection import Protection

_BITS_MAX = 32  # up to here a raw value and its neighbours are exact as floats
_TOLERANCE = 1e-6  # share of the scale by which cantools lets a value pass its limits
_NEVER = -1  # no message has so many signals


@dataclass(frozen=True, slots=True)
class _Field:
    """One signal: where it is in the data read as one number, how it is scaled, what its values are called."""

    name: str
    shift: int
    mask: int
    sign: int
    """Value of its sign bit; 0 when it is unsigned."""
    factor: float
    offset: float
    low: float
    """The smallest physical value that is plainly right."""
    high: float
    names: dict[int, str]
    """The value table: names by raw value."""
    raws: dict[str, int]
    """The value table: raw values by name, those that fit into the signal."""

    @property
    def whole(self) -> bool:
        """Whether the raw value is the physical one."""
        return self.factor == 1 and self.offset == 0

    def raw(self, value: object) -> int | None:
        """The raw value of a number or a name; None for one that cantools has to judge."""
        if isinstance(value, str):
            return self.raws.get(value)
        if isinstance(value, (int, float)) and self.low <= value <= self.high:
            return round((value - self.offset) / self.factor)
        return None


class Codec:
    """Codes one message, or says that cantools has to.

    Args:
        message: the message as cantools read it.
        protection: how it is protected.
    """

    def __init__(self, message: Message, protection: Protection) -> None:
        orders = {signal.byte_order for signal in message.signals}
        self._order: Literal["little", "big"] = "big" if "big_endian" in orders else "little"
        self._length = message.length
        self._protection = protection
        self._counter = counter = protection.counter
        fields = [_field(signal, message.length) for signal in message.signals]
        able = len(orders) < 2 and not message.is_multiplexed() and None not in fields
        known = [field for field in fields if field is not None] if able else []
        given = {
            field.name: field
            for field in known
            if field.name not in (protection.crc_signal, None if counter is None else counter.signal)
        }
        self._given = given
        self._count = len(given) if able else _NEVER
        self._whole_in = tuple(
            (field.name, math.ceil(field.low), math.floor(field.high), field.mask, field.shift)
            for field in given.values()
            if field.whole
        )
        self._scaled_in = tuple(
            (field.name, field.low, field.high, field.offset, field.factor, field.mask, field.shift)
            for field in given.values()
            if not field.whole
        )
        self._blank: dict[str, float | int | str] | None = {field.name: 0 for field in known} if able else None
        self._last = (b"", self._blank)
        simple = [field for field in known if field.whole and not field.sign and not field.names]
        self._simple_out = tuple((field.name, field.shift, field.mask) for field in simple)
        self._other_out = tuple(
            (field.name, field.shift, field.mask, field.sign, field.factor, field.offset, field.names)
            for field in known
            if field not in simple
        )

    def encode(self, signals: Mapping[str, float | int | str], count: int | None) -> bytes | None:
        """The data of the message with counter and CRC filled in; None when cantools has to look at the values.

        Args:
            signals: physical values or names, without counter and CRC.
            count: the counter value; its first one when None.
        """
        if len(signals) != self._count:
            return None
        total = 0
        try:
            for name, low, high, mask, shift in self._whole_in:
                value = signals[name]
                raw = value if isinstance(value, int) and low <= value <= high else self._given[name].raw(value)
                if raw is None:
                    return None
                total |= (raw & mask) << shift
            for name, low, high, offset, factor, mask, shift in self._scaled_in:
                value = signals[name]
                if isinstance(value, float) and low <= value <= high:
                    raw = round((value - offset) / factor)
                else:
                    raw = self._given[name].raw(value)
                if raw is None:
                    return None
                total |= (raw & mask) << shift
        except KeyError:
            return None
        counter = self._counter
        if counter is not None:
            if count is None:
                count = counter.first
            elif not counter.first <= count <= counter.last:
                return None
            total |= count << counter.shift
        return self._protection.seal(total.to_bytes(self._length, self._order))

    def decode(self, data: bytes) -> dict[str, float | int | str] | None:
        """The physical values in the data of a frame; None when cantools has to look at them."""
        if self._blank is None or len(data) != self._length:
            return None
        last, found = self._last
        if data is last and found is not None:  # the same frame, at another receiver or on the other bus
            return found.copy()
        total = int.from_bytes(data, self._order)
        values = self._blank.copy()  # in the order of the message
        for name, shift, mask in self._simple_out:
            values[name] = total >> shift & mask
        for name, shift, mask, sign, factor, offset, names in self._other_out:
            raw = total >> shift & mask
            if raw & sign:
                raw -= mask + 1
            values[name] = names[raw] if raw in names else raw * factor + offset
        self._last = (data, values.copy())
        return values


def _field(signal: Signal, length: int) -> _Field | None:
    """What is to be known of a signal; None for one that cantools has to code."""
    if signal.is_float or signal.length > _BITS_MAX or signal.scale == 0:
        return None
    mask = (1 << signal.length) - 1
    sign = 1 << signal.length - 1 if signal.is_signed else 0
    lowest, highest = -sign, mask >> 1 if sign else mask
    linear = BaseConversion.factory(signal.scale, signal.offset)
    factor, offset = linear.scale, linear.offset
    ends = sorted((lowest * factor + offset, highest * factor + offset))
    beyond = abs(factor) * _TOLERANCE
    low = ends[0] if signal.minimum is None else max(ends[0], signal.minimum - beyond)
    high = ends[1] if signal.maximum is None else min(ends[1], signal.maximum + beyond)
    if not all(lowest <= linear.numeric_scaled_to_raw(end) <= highest for end in (low, high)):
        return None  # its offset swallows its scale
    names = {raw: str(name) for raw, name in (signal.choices or {}).items()}
    raws = {name: raw for raw, name in names.items()}
    return _Field(
        name=signal.name,
        shift=_shift(signal, length),
        mask=mask,
        sign=sign,
        factor=factor,
        offset=offset,
        low=low,
        high=high,
        names=names,
        raws={name: raw for name, raw in raws.items() if lowest <= raw <= highest},
    )


def _shift(signal: Signal, length: int) -> int:
    """Distance of the lowest bit of a signal from the lowest bit of the data read as one number [bit]."""
    if signal.byte_order == "little_endian":
        return signal.start
    from_left = 8 * (signal.start // 8) + 7 - signal.start % 8
    return 8 * length - from_left - signal.length
