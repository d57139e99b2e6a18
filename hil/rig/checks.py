"""Checks that look at more than one table, and the way from a class's name to the class.

:func:`cross_check` is pure and part of loading; :func:`resolve` imports what a rig file names.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from hil.errors import ConfigError
from hil.rig.hazard_checks import hazards
from hil.rig.values import HERE, TIMER
from hil.toml_lines import did_you_mean, dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hil.rig.hazard_checks import Finding
    from hil.rig.model import RigFile
    from hil.rig.part_tables import DutTable, InstrumentTable, PlantTable
    from hil.rig.tables import Tables

_RESERVED = frozenset({"plant", "rig", "clock", TIMER})
_IMPORT_ERRORS = (ImportError, SyntaxError, NameError, AttributeError, TypeError, ValueError, OSError, RuntimeError)
"""What a module of the user's can raise while it is imported."""


def cross_check(tables: Tables) -> list[Finding]:
    """Everything that is wrong between tables: (keys of the place, sentence)."""
    return [
        *_names(tables),
        *_files(tables),
        *_buses(tables),
        *_instruments(tables),
        *_interlocks(tables),
        *_articles(tables),
        *_nets(tables),
        *_paths(tables),
        *_programs(tables),
        *_worlds(tables),
        *_flight(tables),
        *hazards(tables),
        *_invariants(tables),
    ]


def _names(tables: Tables) -> Iterator[Finding]:
    """A name means one thing: pins, fixtures and messages refer to nodes by it."""
    seen: dict[str, str] = {}
    for kind in ("bus", "instrument", "dut"):
        for name in getattr(tables, kind):
            if name in _RESERVED:
                yield (kind, name), f"{kind}.{name}: the name {name} means something else on every rig; choose another"
            elif name in seen:
                yield (kind, name), f"{kind}.{name}: {seen[name]} has this name already; a name means one thing"
            else:
                seen[name] = f"{kind}.{name}"


def _files(tables: Tables) -> Iterator[Finding]:
    named = [(("bus", name, "database"), bus.database) for name, bus in tables.bus.items()]
    for name, dut in tables.dut.items():
        named += [(("dut", name, "as_built"), dut.as_built), (("dut", name, "rtl"), dut.rtl)]
    if tables.plant is not None:
        named.append((("plant", "vehicle", ""), tables.plant.vehicle))
    for name, part in tables.instrument.items():
        named += [(("instrument", name, "sequences"), file) for file in part.sequences or ()]
    named.append((("safety", "authority", ""), tables.safety.authority))
    for keys, file in named:
        if file is not None and not file.is_file():
            shown = dotted(tuple(key for key in keys if key))
            yield keys, f"{shown}: there is no file {file.as_posix()}; a path is relative to the file it stands in"


def _buses(tables: Tables) -> Iterator[Finding]:
    seen: dict[tuple[str, str], str] = {}
    for name, bus in tables.bus.items():
        other = seen.setdefault((bus.interface, bus.channel), name)
        if other != name:
            yield (
                ("bus", name, "channel"),
                f"bus.{name}.channel = {bus.channel!r} is the channel of "
                f"bus.{other} already; two buses need two channels",
            )


def _instruments(tables: Tables) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for name, instrument in tables.instrument.items():
        other = seen.setdefault(instrument.resource, name) if instrument.resource is not None else name
        if other != name:
            yield (
                ("instrument", name, "resource"),
                f"instrument.{name}.resource = {instrument.resource!r} is instrument.{other} already; "
                "an instrument has one owner",
            )


def _interlocks(tables: Tables) -> Iterator[Finding]:
    pins = {pin for net in tables.wires.values() for pin in net.pins}
    for kind, named in (("instrument", tables.instrument), ("bus", tables.bus)):
        for name, part in named.items():
            for pin in (each.pin for each in part.interlock if each.pin not in pins):
                yield (
                    (kind, name, "interlock", "pin"),
                    f"{kind}.{name}.interlock.pin = {pin!r} is on no net{did_you_mean(pin, list(pins))}",
                )


