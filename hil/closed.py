"""Closed classes: an attribute that a class did not declare is an error, not a silent new attribute.

A misspelt attribute that is silently accepted is the field's commonest safety bug: ``supply.curent_limit_a = 2``
would limit nothing.
"""

from __future__ import annotations

import difflib
from typing import Any, ClassVar


def nearest(name: str, known: list[str]) -> str:
    """The remedy for an unknown name: the nearest known one, or all of them when none is near.

    >>> nearest("bitrat_bps", ["bitrate_bps", "channel"])
    'did you mean bitrate_bps?'
    """
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"known are {', '.join(sorted(known))}" if known else "none is known"


class Closed:
    """A class whose instances have the annotated attributes and no others."""

    _declared: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        names = {name for base in cls.__mro__ for name in vars(base).get("__annotations__", {})}
        cls._declared = frozenset(names)

    def __setattr__(self, name: str, value: Any) -> None:
        """Bind a declared attribute.

        Raises:
            AttributeError: for an attribute the class does not declare; names the nearest one.
        """
        cls = type(self)
        if name not in cls._declared and not hasattr(getattr(cls, name, None), "__set__"):
            public = [known for known in (*cls._declared, *dir(cls)) if not known.startswith("_")]
            raise AttributeError(f"{cls.__name__} has no attribute {name!r} to set; {nearest(name, public)}")
        object.__setattr__(self, name, value)
