"""The Keysight 34980A: dialogue, relay times, read-back, contacts between nets, what a defective relay says."""

from __future__ import annotations

from typing import ClassVar

import pytest
import pyvisa

from hil.clock import VirtualClock
from hil.errors import InstrumentError
from hil.faults import Fault
from hil.noise import Streams
from hil.units import ms
from hil.visa.gate import Gate
from hil.visa.keysight_34980a import MODULES, Keysight34980A
from hil.visa.keysight_34980a_twin import Keysight34980ATwin
from hil.visa.library import SimVisaLibrary
from hil.wiring import Wiring

ADDRESS = "TCPIP0::switch::5025::SOCKET"
TIMES = MODULES["34938A"].times


class Bench:
    """28 V through relay 1001 into a lamp of 27.9 ohm, which a contact of 0.1 ohm makes 28 ohm."""

    def __init__(self, seed: int = 1) -> None:
        self.clock = VirtualClock()
        self.wiring = Wiring(self.clock)
        self.twin = Keysight34980ATwin(name="sw", clock=self.clock, streams=Streams(seed), wiring=self.wiring)
        self.source = self.wiring.pin("psu.out")
        self.source.drive(28.0, 1e-6)
        self.lamp = self.wiring.pin("lamp.in")
        self.lamp.load(27.9)
        self.wiring.net("supply", ["psu.out", "sw.s1_ch01_com"])
        self.wiring.net("load", ["sw.s1_ch01_no", "lamp.in"])
        self.seen: list[tuple[int, float]] = []
        self.lamp.on_change(lambda: self.seen.append((self.clock.now, round(self.lamp.volts, 3))))
        library = SimVisaLibrary(self.clock)
        library.attach(ADDRESS, self.twin)
        self.said: list[tuple[str, str]] = []
        self.stimuli: list[tuple[str, object]] = []
        self.switch = Keysight34980A.open(
            pyvisa.ResourceManager(library),
            ADDRESS,
            name="sw",
            stimulus=lambda what, value: self.stimuli.append((what, value)),
            transcript=lambda direction, text: self.said.append((direction, text)),
        )
        self.said.clear()

    def written(self) -> list[str]:
        """What was sent, without the error queue."""
        return [text for direction, text in self.said if direction == "write" and text != "SYST:ERR?"]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_it_finds_its_modules_and_their_channels(bench: Bench) -> None:
    assert bench.switch.modules == {1: "34938A", 2: "34932A"}
    assert len(bench.switch.channels) == 20 + 128
    assert {1001, 1020, 2101, 2816} <= set(bench.switch.channels)


def test_the_dialogue_of_closing(bench: Bench) -> None:
    bench.switch.connect(1001, 2304)

    assert bench.written() == ["ROUT:CLOS (@1001,2304)", "*OPC?", "ROUT:CLOS? (@1001,2304)"]
    assert bench.stimuli == [("sw.close_contact", (1001, 2304))]


def test_the_dialogue_of_opening_everything(bench: Bench) -> None:
    bench.switch.disconnect_all()

    assert bench.written()[:2] == ["ROUT:OPEN:ALL", "*OPC?"]


def test_a_closed_relay_joins_the_nets_through_its_contact_resistance(bench: Bench) -> None:
    bench.switch.connect(1001)

    assert bench.lamp.volts == pytest.approx(28.0 * 27.9 / 28.0, abs=1e-3)
    assert bench.lamp.amps == pytest.approx(1.0, abs=1e-3)
    assert bench.source.amps == pytest.approx(-1.0, abs=1e-3)


def test_closing_and_opening_take_the_relay_its_time(bench: Bench) -> None:
    start = bench.clock.now
    bench.switch.connect(1001)
    closed = bench.seen[-1][0]
    middle = bench.clock.now
    bench.switch.disconnect(1001)

    assert TIMES.operate_ns[0] <= closed - start <= TIMES.operate_ns[1]
    assert TIMES.release_ns[0] <= bench.seen[-1][0] - middle <= TIMES.release_ns[1]
    assert bench.lamp.volts == pytest.approx(0.0, abs=1e-6)


def test_the_call_returns_when_the_contact_has_moved(bench: Bench) -> None:
    settled: list[float] = []
    bench.switch.connect(1001, settled=lambda: settled.append(bench.lamp.volts))

    assert settled == [pytest.approx(27.9, abs=0.01)]


def test_relay_times_differ_from_seed_to_seed_and_not_from_run_to_run() -> None:
    def closed_at(seed: int) -> int:
        bench = Bench(seed)
        bench.switch.connect(1001)
        return bench.seen[-1][0]

    assert closed_at(1) == closed_at(1) != closed_at(2)


def test_matrix_crosspoints_join_rows_and_columns(bench: Bench) -> None:
    for pin in ("sw.s2_col04", "sw.s2_col18"):
        bench.wiring.pin(pin).load(1000.0)
    bench.wiring.pin("sw.s2_row3").drive(5.0, 1.0)
    bench.wiring.pin("sw.s2_row8").drive(3.0, 1.0)
    bench.switch.connect(2304, 2802)

    assert bench.wiring.pin("sw.s2_col04").volts == pytest.approx(5.0, abs=0.01)
    assert bench.wiring.pin("sw.s2_col18").volts == pytest.approx(3.0, abs=0.01)


