"""The rig file's limits of an instrument: how a key names a quantity, and whether a value lies within."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from hil.closed import nearest
from hil.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_INFINITE = float("inf")


class Excess(NamedTuple):
    """A value outside a limit."""

    value: float
    quantity: str
    low: float
    high: float

    def __str__(self) -> str:
        return f"the rig file limits {self.quantity} to {self.low:g} to {self.high:g}"


class Bounds:
    """The smallest and largest setting allowed, by quantity; they only ever get narrower."""

    def __init__(self) -> None:
        self._bounds: dict[str, tuple[float, float]] = {}

    def narrow(self, limits: Mapping[str, float], known: Iterable[str], name: str) -> None:
        """Take over limits as a rig file writes them.

        Args:
            limits: by quantity with its unit: ``voltage_max_v`` (or ``max_voltage_v``, ``voltage_v``) is the largest
                value that may be set, ``voltage_min_v`` the smallest; ``out1_voltage_max_v`` holds for one channel.
            known: the quantities there are.
            name: the instrument, for messages.

        Raises:
            ConfigError: for a quantity that is not known.
        """
        quantities = sorted(known)
        for key, bound in limits.items():
            words = key.split("_")
            quantity = "_".join(word for word in words if word not in ("max", "min"))
            if quantity not in quantities:
                raise ConfigError(f"{name}: limits.{key}: {nearest(quantity, quantities)}")
            low, high = self._bounds.get(quantity, (-_INFINITE, _INFINITE))
            self._bounds[quantity] = (max(low, bound), high) if "min" in words else (low, min(high, bound))

    def excess(self, quantity: str, channel: str, value: object) -> Excess | None:
        """The value that may not be set, of one or of a list; None when all may.

        Args:
            quantity: what is set.
            channel: of which channel; "" for the instrument itself.
            value: a number, several, or something that no limit is about.
        """
        values = cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)
        for key in (quantity, f"{channel}_{quantity}"):
            low, high = self._bounds.get(key, (-_INFINITE, _INFINITE))
            for each in values:
                if isinstance(each, float | int) and not low <= each <= high:
                    return Excess(each, key, low, high)
        return None
