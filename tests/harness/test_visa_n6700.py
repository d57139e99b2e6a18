"""The Keysight N6700: dialogue, physics of the outputs, watchdog, protections, lists."""

from __future__ import annotations

import pytest
import pyvisa

from hil.clock import VirtualClock
from hil.errors import InstrumentError
from hil.faults import Fault
from hil.noise import Streams
from hil.units import ms, s, us
from hil.visa.keysight_n6700 import PROTECTION, UNREGULATED, KeysightN6700, Output
from hil.visa.keysight_n6700_twin import MEASUREMENT_NS, OFF_NS, ON_NS, KeysightN6700Twin
from hil.visa.library import SimVisaLibrary
from hil.wiring import Wiring

ADDRESS = "TCPIP0::psu::5025::SOCKET"


class Bench:
    """A simulated supply with a resistor of 28 ohm on output 1, and what the resistor saw."""

    def __init__(self, seed: int = 1) -> None:
        self.clock = VirtualClock()
        wiring = Wiring(self.clock)
        self.twin = KeysightN6700Twin(name="psu", clock=self.clock, streams=Streams(seed), wiring=wiring)
        self.load = wiring.pin("dut.power")
        self.load.load(28.0)
        wiring.net("power", ["psu.out1", "dut.power"])
        self.seen: list[tuple[int, float]] = []
        self.load.on_change(lambda: self.seen.append((self.clock.now, self.load.volts)))
        library = SimVisaLibrary(self.clock)
        library.attach(ADDRESS, self.twin)
        self.said: list[tuple[str, str]] = []
        self.stimuli: list[str] = []
        self.psu = KeysightN6700.open(
            pyvisa.ResourceManager(library),
            ADDRESS,
            name="psu",
            stimulus=lambda what, _: self.stimuli.append(what),
            transcript=lambda direction, text: self.said.append((direction, text)),
        )
        self.out = self.psu.output(1)

    def power_on(self, volts: float = 28.0, limit_a: float = 2.0) -> None:
        self.out.voltage_v = volts
        self.out.current_limit_a = limit_a
        self.out.on()
        self.clock.sleep(100 * ms)
        self.seen.clear()
        self.said.clear()
        self.stimuli.clear()

    def pairs(self) -> list[tuple[str, str]]:
        """The dialogue as (sent, answered); commands are answered by nothing."""
        pairs: list[tuple[str, str]] = []
        for direction, text in self.said:
            pairs[-1:] = [(pairs[-1][0], text)] if direction == "read" else [*pairs[-1:], (text, "")]
        return [pair for pair in pairs if pair[0] != "SYST:ERR?"]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def powered(bench: Bench) -> Bench:
    bench.power_on()
    return bench


def test_the_dialogue_of_opening(bench: Bench) -> None:
    assert bench.pairs() == [
        ("*IDN?", "Keysight Technologies,N6702C,MY00000001,E.02.07.3189"),
        ("*CLS", ""),
        ("SYST:CHAN?", "4"),
    ]


def test_the_dialogue_of_switching_on(bench: Bench) -> None:
    bench.said.clear()
    bench.out.voltage_v = 28.0
    bench.out.rise_delay_s = 0.25
    bench.out.on()
    assert bench.pairs() == [
        ("VOLT 28,(@1)", ""),
        ("OUTP:DEL:RISE 0.25,(@1)", ""),
        ("OUTP 1,(@1)", ""),
        ("OUTP? (@1)", "1"),
        ("STAT:QUES:COND? (@1)", "0"),
    ]


def test_the_dialogue_of_a_dropout(powered: Bench) -> None:
    powered.out.dropout(50 * ms)
    assert [sent for sent, _ in powered.pairs()][:8] == [
        "VOLT:MODE LIST,(@1)",
        "LIST:VOLT 0,(@1)",
        "LIST:DWEL 0.05,(@1)",
        "LIST:COUN 1,(@1)",
        "LIST:TERM:LAST 0,(@1)",
        "TRIG:TRAN:SOUR BUS,(@1)",
        "INIT:TRAN (@1)",
        "STAT:OPER:COND? (@1)",
    ]
    assert ("*TRG", "") in powered.pairs()