def test_exclusive_closing_breaks_before_it_makes(bench: Bench) -> None:
    other = bench.wiring.pin("sw.s1_ch02_no")
    bench.wiring.pin("sw.s1_ch02_com").drive(12.0, 1.0)
    made: list[int] = []
    other.load(1e3)
    other.on_change(lambda: made.append(bench.clock.now))
    bench.switch.connect(1001)
    made.clear()
    bench.switch.connect_only(1002)

    assert bench.switch.connected(1001, 1002) == (False, True)
    assert bench.seen[-1][0] < made[0]


def test_cycles_are_counted(bench: Bench) -> None:
    for _ in range(3):
        bench.switch.connect(1001)
        bench.switch.connect(1001)
        bench.switch.disconnect(1001)

    assert bench.switch.cycle_counts(1001, 1002) == (3, 0)
    assert bench.switch.relay(1001).cycles == 3


def test_one_relay_can_be_asked_and_commanded_by_itself(bench: Bench) -> None:
    relay = bench.switch.relay(1001)
    relay.close_contact()
    assert (relay.closed, relay.opened) == (True, False)
    relay.open_contact()
    bench.clock.sleep(20 * ms)

    assert bench.lamp.volts == pytest.approx(0.0, abs=1e-6)


def test_all_that_the_driver_sends_passes_a_gate_of_its_declarations(bench: Bench) -> None:
    bench.switch.connect(1001)
    bench.switch.connect_only(1002)
    bench.switch.disconnect_all()
    bench.switch.cycle_counts(1001)
    gate = Gate("sw", Keysight34980A, {})

    assert [text for text in (*bench.written(), "SYST:CTYP? 1") if gate.rule(text.encode()).refusal] == []


def test_reset_opens_every_relay(bench: Bench) -> None:
    bench.switch.connect(1001, 2101)
    bench.switch.write("*RST")
    bench.clock.sleep(20 * ms)

    assert not any(bench.switch.connected(*bench.switch.channels))
    assert bench.lamp.volts == pytest.approx(0.0, abs=1e-6)


def test_a_relay_that_is_reopened_before_it_has_closed_never_closes(bench: Bench) -> None:
    bench.switch.relay(1001).close_contact()
    bench.switch.disconnect(1001)

    assert bench.seen == []


@pytest.mark.parametrize("channel", [1021, 2117, 3001])
def test_a_channel_that_is_not_there_is_refused_before_anything_is_written(bench: Bench, channel: int) -> None:
    with pytest.raises(InstrumentError, match=f"there is no channel {channel}; did you mean"):
        bench.switch.connect(1001, channel)
    assert bench.written() == []


def test_no_channel_at_all_is_refused(bench: Bench) -> None:
    with pytest.raises(InstrumentError, match="no channel was given"):
        bench.switch.connect()


def test_the_instrument_refuses_a_channel_it_does_not_have(bench: Bench) -> None:
    with pytest.raises(InstrumentError, match="-222"):
        bench.switch.write("ROUT:CLOS (@1021)")


def test_a_range_of_channels_takes_those_there_are(bench: Bench) -> None:
    assert len(bench.switch.query("ROUT:CLOS? (@2101:2201)").split(",")) == 17


def test_a_welded_relay_reads_back_open_and_is_not(bench: Bench) -> None:
    undo = bench.twin.apply(Fault("sw", "welded", parameters={"channel": 1001}))
    bench.switch.connect(1001)
    bench.switch.disconnect(1001)
    assert bench.lamp.volts == pytest.approx(27.9, abs=0.01)

    undo()
    assert bench.lamp.volts == pytest.approx(0.0, abs=1e-6)


def test_a_relay_that_is_stuck_open_reads_back_closed_and_is_not(bench: Bench) -> None:
    bench.twin.apply(Fault("sw", "stuck_open", parameters={"channel": 1001}))
    bench.switch.connect(1001)

    assert bench.lamp.volts == pytest.approx(0.0, abs=1e-6)


def test_a_defect_of_a_relay_that_is_not_there_is_refused(bench: Bench) -> None:
    with pytest.raises(InstrumentError, match="fault welded of channel 7, which it does not have"):
        bench.twin.apply(Fault("sw", "welded", parameters={"channel": 7}))


def test_a_mainframe_without_modules_is_refused() -> None:
    class Empty(Keysight34980ATwin):
        modules: ClassVar[dict[int, str]] = {}

    clock = VirtualClock()
    library = SimVisaLibrary(clock)
    library.attach(ADDRESS, Empty(name="sw", clock=clock, streams=Streams(1), wiring=Wiring(clock)))
    with pytest.raises(InstrumentError, match="reports no module of 34938A, 34932A"):
        Keysight34980A.open(pyvisa.ResourceManager(library), ADDRESS, name="sw")


def test_a_read_back_that_does_not_follow_is_an_error(bench: Bench) -> None:
    bench.switch.connect(1001)
    with pytest.raises(InstrumentError, match="relays 1002 read back open after they were closed"):
        bench.switch._expect((1001, 1002), closed=True)  # the check itself
