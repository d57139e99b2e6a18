"""The gate before a hazardous instrument: what a message may be, decided outside the test.

A driver checks what it sends, but a test can send anything. The gate reads each program message as the instrument
would, by the driver's own declarations: one command a message, a listed header, values within the rig file's limits,
waveforms that are listed and were loaded in this session, modulation of its own only where it is allowed. Everything
else is refused, with the standard's error -203.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from hil.visa.bounds import Bounds
from hil.visa.declare import Action, Setting, declared
from hil.visa.repertoire import Repertoire
from hil.visa.scpi.arguments import Channels, Rest, arguments
from hil.visa.scpi.errors import ScpiError
from hil.visa.scpi.parser import parse
from hil.visa.scpi.tree import Command, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from hil.visa.driver import Driver
    from hil.visa.scpi.parameters import Parameter
    from hil.visa.scpi.parser import Unit


class Ruling(NamedTuple):
    """What the gate says of one message."""

    refusal: str = ""
    """Why it may not pass; "" when it may."""
    energises: bool = False
    """Whether it switches an output on, so that the interlock is asked first."""
    quiets: bool = False
    """Whether it switches the only output off, so that nothing is energised any more."""
    asks: bool = False
    """Whether it is a query, which will be answered."""
    loads: str = ""
    """The name under which it loads a waveform."""
    selects: str = ""
    """The waveform it selects."""
    lasts: bool = True
    """Whether the same message gets the same ruling later."""


_COMMON = ("*CLS", "*ESE", "*SRE", "*OPC", "*WAI", "*TRG")
_COMMON_QUERIES = ("*IDN?", "*ESR?", "*ESE?", "*SRE?", "*STB?", "*OPC?")
_QUERIES = ("SYSTem:ERRor[:NEXT]?", "SYSTem:VERSion?")
_ANYTHING: tuple[Rest, ...] = (Rest(),)
_UNDEFINED = -113
_CHANNELS_MAX = 9_999
_REMEMBERED_MAX = 1_024  # messages whose ruling is kept
_REMEMBERED_BYTES = 512


class Gate:
    """What a test may say to one instrument.

    Args:
        name: what the rig calls it.
        driver: the class whose declarations are the list.
        limits: the rig file's limits, as :meth:`hil.visa.bounds.Bounds.narrow` takes them.
        allow: headers beside those declared, for example ``CAL:DATE?``.
        sequences: SHA-256 of every waveform that may be loaded, of its block or of the message where it has none,
            hexadecimal; None allows any.
        allow_modulation: the kinds of modulation that the instrument may make by itself, for example ``FM``.

    Raises:
        ConfigError: for a limit on a quantity the driver does not have.
        ValueError: for an allowed header that cannot be read.
    """

    def __init__(
        self,
        name: str,
        driver: type[Driver],
        limits: Mapping[str, float],
        *,
        allow: Iterable[str] = (),
        sequences: Collection[str] | None = None,
        allow_modulation: Collection[str] = (),
    ) -> None:
        self.name = name
        self._driver = driver
        self._repertoire = Repertoire(sequences)
        self._own_modulation = {
            header: kind for kind, header in driver.modulations.items() if kind not in allow_modulation
        }
        self._bounds = Bounds()
        self._tree = Tree()
        self._rulings: dict[bytes, Ruling] = {}
        self._rules: dict[str, Callable[..., Ruling]] = {}
        settings = self._declare()
        quantities = {setting.limit for setting in settings}
        channels = {key.partition("_")[0] for key in limits if key.startswith("out")}
        known = quantities | {f"{channel}_{quantity}" for channel in channels for quantity in quantities}
        self._bounds.narrow(limits, known, name)
        for header in (*_COMMON, *_COMMON_QUERIES, *_QUERIES, *allow, *self._modulation(settings)):
            self._permit(header)
        for header in driver.loads:
            self._tree.add(Command(header, _ANYTHING, _nothing))

    def rule(self, message: bytes) -> Ruling:
        """Whether a program message may pass, and what it does.

        Args:
            message: one message as it was sent, without its terminator.
        """
        known = self._rulings.get(message)
        if known is None:
            known = self._rule(message)
            if known.lasts and len(message) <= _REMEMBERED_BYTES:
                if len(self._rulings) >= _REMEMBERED_MAX:
                    self._rulings.clear()
                self._rulings[message] = known
        return known

    def passed(self, ruling: Ruling) -> None:
        """A message was sent on, after this ruling."""
        if ruling.loads:
            self._repertoire.has_loaded(ruling.loads)
        if ruling.selects:
            self._repertoire.has_selected(ruling.selects)

    def forget(self) -> None:
        """Another session begins: nothing that the instrument holds was loaded in it."""
        self._repertoire.forget()

    # -- the list -----------------------------------------------------------------------------------------

    def _declare(self) -> list[Setting[object]]:
        settings: list[Setting[object]] = []
        for owner, channels in ((self._driver, False), *((owner, True) for owner in self._driver.channel_classes)):
            for entry in declared(owner):
                if isinstance(entry, Setting):
                    setting = cast("Setting[object]", entry)
                    settings.append(setting)
                    self._let_set(setting, channels=channels)
                elif isinstance(entry, Action):
                    self._permit(entry.command)
                    if entry.name in self._driver.energising:
                        self._rules[entry.command] = _energises
                if not isinstance(entry, Action):
                    self._permit(f"{entry.command}?")
        return settings

    def _modulation(self, settings: Iterable[Setting[object]]) -> Iterator[str]:
        """Headers of modulation that no setting declares: all may be asked, what is allowed may be switched on."""
        known = {setting.command for setting in settings}
        for header in self._driver.modulations.values():
            if header not in known:
                yield f"{header}?"
                if header not in self._own_modulation:
                    yield header

    def _let_set(self, setting: Setting[object], *, channels: bool) -> None:
        listed: tuple[Parameter[object], ...] = (Channels(_CHANNELS_MAX),) if channels else ()

        def ruled(*sent: object) -> Ruling:
            if setting.name in self._driver.reserved:
                return Ruling("only the keeper changes what guards the outputs")
            numbers = cast("tuple[int, ...]", sent[-1]) if channels else ()
            value = sent[-2] if channels else sent[-1]
            names = [f"out{number}" for number in numbers] or [""]
            excesses = [self._bounds.excess(setting.limit, name, value) for name in names]
            refused = next((f"{excess.value:g} is refused: {excess}" for excess in excesses if excess), "")
            if setting.name in self._driver.plays or setting.name in self._driver.starts:
                return self._played(setting, value, refused)
            kind = self._own_modulation.get(setting.command)
            if kind is not None and value:
                return Ruling(f"{setting.header} makes modulation of the instrument's own: {kind} is not allowed here")
            switches = setting.name in self._driver.energising
            return Ruling(refused, switches and bool(value), switches and not value and not channels)

        self._rules[setting.command] = ruled
        self._tree.add(Command(setting.command, (cast("Parameter[object]", setting.value), *listed), _nothing))

    def _played(self, setting: Setting[object], value: object, refused: str) -> Ruling:
        """What decides which waveform is played, or starts it."""
        if setting.name in self._driver.plays:
            name = str(value)
            why = refused or self._repertoire.why_not_select(name)
            return Ruling(why, selects="" if why else name, lasts=False)
        return Ruling(refused or (self._repertoire.why_not_start() if value else ""), lasts=False)

    def _loaded(self, unit: Unit, message: bytes) -> Ruling:
        why = self._repertoire.why_not_load(unit.header, message, unit.tokens)
        return Ruling(why, loads="" if why else unit.tokens[0].text, lasts=False)

    def _permit(self, header: str) -> None:
        """A command that changes nothing a limit is about; its parameters are the instrument's matter."""
        if not _is_known(self._tree, header):
            self._tree.add(Command(header, _ANYTHING, _nothing))

    # -- ruling -------------------------------------------------------------------------------------------

    def _rule(self, message: bytes) -> Ruling:
        shown = message[:60].decode("latin-1").strip()
        units, problem = parse(message.decode("latin-1"))
        if problem is not None or not units:
            return Ruling(f"{shown!r} cannot be read as a command")
        if len(units) > 1:
            return Ruling(f"{shown!r} is {len(units)} commands in one message; send them one by one")
        unit = units[0]
        try:
            command, suffixes = self._tree.resolver().find(unit)
            values = () if command.parameters == _ANYTHING else arguments(command.parameters, unit.tokens)
        except ScpiError as unlisted:
            if unlisted.number == _UNDEFINED:
                return Ruling(f"{unit.header} is not on the list of what a {self._driver.__name__} may be sent")
            return Ruling(f"{shown!r} is not complete: {unlisted.entry}")
        if command.pattern in self._driver.loads:
            return self._loaded(unit, message)
        rule = self._rules.get(command.pattern)
        return Ruling(asks=unit.query) if rule is None or unit.query else rule(*suffixes, *values)


def _energises(*sent: object) -> Ruling:
    del sent
    return Ruling(energises=True)


def _nothing(*sent: object) -> None:
    del sent


def _is_known(tree: Tree, header: str) -> bool:
    units, _ = parse(header)
    try:
        tree.resolver().find(units[0])
    except (ScpiError, IndexError):
        return False
    return True
