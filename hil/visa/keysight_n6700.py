"""Keysight N6700 modular power system with N6752A modules, or some of 500 W: declarations and driver.

Sources: Keysight N6700C/N6702C Operating and Service Guide and the Series N6700 User's Guide for commands, the
output watchdog, output delays and lists; a value that was not found there says "not verified".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from hil.errors import InstrumentError
from hil.units import format_duration, s
from hil.visa.classes import DCOutput, DCPower
from hil.visa.declare import Action, Measurement, Setting
from hil.visa.scpi.parameters import Boolean, Choice, Integer, Number, Numbers, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VOLTS_MAX = 51.0
"""Largest programmable voltage of an N6752A [V]: 102 % of its 50 V rating; not verified."""
AMPS_MAX = 10.2
"""Largest programmable current limit of an N6752A [A]: 102 % of its 10 A rating; not verified."""
HIGH_POWER_VOLTS_MAX = 61.2
"""Largest programmable voltage of an N6756A [V]: 102 % of its 60 V rating; not verified."""
HIGH_POWER_AMPS_MAX = 17.34
"""Largest programmable current limit of an N6756A [A]: 102 % of its 17 A rating; not verified."""
LIST_STEPS_MAX = 512
WAITING_FOR_TRIGGER = 16
"""Operation condition bit WTG-tran."""
TRANSIENT_ACTIVE = 64
"""Operation condition bit TRAN-active."""
OVER_VOLTAGE = 1
"""Questionable condition bit OV."""
OVER_CURRENT = 2
"""Questionable condition bit OC."""
UNREGULATED = 1024
"""Questionable bit: the output is held by the module's rated power, not by a setting."""
PROTECTION = 2048
"""Questionable condition bit PROT: the watchdog, or protection of a coupled output."""
_TRIPS = {OVER_VOLTAGE: "over-voltage", OVER_CURRENT: "over-current", PROTECTION: "watchdog or coupled output"}
_SETTING_TOLERANCE = 1e-3  # part of a setting by which it may read back otherwise: its resolution
_READBACKS_MAX = 12  # measurements of 21 ms each until an output that was switched off must be down
_POLLS_MAX = 50  # status queries until a transient must be armed

_VOLTS = Number("V", 0.0, VOLTS_MAX)
_AMPS = Number("A", 0.0, AMPS_MAX)
_CONDITION = Integer(0, 0x7FFF)


