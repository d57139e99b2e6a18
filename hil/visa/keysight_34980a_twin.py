"""A simulated Keysight 34980A: its relays join nets of the rig.

Pins of a 34938A in slot 1: ``name.s1_ch01_com`` and ``name.s1_ch01_no`` for each channel. Pins of a 34932A in slot 2:
``name.s2_row1`` to ``row8``, ``name.s2_col01`` to ``col16`` on matrix 1 (rows 1 to 4) and ``col17`` to ``col32`` on
matrix 2, column 17 being its column 1. Only the H wire is there; the L wire is the ground of all nets. ``name.gnd`` is
that ground as a pin, to be wired to a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hil.errors import InstrumentError
from hil.visa.keysight_34980a import COLUMNS, MODULES, ROWS, SLOTS, Keysight34980A, Module, Relay, Slot, channels_of
from hil.visa.panel import Panel
from hil.visa.scpi.arguments import Channels
from hil.visa.scpi.common import add_status
from hil.visa.scpi.parameters import Integer
from hil.visa.scpi.tree import Command
from hil.visa.twin import Twin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.random import Generator

    from hil.clock import Clock, Event
    from hil.contacts import Contact
    from hil.faults import Fault
    from hil.noise import Streams
    from hil.wiring import Wiring

_GROUND_OHM = 0.01  # resistance of the ground wire [ohm]; design value


class _Coil:
    """The coil and contact of one relay.

    Args:
        twin: the instrument.
        contact: what the relay joins.
        module: what module it is on.
        rng: random stream of its times.
    """

    def __init__(self, twin: Keysight34980ATwin, contact: Contact, module: Module, rng: Generator) -> None:
        self._twin = twin
        self._contact = contact
        self._module = module
        self._rng = rng
        self._moving: Event | None = None
        self.commanded = False
        self.cycles = 0
        self.stuck = False
        """A fault: the contact stays where it is."""

    @property
    def release_max_ns(self) -> int:
        """The longest it takes to open [ns]."""
        return self._module.times.release_ns[1]

    def command(self, *, closed: bool, after_ns: int = 0) -> None:
        """Energise the coil one way or the other; the contact follows after the relay's time, and ``after_ns``."""
        if closed is self.commanded:
            return
        self.commanded = closed
        self.cycles += closed
        if self._moving is None:
            self._twin.engine.begin()
        else:
            self._moving.cancel()
        times = self._module.times
        low, high = times.operate_ns if closed else times.release_ns
        clock = self._twin.clock
        due_ns = clock.now + after_ns + int(self._rng.integers(low, high, endpoint=True))
        self._moving = clock.at(due_ns, self._moved)

    def _moved(self) -> None:
        self._moving = None
        self.follow()
        self._twin.engine.finish()

    def follow(self) -> None:
        """The contact goes where the coil wants it, unless it is stuck."""
        if self.stuck:
            return
        if self.commanded:
            self._contact.close()
        else:
            self._contact.open()

    def weld(self) -> None:
        """The contact is closed for good."""
        self._contact.close()
        self.stuck = True

    def break_off(self) -> None:
        """The contact is open for good."""
        self._contact.open()
        self.stuck = True

    def repair(self) -> None:
        """The contact follows its coil again."""
        self.stuck = False
        self.follow()


