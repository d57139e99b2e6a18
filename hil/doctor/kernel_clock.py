"""What the kernel says of its clocks, asked through the C library: resolution, and whether they follow a reference."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

from hil.units import s

_CLOCK_MONOTONIC = 1
_UNSYNCHRONISED = 0x0040  # STA_UNSYNC
_NANO = 0x2000  # STA_NANO
_TIME_ERROR = 5
_MAX_ERROR_KNOWN_US = 16_000_000
"""The kernel's largest possible error without a reference: it counts up to this [us]."""


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Timex(ctypes.Structure):
    """``struct timex`` up to what is read here; the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("max_error_us", ctypes.c_long),
        ("estimated_error_us", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 32),
    )


@dataclass(frozen=True, slots=True)
class Discipline:
    """Whether the host's real-time clock follows a reference.

    Args:
        synchronised: whether a daemon (NTP, PTP) says so.
        offset_ns: what was left to correct [ns].
        max_error_us: largest possible error, as the daemon says [us].
    """

    synchronised: bool
    offset_ns: int
    max_error_us: int


def monotonic_resolution_ns() -> int:
    """The resolution of CLOCK_MONOTONIC [ns].

    Raises:
        OSError: when the kernel does not say.
    """
    found = _Timespec()
    _call("clock_getres", _CLOCK_MONOTONIC, ctypes.byref(found))
    return found.seconds * s + found.nanoseconds


def discipline() -> Discipline:
    """Ask the kernel whether its real-time clock is synchronised; changes nothing and needs no right.

    Raises:
        OSError: when the kernel does not say.
    """
    found = _Timex()
    state = _call("adjtimex", ctypes.byref(found))
    synchronised = state != _TIME_ERROR and not found.status & _UNSYNCHRONISED
    offset_ns = found.offset if found.status & _NANO else found.offset * 1_000
    return Discipline(synchronised and found.max_error_us < _MAX_ERROR_KNOWN_US, offset_ns, found.max_error_us)


def _call(name: str, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    function = getattr(libc, name, None)
    if function is None:
        raise OSError(f"this system has no {name}")
    state: int = function(*arguments)
    if state < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return state
