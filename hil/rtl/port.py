"""The FPGA on a simulated board: what a board's model drives, hears and looks into.

``fpga = Fpga()`` on an article class declares it; ``self.fpga`` on an instance is the live one, with the design that
the article's RTL file names. It runs while it has power, each time from its power-up state.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hil.closed import nearest
from hil.errors import RtlError, WiringError
from hil.ports import Port
from hil.rtl.host import FpgaHost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hil.ports import Bearer, Ports
    from hil.rtl.session import Session
    from hil.rtl.spec import RtlSpec


class FpgaHandle:
    """The live FPGA of one board.

    Args:
        host: what runs its design.
    """

    def __init__(self, host: FpgaHost) -> None:
        self._host = host
        self._session: Session | None = None
        self._levels: dict[str, int] = {}
        self._said: dict[str, bytes] = {}
        self._on_output: list[tuple[str, Callable[[int], None]]] = []
        self._on_event: list[tuple[str, Callable[[bytes], None]]] = []
        self._on_power: list[Callable[[bool], None]] = []
        self._inputs, self._outputs = host.inputs, host.outputs
        host.on_close(self._close)

    @property
    def spec(self) -> RtlSpec:
        """The article's RTL file."""
        return self._host.spec

    @property
    def powered(self) -> bool:
        """Whether it has power; one whose simulator went wrong is as good as without."""
        return self._session is not None and self._session.alive

    @property
    def started(self) -> bool:
        """Whether it has power and its power-up reset is over, so that every output must be known."""
        return self._session is not None and self._session.alive and self._session.started

    def power(self, on: bool) -> None:
        """Give it power, or take it away. Without power it keeps nothing.

        Raises:
            RtlError: when its simulator does not start, or the design complained while it ran.
        """
        if on == self.powered:
            return
        self._close()
        if not on:
            return
        self._session = session = self._host.start()
        for port, heard in self._on_output:
            session.listen(port, heard)
        for binding, told in self._on_event:
            session.listen_events(binding, told)
        for port, value in self._levels.items():
            session.drive(port, value)
        for binding, payload in self._said.items():
            session.command(binding, payload)
        for switched in self._on_power:
            switched(True)

    def drive(self, port: str, value: int) -> None:
        """Put a level on an input port; kept while there is no power, and there again when it comes back.

        Raises:
            RtlError: for an unknown port, or a value that does not fit.
        """
        self._known(port, "input", self._inputs)
        if self._levels.get(port) == value:
            return
        self._levels[port] = value
        if self._session is not None:
            self._session.drive(port, value)

    def on_output(self, port: str, fn: Callable[[int], None]) -> None:
        """Call ``fn(value)`` at every change of an output port, on the rig clock at its instant.

        In the power-up reset a level is told from the second clock on if it is known: the device has it at its pin.
        An output that is unknown (X or Z) after the reset ends the test as FAIL, naming the port.
        """
        self._known(port, "output", self._outputs)
        self._on_output.append((port, fn))
        if self._session is not None:
            self._session.listen(port, fn)

    def on_event(self, binding: str, fn: Callable[[bytes], None]) -> None:
        """Call ``fn(payload)`` with what the peripheral of a binding says: a byte, a frame, a measured duty."""
        self._on_event.append((binding, fn))
        if self._session is not None:
            self._session.listen_events(binding, fn)

    def on_power(self, fn: Callable[[bool], None]) -> None:
        """Call ``fn(True)`` when it has got power, ``fn(False)`` just before it loses it."""
        self._on_power.append(fn)

    def value(self, port: str) -> int:
        """The last level of an output port; 0 without power.

        Raises:
            UnknownLevelError: when it is unknown (X or Z).
        """
        self._known(port, "output", self._outputs)
        return self._session.value(port) if self._session is not None and self._session.alive else 0

    def command(self, binding: str, payload: bytes, *, keep: bool = False) -> None:
        """Say something to the peripheral of a binding; without power it is lost unless it is to be kept.

        Args:
            binding: its name in the RTL file.
            payload: what that kind of peripheral takes.
            keep: whether it describes a state of the outside, which holds at the next power-up too.
        """
        if binding not in self.spec.bind:
            raise RtlError(f"{self.spec.file}: there is no [bind.{binding}]; there are {', '.join(self.spec.bind)}")
        if keep:
            self._said[binding] = payload
        if self._session is not None:
            self._session.command(binding, payload)

    def tones(self, binding: str, tones: Sequence[tuple[float, float]], *, noise_lsb: float = 0.0) -> None:
        """What a sampled audio input hears from now on.

        Args:
            binding: its name in the RTL file.
            tones: frequency [Hz] and amplitude [LSB] of each.
            noise_lsb: white noise on top, rms [LSB].
        """
        self._sampled(binding, {"tones": list(tones), "noise_lsb": noise_lsb})

    def level(self, binding: str, level_lsb: float) -> None:
        """The mean of a sampled input from now on [LSB]."""
        self._sampled(binding, {"level_lsb": level_lsb})

    def _sampled(self, binding: str, told: dict[str, object]) -> None:
        """Tell a sampled input something new; what it was told before holds beside it, at the next power-up too."""
        before = json.loads(self._said.get(binding, b"{}"))
        self.command(binding, json.dumps({**before, **told}).encode(), keep=True)

    def codes(self, binding: str, codes: Sequence[int]) -> None:
        """What an SPI converter converts from now on, one code per channel."""
        self.command(binding, b"".join(code.to_bytes(2, "little") for code in codes), keep=True)

    # -- white box --------------------------------------------------------------------------------------------

    @property
    def live(self) -> Session:
        """The running design.

        Raises:
            RtlError: without power: there is nothing to look into.
        """
        if self._session is None:
            raise RtlError(f"{self._host.article}: its FPGA has no power; power it before looking into it")
        return self._session

    def must_be_open(self) -> None:
        """Refuse to look into a design that was built for speed alone.

        Raises:
            RtlError: on Verilator without ``upsets = true`` in the rig file's ``[rtl]``.
        """
        built = self._host.built
        if built.simulator.name == "verilator" and not built.variant.upsets:
            raise RtlError(
                f"{self._host.article}: its registers were optimised away for speed; set upsets = true in the [rtl] "
                "table of the rig file (Verilator builds another model then), or use the simulator icarus"
            )

    def peek(self, name: str) -> str:
        """The bits of a signal inside the design, the highest first, as text of 0, 1, X and Z."""
        return self.live.peek(name)

    def deposit(self, name: str, value: int) -> tuple[str, str]:
        """Write a register once; its bits before and after.

        Raises:
            RtlError: when it did not take.
        """
        width = len(self.live.peek(name))
        return self.live.change("deposit", name, f"{value:0{width}b}")

    def _known(self, port: str, kind: str, ports: list[str]) -> None:
        """Refuse a port that the design does not have, with or without power.

        Raises:
            RtlError: with the nearest name.
        """
        if port not in ports:
            raise RtlError(
                f"{self._host.article}: its design has no {kind} {port} for the board; {nearest(port, ports)}"
            )

    def _close(self) -> None:
        if self._session is not None:
            for switched in self._on_power:
                switched(False)
        session, self._session = self._session, None
        if session is not None:
            self._host.stop(session)


class Fpga(Port[FpgaHandle]):
    """Declares the FPGA of a board."""

    def bind(self, ports: Ports, article: Bearer) -> FpgaHandle:  # noqa: ARG002  # needs no article
        """The live FPGA of one article.

        Raises:
            WiringError: when the rig file gives the article a model and no RTL.
        """
        if not isinstance(ports.fpga, FpgaHost):
            raise WiringError(
                f"{ports.name} has an FPGA, but its rig file names no rtl for it; give dut.{ports.name}.rtl"
            )
        return FpgaHandle(ports.fpga)
