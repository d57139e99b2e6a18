"""Invariants: what a bench must be like at the end of every test: bus error counters, supply currents, fault registers.

Each is one value that is read when the body of a test has ended, before anything is undone, and judged by a limit.
A bench has some by itself; ``[invariant.NAME]`` of the rig file adds others, or another limit for one of these. A test
that breaks one on purpose says so, and the value is then kept for information.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from hil.closed import nearest
from hil.errors import ConfigError, HilError
from hil.evidence.documents import INVARIANT
from hil.io.card import IoCard
from hil.limits import Limit, Verdict, take
from hil.signal import Signal
from hil.visa.classes import DCPower
from hil.visa.declare import Measurement as Declared
from hil.visa.declare import Setting
from hil.visa.driver import Channel, Driver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from hil.limits import Measurement
    from hil.rig.wire_tables import InvariantTable
    from hil.rig.world import Rig

COUNTERS = ("error_frames", "lost", "tec", "rec", "refused", "state")
"""What is read of a bus."""
_TELLING = frozenset({"hil", "socketcan"})  # interfaces whose controllers tell their errors
_COUNTING = _TELLING | {"udp_multicast"}  # interfaces of which it is known what the host lost
_TOLD_BY = {"refused": None, "lost": _COUNTING}  # None: every interface; others are told by _TELLING
_SUPPLY = (("questionable_condition", 0.0), ("measured_current_a", None))


@dataclass(frozen=True)
class _Source:
    """One value that can be read.

    ``look`` gives None where the part never told it; ``asks`` says that reading it sends something.
    """

    read: str
    unit: str
    part: str
    asks: bool
    look: Callable[[], object]


@dataclass(frozen=True)
class Taken:
    """One invariant at the end of a test; ``why`` says what stood in the way of reading it."""

    measurement: Measurement
    why: str = ""

    @property
    def broken(self) -> bool:
        """Whether it makes the test fail."""
        return not self.measurement.info and self.measurement.verdict is not Verdict.PASS

    @property
    def reason(self) -> str:
        """Why it does, and what to write where that is meant."""
        name = self.measurement.name
        return (
            f"{name}: {self.why or self.measurement.judgement.reason}; a test that does this on purpose is marked "
            f'leaves("{name.removeprefix(INVARIANT)}")'
        )


class Invariants:
    """The invariants of an open rig.

    Args:
        rig: the rig.
        leaves: what the test breaks on purpose: ``bus_a.error_frames``, or ``psu`` for everything of a part.

    Raises:
        ConfigError: when the rig file declares one that cannot be read, or in another unit.
        HilError: when ``leaves`` names a part the rig does not have.
    """

    def __init__(self, rig: Rig, leaves: Iterable[str] = ()) -> None:
        self._rig = rig
        self._leaves = tuple(leaves)
        self._refuse_unknown()
        known = {source.read: (source, limit) for source, limit in self._usual()}
        for name, table in rig.file.tables.invariant.items():
            for source in self._sources(name, table.read):
                known[source.read] = source, self._limit(name, table, source)
        self._all = tuple(known.values())

    def taken(self, *, ask: bool = True) -> Iterator[Taken]:
        """Read and judge all of them.

        Args:
            ask: whether instruments may be asked; otherwise only what is known already is read.
        """
        silent: dict[str, str] = {}
        self._rig.timeline.arrived()
        for source, limit in self._all:
            if ask or not source.asks:
                taken = self._take(source, None if self._is_left(source.read) else limit, silent)
                if taken is not None:
                    yield taken

    def _take(self, source: _Source, limit: Limit | None, silent: dict[str, str]) -> Taken | None:
        """One of them; None when its part never told it.

        A part that did not answer once is not asked again, as each question costs its time-out.
        """
        value, why = None, silent.get(source.part, "")
        if not why:
            try:
                value = source.look()
            except Exception as problem:  # a model may raise anything meanwhile, and the verdict is still to be written
                silent[source.part] = why = f"{source.read} could not be read: {problem}"
                self._rig.clock.sleep(0)  # the keeper hears of progress before the next instrument is waited for
        if value is None and not why:
            return None
        return Taken(take(INVARIANT + source.read, value, source.unit, [limit] if limit else None), why)

    def _is_left(self, read: str) -> bool:
        return any(read == left or read.startswith(f"{left}.") for left in self._leaves)

    def _refuse_unknown(self) -> None:
        file = self._rig.file
        parts = [*file.bus, *file.instrument, *file.dut]
        for left in self._leaves:
            part = left.partition(".")[0]
            if part not in parts:
                raise HilError(
                    f"the test is marked leaves({left!r}), and {file.file.name} has no {part}; {nearest(part, parts)}"
                )

    # -- what there is ------------------------------------------------------------------------------------

    def _usual(self) -> Iterator[tuple[_Source, Limit | None]]:
        """What every bench is asked: its buses and its supplies."""
        for name in self._rig.buses:
            for counter in COUNTERS:
                source = self._of_bus(name, counter)
                match counter:
                    case "error_frames" | "lost":
                        yield source, _usual_limit(source, high=0.0)
                    case "state":
                        yield source, _usual_limit(source, equals="error-active")
                    case _:
                        yield source, None
        for name, driver in self._rig.instruments.items():
            if isinstance(driver, DCPower):
                for attribute, high in _SUPPLY:
                    for channel in _channels(driver):
                        if isinstance(getattr(type(channel), attribute, None), Declared):
                            source = self._of_speaker(f"{name}.{channel.name}.{attribute}", channel, attribute)
                            yield source, None if high is None else _usual_limit(source, high=high)

    def _limit(self, name: str, table: InvariantTable, source: _Source) -> Limit:
        place = self._rig.file.where("invariant", name)
        if table.unit != source.unit:
            raise ConfigError(
                f"{place}: invariant.{name}.unit = {table.unit!r}, and {source.read} is read in {source.unit!r}; "
                "write the limit in that unit"
            )
        return Limit(
            name=INVARIANT + source.read,
            unit=table.unit,
            low=table.low,
            high=table.high,
            equals=table.equals,
            uncertainty=table.uncertainty,
            source=f"{self._rig.file.file.name}, invariant.{name}",
            note=table.note or "",
            origin="rig",
        )

    def _sources(self, name: str, read: str) -> Sequence[_Source]:
        """What a declaration reads; a ``*`` stands for every channel."""
        part, _, rest = read.partition(".")
        try:
            if part in self._rig.buses and rest in COUNTERS:
                return [self._of_bus(part, rest)]
            if part in self._rig.devices:
                return [self._of_signal(read, part, getattr(self._rig.devices[part], rest))]
            instrument = self._rig.instruments.get(part)
            channel, _, attribute = rest.rpartition(".")
            if isinstance(instrument, IoCard):
                return [self._of_signal(read, part, getattr(instrument, attribute)(channel))]
            if isinstance(instrument, Driver):
                speakers = [each for each in _channels(instrument) if channel in ("*", each.name)]
                named = [(f"{part}.{each.name}.{attribute}", each) for each in speakers] if channel else []
                found = named if channel else [(read, instrument)]
                if found:
                    return [self._of_speaker(where, speaker, attribute) for where, speaker in found]
        except (AttributeError, TypeError, HilError) as problem:
            raise ConfigError(f"{self._rig.file.where('invariant', name, 'read')}: {read}: {problem}") from problem
        raise ConfigError(
            f"{self._rig.file.where('invariant', name, 'read')}: invariant.{name}.read = {read!r} is nothing that can "
            f"be read; it is BUS.COUNTER ({', '.join(COUNTERS)}), SUPPLY.CHANNEL.DECLARATION "
            "(psu.*.measured_current_a), CARD.PORT.QUANTITY (stand.ai_box.volts) or ARTICLE.SIGNAL"
        )

    def _of_bus(self, name: str, counter: str) -> _Source:
        bus, telling = self._rig.buses[name], _TOLD_BY.get(counter, _TELLING)
        tells = telling is None or self._rig.file.bus[name].interface in telling
        look: Callable[[], object] = lambda: getattr(bus.stats, counter) if tells else None  # noqa: E731
        return _Source(f"{name}.{counter}", "1", name, asks=False, look=look)

    def _of_speaker(self, read: str, speaker: Driver | Channel, attribute: str) -> _Source:
        found = getattr(type(speaker), attribute)
        if not isinstance(found, Setting | Declared):
            raise ConfigError(f"{attribute} is no value that {type(speaker).__name__} declares")
        unit = cast("Setting[object] | Declared[object]", found).value.unit or "1"
        return _Source(read, unit, read.partition(".")[0], asks=True, look=lambda: getattr(speaker, attribute))

    def _of_signal(self, read: str, part: str, found: object) -> _Source:
        if not isinstance(found, Signal):
            raise ConfigError(f"it is a {type(found).__name__}, not a signal")
        signal = cast("Signal[float]", found)
        return _Source(read, signal.unit or "1", part, asks=False, look=lambda: _last(signal))


def _last(signal: Signal[float]) -> float | None:
    found = signal.last
    return None if found is None else found.value


def _channels(driver: Driver) -> list[Channel]:
    """The channels a driver holds, in their order."""
    held = [cast("Mapping[object, object]", value) for value in vars(driver).values() if isinstance(value, Mapping)]
    inside = [each for value in held for each in value.values()]
    return [each for each in inside if isinstance(each, Channel)]


def _usual_limit(source: _Source, *, high: float | None = None, equals: str | None = None) -> Limit:
    return Limit(
        name=INVARIANT + source.read,
        unit=source.unit,
        high=high,
        equals=equals,
        source="what hil judges on every bench",
        origin="rig",
    )
