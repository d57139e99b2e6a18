"""Frames of any kind and lines of bit-level controllers, for the tests of the CAN PHY."""

from __future__ import annotations

from hypothesis import strategies as st

from hil.can.phy.coding import FD_LENGTHS, PhyFrame
from hil.can.phy.events import ErrorFound, Received, Sent
from hil.can.phy.line import Line
from hil.can.phy.mac import Mac
from hil.can.phy.timing import BitTiming, PhyTiming, timing_for

US = 1_000_000
"""A microsecond [ps]."""
BIT = 2 * US
"""A bit at 500 kbit/s [ps]."""
CLASSIC = timing_for(500_000)
FD = PhyTiming(
    12_500,
    BitTiming(prop=47, phase1=16, phase2=16, sjw=16),
    BitTiming(prop=7, phase1=6, phase2=6, sjw=6),
)
"""1 Mbit/s and 4 Mbit/s, from an 80 MHz clock."""

BYTE = st.one_of(st.integers(0, 255), st.sampled_from([0x00, 0xFF, 0x1F, 0xE0, 0x3C]))
IDENTIFIERS = st.one_of(
    st.tuples(st.integers(0, 0x7FF), st.just(False)), st.tuples(st.integers(0, 0x1FFFFFFF), st.just(True))
)


@st.composite
def classic_frames(draw):
    """Any classic frame."""
    ident, extended = draw(IDENTIFIERS)
    if draw(st.integers(0, 4)) == 0:
        return PhyFrame(ident, b"", extended, True, draw(st.integers(0, 8)))
    return PhyFrame(ident, bytes(draw(st.lists(BYTE, max_size=8))), extended)


@st.composite
def fd_frames(draw):
    """Any CAN FD frame."""
    ident, extended = draw(IDENTIFIERS)
    size = draw(st.sampled_from(FD_LENGTHS))
    pattern = draw(st.lists(BYTE, min_size=1, max_size=9))
    data = bytes(pattern[index % len(pattern)] for index in range(size))
    return PhyFrame(ident, data, extended, fd=True, brs=draw(st.booleans()), esi=draw(st.booleans()))


def line_of(*errors_ppm, timing=CLASSIC, delays_ps=None, macs=None):
    """A line of integrated controllers with these clock errors, at arbitrary phases; the time is 50 us."""
    line = Line()
    nodes = [
        line.attach(
            timing,
            macs[place] if macs else None,
            error_ppm=ppm,
            origin_ps=place * 77_777,
            delay_ps=delays_ps[place] if delays_ps else 0,
        )
        for place, ppm in enumerate(errors_ppm)
    ]
    line.run(50 * US)
    return line, nodes


def plain_mac(**options):
    """A controller that knows classic CAN only."""
    return Mac(fd=False, **options)


def received(line, node):
    """The frames a controller has received."""
    return [event.frame for event in line.told(node) if isinstance(event, Received)]


def sent(line, node):
    """The frames a controller has sent."""
    return [event.frame for event in line.told(node) if isinstance(event, Sent)]


def faults(line, nodes):
    """What was found wrong, by any of these controllers."""
    return [event.fault for node in nodes for event in line.told(node) if isinstance(event, ErrorFound)]


def counts(node):
    """Transmit and receive error counter."""
    return node.mac.counters.tec, node.mac.counters.rec