def _articles(tables: Tables) -> Iterator[Finding]:
    nodes: dict[tuple[str, str], str] = {}
    for name, dut in tables.dut.items():
        for bus in dut.bus:
            if bus not in tables.bus:
                yield (
                    ("dut", name, "bus"),
                    f"dut.{name}.bus: there is no bus {bus}{did_you_mean(bus, list(tables.bus))}",
                )
            other = nodes.setdefault((bus, dut.node or name), name)
            if other != name:
                yield (
                    ("dut", name, "node"),
                    f"dut.{name}.node = {dut.node!r} is dut.{other} on bus {bus} already; two articles need two nodes",
                )
        if dut.bus and dut.node is None:
            yield (
                ("dut", name, "bus"),
                f"dut.{name}.node is missing: it is on a bus, and node is the prefix of its messages in the database",
            )


def _nets(tables: Tables) -> Iterator[Finding]:
    nodes = [*tables.instrument, *tables.dut, *(["plant"] if tables.plant is not None else [])]
    cables = {net: name for name, cable in tables.harness.items() for net in cable.nets(name)}
    seen: dict[str, str] = {}
    for name, net in tables.wires.items():
        keys = ("harness", cables[name], "pins") if name in cables else ("net", name, "pins")
        if name in cables and name in tables.net:
            yield (
                keys,
                f"{dotted(keys)} makes a net {name}, and [net.{name}] stands there already; rename one",
            )
        for pin in net.pins:
            node = pin.partition(".")[0]
            if node not in nodes:
                yield keys, f"{dotted(keys)}: {pin}: there is no instrument or dut {node}{did_you_mean(node, nodes)}"
            other = seen.setdefault(pin, name)
            if other != name or net.pins.count(pin) > 1:
                yield keys, f"{dotted(keys)}: {pin} is on net {other} already; a pin is on one net"
        for key, table in (("loss_db", net.loss_db), ("ohms", net.ohms)):
            for pin in table:
                if pin not in net.pins:
                    yield (
                        ("net", name, key, pin),
                        f"{dotted(('net', name, key, pin))}: this pin is not on the net{did_you_mean(pin, net.pins)}",
                    )


def _paths(tables: Tables) -> Iterator[Finding]:
    nets = {pin: name for name, net in tables.wires.items() for pin in net.pins}
    for name, path in tables.path.items():
        ends = {"from": path.from_, "to": path.to}
        for key, pin in ends.items():
            if pin not in nets:
                yield ("path", name, key), f"path.{name}.{key} = {pin!r} is on no net{did_you_mean(pin, list(nets))}"
        on = {nets[pin] for pin in ends.values() if pin in nets}
        if len(on) == 2 and not _between(tables, *on):
            yield (
                ("path", name),
                f"path.{name}: {path.from_} is on net {nets[path.from_]} and {path.to} on net {nets[path.to]}; "
                "a path lies on one net, or on two with an article between them",
            )


def _programs(tables: Tables) -> Iterator[Finding]:
    """Parts of other programs are reached over something real, and in wall time."""
    elsewhere = [("rig", "process")] if tables.rig.process != HERE else []
    for kind in ("instrument", "dut"):
        table: Mapping[str, InstrumentTable | DutTable] = getattr(tables, kind)
        elsewhere += [(kind, name, "process") for name, part in table.items() if part.process not in (None, HERE)]
    if elsewhere and tables.rig.is_virtual:
        yield elsewhere[0], f"{dotted(elsewhere[0])}: a program of its own runs in wall time; set rig.pace"
    for name, part in tables.instrument.items():
        if (part.process or tables.rig.process) != HERE and part.model is not None and part.resource is None:
            yield (
                ("instrument", name),
                f"instrument.{name}.resource is missing: another program runs its model, and the test reaches it there",
            )


