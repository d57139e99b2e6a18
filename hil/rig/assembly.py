"""Puts a world together: wires and buses, instruments, simulated articles, nets, clients; in that order.

Which transport is used (a simulated wire or a real interface, a twin or a real instrument) is decided here, once.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit
from weakref import WeakMethod

from hil.bus_port import BusPort
from hil.clock import Clock, VirtualClock, WallClock
from hil.device import Links
from hil.errors import ConfigError, HilError
from hil.io.cable import Cable, Ends, connect, keep_apart, listening
from hil.io.cable_link import CableLink
from hil.io.card import CardAtAddress, IoCard, kind_of
from hil.io.far_world import FarPlant, FarWorld
from hil.io.gated_card import GatedCard
from hil.io.sim_card import SimIoCard
from hil.jitter import FRAME, MESSAGE, OPERATOR, SAMPLE, Jitter, UnhurriedClock
from hil.ports import BusAttachment, Ports
from hil.realtime import request_class
from hil.rig.card_hazards import SimulatedCardLine
from hil.rig.safe_state import DriverLine
from hil.rig.values import HERE
from hil.rig.world import Rig, Sinks
from hil.units import format_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hil.article import AsBuilt
    from hil.can.frame import Frame
    from hil.can.node import CanNode
    from hil.can.real import RealLink
    from hil.can.wire import CanWire
    from hil.rig.blueprint import Blueprint
    from hil.rig.model import RigFile
    from hil.rig.part_tables import BusTable, InstrumentTable
    from hil.rig.wire_tables import NetTable
    from hil.rtl.source import RtlSource
    from hil.visa.library import SimVisaLibrary

Kind = TypeVar("Kind")


def open_rig(
    blueprint: Blueprint,
    *,
    seed: int | None = None,
    sinks: Sinks | None = None,
    program: str = HERE,
    doors: Mapping[str, str] | None = None,
    jitter: str | None = None,
) -> Rig:
    """Open a world, or the part of one that another program of the rig runs.

    Args:
        blueprint: what to open.
        seed: seed of every random stream; the rig file's unless given.
        sinks: where records go; nowhere unless given.
        program: whose part is opened: the test's own, with drivers and clients, or that of a program of models.
        doors: VISA resources at which the keeper offers hazardous instruments, by name.
        jitter: what seeds the latencies of a bench, drawn in virtual time; there are none unless it is given.

    Raises:
        ConfigError: when parts do not fit together, or this release cannot open them; names file and line.
        InstrumentError: when an instrument is not what the rig file says.
    """
    file = blueprint.file
    chosen = file.rig.seed if seed is None else seed
    clock = _clock(file, program) if jitter is None else _unhurried(file)
    rig = Rig(file, clock, seed=chosen, sinks=sinks or Sinks())
    with ExitStack() as on_failure:
        on_failure.callback(rig.close)
        if isinstance(clock, UnhurriedClock):
            _draw_latencies(rig, clock, str(jitter))
        assembly = Assembly(rig, blueprint, program, doors or {})
        assembly.build()
        if program != HERE:
            rig.renew = assembly.renew
        on_failure.pop_all()
    return rig


def _unhurried(file: RigFile) -> UnhurriedClock:
    if not file.rig.is_virtual:
        raise ConfigError(
            f"{file.file}: latencies of a bench are drawn in virtual time, and its pace is {file.rig.pace!r}: there "
            "they are real; leave --bench-jitter out, or take a rig of virtual pace"
        )
    return UnhurriedClock()


def _draw_latencies(rig: Rig, clock: UnhurriedClock, label: str) -> None:
    rig.jitter = jitter = Jitter(clock, rig.streams, label)
    rig.timeline.before_call = jitter.cost_of("test", OPERATOR)
    rig.timeline.transport_ns = jitter.transport_ns


def _clock(file: RigFile, program: str) -> Clock:
    if file.rig.is_virtual:
        return VirtualClock()
    flies = program != HERE and file.plant is not None and file.program_of("plant") == program
    flight_ns = file.flight_lateness_ns if flies else file.rig.max_lateness_ns
    return WallClock(
        factor=file.rig.factor,
        max_lateness_ns=min(file.rig.max_lateness_ns, flight_ns),
        late_max=file.rig.late_ticks_max,
        late_in_a_row_max=file.rig.late_in_a_row_max,
        slack_ns=file.rig.timer_slack_ns,
    )


class Assembly:
    """Builds the parts of one world.

    Args:
        rig: the world, empty.
        blueprint: what to build.
        program: the program whose part is built.
        doors: VISA resources at the keeper, by instrument.
    """

    def __init__(self, rig: Rig, blueprint: Blueprint, program: str, doors: Mapping[str, str]) -> None:
        self._rig = rig
        self._blueprint = blueprint
        self._program = program
        self._doors = doors
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
        if self._program == HERE:
            self._meet_worlds()
        if self._file.bus:
            self._refuse_wall_readers()
        for name in self._file.bus:
            self._bus(name)
        self._instruments()
        self._far_targets()
        for name in self._articles:
            self._article(name)
        self._plant()
        self._nets()
        self._plug_in()
        if self._program == HERE:
            for name, client in self._blueprint.clients.items():
                self._rig.devices[name] = client(name, self._links(name))

    def renew(self) -> None:
        """New articles and a new vehicle in the world as it is, as on a bench that is fitted out after a flight.

        The plug of every article is pulled, new ones are as a fresh world has them, with the same noise. Instruments
        stay as they are, with their settings and connections; so do clock, wires and buses.

        Raises:
            ConfigError: for a program that shares nets with others over cables, or that simulates RTL.
        """
        rig = self._rig
        if rig.cables or rig.fpgas:
            raise ConfigError(
                f"{self._file.file}: program {self._program} has flown and cannot be renewed, as it has "
                f"{'cables to other programs' if rig.cables else 'articles in RTL'}; start it anew"
            )
        if rig.plant_host is not None and not isinstance(rig.plant_host, FarPlant):
            rig.plant_host.stop()
        for wire in self._wires.values():
            for name in self._articles:
                if name in wire.nodes:
                    wire.node(name).power(False)
                    wire.node(name).detach()
        rig.wiring.strip({*rig.models, "plant"})
        rig.models.clear()
        for name in self._articles:
            self._article(name)
        self._plant()
        self._nets()

    @property
    def _articles(self) -> list[str]:
        """The simulated articles of this program."""
        return [name for name in self._blueprint.models if self._file.program_of("dut", name) == self._program]

    # -- buses --------------------------------------------------------------------------------------------

    def _bus(self, name: str) -> None:
        """A simulated wire, a real interface, or both: simulated articles meet a real bus over a bridge."""
        table = self._file.bus[name]
        real = table.is_real
        on_it = any(name in self._file.dut[article].bus for article in self._articles)
        if real and not on_it:
            if self._program == HERE:
                self._real_bus(name)
            return
        if real and table.hazard and self._program == HERE:
            raise ConfigError(
                f"{self._file.where('bus', name)}: bus.{name} has hazard {table.hazard} and is the keeper's: articles "
                "of this program cannot be joined to it; let a program of its own run them (process)"
            )
        wire = self._wire(name)
        if real:
            self._bridge(name, wire)
        if self._program == HERE:
            from hil.can.bus import SimBus
            from hil.can.facade import Bus

            rig, jitter = self._rig, self._rig.jitter
            late = None if jitter is None else jitter.channel(name, FRAME)
            link = SimBus(_wire_name(name, table), late=late, refusal=self._refusal(name))
            bus = Bus(name, rig.clock, link, self._blueprint.databases[name], rig.timeline.before_call)
            self._closing.callback(bus.close)
            self._rig.buses[name] = bus
            if table.hazard:
                from hil.can.bus_line import SimulatedBusLine

                rig.safe_state.add(name, table, SimulatedBusLine(bus, link, rig.clock))

    def _wire(self, name: str) -> CanWire:
        from hil.can.wire import CanWire

        rig, table = self._rig, self._file.bus[name]
        rng = rig.streams.stream(name, "wire")
        log = _line_for(self._sinks.frame, name) if self._sinks.keeps_frames else None
        wire = self._wires[name] = CanWire(
            rig.clock,
            _wire_name(name, table),
            table.bitrate_bps,
            rng,
            log=log,
            data_bitrate_bps=table.data_bitrate_bps,
        )
        self._closing.callback(wire.close)
        rig.faults.register(name, wire)
        return wire

    def _refusal(self, name: str) -> Callable[[Frame], str] | None:
        """What is asked before the test sends a frame; None on a bus without hazard."""
        gate, ask = self._blueprint.bus_gates.get(name), _asking(self._rig, name)
        if gate is None:
            return None
        from hil.can.gate import Live

        live, watched = Live(), self._file.bus[name].is_real

        def refusal(frame: Frame) -> str:
            ruling = gate.rule(frame)
            if not watched:
                live.clear()  # nobody looks at the interlock between two frames: it is asked for each
            refused = ruling.refusal or (ask() if live.begins(ruling) else "")
            if not refused:
                live.passed(ruling, believed=True)  # the keeper, which supervises, looks at counter and CRC
            return refused

        return refusal

    def _real_bus(self, name: str) -> None:
        """A bus over its interface; a hazardous one over the keeper, with the stamps of the interface all the same."""
        from hil.can.facade import Bus
        from hil.can.real import open_real
        from hil.can.stamps import SOURCES, StampSource

        table, log = self._file.bus[name], _line_for(self._sinks.frame, name)
        interface, options = table.interface, dict[str, object]()
        if table.hazard:
            if name not in self._doors:
                raise self._needs_keeper("bus", name, table.hazard)
            door = urlsplit(self._doors[name])
            interface, options = door.scheme, {"host": door.hostname, "port": door.port}

        def opened() -> RealLink:
            return open_real(
                name,
                self._paced_clock,
                interface=interface,
                channel=table.channel,
                bitrate_bps=table.bitrate_bps,
                log=log,
                prepare=self._as_urgent,
                options=options,
                stamps=SOURCES.get(table.interface, StampSource.SOFTWARE if table.hazard else StampSource.ARRIVAL),
                refusal=self._refusal(name),
            )

        link = self._told("bus", name, opened)
        bus = Bus(name, self._rig.clock, link, self._blueprint.databases[name])
        self._closing.callback(bus.close)
        self._rig.buses[name] = bus

    def _bridge(self, name: str, wire: CanWire) -> None:
        from hil.can.bridge import Bridge
        from hil.can.opening import open_bus

        table = self._file.bus[name]
        channel = table.channels.get(self._program, table.channel)
        raw = self._told("bus", name, lambda: open_bus(table.interface, channel, table.bitrate_bps, echo=False))
        bridge = self._rig.bridges[name] = Bridge(wire, raw, self._paced_clock, prepare=self._as_urgent)
        self._closing.callback(bridge.close)

    def _as_urgent(self) -> None:
        """Give the calling thread, which reads a bus, the scheduling class the rig file asks for."""
        if self._file.rig.realtime_priority:
            request_class(self._file.rig.realtime_priority)

    @property
    def _paced_clock(self) -> WallClock:
        clock = self._rig.clock
        if not isinstance(clock, WallClock):
            raise ConfigError(f"{self._file.file}: a real interface needs a paced clock; set rig.pace")
        return clock

    def _told(self, kind: str, name: str, opening: Callable[[], Kind]) -> Kind:
        """Open something real; when that fails, say where it was asked for.

        Raises:
            ConfigError: names file and line.
        """
        try:
            return opening()
        except HilError as problem:
            raise ConfigError(f"{self._file.where(kind, name)}: {kind}.{name}: {problem}") from problem

    def _refuse_wall_readers(self) -> None:
        from hil.can.readers import wall_readers_refused

        self._closing.enter_context(wall_readers_refused(self._rig.clock))

    # -- instruments --------------------------------------------------------------------------------------

    def _instruments(self) -> None:
        for name, table in self._file.instrument.items():
            driver = self._blueprint.drivers[name]
            modelled = table.model is not None and self._file.program_of("instrument", name) == self._program
            is_card = issubclass(driver, IoCard)
            if modelled and is_card:
                self._rig.instruments[name] = self._card(name, driver)
            elif modelled:
                self._twin(name)
            elif is_card and self._program == HERE:
                self._rig.instruments[name] = self._real_card(name, driver)
            if self._program == HERE and not is_card:
                self._rig.instruments[name] = self._visa(name, table, simulated=modelled)

    @cached_property
    def _library(self) -> SimVisaLibrary:
        from hil.visa.library import SimVisaLibrary

        jitter = self._rig.jitter
        library = SimVisaLibrary(self._rig.clock, jitter and jitter.cost_of("instruments", MESSAGE))
        self._closing.enter_context(library.registered())
        return library

    def _twin(self, name: str) -> None:
        from hil.visa.twin import Twin

        rig, table, twin = self._rig, self._file.instrument[name], self._blueprint.twins[name]
        if not issubclass(twin, Twin):
            raise ConfigError(
                f"{self._file.where('instrument', name, 'model')}: {twin.__name__} is no simulated VISA "
                "instrument; derive it from hil.visa.twin.Twin"
            )
        made = twin(
            name=name, clock=rig.clock, streams=rig.streams, wiring=rig.wiring, serial=table.serial or "SIM0001"
        )
        rig.twins[name] = made
        rig.faults.register(name, made)
        if self._program == HERE:
            self._library.attach(
                _address(name, table),
                made,
                self._blueprint.gates.get(name),
                why_not_energise=_asking(rig, name),
            )

    def _visa(self, name: str, table: InstrumentTable, *, simulated: bool) -> object:
        from hil.visa.beside import Beside
        from hil.visa.door import TIMEOUT_MS, open_manager
        from hil.visa.driver import Driver

        rig, clock = self._rig, self._rig.clock
        driver = self._blueprint.drivers[name]
        if not issubclass(driver, Driver):
            raise ConfigError(
                f"{self._file.where('instrument', name, 'driver')}: {driver.__name__} is neither an I/O card nor a "
                "VISA driver; derive it from hil.io.card.IoCard or hil.visa.driver.Driver"
            )
        if table.hazard and not simulated and not self._file.rig.is_virtual and name not in self._doors:
            raise self._needs_keeper("instrument", name, table.hazard)
        manager = open_manager(self._library if simulated else "@py")
        self._closing.callback(manager.close)
        opened = driver.open(
            manager,
            self._doors.get(name, _address(name, table)),
            name=name,
            serial=table.serial,
            stimulus=rig.timeline.stimulus,
            transcript=self._transcript(name),
            timeout_ms=round(TIMEOUT_MS * (1.0 if simulated else self._file.rig.slowness)),
            beside=Beside(clock, name, self._as_urgent) if isinstance(clock, WallClock) and not simulated else None,
            before=_awaiting(rig) if name in self._doors else None,
        )
        self._closing.callback(opened.close)
        rig.identities[name] = opened.identity._asdict()
        opened.impose_limits(table.limits)
        if simulated and table.hazard:
            ungated = partial(self._library.without_gate, _address(name, table))
            rig.safe_state.add(name, table, DriverLine(opened, ungated))
        return opened

    def _needs_keeper(self, kind: str, name: str, hazard: int) -> ConfigError:
        return ConfigError(
            f"{self._file.where(kind, name)}: {kind}.{name} has hazard {hazard}: it is reached through the keeper of a "
            "run only; run the test with pytest --rig or hil qualify"
        )

    def _transcript(self, name: str) -> Callable[[str, str], None]:
        clock, sink = self._rig.clock, self._sinks.dialogue

        def note(direction: str, text: str) -> None:
            sink(name, f"{format_time(clock.now)} {'->' if direction == 'write' else '<-'} {text}")

        return note

    def _real_card(self, name: str, driver: type[IoCard]) -> IoCard:
        """A card that is opened by its address; its class says how."""
        table = self._file.instrument[name]
        if table.resource is None or not issubclass(driver, CardAtAddress):
            raise ConfigError(
                f"{self._file.where('instrument', name)}: instrument.{name}: {driver.__name__} cannot be opened over "
                f"{table.resource!r}; name a card that can, for example hil.io.stream_card:StreamCard with resource = "
                '"tcp://127.0.0.1:5030", or a model, for example hil.io.sim_card:SimIoCard'
            )
        if table.hazard and name not in self._doors:
            raise self._needs_keeper("instrument", name, table.hazard)
        opened = driver.at(
            self._doors.get(name, table.resource), name, timeline=self._rig.timeline, ports=self._ports_of(name)
        )
        self._closing.callback(opened.close)
        return opened

    def _ports_of(self, name: str) -> list[str]:
        return [pin.partition(".")[2] for net in self._file.net.values() for pin in net.pins if _node(pin) == name]

    def _card(self, name: str, driver: type[IoCard]) -> IoCard:
        model = self._blueprint.twins.get(name)
        family = IoCard if issubclass(driver, CardAtAddress) else driver
        if model is None or not issubclass(model, family) or not issubclass(model, SimIoCard):
            raise ConfigError(
                f"{self._file.where('instrument', name)}: instrument.{name} needs a model that is a simulated I/O "
                "card, for example hil.io.sim_card:SimIoCard"
            )
        loads = {
            pin.partition(".")[2]: ohms
            for net in self._file.net.values()
            for pin, ohms in net.ohms.items()
            if _node(pin) == name and kind_of(pin.partition(".")[2]) == "load"
        }
        jitter, timeline = self._rig.jitter, self._rig.timeline
        late = {} if jitter is None else {"late": jitter.channel(name, SAMPLE)}
        card = model(name, self._rig.wiring, timeline=timeline, ports=self._ports_of(name), ohms=loads, **late)
        return self._gated(name, card) if name in self._blueprint.card_gates and self._program == HERE else card

    def _gated(self, name: str, card: SimIoCard) -> IoCard:
        """A hazardous card for the test: its gate before it, its safe sequence at the end."""
        rig = self._rig
        rig.safe_state.add(name, self._file.instrument[name], SimulatedCardLine(card, rig.clock))
        return GatedCard(card, self._blueprint.card_gates[name](), _asking(rig, name))

    def _meet_worlds(self) -> None:
        """Connect to the other programs, that of the plant first: its rig time becomes the test's."""
        rig, file = self._rig, self._file
        flying = None if file.plant is None else file.program_of("plant")
        for program in sorted(file.rig.worlds, key=lambda program: program != flying):
            is_flying = program == flying
            far = rig.worlds[program] = FarWorld(
                program, file.rig.worlds[program], timeline=rig.timeline, join=is_flying
            )
            self._closing.callback(far.close)
            if is_flying:
                far.renew()
                rig.plant_host = far.plant

    def _far_targets(self) -> None:
        """Faults on what other programs simulate."""
        rig, file = self._rig, self._file
        here = {
            name for name, net in file.net.items() if any(file.simulated_by(_node(pin)) == HERE for pin in net.pins)
        }
        for far in rig.worlds.values():
            for target in far.targets:
                if target not in rig.faults.targets and target not in here:
                    rig.faults.register(target, far)

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
        self._rig.faults.register(f"{bus}.{article}", self._wires[bus])
        return self._wires[bus].attach(article)

    def _plant(self) -> None:
        table, parts = self._file.plant, self._blueprint.plant
        if table is None or parts is None or self._file.program_of("plant") != self._program:
            return
        from hil.rig.plant_host import PlantHost

        rig, (plant, vehicle) = self._rig, parts
        model = plant(vehicle, streams=rig.streams, step_ns=table.period_ns, integrator=table.integrator)
        rig.plant_host = host = PlantHost(model, rig.timeline, rig.wiring, step_ns=table.period_ns)
        rig.faults.register("plant", host)

    # -- nets and clients ---------------------------------------------------------------------------------

    def _nets(self) -> None:
        """Connect what this program simulates; what is real is connected there, other programs over cables."""
        here, rig = self._nodes, self._rig
        for name, net in self._file.net.items():
            pins = [pin for pin in net.pins if _node(pin) in here]
            cables = [self._cable(program, name) for program in self._sharing(net)] if pins else []
            if not pins or (len(pins) < 2 and len(pins) < len(net.pins) and not cables):
                continue
            far = connect(rig.wiring, rig.clock, name, pins, cables) if cables else []
            rig.wiring.net(name, [*pins, *far], {pin: loss for pin, loss in net.loss_db.items() if pin in pins})
            keep_apart(rig.wiring, far)
            for pin, ohms in net.ohms.items():
                node, _, port = pin.partition(".")
                is_load = isinstance(rig.instruments.get(node), IoCard) and kind_of(port) == "load"
                if pin in pins and not is_load:
                    rig.wiring.pin(pin).wire(ohms)

    def _sharing(self, net: NetTable) -> list[str]:
        """The other programs that simulate something on a net."""
        programs = {self._file.simulated_by(_node(pin)) for pin in net.pins}
        return sorted(program for program in programs if program not in (None, self._program))

    def _cable(self, program: str, net: str) -> Cable:
        """The cable to another program.

        Raises:
            ConfigError: when no address says where the two meet.
        """
        cables, file = self._rig.cables, self._file
        if program not in cables:
            server = listening(self._program, program)
            if server not in file.rig.cables:
                raise ConfigError(
                    f"{file.where('net', net)}: net.{net} has pins in the programs {self._program} and {program}; say "
                    f'where they meet, for example rig.cables = {{ {server} = "tcp://127.0.0.1:5041" }}, or let '
                    "everything on the net run in one program"
                )
            cables[program] = Cable(Ends(self._program, program, file.rig.name), self._rig.clock)
        return cables[program]

    def _plug_in(self) -> None:
        """Plug in every cable whose other end is where the other program listens."""
        for program, cable in self._rig.cables.items():
            if listening(self._program, program) == program:
                link = CableLink(cable, self._file.rig.cables[program], self._rig.clock, prepare=self._as_urgent)
                self._closing.callback(link.close)

    @property
    def _nodes(self) -> set[str]:
        """What has its pins in this program."""
        rig, file = self._rig, self._file
        cards = {
            name for name, part in rig.instruments.items() if isinstance(part, IoCard) and file.instrument[name].model
        }
        if self._program == HERE:
            cards = {name for name in cards if file.program_of("instrument", name) == HERE}
        plant = rig.plant_host is not None and file.program_of("plant") == self._program
        return {*rig.twins, *cards, *rig.models, *(["plant"] if plant else [])}

    def _links(self, name: str) -> Links:
        table = self._file.dut[name]
        return Links(
            timeline=self._rig.timeline,
            buses=[self._rig.buses[bus] for bus in table.bus],
            node=table.node or name,
            observers=self._observers,
            undo=self._rig.undo,
        )

    @cached_property
    def _peers(self) -> dict[str, list[str]]:
        """The other pins on the net of every pin, as the rig file says."""
        nets = self._file.net.values()
        return {pin: [other for other in net.pins if other != pin] for net in nets for pin in net.pins}

    def _observers(self, pin: str) -> list[tuple[IoCard, str]]:
        found: list[tuple[IoCard, str]] = []
        for peer in self._peers.get(pin, ()):
            node, _, port = peer.partition(".")
            card = self._rig.instruments.get(node)
            if isinstance(card, IoCard):
                found.append((card, port))
        return found


def _address(name: str, table: InstrumentTable) -> str:
    """The VISA resource of an instrument; a simulated one has one too."""
    return table.resource or f"TCPIP0::{name.replace('_', '-')}::inst0::INSTR"


def _asking(rig: Rig, name: str) -> Callable[[], str]:
    """Asks a rig why an instrument must stay off; does not keep the rig, whose end takes the instruments with it."""
    ask = WeakMethod(rig.why_not_energise)

    def why_not() -> str:
        found = ask()
        return "" if found is None else found(name)

    return why_not


def _awaiting(rig: Rig) -> Callable[[], None]:
    """Waits while an operator has a rig's instruments; does not keep the rig either."""
    wait = WeakMethod(rig.await_hand_back)

    def before() -> None:
        found = wait()
        if found is not None:
            found()

    return before


def _wire_name(name: str, table: BusTable) -> str:
    """What a simulated wire is called: its channel, or the bus's name where the channel is that of a real interface."""
    return name if table.is_real else table.channel


def _line_for(sink: Callable[[str, str], None], name: str) -> Callable[[str], None]:
    return lambda line: sink(name, line)


def _node(pin: str) -> str:
    return pin.partition(".")[0]
