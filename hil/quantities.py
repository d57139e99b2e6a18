"""Physical quantities between the plant and articles: a thrust, an angle, a motion; pulled, never pushed.

A quantity net has one source and any number of sinks. The source's values, a tuple of floats in SI units, are
fetched when a sink reads them: nothing happens on the clock, whatever the rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from hil.errors import WiringError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Values: TypeAlias = "tuple[float, ...]"
"""The values of a quantity, in SI units; what they are, source and sink agree in their documentation."""


class QuantityPin:
    """One end of a quantity: what a source gives, or what a sink takes.

    Args:
        name: the pin ``node.port``.
        width: how many values it carries.
        default: for a sink, the values it takes while no source is connected; None for a source.
    """

    __slots__ = ("default", "given", "name", "reader", "source", "width")

    def __init__(self, name: str, width: int, default: Values | None = None) -> None:
        if width < 1 or (default is not None and len(default) != width):
            raise WiringError(
                f"{name}: a quantity of width {width} with default {default}; one value per width, 1 or more"
            )
        self.name = name
        self.width = width
        self.default = default
        self.source: QuantityPin | None = self if default is None else None
        """The pin whose values this one carries; None for a sink that is not connected."""
        self.given: Values = (0.0,) * width
        """What a source was last given."""
        self.reader: Callable[[], Values] | None = None
        """What works out a source's values instead; None for one that was given them."""

    def __repr__(self) -> str:
        return f"<quantity {self.name} {self.values}>"

    @property
    def is_source(self) -> bool:
        """Whether the pin gives values."""
        return self.default is None

    @property
    def connected(self) -> bool:
        """Whether a source is there."""
        return self.source is not None

    @property
    def values(self) -> Values:
        """The values now: the source's own, or the default of a sink that is not connected."""
        source = self.source
        if source is None:
            assert self.default is not None  # only a sink has no source
            return self.default
        return source.given if source.reader is None else source.reader()

    def set(self, *values: float) -> None:
        """Give these values from now on.

        Raises:
            WiringError: for a sink, or another number of values than the pin's width.
        """
        if not self.is_source or len(values) != self.width:
            kind = "a source" if self.is_source else "a sink, which takes and does not give,"
            raise WiringError(f"{self.name} is {kind} of {self.width} values; it was given {values}")
        self.given, self.reader = values, None

    def give(self, read: Callable[[], Values]) -> None:
        """Give what ``read()`` returns whenever somebody asks.

        Raises:
            WiringError: for a sink.
        """
        if not self.is_source:
            raise WiringError(f"{self.name} is a sink; it takes values and gives none")
        self.reader = read


class Latch:
    """Reads many sinks at once, as cheaply as can be: what a plant does at every step.

    Args:
        sinks: the pins, in the order of the values; what is connected later than this is not seen.
    """

    __slots__ = ("_sources",)

    def __init__(self, sinks: Sequence[QuantityPin]) -> None:
        self._sources = [sink.source or _standing(sink) for sink in sinks]

    def read(self) -> list[Values]:
        """The values of every sink, now."""
        return [source.given if source.reader is None else source.reader() for source in self._sources]


def _standing(sink: QuantityPin) -> QuantityPin:
    """A source that gives a sink's default for ever."""
    source = QuantityPin(sink.name, sink.width)
    source.set(*sink.values)
    return source


def join(net: str, pins: Sequence[QuantityPin]) -> None:
    """Connect one source to its sinks.

    Raises:
        WiringError: without exactly one source, for ends of different width, or a sink that is connected already.
    """
    sources = [pin for pin in pins if pin.is_source]
    if len(sources) != 1:
        found = ", ".join(pin.name for pin in sources) or "none"
        raise WiringError(f"net {net}: a quantity comes from one source; found {found} among {_names(pins)}")
    source = sources[0]
    for pin in pins:
        if pin is source:
            continue
        if pin.width != source.width:
            raise WiringError(f"net {net}: {pin.name} takes {pin.width} values, {source.name} gives {source.width}")
        if pin.source is not None:
            raise WiringError(f"net {net}: {pin.name} is connected to {pin.source.name} already; a pin has one wire")
        pin.source = source


def _names(pins: Sequence[QuantityPin]) -> str:
    return ", ".join(pin.name for pin in pins)