def _worlds(tables: Tables) -> Iterator[Finding]:
    """Every program of models is asked how late its clock was: at the address of its world."""
    parts: dict[tuple[str, str], InstrumentTable | DutTable | PlantTable] = {}
    parts |= {("instrument", name): part for name, part in tables.instrument.items()}
    parts |= {("dut", name): part for name, part in tables.dut.items()}
    if tables.plant is not None:
        parts["plant", ""] = tables.plant
    known = {HERE, *tables.rig.worlds}
    for (kind, name), part in parts.items():
        program = part.process or tables.rig.process
        if part.model is None or program in known:
            continue
        known.add(program)
        own = (kind, name, "process") if name else (kind, "process")
        keys = ("rig", "process") if part.process is None else own
        yield (
            keys,
            f"{dotted(keys)} = {program!r}: rig.worlds has no address of program {program}, so that nobody could ask "
            f'how late its clock was, and doubt what was seen meanwhile; set rig.worlds = {{ {program} = "tcp://127.0.0.1:'
            f'5040" }}, where `hil sim` then serves it{did_you_mean(program, list(tables.rig.worlds))}',
        )


def _flight(tables: Tables) -> Iterator[Finding]:
    """A loop that leaves the program of the plant is disturbed by a late tick; one that is closed inside is held up."""
    plant = tables.plant
    if plant is None or plant.max_lateness_ms is None:
        return
    keys = ("plant", "max_lateness_ms")
    program = plant.process or tables.rig.process
    if program == HERE:
        yield keys, "plant.max_lateness_ms: the test's own program runs the plant; its lateness is rig.max_lateness_ms"
    for name, dut in tables.dut.items():
        if dut.model is None or dut.serial is not None or (dut.process or tables.rig.process) != program:
            yield (
                keys,
                f"plant.max_lateness_ms: dut.{name} is outside of program {program}, so that the loop leaves it and "
                "every late tick is delay in the loop; take the key out, rig.max_lateness_ms holds",
            )
            return


def _invariants(tables: Tables) -> Iterator[Finding]:
    """What is read at the end of a test belongs to a part of the rig."""
    parts = [*tables.bus, *tables.instrument, *tables.dut]
    for name, table in tables.invariant.items():
        part = table.read.partition(".")[0]
        if part not in parts:
            yield (
                ("invariant", name, "read"),
                f"invariant.{name}.read = {table.read!r}: there is no bus, instrument or dut {part}"
                f"{did_you_mean(part, parts)}",
            )


def _between(tables: Tables, one: str, other: str) -> set[str]:
    """The articles that have a pin on both nets: a path may cross one."""
    articles = [{pin.partition(".")[0] for pin in tables.wires[net].pins} & set(tables.dut) for net in (one, other)]
    return articles[0] & articles[1]


# -- what imports -----------------------------------------------------------------------------------------


def resolve(rigfile: RigFile, *keys: str) -> type[object]:
    """The class a rig file names at a key, for example ``resolve(rig, "instrument", "psu", "driver")``.

    Raises:
        ConfigError: when the key names nothing, the module does not import, or it has no such class; names
            file and line, what the import said, and the remedy.
    """
    where, shown = rigfile.where(*keys), dotted(keys)
    node: object = rigfile.tables
    for key in keys:
        node = cast("dict[str, object]", node).get(key) if isinstance(node, dict) else getattr(node, key, None)
    if not isinstance(node, str):
        raise ConfigError(f'{where}: {shown} names no class; give it as "module:Class"')
    module_name, _, class_name = node.partition(":")
    try:
        module = importlib.import_module(module_name)
    except _IMPORT_ERRORS as problem:
        raise ConfigError(
            f"{where}: {shown} = {node!r} does not import: {type(problem).__name__}: {problem}; install the package "
            "that provides it into this environment, or correct the name"
        ) from problem
    found: object = getattr(module, class_name, None)
    if not isinstance(found, type):
        classes = [name for name, thing in vars(module).items() if isinstance(thing, type) and name[0].isupper()]
        raise ConfigError(
            f"{where}: {shown}: {module_name} has no class {class_name}{did_you_mean(class_name, sorted(classes))}"
        )
    return found