@pytest.mark.parametrize("name", ["module_model", "module_serial"])
def test_the_modules_identify_themselves(bench: Bench, name: str) -> None:
    assert getattr(bench.psu.output(2), name) in ("N6752A", "MY00000001-2")


def test_an_output_that_is_off_gives_nothing(bench: Bench) -> None:
    bench.out.voltage_v = 28.0
    bench.clock.sleep(1 * s)
    assert bench.load.volts == 0.0
    assert bench.out.operation_condition == 4


def test_switching_on_takes_its_time_and_the_programmed_delay(bench: Bench) -> None:
    bench.out.voltage_v, bench.out.current_limit_a = 28.0, 2.0
    bench.out.rise_delay_s = 0.1
    start = bench.clock.now
    bench.out.enabled = True
    bench.clock.sleep(1 * s)
    assert 100 * ms + ON_NS[0] <= bench.seen[0][0] - start <= 100 * ms + ON_NS[1]
    assert bench.load.volts == pytest.approx(28.0, abs=0.02)


def test_switching_off_takes_its_time(powered: Bench) -> None:
    start = powered.clock.now
    powered.out.enabled = False
    powered.clock.sleep(1 * s)
    assert OFF_NS[0] <= powered.seen[0][0] - start <= OFF_NS[1]
    assert powered.load.volts == 0.0


def test_switching_on_again_while_the_voltage_falls_brings_it_back(powered: Bench) -> None:
    powered.out.enabled = False
    powered.clock.wait(powered.clock.now + 1 * s, lambda: powered.load.volts < 27.0)
    powered.out.enabled = True
    powered.clock.sleep(1 * s)
    assert powered.load.volts == pytest.approx(28.0, abs=0.02)


def test_the_voltage_slews(powered: Bench) -> None:
    powered.out.voltage_v = 8.0
    powered.clock.sleep(10 * ms)
    first, last = powered.seen[0], powered.seen[-1]
    assert last[0] - first[0] == pytest.approx(20 / 50 * 1.5 * ms, abs=101 * us)  # one step of the slew
    assert [volts for _, volts in powered.seen] == sorted((volts for _, volts in powered.seen), reverse=True)


def test_opc_waits_for_the_output_to_switch(bench: Bench) -> None:
    start = bench.clock.now
    bench.out.enabled = True
    assert bench.psu.query("*OPC?") == "1"
    assert bench.clock.now - start > ON_NS[0]


def test_measurements_take_a_power_line_cycle_and_have_noise(powered: Bench) -> None:
    start = powered.clock.now
    readings = [powered.out.measured_voltage_v for _ in range(20)]
    assert powered.clock.now - start == 20 * (MEASUREMENT_NS + 1 * ms)
    assert 1 < len(set(readings)) <= 20
    assert sum(readings) / 20 == pytest.approx(powered.load.volts, abs=0.002)


def test_the_measured_current_is_that_of_the_load(powered: Bench) -> None:
    measured = powered.out.measure_current()
    assert (measured.unit, measured.instrument) == ("A", "psu.out1")
    assert measured.value == pytest.approx(powered.load.amps, abs=0.002)


def test_the_same_seed_gives_the_same_noise() -> None:
    def reading(seed: int) -> float:
        bench = Bench(seed)
        bench.power_on()
        return bench.out.measured_voltage_v

    assert reading(1) == reading(1) != reading(2)


def test_too_much_load_goes_into_constant_current(powered: Bench) -> None:
    powered.load.load(5.0)
    powered.clock.sleep(1 * ms)
    assert powered.load.volts == pytest.approx(10.0, rel=1e-3)
    assert powered.out.operation_condition == 2


def test_over_current_protection_trips_after_its_delay(powered: Bench) -> None:
    powered.out.over_current_protection = True
    powered.out.over_current_delay_s = 0.05
    powered.load.load(5.0)
    start = powered.clock.now
    powered.clock.sleep(1 * s)
    assert powered.load.volts == 0.0
    assert powered.seen[-1][0] - start == 50 * ms
    assert powered.out.tripped == ("over-current",)


def test_a_short_overload_does_not_trip(powered: Bench) -> None:
    powered.out.over_current_protection = True
    powered.load.load(5.0)
    powered.clock.sleep(10 * ms)
    powered.load.load(28.0)
    powered.clock.sleep(1 * s)
    assert powered.out.tripped == ()


