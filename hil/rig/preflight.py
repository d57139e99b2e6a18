"""What opening a rig would trip over: databases, classes, ports, as-built data. ``hil rig check`` runs this."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.article import Article
from hil.bus_port import BusPort
from hil.can.database import Database
from hil.device import Device
from hil.errors import ConfigError, InstrumentError
from hil.io.card import IoCard, kind_of
from hil.rig.checks import resolve
from hil.rig.guards import why_not_guarded
from hil.rig.loopbacks import loopback_problems
from hil.toml_lines import check, did_you_mean, dotted, load_toml
from hil.visa.driver import Driver

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hil.rig.model import RigFile


def check_rig(rigfile: RigFile) -> list[str]:
    """Everything that is wrong with what a rig file names, one sentence each; empty when all is well.

    This imports every driver, model and client, and opens nothing.
    """
    problems: list[str] = []
    databases: dict[Path, Database] = {}
    for name in rigfile.bus:
        problems += _told(_bus(rigfile, name, databases))
    loaded = {name: databases[path] for name, bus in rigfile.bus.items() if (path := bus.database) in databases}
    problems += loopback_problems(rigfile, loaded)
    for name in rigfile.instrument:
        problems += _told(_driver(rigfile, name))
        problems += _told(_twin(rigfile, name))
    for name in rigfile.dut:
        problems += _told(_client(rigfile, name))
        problems += _told(_node(rigfile, name, databases))
        problems += _told(_article(rigfile, name))
    if rigfile.plant is not None:
        problems += _told(_plant(rigfile))
    return problems


def _told(findings: Iterator[str]) -> list[str]:
    """What a check finds, and what it stops with."""
    problems: list[str] = []
    try:
        problems.extend(findings)
    except ConfigError as problem:
        problems.append(str(problem))
    return problems


def _bus(rigfile: RigFile, name: str, databases: dict[Path, Database]) -> Iterator[str]:
    path = rigfile.bus[name].database
    if path is None:
        yield f"{rigfile.where('bus', name)}: bus.{name} has no database; give the DBC file its messages stand in"
    elif path not in databases:
        databases[path] = Database.load(path)


def _driver(rigfile: RigFile, name: str) -> Iterator[str]:
    driver = resolve(rigfile, "instrument", name, "driver")
    if not issubclass(driver, IoCard):
        if rigfile.instrument[name].hazard and issubclass(driver, Driver):
            yield from why_not_guarded(rigfile, name, driver)
        return
    for place, port in _pins(rigfile, name):
        try:
            kind_of(port)
        except InstrumentError as problem:
            yield f"{place}: {problem}"


def _twin(rigfile: RigFile, name: str) -> Iterator[str]:
    if rigfile.instrument[name].model is not None:
        resolve(rigfile, "instrument", name, "model")
    yield from ()


def _node(rigfile: RigFile, name: str, databases: Mapping[Path, Database]) -> Iterator[str]:
    """The prefix of an article's messages is one that its databases know."""
    dut = rigfile.dut[name]
    found = [databases.get(path) for bus in dut.bus if (path := rigfile.bus[bus].database) is not None]
    messages = [message for database in found if database is not None for message in database.names]
    if messages and not any(message.startswith(f"{dut.node}_") for message in messages):
        known = {message.rpartition("_")[0] for message in messages}
        yield (
            f"{rigfile.where('dut', name, 'node')}: dut.{name}.node = {dut.node!r}: no message of its buses "
            f"begins with {dut.node}_{did_you_mean(str(dut.node), known)}"
        )


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


def _plant(rigfile: RigFile) -> Iterator[str]:
    resolve(rigfile, "plant", "model")
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