class Output(DCOutput):
    """One output of the system: an N6752A module (50 V, 10 A, 100 W, autoranging).

    An N6754A (60 V, 20 A, 300 W) is kept to the settings of the N6752A.
    """

    voltage_v = Setting(
        "[SOURce:]VOLTage[:LEVel][:IMMediate][:AMPLitude]", _VOLTS, reset=0.0, doc="Output voltage in constant voltage."
    )
    current_limit_a: Setting[float] = Setting(
        "[SOURce:]CURRent[:LEVel][:IMMediate][:AMPLitude]",
        _AMPS,
        reset=0.08,
        doc="Output current in constant current; the limit otherwise. Value after reset not verified.",
    )
    enabled: Setting[bool] = Setting(
        "OUTPut[:STATe]",
        Boolean(),
        reset=False,
        doc="Output state. On takes 35 to 50 ms and off 20 to 25 ms besides the programmed delays; a tripped "
        "protection does not change it.",
    )
    rise_delay_s = Setting(
        "OUTPut[:STATe]:DELay:RISE", Number("s", 0.0, 1.023, step=1e-3), reset=0.0, doc="Delay of off-to-on."
    )
    fall_delay_s = Setting(
        "OUTPut[:STATe]:DELay:FALL",
        Number("s", 0.0, 1.023, step=1e-3),
        reset=0.0,
        doc="Delay of on-to-off; protections do not wait for it.",
    )
    over_voltage_v: Setting[float] = Setting(
        "[SOURce:]VOLTage:PROTection[:LEVel]",
        Number("V", 0.0, 55.0),
        reset=55.0,
        doc="Voltage at the terminals above which the output is disabled. Range not verified.",
    )
    over_current_protection: Setting[bool] = Setting(
        "[SOURce:]CURRent:PROTection:STATe",
        Boolean(),
        reset=False,
        doc="Whether constant current disables the output, after the delay.",
    )
    over_current_delay_s: Setting[float] = Setting(
        "[SOURce:]CURRent:PROTection:DELay[:TIME]",
        Number("s", 0.0, 0.255, step=1e-3),
        reset=0.02,
        doc="Time in constant current before over-current protection acts. Header and range not verified.",
    )
    voltage_mode: Setting[str] = Setting(
        "[SOURce:]VOLTage:MODE",
        Choice("FIXed", "LIST"),
        reset="FIX",
        doc="What a transient trigger does: nothing, or play the list. STEP and ARB are not declared here.",
    )
    list_voltage_v: Setting[tuple[float, ...]] = Setting(
        "[SOURce:]LIST:VOLTage[:LEVel]",
        Numbers(_VOLTS, LIST_STEPS_MAX),
        reset=(0.0,),
        limit="voltage_v",
        doc="Voltage of each list step.",
    )
    list_dwell_s: Setting[tuple[float, ...]] = Setting(
        "[SOURce:]LIST:DWELl",
        Numbers(Number("s", 0.0, 262.144, step=1e-6), LIST_STEPS_MAX),
        reset=(0.001,),
        doc="Duration of each list step; resolution 1 us up to 0.262144 s, coarser above.",
    )
    list_count: Setting[float] = Setting(
        "[SOURce:]LIST:COUNt", Number("", 1, 4096, step=1.0, infinity=True), reset=1.0, doc="Times the list is played."
    )
    list_hold_last: Setting[bool] = Setting(
        "[SOURce:]LIST:TERMinate:LAST",
        Boolean(),
        reset=False,
        doc="Whether the output stays at the last step instead of returning to what it was.",
    )
    trigger_source: Setting[str] = Setting(
        "TRIGger:TRANsient:SOURce", Choice("BUS", "IMMediate"), reset="BUS", doc="What triggers a transient."
    )
    start_transient = Action("INITiate[:IMMediate]:TRANsient", doc="Arm the transient; it waits for its trigger.")
    trigger_transient = Action("TRIGger:TRANsient[:IMMediate]", doc="Trigger the armed transient of this output.")
    abort_transient = Action("ABORt:TRANsient", doc="Stop a transient; the output returns to what it was before.")
    release_protection = Action(
        "OUTPut:PROTection:CLEar",
        doc="Clear a latched protection. The output returns to its programmed state, which may be ON: prefer "
        "clear_protection().",
    )
    measured_voltage_v = Measurement("MEASure[:SCALar]:VOLTage[:DC]", _VOLTS, doc="Voltage at the sense terminals.")
    measured_current_a = Measurement("MEASure[:SCALar]:CURRent[:DC]", _AMPS, doc="Output current.")
    operation_condition = Measurement(
        "STATus:OPERation:CONDition", _CONDITION, doc="CV 1, CC 2, OFF 4, WTG-tran 16, TRAN-active 64."
    )
    questionable_condition = Measurement(
        "STATus:QUEStionable:CONDition", _CONDITION, doc="OV 1, OC 2, UNR 1024, PROT 2048."
    )
    module_model = Measurement("SYSTem:CHANnel:MODel", Text(), doc="Model of the module.")
    module_serial = Measurement("SYSTem:CHANnel:SERial", Text(), doc="Serial number of the module.")

    @property
    def tripped(self) -> tuple[str, ...]:
        """The protections that hold the output off."""
        condition = self.questionable_condition
        return tuple(name for bit, name in _TRIPS.items() if condition & bit)

    def protect(self, *, over_voltage_v: float, current_limit_a: float, over_current_delay_s: float = 0.02) -> None:
        """Set over-voltage and over-current protection, and read all of it back.

        Args:
            over_voltage_v: voltage at the terminals above which the output goes off at once [V].
            current_limit_a: current above which it goes off, after the delay [A]; until then it is limited.
            over_current_delay_s: time in the limit that is borne, inrush for example [s].

        Raises:
            InstrumentError: for a value that is refused, or when one does not read back.
        """
        with self._driver.group():
            self.over_voltage_v = over_voltage_v
            self.current_limit_a = current_limit_a
            self.over_current_delay_s = over_current_delay_s
            self.over_current_protection = True
        found = (self.over_voltage_v, self.current_limit_a, self.over_current_delay_s)
        asked = (over_voltage_v, current_limit_a, over_current_delay_s)
        near = all(
            math.isclose(a, b, rel_tol=_SETTING_TOLERANCE, abs_tol=1e-3) for a, b in zip(found, asked, strict=True)
        )
        if not (near and self.over_current_protection):
            raise InstrumentError(
                f"{self.where}: protection was set to {asked[0]:g} V, {asked[1]:g} A after {asked[2]:g} s, and reads "
                f"back {found[0]:g} V, {found[1]:g} A after {found[2]:g} s, over-current protection "
                f"{'on' if self.over_current_protection else 'off'}; do not switch the output on"
            )

    def on(self) -> None:
        """Switch the output on and read back that it is programmed on and no protection holds it off.

        Raises:
            InstrumentError: when it does not read back.
        """
        self.enabled = True
        if not self.enabled or self.tripped:
            raise InstrumentError(
                f"{self.where}: switched on, but it reads back {'on' if self.enabled else 'off'} with "
                f"protection {', '.join(self.tripped) or 'none'}; remove the cause, then clear_protection()"
            )

    def off(self, *, residual_v: float = 1.0) -> None:
        """Switch the output off and prove it by its state and by the voltage at its terminals.

        Args:
            residual_v: voltage [V] below which the output counts as off; raise it where another source feeds
                the same net.

        Raises:
            InstrumentError: when the state or the measured voltage does not follow.
        """
        self.enabled = False
        if self.enabled:
            raise InstrumentError(f"{self.where}: OUTP OFF was sent, but OUTP? reads back on; cut its mains supply")
        volts = self.measured_voltage_v
        for _ in range(_READBACKS_MAX):
            if volts < residual_v:
                return
            volts = self.measured_voltage_v
        raise InstrumentError(
            f"{self.where}: OUTP? reads back off, but {volts:.3f} V are still measured at its terminals (at most "
            f"{residual_v:g} V allowed); treat it as live, cut its mains supply and look for another source"
        )

    def clear_protection(self) -> None:
        """Switch the output off, then clear a latched protection, so that nothing comes back on by itself.

        Raises:
            InstrumentError: when a protection is still there.
        """
        self.enabled = False
        self.release_protection()
        if self.tripped:
            raise InstrumentError(
                f"{self.where}: protection {', '.join(self.tripped)} cannot be cleared: its cause is still present; "
                "remove it, then clear again"
            )

    def dropout(self, duration_ns: int, *, to_v: float = 0.0) -> None:
        """Interrupt the voltage for ``duration_ns``, timed by the supply itself, and wait for its end.

        Args:
            duration_ns: how long the supply stays at ``to_v`` [ns]; whole microseconds.
            to_v: voltage meanwhile [V].

        Raises:
            InstrumentError: for a duration the supply cannot time, or when the list does not run.
        """
        self.play([(to_v, duration_ns)])

    def play(self, steps: Iterable[tuple[float, int]], *, hold_last: bool = False) -> None:
        """Play (voltage [V], duration [ns]) steps timed by the supply itself, and wait for their end.

        Raises:
            InstrumentError: for steps the supply cannot time, or when the list does not run.
        """
        volts, dwells = zip(*((volts, self._dwell_s(duration)) for volts, duration in steps), strict=True)
        with self._driver.group():
            self.voltage_mode = "LIST"
            self.list_voltage_v = volts
            self.list_dwell_s = dwells
            self.list_count = 1.0
            self.list_hold_last = hold_last
            self.trigger_source = "BUS"
        self.start_transient()
        self._await_armed()
        self._driver.announce(f"{self.where}.transient", tuple(zip(volts, dwells, strict=True)))
        self._driver.write("*TRG")
        self._await_end(sum(dwells))
        self._driver.arrange(Output.voltage_mode, "FIXed", self.listed)

    def _dwell_s(self, duration_ns: int) -> float:
        if duration_ns <= 0 or duration_ns % 1_000:
            raise InstrumentError(
                f"{self.where}: a list step of {format_duration(duration_ns)} is refused: the supply times whole "
                "microseconds above zero"
            )
        return duration_ns / s

    def _await_armed(self) -> None:
        for _ in range(_POLLS_MAX):
            if self.operation_condition & WAITING_FOR_TRIGGER:
                return
        raise InstrumentError(
            f"{self.where}: INIT:TRAN was sent, but it never waits for a trigger; abort_transient(), then look at its "
            "trigger source"
        )

    def _await_end(self, duration_s: float) -> None:
        measurement_s = 0.02
        for _ in range(_POLLS_MAX + int(duration_s / measurement_s)):
            if not self.operation_condition & TRANSIENT_ACTIVE:
                return
            _ = self.measured_voltage_v  # takes a measurement's time, on the bench and simulated
        raise InstrumentError(f"{self.where}: the list of {duration_s:g} s does not end; abort_transient() stops it")


