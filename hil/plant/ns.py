"""Namespaces: the few functions in which the derivative differs between one vehicle and a batch of them.

The derivative is written once, with arithmetic that floats and arrays share; what they do not share comes from a
:class:`Namespace`. With :data:`FLOATS` every number is a Python float (real time); with :func:`arrays` every number
is a float64[n], one component of n vehicles. Numbers are annotated as ``float`` in both.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Row = tuple[float, ...]
Table = tuple[Row, ...]
"""Rows over a uniform grid; the row of a position is found by index arithmetic, never by search."""


class Namespace(NamedTuple):
    """Square root, exponential, log(1 + x), and the row of a table that a position (in grid steps) falls into."""

    sqrt: Callable[[float], float]
    exp: Callable[[float], float]
    log1p: Callable[[float], float]
    row: Callable[[Table, float], Row]


def _row(table: Table, position: float) -> Row:
    index = int(position)
    if 0 <= index < len(table):
        return table[index]
    return table[0] if index < 0 else table[-1]


FLOATS = Namespace(math.sqrt, math.exp, math.log1p, _row)


def arrays() -> Namespace:
    """The namespace of a batch: every number is a float64[n]."""
    known: dict[int, tuple[Table, np.ndarray]] = {}

    def row(table: Table, position: float) -> Row:
        columns = known.setdefault(id(table), (table, np.array(table).T))[1]
        index = np.clip(np.asarray(position).astype(np.intp), 0, len(table) - 1)
        return cast("Row", tuple(columns[:, index]))

    ufuncs = cast("Sequence[Callable[[float], float]]", (np.sqrt, np.exp, np.log1p))
    return Namespace(*ufuncs, row=row)