def test_over_voltage_protection_trips_at_once(powered: Bench) -> None:
    powered.out.over_voltage_v = 30.0
    powered.out.voltage_v = 31.0
    powered.clock.sleep(10 * ms)
    assert powered.load.volts == 0.0
    assert powered.out.tripped == ("over-voltage",)
    assert max(volts for _, volts in powered.seen) < 31.5


def test_the_watchdog_drops_every_output_when_nobody_talks(powered: Bench) -> None:
    powered.psu.watchdog_delay_s = 5.0
    powered.psu.watchdog = True
    last_message = powered.twin.engine.last_io_ns
    powered.clock.sleep(20 * s)
    assert powered.seen == [(last_message + 5 * s, 0.0)]
    assert powered.out.questionable_condition == PROTECTION
    assert powered.out.enabled, "the programmed state stays"


def test_traffic_keeps_the_watchdog_quiet(powered: Bench) -> None:
    powered.psu.watchdog_delay_s = 5.0
    powered.psu.watchdog = True
    for _ in range(10):
        powered.clock.sleep(4 * s)
        powered.psu.feed_watchdog()
    assert powered.seen == []


def test_a_frozen_interface_lets_the_watchdog_act(powered: Bench) -> None:
    powered.psu.watchdog_delay_s = 1.0
    powered.psu.watchdog = True
    powered.twin.apply(Fault("psu", "frozen"))
    powered.clock.sleep(2 * s)
    assert powered.load.volts == 0.0


def test_releasing_a_protection_returns_to_the_programmed_state(powered: Bench) -> None:
    powered.psu.watchdog_delay_s = 1.0
    powered.psu.watchdog = True
    powered.clock.sleep(2 * s)
    powered.out.release_protection()
    powered.clock.sleep(100 * ms)
    assert powered.load.volts == pytest.approx(28.0, abs=0.02)


def test_clearing_a_protection_never_switches_on(powered: Bench) -> None:
    powered.psu.watchdog_delay_s = 1.0
    powered.psu.watchdog = True
    powered.clock.sleep(2 * s)
    powered.out.clear_protection()
    powered.clock.sleep(500 * ms)
    assert (powered.load.volts, powered.out.tripped, powered.out.enabled) == (0.0, (), False)


def test_switching_on_with_a_latched_protection_is_an_error(powered: Bench) -> None:
    powered.psu.watchdog_delay_s = 1.0
    powered.psu.watchdog = True
    powered.clock.sleep(2 * s)
    with pytest.raises(InstrumentError, match="protection watchdog or coupled output; remove the cause"):
        powered.out.on()


@pytest.mark.parametrize("duration_ms", [1, 5, 50])
def test_a_dropout_is_timed_by_the_supply(powered: Bench, duration_ms: int) -> None:
    powered.out.dropout(duration_ms * ms)
    powered.clock.sleep(10 * ms)
    fell = powered.seen[0][0]
    rose = next(at for at, volts in powered.seen[::-1] if volts < 27.0)
    bottom = min(volts for _, volts in powered.seen)
    assert rose - fell == pytest.approx(duration_ms * ms, abs=1 * ms)
    assert bottom == pytest.approx(0.0, abs=0.01)
    assert powered.load.volts == pytest.approx(28.0, abs=0.02)


def test_the_last_stimulus_of_a_dropout_is_its_trigger(powered: Bench) -> None:
    powered.out.dropout(5 * ms)
    assert powered.stimuli[-2:] == ["psu.out1.start_transient", "psu.out1.transient"]


def test_steps_are_played_in_order_and_the_last_can_be_held(powered: Bench) -> None:
    powered.out.play([(24.0, 5 * ms), (36.0, 5 * ms)], hold_last=True)
    powered.clock.sleep(10 * ms)
    assert powered.load.volts == pytest.approx(36.0, abs=0.05)
    assert powered.out.voltage_v == 36.0


@pytest.mark.parametrize("duration_ns", [0, -1, 1_500])
def test_a_dropout_the_supply_cannot_time_is_refused(powered: Bench, duration_ns: int) -> None:
    with pytest.raises(InstrumentError, match="whole microseconds above zero"):
        powered.out.dropout(duration_ns)
    assert powered.said == []


