"""What opening a rig would trip over: classes, ports, bus ports, as-built data. ``hil rig check`` runs this."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.article import Article
from hil.device import Device
from hil.errors import ConfigError, InstrumentError
from hil.io.card import IoCard, kind_of
from hil.ports import BusPort
from hil.rig.checks import resolve
from hil.toml_lines import check, did_you_mean, dotted, load_toml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hil.rig.model import RigFile


def check_rig(rigfile: RigFile) -> list[str]:
    """Everything that is wrong with what a rig file names, one sentence each; empty when all is well.

    This imports every driver, model and client, and opens nothing.
    """
    problems: list[str] = []
    for name in rigfile.instrument:
        problems += _told(_instrument, rigfile, name)
    for name in rigfile.dut:
        problems += _told(_client, rigfile, name)
        problems += _told(_article, rigfile, name)
    if rigfile.plant is not None:
        problems += _told(_plant, rigfile, "plant")
    return problems


def _told(find: Callable[[RigFile, str], Iterator[str]], rigfile: RigFile, name: str) -> list[str]:
    """What a check finds, and what it raises."""
    problems: list[str] = []
    try:
        problems.extend(find(rigfile, name))
    except ConfigError as problem:
        problems.append(str(problem))
    return problems


def _instrument(rigfile: RigFile, name: str) -> Iterator[str]:
    driver = resolve(rigfile, "instrument", name, "driver")
    if rigfile.instrument[name].model is not None:
        resolve(rigfile, "instrument", name, "model")
    if not issubclass(driver, IoCard):
        return
    for place, port in _pins(rigfile, name):
        try:
            kind_of(port)
        except InstrumentError as problem:
            yield f"{place}: {problem}"


def _client(rigfile: RigFile, name: str) -> Iterator[str]:
    if rigfile.dut[name].client is None:
        return
    client = resolve(rigfile, "dut", name, "client")
    if not issubclass(client, Device):
        yield _no_kind(rigfile, ("dut", name, "client"), client, "client of an article", Device)


def _article(rigfile: RigFile, name: str) -> Iterator[str]:
    dut = rigfile.dut[name]
    if dut.model is None:
        return
    model = resolve(rigfile, "dut", name, "model")
    if not issubclass(model, Article):
        yield _no_kind(rigfile, ("dut", name, "model"), model, "simulated article", Article)
        return
    ports = model.declared_ports()
    for place, port in _pins(rigfile, name):
        if port not in ports:
            yield f"{place}: {name}.{port}: {model.__name__} has no port {port}{did_you_mean(port, ports)}"
    buses = [port for port, declared in ports.items() if isinstance(declared, BusPort)]
    if len(buses) != len(dut.bus):
        yield (
            f"{rigfile.where('dut', name, 'bus')}: dut.{name}.bus names {len(dut.bus)} buses, and {model.__name__} has "
            f"{len(buses)} bus ports ({', '.join(buses) or 'none'}); give one bus per port, in that order"
        )
    if dut.as_built is not None:
        check(model.AS_BUILT, rigfile.as_built[name], dut.as_built.as_posix(), load_toml(dut.as_built)[1])


def _plant(rigfile: RigFile, name: str) -> Iterator[str]:
    resolve(rigfile, name, "model")
    yield from ()


def _pins(rigfile: RigFile, node: str) -> Iterator[tuple[str, str]]:
    """Every pin of a node: where its net is given, and the port."""
    for name, net in rigfile.net.items():
        for pin in net.pins:
            owner, _, port = pin.partition(".")
            if owner == node:
                yield f"{rigfile.where('net', name, 'pins')}: net.{name}.pins", port


def _no_kind(rigfile: RigFile, keys: tuple[str, ...], found: type, what: str, kind: type) -> str:
    return (
        f"{rigfile.where(*keys)}: {dotted(keys)}: {found.__name__} is no {what}; "
        f"derive it from {kind.__module__}.{kind.__name__}"
    )
