"""The front of a simulated instrument: the declarations of its driver, registered with a SCPI engine."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar, cast

from hil.visa.declare import Action, Declaration, Measurement, Setting, declared
from hil.visa.scpi.arguments import Channels, Optional
from hil.visa.scpi.engine import Engine, Later, Result
from hil.visa.scpi.parameters import INFINITY, Number, Numbers, Parameter, Value
from hil.visa.scpi.parser import Kind, Token
from hil.visa.scpi.tree import Command, mnemonics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

_ONE = (1,)  # the only channel of an instrument without channel lists


class _Keyword:
    """MINimum, MAXimum or DEFault in a query: ``VOLT? MAX``."""

    def __init__(self, value: Number) -> None:
        self._value = value

    def accepts(self, token: Token) -> bool:
        return token.kind is Kind.CHARACTERS

    def parse(self, token: Token) -> float:
        return self._value.parse(token)


class Panel:
    """What a simulated instrument has been set to, and how it answers.

    Args:
        engine: its message exchange.
        owner: the driver class whose declarations it understands.
        channels: how many channels take these settings through a channel list, or their numbers; None for none.
        number: format of numbers in responses.
    """

    def __init__(self, engine: Engine, owner: type, *, channels: int | Sequence[int] | None, number: str) -> None:
        self._engine = engine
        self._owner = owner
        self._channels = None if channels is None else Channels(channels)
        self._numbers = _ONE if self._channels is None else tuple(self._channels.known)
        self._number = number
        self._state: dict[tuple[str, int], object] = {}
        self._reactions: dict[str, Callable[[int], None]] = {}
        self._answers: dict[str, tuple[Callable[[int], object], int]] = {}
        self._elsewhere: set[str] = set()
        self.restore()

    # -- state --------------------------------------------------------------------------------------------

    def get(self, setting: Setting[T], channel: int = 1) -> T:
        """What a setting is now."""
        return cast("T", self._state[setting.name, channel])

    def put(self, setting: Setting[T], value: T, channel: int = 1) -> None:
        """Change a setting from inside the instrument, without the reaction."""
        self._state[setting.name, channel] = value

    def restore(self) -> None:
        """Every setting as after ``*RST``, without the reactions."""
        for entry in declared(self._owner):
            if isinstance(entry, Setting):
                for channel in self._numbers:
                    self._state[entry.name, channel] = cast("Setting[object]", entry).reset

    # -- behaviour ----------------------------------------------------------------------------------------

    def react(self, setting: Setting[T], fn: Callable[[int], None]) -> None:
        """Call ``fn`` with the channel after a setting was changed over the interface."""
        self._reactions[setting.name] = fn

    def answer(self, measurement: Measurement[T], fn: Callable[[int], T], *, takes_ns: int = 0) -> None:
        """Answer a query with ``fn`` of the channel, after the time the measurement takes [ns]."""
        self._answers[measurement.name] = (fn, takes_ns)

    def do(self, action: Action, fn: Callable[[int], None]) -> None:
        """Call ``fn`` with the channel when an action is commanded."""
        self._reactions[action.name] = fn

    def answered_elsewhere(self, *declarations: Declaration) -> None:
        """These commands are registered by something else, such as the status system."""
        self._elsewhere.update(entry.name for entry in declarations)

    def bind(self) -> None:
        """Register all declarations with the engine.

        Raises:
            NotImplementedError: for a measurement or action the twin gave no behaviour.
        """
        for entry in declared(self._owner):
            if entry.name in self._elsewhere:
                continue
            if isinstance(entry, Setting):
                self._bind_setting(cast("Setting[object]", entry))
            elif isinstance(entry, Measurement):
                if entry.name not in self._answers:
                    raise NotImplementedError(f"the twin of {self._owner.__name__} does not answer {entry!r}")
                self._bind_measurement(cast("Measurement[object]", entry))
            elif isinstance(entry, Action):
                if entry.name not in self._reactions:
                    raise NotImplementedError(f"the twin of {self._owner.__name__} does nothing for {entry!r}")
                self._bind_action(entry)

    # -- inside -------------------------------------------------------------------------------------------

    @property
    def _listed(self) -> tuple[Parameter[object], ...]:
        return () if self._channels is None else (self._channels,)

    def _bind_setting(self, setting: Setting[object]) -> None:
        name, kind = setting.name, setting.value
        state, place = self._state, _suffixes(setting.command)
        text = lru_cache(maxsize=64)(self._formatter(kind))
        listed, has_bound = self._channels is not None, isinstance(kind, Number)

        def write(*sent: object) -> None:
            for channel in cast("tuple[int, ...]", sent[-1]) if listed else _ONE:
                before = state[name, channel]
                state[name, channel] = sent[place]
                reaction = self._reactions.get(name)
                if reaction is not None:
                    self._guarded(reaction, name, channel, before)

        def read(*sent: object) -> str:
            channels = cast("tuple[int, ...]", sent[-1]) if listed else _ONE
            bound = sent[place] if has_bound else None
            if bound is not None:
                return ",".join(text(bound) for _ in channels)
            if len(channels) == 1:
                return text(state[name, channels[0]])
            return ",".join(text(state[name, channel]) for channel in channels)

        bound: tuple[Parameter[object], ...] = (Optional(_Keyword(kind)),) if isinstance(kind, Number) else ()
        self._engine.tree.add(Command(setting.command, (cast("Parameter[object]", kind), *self._listed), write))
        self._engine.tree.add(Command(f"{setting.command}?", (*bound, *self._listed), read))

    def _guarded(self, reaction: Callable[[int], None], name: str, channel: int, before: object) -> None:
        """React; a reaction that refuses leaves the setting as it was."""
        accepted = False
        try:
            reaction(channel)
            accepted = True
        finally:
            if not accepted:
                self._state[name, channel] = before

    def _bind_measurement(self, measurement: Measurement[object]) -> None:
        fn, takes_ns = self._answers[measurement.name]
        text, listed = self._formatter(measurement.value), self._channels is not None

        def answer(*sent: object) -> Result:
            channels = cast("tuple[int, ...]", sent[-1]) if listed else _ONE

            def finish() -> str:
                return ",".join(text(fn(channel)) for channel in channels)

            return Later(takes_ns, finish) if takes_ns else finish()

        self._engine.tree.add(Command(f"{measurement.command}?", self._listed, answer))

    def _bind_action(self, action: Action) -> None:
        fn, listed = self._reactions[action.name], self._channels is not None

        def act(*sent: object) -> None:
            for channel in cast("tuple[int, ...]", sent[-1]) if listed else _ONE:
                fn(channel)

        self._engine.tree.add(Command(action.command, self._listed, act))

    def _formatter(self, kind: Value[object]) -> Callable[[object], str]:
        """How values of this kind are written in responses."""
        number = self._number

        def one(value: object) -> str:
            exact = cast("float", value)
            return format(exact, number) if abs(exact) < INFINITY else f"{INFINITY:G}"

        if isinstance(kind, Number):
            return one
        if isinstance(kind, Numbers):
            return lambda value: ",".join(map(one, cast("tuple[float, ...]", value)))
        return kind.format


def _suffixes(command: str) -> int:
    """How many numeric suffixes a header has; they come first in what a command is called with, and are all 1."""
    return sum(node.numbered for node in mnemonics(command))
