"""What an RTL file names by ``module:name``: the class of its board, the function that makes its parameters."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Literal

from hil.article import Article
from hil.errors import ConfigError

if TYPE_CHECKING:
    from hil.rtl.spec import RtlSpec


def named(spec: RtlSpec, key: Literal["board", "parameters"]) -> object:
    """What a key of an RTL file names; None when the file leaves it out.

    Raises:
        ConfigError: when it is not there, naming file and key.
    """
    path: str | None = getattr(spec, key)
    if path is None:
        return None
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as problem:
        raise ConfigError(f"{spec.file}: {key} = {path!r} is not there: {problem}") from problem


def board_of(spec: RtlSpec) -> type[Article] | None:
    """The class of the board that an RTL file names; None when bindings alone make it.

    Raises:
        ConfigError: when it is not there, or no article.
    """
    found = named(spec, "board")
    if found is not None and not (isinstance(found, type) and issubclass(found, Article)):
        raise ConfigError(f"{spec.file}: board = {spec.board!r} is no article; derive it from FpgaBoard")
    return found