def test_a_list_above_a_limit_never_starts(powered: Bench) -> None:
    powered.psu.impose_limits({"voltage_max_v": 32.0})
    with pytest.raises(InstrumentError, match="the rig file limits voltage_v"):
        powered.out.play([(36.0, 5 * ms)])
    assert powered.seen == []


def test_lists_of_different_length_are_an_error(powered: Bench) -> None:
    powered.out.list_voltage_v = (1.0, 2.0, 3.0)
    powered.out.list_dwell_s = (0.1, 0.2)
    with pytest.raises(InstrumentError, match='-226,"Lists not same length'):
        powered.out.start_transient()


def test_arming_twice_and_triggering_idle_are_errors(powered: Bench) -> None:
    with pytest.raises(InstrumentError, match="-211"):
        powered.out.trigger_transient()
    powered.out.start_transient()
    with pytest.raises(InstrumentError, match="-213"):
        powered.out.start_transient()


def test_an_aborted_list_returns_to_what_was_before(powered: Bench) -> None:
    powered.out.voltage_mode = "LIST"
    powered.out.list_voltage_v = (10.0,)
    powered.out.list_dwell_s = (60.0,)
    powered.out.trigger_source = "IMM"
    powered.out.start_transient()
    powered.clock.sleep(100 * ms)
    assert powered.load.volts == pytest.approx(10.0, abs=0.02)
    powered.out.abort_transient()
    powered.clock.sleep(10 * ms)
    assert powered.load.volts == pytest.approx(28.0, abs=0.02)


def test_a_list_can_repeat_without_end_until_it_is_aborted(powered: Bench) -> None:
    powered.out.voltage_mode = "LIST"
    powered.out.list_voltage_v = (10.0, 20.0)
    powered.out.list_dwell_s = (0.01,)
    powered.out.list_count = float("inf")
    powered.out.trigger_source = "IMM"
    powered.out.start_transient()
    powered.clock.sleep(10 * s)
    assert powered.out.list_count == float("inf")
    assert powered.out.operation_condition & 64


def test_off_is_proved_by_state_and_voltage(powered: Bench) -> None:
    powered.out.off()
    assert powered.load.volts == 0.0
    assert powered.pairs()[:2] == [("OUTP 0,(@1)", ""), ("OUTP? (@1)", "0")]
    assert powered.pairs()[2][0] == "MEAS:VOLT? (@1)"


def test_an_output_that_stays_on_is_found_by_the_voltage(powered: Bench) -> None:
    undo = powered.twin.apply(Fault("psu", "stays_on", parameters={"output": 1}))
    with pytest.raises(InstrumentError, match=r"reads back off, but 2\d\.\d+ V are still measured"):
        powered.psu.all_off()
    assert powered.twin.is_live(1)
    undo()
    powered.clock.sleep(100 * ms)
    assert powered.load.volts == 0.0


def test_reset_switches_off_and_restores_every_setting(powered: Bench) -> None:
    powered.psu.watchdog = True
    powered.psu.write("*RST")
    powered.clock.sleep(100 * ms)
    assert powered.load.volts == 0.0
    assert (powered.out.voltage_v, powered.out.over_voltage_v, powered.psu.watchdog) == (0.0, 55.0, False)


def test_an_output_that_does_not_exist_is_refused(bench: Bench) -> None:
    with pytest.raises(InstrumentError, match="psu: there is no output 5; it has 4"):
        bench.psu.output(5)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("VOLT? MAX,(@1)", "+5.100000E+01"),
        ("VOLT? MIN,(@1:2)", "+0.000000E+00,+0.000000E+00"),
        ("LIST:COUN? MAX,(@3)", "+4.096000E+03"),
        ("OUTP? (@1:4)", "0,0,0,0"),
        ("TRIG:TRAN:SOUR? (@2)", "BUS"),
    ],
)
def test_ranges_and_several_channels_can_be_queried(bench: Bench, query: str, answer: str) -> None:
    assert bench.psu.query(query) == answer


