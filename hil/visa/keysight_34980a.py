"""Keysight 34980A switch mainframe with 34938A relays and 34932A matrices: declarations and driver.

Sources: Agilent 34980A Programmer's Reference (ROUTe:CLOSe, ROUTe:OPEN, DIAGnostic:RELay:CYCLes, channels as
``(@sccc)``: slot, then channel, on a matrix row and column) and 34931A-34933A User's Guide (rows 1 to 4 belong to
matrix 1, rows 5 to 8 to matrix 2). Relay times and contact resistance are design values, not verified.

``ROUTe:CLOSe?`` says what was commanded, not where the contact is: a welded relay reads back open. What must be known
is measured, at the connector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hil.closed import nearest
from hil.errors import InstrumentError
from hil.units import ms
from hil.visa.classes import RelayTimes, Switch
from hil.visa.declare import Action, Measurement
from hil.visa.driver import Channel
from hil.visa.scpi.parameters import Boolean, Integer, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SLOTS = 8
ROWS, COLUMNS = 8, 16
"""Rows of both 4 x 16 matrices of a 34932A, and columns of each."""
_SLOT = 1000  # (@sccc)
_ROW = 100


@dataclass(frozen=True, slots=True)
class Module:
    """What a module is.

    Args:
        channels: its channels, without the slot.
        times: how long its relays take.
        ohms: resistance of a closed contact [ohm].
        matrix: whether a channel is a crosspoint of row and column.
    """

    channels: tuple[int, ...]
    times: RelayTimes
    ohms: float = 0.1
    matrix: bool = False


MODULES: Mapping[str, Module] = {
    "34938A": Module(tuple(range(1, 21)), RelayTimes((4 * ms, 10 * ms), (2 * ms, 10 * ms))),
    "34932A": Module(
        tuple(_ROW * row + column for row in range(1, ROWS + 1) for column in range(1, COLUMNS + 1)),
        RelayTimes((2 * ms, 4 * ms), (2 * ms, 4 * ms)),
        matrix=True,
    ),
}
"""The modules known here: 20 relays of form A for 5 A, and two matrices of 4 x 16 armature relays."""


def channels_of(model: str, slot: int) -> tuple[int, ...]:
    """The channel numbers ``sccc`` of a module in a slot; none for a module that is not known here."""
    module = MODULES.get(model)
    return () if module is None else tuple(_SLOT * slot + channel for channel in module.channels)


class ModuleModel(Text):
    """The model in an answer of maker, model, serial number and firmware."""

    def read(self, text: str) -> str:
        """The second of the four."""
        return text.split(",")[1].strip()


class Relay(Channel):
    """One relay: a contact of a 34938A, or a crosspoint of a 34932A."""

    close_contact = Action("ROUTe:CLOSe", doc="Close the relay; others stay as they are.")
    open_contact = Action("ROUTe:OPEN", doc="Open the relay.")
    close_only = Action("ROUTe:CLOSe:EXCLusive", doc="Open every other relay, then close this one: break before make.")
    closed: Measurement[bool] = Measurement("ROUTe:CLOSe", Boolean(), doc="Whether it was commanded to be closed.")
    opened: Measurement[bool] = Measurement("ROUTe:OPEN", Boolean(), doc="Whether it was commanded to be open.")
    cycles: Measurement[int] = Measurement(
        "DIAGnostic:RELay:CYCLes", Integer(0, (1 << 32) - 1), doc="How often it has been closed."
    )


class Slot(Channel):
    """One slot of the mainframe."""

    module: Measurement[str] = Measurement(
        "SYSTem:CTYPe", ModuleModel(), doc="Model of the module in the slot; 0 when it is empty."
    )

    @property
    def listed(self) -> str:
        """The slot as the command wants it: a number, no channel list."""
        return str(self.number)


class Keysight34980A(Switch):
    """A Keysight 34980A; ``relay(1003)`` is channel 3 in slot 1, ``relay(2304)`` row 3, column 4 in slot 2."""

    manufacturers: ClassVar[tuple[str, ...]] = ("Keysight Technologies", "Agilent Technologies")
    models: ClassVar[tuple[str, ...]] = ("34980A",)
    channel_classes: ClassVar[tuple[type, ...]] = (Relay, Slot)
    energising: ClassVar[tuple[str, ...]] = ("close_contact", "close_only")

    open_all_contacts = Action("ROUTe:OPEN:ALL", doc="Open every relay of every module.")

    relays: Mapping[int, Relay]
    modules: Mapping[int, str]
    """Model of the module in each slot that is used."""

    def prepare(self) -> None:
        """Find the modules.

        Raises:
            InstrumentError: when there is none that is known here.
        """
        found = {slot: Slot(self, slot, f"slot{slot}").module for slot in range(1, SLOTS + 1)}
        self.modules = {slot: model for slot, model in found.items() if model in MODULES}
        numbers = [number for slot, model in self.modules.items() for number in channels_of(model, slot)]
        if not numbers:
            raise InstrumentError(
                f"{self.name}: the mainframe reports no module of {', '.join(MODULES)} (found {found}); plug one in"
            )
        self.relays = {number: Relay(self, number, f"ch{number}") for number in numbers}

    @property
    def channels(self) -> tuple[int, ...]:
        """The numbers of all relays."""
        return tuple(self.relays)

    def relay(self, number: int) -> Relay:
        """One relay.

        Raises:
            InstrumentError: when there is no such channel.
        """
        if number not in self.relays:
            near = nearest(str(number), [str(known) for known in self.relays])
            raise InstrumentError(f"{self.name}: there is no channel {number}; {near}")
        return self.relays[number]

    def times(self, channel: int) -> RelayTimes:
        """How long a relay takes [ns].

        Raises:
            InstrumentError: when there is no such channel.
        """
        return MODULES[self.modules[self.relay(channel).number // _SLOT]].times

    def connect(self, *channels: int, settled: Callable[[], None] | None = None) -> None:
        """Close relays, wait until they have closed, and read back that they are commanded so.

        Args:
            *channels: their numbers.
            settled: called when they have closed, before the read-back.

        Raises:
            InstrumentError: for a channel that is not there, or when one does not read back.
        """
        self._switch(Relay.close_contact, channels, settled)
        self._expect(channels, closed=True)

    def connect_only(self, *channels: int) -> None:
        """Open every other relay, then close these; with read-back of all.

        Raises:
            InstrumentError: as :meth:`connect`.
        """
        self._switch(Relay.close_only, channels, None)
        self._expect(channels, closed=True)
        self._expect(tuple(other for other in self.relays if other not in channels), closed=False)

    def disconnect(self, *channels: int, settled: Callable[[], None] | None = None) -> None:
        """Open relays, wait until they have opened, and read back that they are commanded so.

        Args:
            *channels: their numbers.
            settled: called when they have opened, before the read-back.

        Raises:
            InstrumentError: for a channel that is not there, or when one does not read back.
        """
        self._switch(Relay.open_contact, channels, settled)
        self._expect(channels, closed=False)

    def disconnect_all(self) -> None:
        """Open every relay, wait, and read back.

        Raises:
            InstrumentError: when one does not read back.
        """
        self.open_all_contacts()
        self.query("*OPC?")
        self._expect(self.channels, closed=False)

    def connected(self, *channels: int) -> tuple[bool, ...]:
        """Whether these relays are commanded to be closed.

        Raises:
            InstrumentError: for a channel that is not there.
        """
        answer = self.query(f"{Relay.closed.header}? {self._listed(channels)}")
        return tuple(Boolean().read(part) for part in answer.split(","))

    def cycle_counts(self, *channels: int) -> tuple[int, ...]:
        """How often these relays have been closed.

        Raises:
            InstrumentError: for a channel that is not there.
        """
        answer = self.query(f"{Relay.cycles.header}? {self._listed(channels)}")
        return tuple(int(part) for part in answer.split(","))

    # -- inside -------------------------------------------------------------------------------------------

    def _switch(self, action: Action, channels: tuple[int, ...], settled: Callable[[], None] | None) -> None:
        listed = self._listed(channels)
        self.announce(f"{self.name}.{action.name}", channels)
        with self.group():
            self.write(f"{action.header} {listed}")
            self.query("*OPC?")
            if settled is not None:
                settled()

    def _listed(self, channels: tuple[int, ...]) -> str:
        if not channels:
            raise InstrumentError(f"{self.name}: no channel was given; name at least one")
        return f"(@{','.join(str(self.relay(channel).number) for channel in channels)})"

    def _expect(self, channels: tuple[int, ...], *, closed: bool) -> None:
        if not channels:
            return
        wrong = [
            channel for channel, found in zip(channels, self.connected(*channels), strict=True) if found is not closed
        ]
        if wrong:
            raise InstrumentError(
                f"{self.name}: relays {', '.join(map(str, wrong))} read back {'open' if closed else 'closed'} after "
                f"they were {'closed' if closed else 'opened'}; take the load off and look at the module"
            )
