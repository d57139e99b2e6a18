"""Declarations of an instrument: one table yields its driver, the skeleton of its twin and its documentation.

A declaration is an attribute of a driver class. Reading it queries the instrument, assigning it sets the
instrument; the twin registers the same declaration with its SCPI engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar, cast, overload

from hil.visa.scpi.tree import short_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hil.visa.scpi.parameters import Value

T = TypeVar("T")


class Speaker(Protocol):
    """An instrument, or one channel of it, that declarations speak through."""

    def ask(self, declared: Setting[T] | Measurement[T], /) -> T:
        """Query the instrument."""
        ...

    def tell(self, declared: Setting[T], value: T, /) -> None:
        """Set the instrument."""
        ...

    def act(self, declared: Action, /) -> None:
        """Make the instrument do something."""
        ...


class Declaration:
    """One command of an instrument.

    Args:
        command: its header as the manual writes it: ``[SOURce:]VOLTage[:LEVel]``; ``#`` after a mnemonic
            marks a numeric suffix.
        doc: what it does, in the reader's words, and the source of its numbers.
    """

    def __init__(self, command: str, doc: str) -> None:
        self.command = command.removesuffix("?")
        self.header = short_header(command)
        self.doc = doc
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self.command}>"


class Setting(Declaration, Generic[T]):
    """A value that can be set and read back.

    Args:
        command: its header.
        value: type, unit and range of the value.
        reset: what it is after ``*RST``.
        limit: the quantity whose limits in the rig file apply; its own name when left out.
        doc: what it does.
    """

    def __init__(self, command: str, value: Value[T], *, reset: T, doc: str, limit: str = "") -> None:
        super().__init__(command, doc)
        self.value = value
        self.reset = reset
        self._limit = limit

    @property
    def limit(self) -> str:
        """Name of the quantity for limits in the rig file."""
        return self._limit or self.name

    @overload
    def __get__(self, speaker: None, owner: type) -> Self: ...
    @overload
    def __get__(self, speaker: Speaker, owner: type) -> T: ...
    def __get__(self, speaker: Speaker | None, owner: type) -> Self | T:
        """The declaration on the class, the value on an instrument."""
        return self if speaker is None else speaker.ask(self)

    def __set__(self, speaker: Speaker, value: T) -> None:
        """Set the instrument."""
        speaker.tell(self, value)


class Measurement(Declaration, Generic[T]):
    """A value the instrument measures or reports.

    Args:
        command: its header, without the question mark.
        value: type and unit of the answer.
        doc: what it is.
    """

    def __init__(self, command: str, value: Value[T], *, doc: str) -> None:
        super().__init__(command, doc)
        self.value = value

    @overload
    def __get__(self, speaker: None, owner: type) -> Self: ...
    @overload
    def __get__(self, speaker: Speaker, owner: type) -> T: ...
    def __get__(self, speaker: Speaker | None, owner: type) -> Self | T:
        """The declaration on the class, a fresh reading on an instrument."""
        return self if speaker is None else speaker.ask(self)

    def __set__(self, speaker: Speaker, value: object) -> None:
        """Refuse to assign what is measured.

        Raises:
            AttributeError: always.
        """
        raise AttributeError(f"{type(speaker).__name__}.{self.name} = {value!r}: it is measured, it cannot be set")


class Action(Declaration):
    """Something the instrument does on command.

    Args:
        command: its header.
        doc: what it does.
    """

    def __init__(self, command: str, *, doc: str) -> None:
        super().__init__(command, doc)

    @overload
    def __get__(self, speaker: None, owner: type) -> Self: ...
    @overload
    def __get__(self, speaker: Speaker, owner: type) -> Callable[[], None]: ...
    def __get__(self, speaker: Speaker | None, owner: type) -> Self | Callable[[], None]:
        """The declaration on the class, a call on an instrument."""
        return self if speaker is None else lambda: speaker.act(self)


def declared(owner: type) -> Iterator[Declaration]:
    """The declarations of a class and its bases, in the order they are written; one that is written again counts."""
    found: dict[str, Declaration] = {}
    for base in reversed(owner.__mro__):
        found |= {name: entry for name, entry in vars(base).items() if isinstance(entry, Declaration)}
    yield from found.values()


def describe(owner: type) -> str:
    """The declarations of a class as a Markdown table, for the documentation."""
    rows = ["| attribute | command | unit | range | after reset | what |", "|---|---|---|---|---|---|"]
    for entry in declared(owner):
        unit = span = reset = ""
        if isinstance(entry, Setting):
            setting = cast("Setting[object]", entry)
            unit, span, reset = setting.value.unit, setting.value.span, setting.value.format(setting.reset)
        elif isinstance(entry, Measurement):
            unit = cast("Measurement[object]", entry).value.unit
        query = "?" if isinstance(entry, Measurement) else ""
        rows.append(f"| `{entry.name}` | `{entry.command}{query}` | {unit} | {span} | {reset} | {entry.doc} |")
    return "\n".join(rows) + "\n"
