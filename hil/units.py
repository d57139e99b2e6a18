"""Units: integer nanoseconds for time, SI floats for everything else, conversions for the edges.

Time is an int in nanoseconds everywhere; write it as a product, ``500 * ms``. Every other bare number carries
its unit in its name (``level_dbm``, ``angle_rad``).
"""

import math

ns = 1
us = 1_000
ms = 1_000_000
s = 1_000_000_000


def dbm_to_w(level_dbm: float) -> float:
    """Power in watt of a level in dBm.

    >>> dbm_to_w(30.0)
    1.0
    """
    return float(10.0 ** ((level_dbm - 30.0) / 10.0))


def w_to_dbm(power_w: float) -> float:
    """Level in dBm of a power in watt; no power at all is minus infinity.

    >>> w_to_dbm(0.001)
    0.0
    """
    return 10.0 * math.log10(power_w) + 30.0 if power_w > 0.0 else -math.inf


def deg_to_rad(angle_deg: float) -> float:
    """Angle in radian of an angle in degree."""
    return math.radians(angle_deg)


def rad_to_deg(angle_rad: float) -> float:
    """Angle in degree of an angle in radian."""
    return math.degrees(angle_rad)


def format_time(time_ns: int) -> str:
    """A rig time for people: seconds with nine decimals, so that no nanosecond is lost.

    >>> format_time(1_500_000_000)
    '1.500000000 s'
    """
    sign = "-" if time_ns < 0 else ""
    whole, rest = divmod(abs(time_ns), s)
    return f"{sign}{whole}.{rest:09d} s"


def format_duration(duration_ns: int) -> str:
    """A duration in the largest unit that keeps it short.

    >>> format_duration(25 * ms), format_duration(2 * s), format_duration(1500)
    ('25 ms', '2 s', '1.5 us')
    """
    for name, size in (("s", s), ("ms", ms), ("us", us)):
        if abs(duration_ns) >= size:
            return f"{duration_ns / size:g} {name}"
    return f"{duration_ns} ns"