class HighPowerOutput(Output):
    """One output of a system that holds N6756A modules (60 V, 17 A, 500 W, autoranging) beside smaller ones.

    Its settings reach what an N6756A can; what a smaller module can give, its rated power says.
    """

    voltage_v = Setting(
        "[SOURce:]VOLTage[:LEVel][:IMMediate][:AMPLitude]",
        Number("V", 0.0, HIGH_POWER_VOLTS_MAX),
        reset=0.0,
        doc="Output voltage in constant voltage.",
    )
    current_limit_a: Setting[float] = Setting(
        "[SOURce:]CURRent[:LEVel][:IMMediate][:AMPLitude]",
        Number("A", 0.0, HIGH_POWER_AMPS_MAX),
        reset=0.08,
        doc="Output current in constant current; the limit otherwise. Value after reset not verified.",
    )


class KeysightN6700(DCPower):
    """A Keysight N6700 modular power system; ``output(1)`` is its first output."""

    manufacturers: ClassVar[tuple[str, ...]] = ("Keysight Technologies", "Agilent Technologies")
    models: ClassVar[tuple[str, ...]] = ("N6700C", "N6701C", "N6702C", "N6705C")
    channel_classes: ClassVar[tuple[type, ...]] = (Output,)
    reserved: ClassVar[tuple[str, ...]] = ("watchdog", "watchdog_delay_s")
    energising: ClassVar[tuple[str, ...]] = ("enabled",)

    watchdog: Setting[bool] = Setting(
        "OUTPut:PROTection:WDOG[:STATe]",
        Boolean(),
        reset=False,
        doc="Output watchdog: all outputs go off when no SCPI traffic arrives for the delay. The programmed "
        "output state stays, questionable bit PROT is set.",
    )
    watchdog_delay_s: Setting[float] = Setting(
        "OUTPut:PROTection:WDOG:DELay",
        Number("s", 1.0, 3600.0, step=1.0),
        reset=60.0,
        doc="Time without traffic after which the watchdog acts, in whole seconds.",
    )
    protection_coupled = Setting(
        "OUTPut:PROTection:COUPle[:STATe]",
        Boolean(),
        reset=False,
        doc="Whether a protection that trips on one output disables all of them; the others report PROT.",
    )
    channel_count = Measurement("SYSTem:CHANnel[:COUNt]", Integer(0, 4), doc="Number of outputs.")

    output_class: ClassVar[type[Output]] = Output
    """What its outputs are."""

    outputs: Mapping[int, Output]

    def prepare(self) -> None:
        """Find the outputs.

        Raises:
            InstrumentError: when the mainframe has no module.
        """
        count = self.channel_count
        if count < 1:
            raise InstrumentError(f"{self.name}: the mainframe reports no output module; plug one in")
        self.outputs = {number: self.output_class(self, number, f"out{number}") for number in range(1, count + 1)}

    @property
    def channel_names(self) -> tuple[str, ...]:
        """``out1`` and so on."""
        return tuple(f"out{number}" for number in self.outputs)

    def output(self, number: int) -> Output:
        """One output, numbered from 1.

        Raises:
            InstrumentError: when there is no such output.
        """
        if number not in self.outputs:
            raise InstrumentError(f"{self.name}: there is no output {number}; it has {len(self.outputs)}")
        return self.outputs[number]

    def start_watchdog(self, delay_s: float) -> None:
        """Let the supply switch everything off when nobody talks to it for a time, and read that back.

        Args:
            delay_s: the time, in whole seconds [s].

        Raises:
            InstrumentError: for a time it does not have, or when it does not read back.
        """
        with self.group():
            self.watchdog_delay_s = delay_s
            self.watchdog = True
        found_s, on = self.watchdog_delay_s, self.watchdog
        if not on or abs(found_s - delay_s) > 0.5:
            raise InstrumentError(
                f"{self.name}: the watchdog was set to {delay_s:g} s, and reads back {found_s:g} s, "
                f"{'on' if on else 'off'}; nothing guards this supply, do not switch it on"
            )

    @property
    def tripped(self) -> dict[str, tuple[str, ...]]:
        """The protections that hold outputs off, by the name of the output; latched until they are cleared."""
        held = {output.name: output.tripped for output in self.outputs.values()}
        return {name: trips for name, trips in held.items() if trips}

    def feed_watchdog(self) -> None:
        """Traffic that keeps the output watchdog from acting, and changes nothing."""
        self.query("*STB?")

    def all_off(self) -> None:
        """Switch every output off and prove it; tries all of them before it complains.

        Raises:
            InstrumentError: with every output that did not follow.
        """
        failures: list[str] = []
        for output in self.outputs.values():
            try:
                output.off()
            except InstrumentError as error:
                failures.append(str(error))
        if failures:
            raise InstrumentError("; ".join(failures))


class KeysightN6700HighPower(KeysightN6700):
    """A Keysight N6700 modular power system with modules of up to 500 W."""

    channel_classes: ClassVar[tuple[type, ...]] = (HighPowerOutput,)
    output_class: ClassVar[type[Output]] = HighPowerOutput
