"""What a rig file says of a hazardous I/O card: the gate of its outputs, and its safe sequence in simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.errors import ConfigError, HilError
from hil.io import card_words, stream
from hil.io.gate import CardGate, OutputRule
from hil.io.stream_card import StreamCard
from hil.rig.values import HERE
from hil.toml_lines import did_you_mean
from hil.units import ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hil.clock import Clock
    from hil.io.card import IoCard
    from hil.rig.hazard_tables import SafeStep, Watchdog
    from hil.rig.model import RigFile
    from hil.rig.part_tables import InstrumentTable

_LOOK_NS = 1 * ms


def card_gate(file: RigFile, name: str, driver: type[object]) -> Callable[[], CardGate]:
    """What makes the gate of a card, once for each world.

    Raises:
        ConfigError: for a card that cannot be kept, or whose tables do not fit its pins; names file and line.
    """
    table = file.instrument[name]
    found = next(_problems(file, name, table, driver), None)
    if found is not None:
        key, text = found
        raise ConfigError(f"{file.where('instrument', name, key)}: instrument.{name}.{key}: {text}")
    rules = {port: OutputRule(**output.model_dump()) for port, output in table.outputs.items()}
    node, _, timer = (file.safety.timer or "").partition(".")
    return lambda: CardGate(name, rules, reserved=[timer] if node == name else [])


def _problems(file: RigFile, name: str, table: InstrumentTable, driver: type[object]) -> Iterator[tuple[str, str]]:
    """What is wrong with a hazardous card: (key, sentence)."""
    if not table.outputs:
        yield "hazard", "a hazardous card needs outputs: which of its outputs tests may move, and what they energise"
    far = table.model is None or file.program_of("instrument", name) != HERE
    if far and not issubclass(driver, StreamCard):
        yield "driver", f"{driver.__name__} cannot be kept; name hil.io.stream_card:StreamCard, or one derived from it"
    pins = [pin.partition(".")[2] for net in file.net.values() for pin in net.pins if pin.partition(".")[0] == name]
    outputs = [pin for pin in pins if pin.startswith(("do_", "ao_"))]
    for port in table.outputs:
        if port not in pins and not (port.endswith("*") and any(pin.startswith(port[:-1]) for pin in outputs)):
            yield "outputs", f"{port} is on no net{did_you_mean(port, outputs)}"
    for key, steps in (("safe", table.safe), *(("safe_in", steps) for steps in table.safe_in.values())):
        yield from ((key, problem) for step in steps for problem in _step_problems(step, pins))
    if table.watchdog is not None:
        yield from (("watchdog", problem) for problem in _watchdog_problems(table.watchdog))


def _step_problems(step: SafeStep, pins: Sequence[str]) -> Iterator[str]:
    try:
        for port in _ports_of(step.write, step.query):
            if port not in pins:
                yield f"{port} is on no net{did_you_mean(port, pins)}"
    except HilError as problem:
        yield str(problem)


def _watchdog_problems(watchdog: Watchdog) -> Iterator[str]:
    for text in filter(None, (watchdog.enable, watchdog.feed, watchdog.disable, watchdog.clear)):
        try:
            if not isinstance(card_words.command(text)(0), stream.Guard | stream.Feed):
                yield f"{text!r} is no command of a card's watchdog"
        except HilError as problem:
            yield str(problem)
    if watchdog.feed is None:
        yield 'feed is missing: the watchdog of a card is fed by name; write feed = "feed"'


def _ports_of(write: str | None, query: str | None) -> list[str]:
    """The channels that a step names.

    Raises:
        InstrumentError: for a command or a query that is none of a card.
    """
    moved = None if write is None else card_words.channel_of(write)
    read = [] if query is None else [port for port, _ in card_words.readings(query)]
    return ([] if moved is None else [moved]) + read


class SimulatedCardLine:
    """A simulated card as the safe sequence talks to it, in rig time.

    Args:
        card: the card, without its gate.
        clock: the rig clock.
    """

    def __init__(self, card: IoCard, clock: Clock) -> None:
        self._card = card
        self._clock = clock

    def send(self, text: str) -> None:
        """Do what a command says; a simulated card in this program has no watchdog of its own.

        Raises:
            InstrumentError: when the card refuses it.
        """
        match card_words.command(text)(0):
            case stream.Drive(channel=channel, volts=volts):
                self._card.drive(channel, volts)
            case stream.Release(channel=channel):
                self._card.release(channel)
            case stream.Switch(channel=channel, on=on):
                self._card.switch(channel, on)
            case _:
                pass

    def ask(self, text: str, within_ns: int) -> str | None:
        """What channels read, a moment later.

        Raises:
            InstrumentError: for a channel the card does not have.
        """
        self._clock.sleep(min(_LOOK_NS, within_ns))
        found: list[str] = []
        for port, quantity in card_words.readings(text):
            match quantity:
                case "level":
                    last = self._card.level(port).last
                case "volts":
                    last = self._card.volts(port).last
                case "amps":
                    last = self._card.amps(port).last
            found.append("unknown" if last is None else card_words.shown(last.value))
        return ",".join(found)
