"""A simulated Keysight N6700 modular power system: its outputs are the pins ``name.out1`` and so on.

What is physics here: turn-on and turn-off time, slew, current limit, protections, list timing, measurement time,
readback noise and resolution. All of it is rig time and seeded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from hil.errors import InstrumentError
from hil.units import ms, s, us
from hil.visa.keysight_n6700 import (
    OVER_CURRENT,
    OVER_VOLTAGE,
    PROTECTION,
    TRANSIENT_ACTIVE,
    UNREGULATED,
    WAITING_FOR_TRIGGER,
    KeysightN6700,
    Output,
)
from hil.visa.panel import Panel
from hil.visa.scpi.common import add_status
from hil.visa.scpi.errors import ScpiError
from hil.visa.twin import Twin

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator

    from hil.clock import Clock, Event
    from hil.faults import Fault
    from hil.noise import Streams
    from hil.visa.scpi.engine import Engine
    from hil.visa.scpi.status import Status
    from hil.wiring import Wiring

ON_NS = (35 * ms, 50 * ms)
"""Turn-on time, shortest and longest [ns] (Series N6700 User's Guide, OUTPut[:STATe])."""
OFF_NS = (20 * ms, 25 * ms)
"""Turn-off time, shortest and longest [ns] (same source)."""
MEASUREMENT_NS = 1_024 * 20_480
"""Time of a measurement [ns]: 1024 points every 20.48 us; not verified."""
ARMING_NS = 3 * ms
"""Time from INIT:TRAN until a trigger is seen [ns]; "a few milliseconds", not verified."""
_TRIGGER_NS = (50 * us, 150 * us)  # bus trigger to output change [ns]; not verified
_SLEW_V_PER_NS = 50.0 / (1.5 * ms)  # full scale in 1.5 ms [V/ns]; not verified
_SLEW_STEP_NS = 100 * us  # resolution of a slew on the pin [ns]
_OUTPUT_OHM = 0.01  # output resistance in constant voltage [ohm]; design value
_NOISE_V = 0.5e-3  # readback noise, rms [V]; design value
_NOISE_A = 0.2e-3  # readback noise, rms [A]; design value
_LSB_V = 102.0 / 2**18  # resolution of the readback [V]; design value
_LSB_A = 20.4 / 2**18  # resolution of the readback [A]; design value
_CV, _CC, _OFF = 1, 2, 4
_STEP_MIN_NS = 1_000


RATED_W = {"N6752A": 100.0, "N6754A": 300.0, "N6756A": 500.0}
"""Rated power of the modules this twin can hold [W]; how many fit into a mainframe is not modelled."""


class _Stage:
    """The power stage and protections of one output."""

    def __init__(self, twin: KeysightN6700Twin, number: int) -> None:
        self._twin = twin
        self._clock = twin.clock
        self._panel = twin.outputs
        self._engine: Engine = twin.engine
        self._status: Status = twin.engine.status
        self._jitter: Generator = twin.streams.stream(twin.name, f"out{number}.timing")
        self._number = number
        self.pin = twin.wiring.pin(f"{twin.name}.out{number}")
        self.pin.on_change(self._look)
        self.live = False
        self.stuck = False
        self._volts = 0.0
        self._list_v: float | None = None
        self._switching: Event | None = None
        self._slewing: Event | None = None
        self._limiting: Event | None = None
        self._list: Event | None = None
        self._busy_list = False

    # -- reactions to settings ----------------------------------------------------------------------------

    def switch(self) -> None:
        """The programmed output state was set: follow it after the switching time and the programmed delay."""
        on = self._panel.get(Output.enabled, self._number)
        delay_s = self._panel.get(Output.rise_delay_s if on else Output.fall_delay_s, self._number)
        self._set_condition()
        if on == self.live and self._switching is None and self._slewing is None:
            return
        delay_ns = round(delay_s * s) + self._between(ON_NS if on else OFF_NS)
        self._stop_switching()
        self._engine.begin()
        self._switching = self._clock.at(self._clock.now + delay_ns, self._switched)

    def follow(self) -> None:
        """Voltage or current limit was set."""
        if self.live:
            self._slew()

    def release_protection(self) -> None:
        """Clear latched protections; the output returns to its programmed state."""
        self._questionable(OVER_VOLTAGE | OVER_CURRENT | PROTECTION, present=False)
        self.switch()

    def trip(self, bit: int) -> None:
        """A protection disables the output at once; the programmed state stays."""
        self._questionable(bit, present=True)
        self._stop_switching()
        self._die()
        self.abort()
        if bit != PROTECTION:
            self._twin.tripped(self._number)

    @property
    def tripped(self) -> bool:
        """Whether a protection holds the output off."""
        condition = self._status.questionable[self._number - 1].condition
        return bool(condition & (OVER_VOLTAGE | OVER_CURRENT | PROTECTION))

    # -- transients ---------------------------------------------------------------------------------------

    def arm(self) -> None:
        """``INITiate:TRANsient``.

        Raises:
            ScpiError: -213 when it is armed already, -226 for lists that do not fit together.
        """
        if self._busy_list:
            raise ScpiError(-213)
        lengths = {len(self._panel.get(Output.list_voltage_v, self._number))}
        lengths.add(len(self._panel.get(Output.list_dwell_s, self._number)))
        if len(lengths - {1}) > 1:
            raise ScpiError(-226, f"voltage and dwell lists of output {self._number}")
        self._busy_list = True
        self._engine.begin()
        self._operation(TRANSIENT_ACTIVE, present=True)
        self._list = self._clock.at(self._clock.now + ARMING_NS, self._armed)

    def trigger(self) -> None:
        """A trigger for an armed transient.

        Raises:
            ScpiError: -211 when it is not armed.
        """
        if not self.waiting:
            raise ScpiError(-211, f"output {self._number} is not armed")
        self._operation(WAITING_FOR_TRIGGER, present=False)
        self._list = self._clock.at(self._clock.now + self._between(_TRIGGER_NS), self._start_list)

    @property
    def waiting(self) -> bool:
        """Whether a trigger would start a transient."""
        return bool(self._status.operation[self._number - 1].condition & WAITING_FOR_TRIGGER)

    def abort(self) -> None:
        """Stop a transient; the output returns to what it was before."""
        if self._list is not None:
            self._list.cancel()
        self._list, self._list_v = None, None
        if self._busy_list:
            self._busy_list = False
            self._operation(WAITING_FOR_TRIGGER | TRANSIENT_ACTIVE, present=False)
            self._engine.finish()
        self.follow()

    def _armed(self) -> None:
        self._list = None
        if self._panel.get(Output.trigger_source, self._number) == "IMM":
            self._start_list()
        else:
            self._operation(WAITING_FOR_TRIGGER, present=True)

    def _start_list(self) -> None:
        if self._panel.get(Output.voltage_mode, self._number) == "LIST":
            self._step(0, self._clock.now)
        else:
            self.abort()

    def _step(self, index: int, due_ns: int) -> None:
        volts = self._panel.get(Output.list_voltage_v, self._number)
        dwells = self._panel.get(Output.list_dwell_s, self._number)
        steps = max(len(volts), len(dwells))
        if index >= steps * self._panel.get(Output.list_count, self._number):
            if self._panel.get(Output.list_hold_last, self._number):
                self._panel.put(Output.voltage_v, volts[-1], self._number)
            self.abort()
            return
        position = index % steps
        self._list_v = volts[position % len(volts)]
        self.follow()
        end_ns = due_ns + max(_STEP_MIN_NS, round(dwells[position % len(dwells)] * s))
        self._list = self._clock.at(end_ns, lambda: self._step(index + 1, end_ns))

    # -- power stage --------------------------------------------------------------------------------------

    def _switched(self) -> None:
        self._switching = None
        self._engine.finish()
        if not self._panel.get(Output.enabled, self._number):
            if not self.stuck:
                self._slew(to_v=0.0)
        elif not self.tripped:
            self.live = True
            self._slew()

    def _die(self) -> None:
        if self.stuck:
            return
        self.live = False
        self._stop_slewing()
        self._volts = 0.0
        self.pin.release()
        self._set_condition()

    def _slew(self, to_v: float | None = None) -> None:
        """Move the terminal voltage towards where it should be; ``to_v`` = 0 ends in a dead output."""
        self._stop_slewing()
        programmed = self._panel.get(Output.voltage_v, self._number) if self._list_v is None else self._list_v
        target = programmed if to_v is None else to_v
        most = _SLEW_V_PER_NS * _SLEW_STEP_NS
        missing = target - self._volts
        if abs(missing) > most:
            self._volts += math.copysign(most, missing)
            self._slewing = self._clock.at(self._clock.now + _SLEW_STEP_NS, lambda: self._slew(to_v))
        else:
            self._volts = target
            if to_v is not None:
                self._die()
                return
        self.pin.drive(self._volts, _OUTPUT_OHM, min(self._set_limit_a, self._rated_limit_a))
        self._look()

    @property
    def _set_limit_a(self) -> float:
        """The programmed current limit [A]."""
        return self._panel.get(Output.current_limit_a, self._number)

    @property
    def _rated_limit_a(self) -> float:
        """What the module's rated power allows at the programmed voltage [A].

        A real module folds back along constant power; here it goes constant-current at that power's current.
        """
        watts = RATED_W[self._twin.modules[self._number - 1]]
        return watts / self._volts if self._volts > 0.0 else float("inf")

    @property
    def _in_set_limit(self) -> bool:
        """Whether the programmed current limit, and not the rated power, holds the output."""
        return self.pin.in_limit and self._set_limit_a <= self._rated_limit_a

    def _look(self) -> None:
        """Voltage or current at the terminals changed: current limit and protections."""
        if not self.live or self.tripped:
            return
        if self.pin.volts > self._panel.get(Output.over_voltage_v, self._number):
            self.trip(OVER_VOLTAGE)
            return
        self._set_condition()
        guarded = self._panel.get(Output.over_current_protection, self._number)
        if self._in_set_limit and guarded and self._limiting is None:
            delay_ns = round(self._panel.get(Output.over_current_delay_s, self._number) * s)
            self._limiting = self._clock.at(self._clock.now + delay_ns, self._limited)
        elif self._limiting is not None and not (self._in_set_limit and guarded):
            self._limiting.cancel()
            self._limiting = None

    def _limited(self) -> None:
        self._limiting = None
        if self.live and self._in_set_limit:
            self.trip(OVER_CURRENT)

    # -- small things -------------------------------------------------------------------------------------

    def free(self) -> None:
        """The output can be switched off again; do what is programmed."""
        self.stuck = False
        if self.tripped:
            self._die()
        else:
            self.switch()

    def _between(self, bounds: tuple[int, int]) -> int:
        return int(self._jitter.integers(bounds[0], bounds[1], endpoint=True))

    def _set_condition(self) -> None:
        starved = self.live and self.pin.in_limit and not self._in_set_limit
        mode = 0 if not self.live or starved else _CC if self.pin.in_limit else _CV
        self._questionable(UNREGULATED, present=starved)
        off = 0 if self._panel.get(Output.enabled, self._number) else _OFF
        group = self._status.operation[self._number - 1]
        group.set_condition(group.condition & ~(_CV | _CC | _OFF) | mode | off)

    def _operation(self, bits: int, *, present: bool) -> None:
        group = self._status.operation[self._number - 1]
        group.set_condition(group.condition | bits if present else group.condition & ~bits)

    def _questionable(self, bits: int, *, present: bool) -> None:
        group = self._status.questionable[self._number - 1]
        group.set_condition(group.condition | bits if present else group.condition & ~bits)

    def _stop_switching(self) -> None:
        if self._switching is not None:
            self._switching.cancel()
            self._switching = None
            self._engine.finish()

    def _stop_slewing(self) -> None:
        if self._slewing is not None:
            self._slewing.cancel()
            self._slewing = None


class KeysightN6700Twin(Twin):
    """A simulated N6702C with four N6752A modules; subclasses change ``modules``.

    Args:
        name: what the rig calls it; its pins are ``name.out1`` to ``name.out4``.
        clock: the rig clock.
        streams: random streams of the world.
        wiring: the rig's wiring.
        serial: serial number of the mainframe.
    """

    model: ClassVar[str] = "N6702C"
    firmware: ClassVar[str] = "E.02.07.3189"
    modules: ClassVar[tuple[str, ...]] = ("N6752A",) * 4
    output_class: ClassVar[type[Output]] = Output
    """The outputs its driver declares."""

    def __init__(
        self, *, name: str, clock: Clock, streams: Streams, wiring: Wiring, serial: str = "MY00000001"
    ) -> None:
        super().__init__(name=name, clock=clock, streams=streams, wiring=wiring, serial=serial)
        count = len(self.modules)
        add_status(self.engine, count, listed=True)
        self.mainframe = Panel(self.engine, KeysightN6700, channels=None, number="+.6E")
        self.outputs = Panel(self.engine, self.output_class, channels=count, number="+.6E")
        self._noise = streams.stream(name, "readback")
        self._stages = {number: _Stage(self, number) for number in range(1, count + 1)}
        self._watch: Event | None = None
        self._declare()
        self.engine.trigger = self._trigger
        self.add_fault("stays_on", self._stick, "output")
        for stage in self._stages.values():
            stage.switch()

    def reset(self) -> None:
        """``*RST``: outputs off, every setting as delivered."""
        self.mainframe.restore()
        for stage in self._stages.values():
            stage.abort()
        self.outputs.restore()
        for stage in self._stages.values():
            stage.switch()

    def is_live(self, number: int) -> bool:
        """Whether the power stage of an output is on, whatever is programmed."""
        return self._stages[number].live

    def tripped(self, number: int) -> None:
        """Over-voltage or over-current has tripped on an output: coupled outputs go off with it."""
        if self.mainframe.get(KeysightN6700.protection_coupled):
            for other, stage in self._stages.items():
                if other != number:
                    stage.trip(PROTECTION)

    # -- inside -------------------------------------------------------------------------------------------

    def _declare(self) -> None:
        mainframe, outputs, stages = self.mainframe, self.outputs, self._stages
        mainframe.react(KeysightN6700.watchdog, lambda _: self._start_watch())
        mainframe.react(KeysightN6700.watchdog_delay_s, lambda _: self._start_watch())
        mainframe.answer(KeysightN6700.channel_count, lambda _: len(self.modules))
        mainframe.bind()
        outputs.react(Output.enabled, lambda number: stages[number].switch())
        outputs.react(Output.voltage_v, lambda number: stages[number].follow())
        outputs.react(Output.current_limit_a, lambda number: stages[number].follow())
        outputs.react(Output.over_voltage_v, lambda number: stages[number].follow())
        outputs.react(Output.over_current_protection, lambda number: stages[number].follow())
        outputs.do(Output.start_transient, lambda number: stages[number].arm())
        outputs.do(Output.trigger_transient, lambda number: stages[number].trigger())
        outputs.do(Output.abort_transient, lambda number: stages[number].abort())
        outputs.do(Output.release_protection, self._release_protection)
        outputs.answer(Output.measured_voltage_v, self._volts, takes_ns=MEASUREMENT_NS)
        outputs.answer(Output.measured_current_a, self._amps, takes_ns=MEASUREMENT_NS)
        outputs.answer(Output.module_model, lambda number: self.modules[number - 1])
        outputs.answer(Output.module_serial, lambda number: f"{self.serial}-{number}")
        outputs.answered_elsewhere(Output.operation_condition, Output.questionable_condition)
        outputs.bind()

    def _volts(self, number: int) -> float:
        return self._reading(self._stages[number].pin.volts, _NOISE_V, _LSB_V)

    def _amps(self, number: int) -> float:
        return self._reading(-self._stages[number].pin.amps, _NOISE_A, _LSB_A)

    def _reading(self, exact: float, noise: float, lsb: float) -> float:
        return round((exact + noise * float(self._noise.standard_normal())) / lsb) * lsb

    def _trigger(self) -> None:
        waiting = [stage for stage in self._stages.values() if stage.waiting]
        if not waiting:
            raise ScpiError(-211, "no output is armed")
        for stage in waiting:
            stage.trigger()

    def _release_protection(self, number: int) -> None:
        self._stages[number].release_protection()
        self._start_watch()

    def _start_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self.mainframe.get(KeysightN6700.watchdog):
            self._watch = self.clock.at(max(self.clock.now, self._watch_due()), self._watched)

    def _watch_due(self) -> int:
        return self.engine.last_io_ns + round(self.mainframe.get(KeysightN6700.watchdog_delay_s) * s)

    def _watched(self) -> None:
        self._watch = None
        if self._watch_due() > self.clock.now:
            self._start_watch()
            return
        for stage in self._stages.values():
            stage.trip(PROTECTION)

    def _stick(self, fault: Fault) -> Callable[[], None]:
        """An output's switch is welded: off is acknowledged and does nothing."""
        chosen = fault.parameters.get("output", 0)
        if not isinstance(chosen, int) or (chosen and chosen not in self._stages):
            raise InstrumentError(f"{self.name}: fault stays_on of output {chosen!r}; it has {len(self._stages)}")
        stages = [self._stages[chosen]] if chosen else list(self._stages.values())
        for stage in stages:
            stage.stuck = True

        def undo() -> None:
            for stage in stages:
                stage.free()

        return undo
