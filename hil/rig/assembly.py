"""Puts a world together: wires and buses, instruments, simulated articles, nets, clients; in that order.

Which transport is used (a simulated wire or a real interface, a twin or a real instrument) is decided here, once.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from hil.bus_port import BusPort
from hil.clock import Clock, VirtualClock, WallClock
from hil.device import Links
from hil.errors import ConfigError
from hil.io.card import IoCard, kind_of
from hil.io.sim_card import SimIoCard
from hil.ports import BusAttachment, Ports
from hil.rig.world import Rig, Sinks
from hil.units import format_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.article import AsBuilt
    from hil.can.node import CanNode
    from hil.can.wire import CanWire
    from hil.rig.blueprint import Blueprint
    from hil.rig.model import InstrumentTable, RigFile
    from hil.rtl.source import RtlSource
    from hil.visa.library import SimVisaLibrary

_SIMULATED = "hil"  # the python-can interface of simulated wires


def open_rig(blueprint: Blueprint, *, seed: int | None = None, sinks: Sinks | None = None) -> Rig:
    """Open a world.

    Args:
        blueprint: what to open.
        seed: seed of every random stream; the rig file's unless given.
        sinks: where records go; nowhere unless given.

    Raises:
        ConfigError: when parts do not fit together, or this release cannot open them; names file and line.
        InstrumentError: when an instrument is not what the rig file says.
    """
    file = blueprint.file
    chosen = file.rig.seed if seed is None else seed
    rig = Rig(file, _clock(file), seed=chosen, sinks=sinks or Sinks())
    with ExitStack() as on_failure:
        on_failure.callback(rig.close)
        Assembly(rig, blueprint).build()
        on_failure.pop_all()
    return rig


def _clock(file: RigFile) -> Clock:
    if file.rig.is_virtual:
        return VirtualClock()
    if file.plant is not None:
        raise ConfigError(f"{file.file}: a plant on pace {file.rig.pace!r} runs in a process of its own; not yet")
    return WallClock(factor=file.rig.factor, max_lateness_ns=file.rig.max_lateness_ns)


class Assembly:
    """Builds the parts of one world.

    Args:
        rig: the world, empty.
        blueprint: what to build.
    """

    def __init__(self, rig: Rig, blueprint: Blueprint) -> None:
        self._rig = rig
        self._blueprint = blueprint
        self._file = blueprint.file
        self._sinks = rig.sinks
        self._closing = rig.closing
        self._wires: dict[str, CanWire] = {}
        self._source: RtlSource | None = None

    def build(self) -> None:
        """Build everything.

        Raises:
            ConfigError: when parts do not fit together; names file and line.
        """
        if self._file.bus:
            self._refuse_wall_readers()
        for name in self._file.bus:
            self._bus(name)
        self._instruments()
        for name in self._blueprint.models:
            self._article(name)
        self._plant()
        self._nets()
        for name, client in self._blueprint.clients.items():
            self._rig.devices[name] = client(name, self._links(name))

    # -- buses --------------------------------------------------------------------------------------------

    def _bus(self, name: str) -> None:
        from hil.can.bus import SimBus
        from hil.can.facade import Bus
        from hil.can.wire import CanWire

        rig, table = self._rig, self._file.bus[name]
        if table.interface != _SIMULATED:
            raise ConfigError(
                f"{self._file.where('bus', name, 'interface')}: bus.{name}.interface = {table.interface!r}: this "
                f'release opens simulated buses only; use interface = "{_SIMULATED}"'
            )
        rng = rig.streams.stream(name, "wire")
        log = _line_for(self._sinks.frame, name)
        wire = self._wires[name] = CanWire(rig.clock, table.channel, table.bitrate_bps, rng, log=log)
        self._closing.callback(wire.close)
        rig.faults.register(name, wire)
        bus = Bus(name, rig.clock, SimBus(table.channel), self._blueprint.databases[name])
        self._closing.callback(bus.close)
        rig.buses[name] = bus

    def _refuse_wall_readers(self) -> None:
        from hil.can.readers import wall_readers_refused

        self._closing.enter_context(wall_readers_refused(self._rig.clock))

    # -- instruments --------------------------------------------------------------------------------------

    def _instruments(self) -> None:
        library: SimVisaLibrary | None = None
        for name, table in self._file.instrument.items():
            driver = self._blueprint.drivers[name]
            if issubclass(driver, IoCard):
                self._rig.instruments[name] = self._card(name, driver)
                continue
            if table.model is not None and library is None:
                library = self._library()
            self._rig.instruments[name] = self._visa(name, table, library)

    def _library(self) -> SimVisaLibrary:
        from hil.visa.library import SimVisaLibrary

        library = SimVisaLibrary(self._rig.clock)
        self._closing.enter_context(library.registered())
        return library

    def _visa(self, name: str, table: InstrumentTable, library: SimVisaLibrary | None) -> object:
        from hil.visa.door import open_manager
        from hil.visa.driver import Driver
        from hil.visa.twin import Twin

        rig = self._rig
        driver = self._blueprint.drivers[name]
        if not issubclass(driver, Driver):
            raise ConfigError(
                f"{self._file.where('instrument', name, 'driver')}: {driver.__name__} is neither an I/O card nor a "
                "VISA driver; derive it from hil.io.card.IoCard or hil.visa.driver.Driver"
            )
        resource = table.resource or f"TCPIP0::{name.replace('_', '-')}::inst0::INSTR"
        if library is not None and table.model is not None:
            twin = self._blueprint.twins[name]
            if not issubclass(twin, Twin):
                raise ConfigError(
                    f"{self._file.where('instrument', name, 'model')}: {twin.__name__} is no simulated VISA "
                    "instrument; derive it from hil.visa.twin.Twin"
                )
            made = twin(
                name=name, clock=rig.clock, streams=rig.streams, wiring=rig.wiring, serial=table.serial or "SIM0001"
            )
            library.attach(resource, made)
            rig.faults.register(name, made)
        manager = open_manager("@py" if library is None or table.model is None else library)
        self._closing.callback(manager.close)
        opened = driver.open(
            manager,
            resource,
            name=name,
            serial=table.serial,
            stimulus=rig.timeline.stimulus,
            transcript=self._transcript(name),
        )
        self._closing.callback(opened.close)
        rig.identities[name] = opened.identity._asdict()
        opened.impose_limits(table.limits)
        return opened

    def _transcript(self, name: str) -> Callable[[str, str], None]:
        clock, sink = self._rig.clock, self._sinks.dialogue

        def note(direction: str, text: str) -> None:
            sink(name, f"{format_time(clock.now)} {'->' if direction == 'write' else '<-'} {text}")

        return note

    def _card(self, name: str, driver: type[IoCard]) -> IoCard:
        model = self._blueprint.twins.get(name)
        if model is None or not issubclass(model, driver) or not issubclass(model, SimIoCard):
            raise ConfigError(
                f"{self._file.where('instrument', name)}: instrument.{name} needs a model that is a simulated I/O "
                "card, for example hil.io.sim_card:SimIoCard; this release drives no real card"
            )
        ports = [pin.partition(".")[2] for net in self._file.net.values() for pin in net.pins if _node(pin) == name]
        loads = {
            pin.partition(".")[2]: ohms
            for net in self._file.net.values()
            for pin, ohms in net.ohms.items()
            if _node(pin) == name and kind_of(pin.partition(".")[2]) == "load"
        }
        return model(name, self._rig.wiring, timeline=self._rig.timeline, ports=ports, ohms=loads)

    # -- articles -----------------------------------------------------------------------------------------

    def _article(self, name: str) -> None:
        rig, table = self._rig, self._file.dut[name]
        article, as_built = self._blueprint.models[name]
        declared = [port for port, entry in article.declared_ports().items() if isinstance(entry, BusPort)]
        if len(declared) != len(table.bus):
            raise ConfigError(
                f"{self._file.where('dut', name, 'bus')}: dut.{name}.bus names {len(table.bus)} buses "
                f"({', '.join(table.bus) or 'none'}), but {article.__name__} has {len(declared)} bus ports "
                f"({', '.join(declared) or 'none'}); give one bus per port, in that order"
            )
        attachments = {
            port: BusAttachment(self._attach(bus, name), self._blueprint.databases[bus], table.node or name)
            for port, bus in zip(declared, table.bus, strict=True)
        }
        ports = Ports(name, rig.wiring, attachments, self._fpga(name, as_built))
        made = article(rig.clock, rig.streams, ports, as_built)
        rig.models[name] = made
        rig.faults.register(name, made)

    def _fpga(self, name: str, as_built: AsBuilt) -> object | None:
        """What runs an article's RTL, if it has any; its design is built now unless it was before."""
        design = self._blueprint.designs.get(name)
        if design is None:
            return None
        from hil.rtl.host import FpgaHost, HostParts
        from hil.rtl.source import RtlSource
        from hil.rtl.trace import PortTrace

        rig = self._rig
        if self._source is None:
            self._source = RtlSource(rig.clock)
        built = design.built(as_built)
        rig.traces[name] = trace = PortTrace(name)
        parts = HostParts(
            clock=rig.clock,
            source=self._source,
            noise=rig.streams.stream(name, "power_up"),
            budget_s=self._file.rtl.budget_s,
            silence_s=self._file.rtl.silence_s,
            trace=trace,
            covered=lambda path: self._sinks.covered(name, path, built),
        )
        host = FpgaHost(name, built, parts)
        self._closing.callback(host.close)
        rig.designs[name] = built
        rig.fpgas[name] = host
        return host

    def _attach(self, bus: str, article: str) -> CanNode:
        if bus not in self._wires:
            raise ConfigError(
                f"{self._file.where('dut', article, 'bus')}: dut.{article} is simulated, but bus.{bus} is a real "
                "interface; simulated articles meet real buses in a process of their own; not yet"
            )
        self._rig.faults.register(f"{bus}.{article}", self._wires[bus])
        return self._wires[bus].attach(article)

    def _plant(self) -> None:
        table, parts = self._file.plant, self._blueprint.plant
        if table is None or parts is None:
            return
        from hil.rig.plant_host import PlantHost

        rig, (plant, vehicle) = self._rig, parts
        model = plant(vehicle, streams=rig.streams, step_ns=table.period_ns, integrator=table.integrator)
        rig.plant_host = host = PlantHost(model, rig.timeline, rig.wiring, step_ns=table.period_ns)
        rig.faults.register("plant", host)

    # -- nets and clients ---------------------------------------------------------------------------------

    def _nets(self) -> None:
        for name, net in self._file.net.items():
            self._rig.wiring.net(name, net.pins, net.loss_db)
            for pin, ohms in net.ohms.items():
                node, _, port = pin.partition(".")
                is_load = isinstance(self._rig.instruments.get(node), IoCard) and kind_of(port) == "load"
                if not is_load:
                    self._rig.wiring.pin(pin).wire(ohms)

    def _links(self, name: str) -> Links:
        table = self._file.dut[name]
        return Links(
            timeline=self._rig.timeline,
            buses=[self._rig.buses[bus] for bus in table.bus],
            node=table.node or name,
            observers=self._observers,
            undo=self._rig.undo,
        )

    def _observers(self, pin: str) -> list[tuple[IoCard, str]]:
        found: list[tuple[IoCard, str]] = []
        for peer in self._rig.wiring.peers(pin):
            node, _, port = peer.partition(".")
            card = self._rig.instruments.get(node)
            if isinstance(card, IoCard):
                found.append((card, port))
        return found


def _line_for(sink: Callable[[str, str], None], name: str) -> Callable[[str], None]:
    return lambda line: sink(name, line)


def _node(pin: str) -> str:
    return pin.partition(".")[0]
