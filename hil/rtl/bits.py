"""Bits of a signal as a simulator tells them: text of 0, 1, X and Z, the highest first."""

from __future__ import annotations


def level_of(bits: str) -> int | None:
    """The number that bits of 0 and 1 stand for; None when any is unknown: that is never read as 0.

    >>> level_of("0101"), level_of("0X01")
    (5, None)
    """
    try:
        return int(bits, 2)
    except ValueError:
        return None


def flipped(bits: str, bit: int) -> str:
    """The bits with one of them flipped, 0 the lowest; whoever asks knows that it is there and not unknown.

    >>> flipped("0100", 1)
    '0110'
    """
    place = len(bits) - 1 - bit
    return bits[:place] + "10"[int(bits[place])] + bits[place + 1 :]