class Keysight34980ATwin(Twin):
    """A simulated 34980A with a 34938A in slot 1 and a 34932A in slot 2; subclasses change ``modules``.

    Args:
        name: what the rig calls it.
        clock: the rig clock.
        streams: random streams of the world.
        wiring: the rig's wiring.
        serial: serial number of the mainframe.
    """

    manufacturer: ClassVar[str] = "Agilent Technologies"
    model: ClassVar[str] = "34980A"
    firmware: ClassVar[str] = "2.51-2.43-1.09-2"
    modules: ClassVar[Mapping[int, str]] = {1: "34938A", 2: "34932A"}
    """Module in each slot that is used."""

    def __init__(
        self, *, name: str, clock: Clock, streams: Streams, wiring: Wiring, serial: str = "MY00000001"
    ) -> None:
        super().__init__(name=name, clock=clock, streams=streams, wiring=wiring, serial=serial)
        add_status(self.engine, 1, listed=False)
        rng = streams.stream(name, "relays")
        wiring.pin(f"{name}.gnd").drive(0.0, _GROUND_OHM)
        self._coils: dict[int, _Coil] = {}
        for slot, model in self.modules.items():
            module = MODULES[model]
            for number, channel in zip(channels_of(model, slot), module.channels, strict=True):
                one, other = _crosspoint(slot, channel) if module.matrix else _form_a(slot, channel)
                contact = wiring.contact(f"{name}.{one}", f"{name}.{other}", module.ohms)
                self._coils[number] = _Coil(self, contact, module, rng)
        self._declare()
        for kind, begin in (("welded", _Coil.weld), ("stuck_open", _Coil.break_off)):
            self.add_fault(kind, lambda fault, begin=begin: self._break(fault, begin), "channel")

    def reset(self) -> None:
        """``*RST``: every relay open."""
        self._open_all()

    # -- inside -------------------------------------------------------------------------------------------

    def _declare(self) -> None:
        mainframe = Panel(self.engine, Keysight34980A, channels=None, number="+.8E")
        mainframe.do(Keysight34980A.open_all_contacts, lambda _: self._open_all())
        mainframe.bind()
        numbers, coils = tuple(self._coils), self._coils
        relays = Panel(self.engine, Relay, channels=numbers, number="+.8E")
        relays.do(Relay.close_contact, lambda number: coils[number].command(closed=True))
        relays.do(Relay.open_contact, lambda number: coils[number].command(closed=False))
        relays.answer(Relay.closed, lambda number: coils[number].commanded)
        relays.answer(Relay.opened, lambda number: not coils[number].commanded)
        relays.answer(Relay.cycles, lambda number: coils[number].cycles)
        relays.answered_elsewhere(Relay.close_only)
        relays.bind()
        tree = self.engine.tree
        tree.add(Command(Relay.close_only.command, (Channels(numbers),), self._close_only))
        tree.add(Command(f"{Slot.module.command}?", (Integer(1, SLOTS),), self._module_in))

    def _open_all(self) -> None:
        for coil in self._coils.values():
            coil.command(closed=False)

    def _close_only(self, channels: tuple[int, ...]) -> None:
        """Break before make: the chosen relays close when all others have had time to open."""
        longest_ns = 0
        for number, coil in self._coils.items():
            if number not in channels and coil.commanded:
                coil.command(closed=False)
                longest_ns = max(longest_ns, coil.release_max_ns)
        for channel in channels:
            self._coils[channel].command(closed=True, after_ns=longest_ns)

    def _module_in(self, slot: int) -> str:
        model = self.modules.get(slot, "0")
        return f"{self.manufacturer},{model},0,{'1.10' if model != '0' else '0'}"

    def _break(self, fault: Fault, begin: Callable[[_Coil], None]) -> Callable[[], None]:
        channel = fault.parameters.get("channel")
        coil = self._coils.get(channel) if isinstance(channel, int) else None
        if coil is None:
            raise InstrumentError(f"{self.name}: fault {fault.kind} of channel {channel!r}, which it does not have")
        begin(coil)
        return coil.repair


def _form_a(slot: int, channel: int) -> tuple[str, str]:
    """The pins of a relay of form A."""
    return f"s{slot}_ch{channel:02}_com", f"s{slot}_ch{channel:02}_no"


def _crosspoint(slot: int, channel: int) -> tuple[str, str]:
    """The pins of the row and the column of a matrix channel."""
    row, column = divmod(channel, 100)
    second = row > ROWS // 2
    return f"s{slot}_row{row}", f"s{slot}_col{column + COLUMNS * second:02}"