def test_an_output_that_acknowledges_off_and_reads_back_on_is_an_error(bench: Bench) -> None:
    bench.out.on()
    bench.twin.outputs.react(type(bench.out).enabled, lambda _: bench.twin.outputs.put(type(bench.out).enabled, True))
    with pytest.raises(InstrumentError, match="OUTP OFF was sent, but OUTP\\? reads back on"):
        bench.out.off()


def test_a_closed_driver_says_so(bench: Bench) -> None:
    bench.psu.close()
    with pytest.raises(InstrumentError, match=r"psu at TCPIP0::psu.*'OUTP 1,\(@1\)'"):
        bench.out.on()


def test_no_more_than_the_rated_power_comes_out(powered: Bench) -> None:
    powered.power_on(28.0, limit_a=8.0)
    powered.load.load(4.0)
    powered.clock.sleep(10 * ms)
    assert powered.load.amps == pytest.approx(100.0 / 28.0, rel=1e-3)
    assert powered.out.questionable_condition & UNREGULATED
    powered.load.load(28.0)
    powered.clock.sleep(10 * ms)
    assert powered.load.volts == pytest.approx(28.0, abs=0.1)
    assert not powered.out.questionable_condition & UNREGULATED


def test_the_dialogue_of_protecting_an_output(bench: Bench) -> None:
    bench.said.clear()
    bench.out.protect(over_voltage_v=32.0, current_limit_a=2.0, over_current_delay_s=0.05)

    assert bench.pairs() == [
        ("VOLT:PROT 32,(@1)", ""),
        ("CURR 2,(@1)", ""),
        ("CURR:PROT:DEL 0.05,(@1)", ""),
        ("CURR:PROT:STAT 1,(@1)", ""),
        ("VOLT:PROT? (@1)", "+3.200000E+01"),
        ("CURR? (@1)", "+2.000000E+00"),
        ("CURR:PROT:DEL? (@1)", "+5.000000E-02"),
        ("CURR:PROT:STAT? (@1)", "1"),
    ]


def test_a_protection_that_does_not_read_back_is_an_error(bench: Bench) -> None:
    bench.twin.outputs.react(
        Output.over_voltage_v, lambda number: bench.twin.outputs.put(Output.over_voltage_v, 55.0, number)
    )
    with pytest.raises(InstrumentError, match=r"psu\.out1: protection was set to 32 V, .* reads back 55 V"):
        bench.out.protect(over_voltage_v=32.0, current_limit_a=2.0)


def test_a_trip_on_one_of_coupled_outputs_disables_all_of_them(powered: Bench) -> None:
    powered.psu.protection_coupled = True
    other = powered.psu.output(2)
    other.voltage_v = 5.0
    other.on()
    powered.clock.sleep(100 * ms)
    powered.out.over_voltage_v = 20.0

    assert powered.psu.tripped == {
        "out1": ("over-voltage",),
        **{f"out{number}": ("watchdog or coupled output",) for number in (2, 3, 4)},
    }
    assert not powered.twin.is_live(2)


def test_a_trip_on_an_output_that_is_not_coupled_is_its_own(powered: Bench) -> None:
    powered.out.over_voltage_v = 20.0

    assert powered.psu.tripped == {"out1": ("over-voltage",)}


def test_a_protection_stays_latched_when_its_cause_is_gone(powered: Bench) -> None:
    powered.out.over_voltage_v = 20.0
    powered.out.voltage_v = 5.0
    powered.clock.sleep(1 * s)

    assert powered.out.tripped == ("over-voltage",)


def test_the_watchdog_is_started_with_read_back(bench: Bench) -> None:
    bench.said.clear()
    bench.psu.start_watchdog(5.0)

    assert [sent for sent, _ in bench.pairs()] == [
        "OUTP:PROT:WDOG:DEL 5",
        "OUTP:PROT:WDOG 1",
        "OUTP:PROT:WDOG:DEL?",
        "OUTP:PROT:WDOG?",
    ]


def test_a_watchdog_that_does_not_read_back_is_an_error(bench: Bench) -> None:
    mainframe = bench.twin.mainframe
    mainframe.react(KeysightN6700.watchdog, lambda _: mainframe.put(KeysightN6700.watchdog, False))
    with pytest.raises(InstrumentError, match="reads back 5 s, off; nothing guards this supply"):
        bench.psu.start_watchdog(5.0)
