"""Faults inside an FPGA: upsets, stuck nets, a stopped clock, a glitch on the reset. Each is read back.

- ``seu``: one bit flips once; ``register`` and ``bit``. The design may correct it, or not.
- ``seu_rate``: random flips of the registers that the RTL file lists, ``per_s`` of them a second on average.
- ``stuck``: a net is held at ``level`` (0 or 1; every bit of it) until the fault ends; ``net``.
- ``clock_stop``: the clock stands still until the fault ends.
- ``reset_glitch``: the reset is asserted for ``width_ns``, whole clock periods.

A fault acts at the exchange instant at which an input of now would act, up to a clock period later than it was given.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hil.clock import Phase
from hil.errors import HilError
from hil.rtl.bits import flipped, level_of
from hil.units import s

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator

    from hil.clock import Clock
    from hil.faults import Fault
    from hil.rtl.port import FpgaHandle

_PS = 1000
KINDS = ("seu", "seu_rate", "stuck", "clock_stop", "reset_glitch")
"""The kinds an FPGA knows."""


class FpgaFaults:
    """Puts faults on one FPGA.

    Args:
        clock: the rig clock.
        fpga: the FPGA.
        noise: the random stream of upsets.
    """

    def __init__(self, clock: Clock, fpga: FpgaHandle, noise: Generator) -> None:
        self._clock = clock
        self._fpga = fpga
        self._noise = noise
        self.flips: list[tuple[int, str, int]] = []
        """Every bit that was flipped: (rig time [ns], register, bit)."""
        self._lasting: list[Callable[[], object]] = []
        fpga.on_power(self._powered)

    def apply(self, fault: Fault) -> Callable[[], None]:
        """Put a fault on; the returned call takes it away.

        Raises:
            HilError: for a parameter that is missing, unknown or impossible.
            RtlError: when the FPGA has no power, or the fault did not take.
        """
        if fault.kind in ("seu", "seu_rate", "stuck"):
            self._fpga.must_be_open()
        match fault.kind:
            case "seu":
                fault.take_only("register", "bit")
                self.flip(_text(fault, "register"), round(fault.number("bit", 0.0, least=0.0)))
                return _nothing
            case "seu_rate":
                fault.take_only("per_s")
                return self._rain(fault.number("per_s", least=1e-9))
            case "stuck":
                fault.take_only("net", "level")
                return self._stuck(_text(fault, "net"), round(fault.number("level", least=0.0)))
            case "clock_stop":
                fault.take_only()
                return self._last(
                    lambda: self._fpga.live.gate_clock(run=False), lambda: self._fpga.live.gate_clock(run=True)
                )
            case _:
                fault.take_only("width_ns")
                return self._glitch(fault.number("width_ns", least=1.0))

    def flip(self, register: str, bit: int) -> None:
        """Flip one bit of a register, and read it back.

        Raises:
            HilError: for a bit the register does not have, or whose level is unknown.
        """
        self._fpga.live.to_instant()
        bits = self._fpga.peek(register)
        if not 0 <= bit < len(bits):
            raise HilError(f"{register} has {len(bits)} bits, 0 to {len(bits) - 1}; there is no bit {bit}")
        if level_of(bits) is None:
            raise HilError(f"{register} is {bits}: an unknown bit cannot be flipped; let the design reset first")
        self._fpga.live.change("deposit", register, flipped(bits, bit))
        self.flips.append((self._clock.now + self._fpga.live.lookahead_ns, register, bit))

    def _rain(self, per_s: float) -> Callable[[], None]:
        registers = self._fpga.spec.upsets.registers
        if not registers:
            raise HilError(f"{self._fpga.spec.file}: [upsets] lists no registers; list what an upset may hit")
        widths = {name: len(self._fpga.peek(name)) for name in registers}
        places = [(name, bit) for name, width in widths.items() for bit in range(width)]
        planned = [self._clock.at(self._clock.now + self._gap_ns(per_s), lambda: strike(), Phase.DEVICE)]

        def strike() -> None:
            name, bit = places[int(self._noise.integers(len(places)))]
            if self._fpga.powered and level_of(self._fpga.peek(name)) is not None:
                self.flip(name, bit)
            planned[0] = self._clock.at(self._clock.now + self._gap_ns(per_s), strike, Phase.DEVICE)

        return lambda: planned[0].cancel()

    def _gap_ns(self, per_s: float) -> int:
        return max(round(float(self._noise.exponential(1.0 / per_s)) * s), 1)

    def _stuck(self, net: str, level: int) -> Callable[[], None]:
        if level not in (0, 1):
            raise HilError(f"{net} is stuck at 0 or 1, not at {level}")
        width = len(self._fpga.peek(net))
        return self._last(
            lambda: self._fpga.live.change("force", net, str(level) * width), lambda: self._fpga.live.release(net)
        )

    def _last(self, begin: Callable[[], object], end: Callable[[], None]) -> Callable[[], None]:
        """Begin a defect of the hardware: it is there again whenever power comes back, until it is taken away."""
        begin()
        self._lasting.append(begin)

        def undo() -> None:
            self._lasting.remove(begin)
            self._if_powered(end)

        return undo

    def _powered(self, on: bool) -> None:
        for begin in self._lasting if on else ():
            begin()

    def _glitch(self, width_ns: float) -> Callable[[], None]:
        whole_ns = math.lcm(self._fpga.spec.clock.period_ps, _PS) // _PS
        if width_ns % whole_ns:
            nearest = max(round(width_ns / whole_ns), 1) * whole_ns
            raise HilError(
                f"width_ns = {width_ns:g}: a reset is asserted and released at exchange instants, one in a clock "
                f"period, so that it must be a multiple of {whole_ns} ns; the nearest is {nearest}"
            )
        self._fpga.live.hold_reset(on=True)
        end = self._clock.at(
            self._clock.now + round(width_ns),
            lambda: self._if_powered(lambda: self._fpga.live.hold_reset(on=False)),
            Phase.WIRE,
        )

        def undo() -> None:
            if end.active:
                end.cancel()
                self._if_powered(lambda: self._fpga.live.hold_reset(on=False))

        return undo

    def _if_powered(self, fn: Callable[[], None]) -> None:
        if self._fpga.powered and self._fpga.live.alive:
            fn()


def _nothing() -> None:
    """An upset is not taken away: the design corrects it, or it stays."""


def _text(fault: Fault, name: str) -> str:
    value = fault.parameters.get(name)
    if not isinstance(value, str):
        raise HilError(f"fault {fault.kind!r} on {fault.target} needs {name}=, the name of a signal below the top")
    return value
