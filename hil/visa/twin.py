"""What all simulated instruments share: SCPI on one side, pins on the other, and faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hil.closed import nearest
from hil.errors import HilError
from hil.visa.scpi.common import add_common
from hil.visa.scpi.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.clock import Clock
    from hil.faults import Fault
    from hil.noise import Streams
    from hil.wiring import Wiring


class Twin:
    """A simulated instrument.

    Args:
        name: what the rig calls it; its pins are ``name.port``.
        clock: the rig clock.
        streams: random streams of the world, for noise and jitter.
        wiring: the rig's wiring.
        serial: serial number it answers to ``*IDN?``.
    """

    manufacturer: ClassVar[str] = "Keysight Technologies"
    model: ClassVar[str] = ""
    firmware: ClassVar[str] = ""
    latency_ns: ClassVar[int] = 1_000_000
    """Rig time one program message takes [ns]."""

    def __init__(
        self, *, name: str, clock: Clock, streams: Streams, wiring: Wiring, serial: str = "MY00000001"
    ) -> None:
        self.name = name
        self.serial = serial
        self.clock = clock
        self.streams = streams
        self.wiring = wiring
        self._engine = Engine(clock, latency_ns=self.latency_ns)
        self._answers_as = self.model
        self._faults: dict[str, tuple[Callable[[Fault], Callable[[], None]], tuple[str, ...]]] = {}
        self.add_fault("frozen", self._freeze)
        self.add_fault("wrong_identity", self._impersonate, "model")
        add_common(self._engine, self.identity)
        self._engine.reset = self.reset

    @property
    def engine(self) -> Engine:
        """Its message exchange."""
        return self._engine

    def identity(self) -> str:
        """The answer to ``*IDN?``."""
        return f"{self.manufacturer},{self._answers_as},{self.serial},{self.firmware}"

    def reset(self) -> None:
        """``*RST``."""

    @property
    def fault_kinds(self) -> list[str]:
        """The faults this instrument can have."""
        return sorted(self._faults)

    def add_fault(self, kind: str, begin: Callable[[Fault], Callable[[], None]], *parameters: str) -> None:
        """Declare a fault and the names of its parameters: ``begin`` puts it on and returns what takes it away."""
        self._faults[kind] = (begin, parameters)

    def apply(self, fault: Fault) -> Callable[[], None]:
        """Put a fault on the instrument; the returned call takes it away.

        ``frozen``: the remote interface takes everything and answers nothing, outputs stay as they are.
        ``wrong_identity``: ``*IDN?`` names another ``model``.

        Raises:
            HilError: for a kind this instrument does not have, or a parameter that kind does not have.
        """
        if fault.kind not in self._faults:
            raise HilError(
                f"{self.name} ({self.model}) has no fault {fault.kind!r}; {nearest(fault.kind, self.fault_kinds)}"
            )
        begin, parameters = self._faults[fault.kind]
        fault.take_only(*parameters)
        return begin(fault)

    def _freeze(self, fault: Fault) -> Callable[[], None]:
        del fault
        return self._engine.freeze()

    def _impersonate(self, fault: Fault) -> Callable[[], None]:
        self._answers_as = str(fault.parameters.get("model", "E36312A"))

        def undo() -> None:
            self._answers_as = self.model

        return undo
