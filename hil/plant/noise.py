"""Standard normal numbers from one stream, drawn in blocks as plain floats, with a state that can be saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from numpy.random import Generator

_BLOCK = 512


class Normals:
    """A stream of standard normal numbers; numpy's scalars never reach the step, which they would slow down.

    Args:
        rng: the stream it draws from, its own.
    """

    __slots__ = ("_at", "_before", "_block", "_rng")

    def __init__(self, rng: Generator) -> None:
        self._rng = rng
        self._before = rng.bit_generator.state
        self._block: list[float] = []
        self._at = 0

    def draw(self) -> float:
        """The next number."""
        if self._at == len(self._block):
            self._before = self._rng.bit_generator.state
            self._block = self._rng.standard_normal(_BLOCK).tolist()
            self._at = 0
        self._at += 1
        return self._block[self._at - 1]

    def save(self) -> dict[str, object]:
        """Its state, for :meth:`load`: the generator before the block, and the place in the block."""
        return {"generator": self._before, "drawn": bool(self._block), "at": self._at}

    def load(self, saved: dict[str, object]) -> None:
        """Go back to a saved state."""
        self._rng.bit_generator.state = self._before = cast("dict[str, object]", saved["generator"])
        self._block = self._rng.standard_normal(_BLOCK).tolist() if saved["drawn"] else []
        self._at = cast("int", saved["at"])
