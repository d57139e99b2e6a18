"""I/O cards on the network: whether they have the channels, how well their clock is known, what interlocks read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.clock import WallClock
from hil.doctor.finding import Finding
from hil.doctor.instruments import unreachable
from hil.doctor.tables import simulated
from hil.errors import HilError
from hil.io.card import CardAtAddress, IoCard, kind_of
from hil.rig.checks import resolve
from hil.signal import Timeline
from hil.units import format_duration, ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hil.rig.model import RigFile

_READ_NS = 500 * ms


def cards(file: RigFile, why_not: Callable[[], str]) -> Iterator[Finding]:
    """Every I/O card of a rig; arguments as :func:`hil.doctor.instruments.instruments`."""
    for name in file.instrument:
        driver = resolve(file, "instrument", name, "driver")
        if not issubclass(driver, IoCard):
            continue
        reason = simulated(file, name) or why_not()
        if not reason and not issubclass(driver, CardAtAddress):
            reason = f"{driver.__name__} is no card that can be opened by its address"
        if reason:
            yield Finding(f"{name} card", "skip", reason)
        elif issubclass(driver, CardAtAddress):
            yield from _card(file, name, driver)


def _card(file: RigFile, name: str, driver: type[CardAtAddress]) -> Iterator[Finding]:
    pins = [pin.partition(".") for net in file.net.values() for pin in net.pins]
    ports = [port for node, _, port in pins if node == name]
    timeline = Timeline(WallClock(factor=file.rig.factor))
    try:
        card = driver.at(str(file.instrument[name].resource), name, timeline=timeline, ports=ports)
    except HilError as problem:
        yield Finding(f"{name} card", "fail", str(problem), unreachable(file, name))
        return
    try:
        yield _accuracy(file, name, card)
        yield from _interlocks(file, name, card)
    except HilError as problem:
        yield Finding(f"{name} card", "fail", str(problem), unreachable(file, name))
    finally:
        card.close()


def _accuracy(file: RigFile, name: str, card: CardAtAddress) -> Finding:
    worth, allowed_ns = card.accuracy, file.rig.max_lateness_ns
    found = (
        f"{len(card.ports)} channels, {worth.volts:g} V, {worth.amps:g} A, stamps within "
        f"{format_duration(worth.stamp_ns)} of rig time"
    )
    if worth.stamp_ns > allowed_ns:
        return Finding(
            f"{name} card",
            "warn",
            f"{found}: more than the rig's max_lateness of {format_duration(allowed_ns)}",
            "give the card a network of its own, or the host less load; timing limits will be INCONCLUSIVE",
        )
    return Finding(f"{name} card", "ok", found)


def _interlocks(file: RigFile, name: str, card: CardAtAddress) -> Iterator[Finding]:
    """What the interlocks of other instruments read at this card."""
    for instrument, table in file.instrument.items():
        for interlock in table.interlock:
            node, _, port = interlock.pin.partition(".")
            if node != name or kind_of(port) not in ("di", "dl"):
                continue
            what, level = f"{instrument} interlock", interlock.level
            if card.level(port).seen(level == "high", within=_READ_NS):
                yield Finding(what, "ok", f"{interlock.pin} reads {level}: energising is permitted")
            else:
                yield Finding(
                    what,
                    "warn",
                    f"{interlock.pin} does not read {level}: {instrument} cannot be energised",
                    "close the interlock when the area is clear: it is the one thing that permits energising",
                )
