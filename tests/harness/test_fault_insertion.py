"""Fault insertion through relays: load off before a short, onset and uncertainty, undo first, all open at the end."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import pyvisa

from hil.clock import VirtualClock
from hil.errors import ClockError, HilError, InstrumentError
from hil.faults import Fault, FaultInjector
from hil.noise import Streams
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.units import ms, s
from hil.visa.fault_insertion import FaultInsertion, Line
from hil.visa.keysight_34465a import Keysight34465A
from hil.visa.keysight_34980a import MODULES, Keysight34980A
from hil.visa.keysight_34980a_twin import Keysight34980ATwin
from hil.visa.keysight_n6700 import KeysightN6700
from hil.visa.library import SimVisaLibrary
from hil.wiring import Wiring

ADDRESS = "TCPIP0::fiu::5025::SOCKET"
LINES = {
    "valve": Line(series=1001, ground=2101, supply=2201, bus=2301),
    "lamp": Line(series=1002, ground=2102, supply=2202, bus=2302),
    "spare": Line(series=1003),
}
SERIES, MATRIX = MODULES["34938A"].times, MODULES["34932A"].times


class Bench:
    """Two outputs of a controller, 28 V and 5 V, through the unit to their loads; ground, 12 V and a bus as rails."""

    def __init__(self, seed: int = 1) -> None:
        self.clock = VirtualClock()
        self.wiring = wiring = Wiring(self.clock)
        self.twin = Keysight34980ATwin(name="fiu", clock=self.clock, streams=Streams(seed), wiring=wiring)
        self.outputs, self.loads = {}, {}
        for number, (line, volts) in enumerate((("valve", 28.0), ("lamp", 5.0)), start=1):
            self.outputs[line] = wiring.pin(f"box.{line}")
            self.outputs[line].drive(volts, 0.5, limit_a=3.0)
            self.loads[line] = wiring.pin(f"{line}.in")
            self.loads[line].load(100.0)
            wiring.net(f"box_{line}", [f"box.{line}", f"fiu.s1_ch{number:02}_no", f"fiu.s2_col{number:02}"])
            wiring.net(f"load_{line}", [f"fiu.s1_ch{number:02}_com", f"{line}.in"])
        wiring.net("ground", ["fiu.gnd", "fiu.s2_row1"])
        self.rail = wiring.pin("psu.rail")
        self.rail.drive(12.0, 0.01)
        wiring.net("rail", ["psu.rail", "fiu.s2_row2"])
        self.moved: list[tuple[str, int]] = []
        self.seen: list[tuple[int, float, float]] = []
        for pin in (*self.outputs.values(), *self.loads.values()):
            pin.on_change(self._look)
        library = SimVisaLibrary(self.clock)
        library.attach(ADDRESS, self.twin)
        self.commands: list[str] = []
        self.switch = Keysight34980A.open(
            pyvisa.ResourceManager(library),
            ADDRESS,
            name="fiu",
            transcript=lambda direction, text: self.commands.append(text if direction == "write" else ""),
        )
        self.undone = ExitStack()
        self.registered: list[tuple[str, int]] = []
        self.unit = FaultInsertion(self.switch, LINES, clock=self.clock, undo=self._undo, name="fiu")
        self.stimuli: list[object] = []
        self.injector = FaultInjector(self.clock, lambda _, value: self.stimuli.append(value))
        for target in self.unit.targets:
            self.injector.register(target, self.unit)

    def _look(self) -> None:
        self.seen.append((self.clock.now, self.outputs["valve"].volts, self.loads["valve"].volts))

    def _undo(self, what, fn) -> None:
        self.registered.append((what, len([text for text in self.commands if text.startswith("ROUT")])))
        self.undone.callback(fn)

    def inject(self, kind: str, line: str = "valve", **parameters: str):
        return self.injector.inject(Fault(f"fiu.{line}", kind, self.clock.now, None, parameters))

    def moves(self) -> list[str]:
        """The commands that move relays."""
        return [text for text in self.commands if text.startswith("ROUT") and "?" not in text]

    def closed(self) -> list[int]:
        return [
            one
            for one, is_closed in zip(self.switch.channels, self.switch.connected(*self.switch.channels), strict=True)
            if is_closed
        ]


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.unit.connect_loads()
    made.commands.clear()
    made.seen.clear()
    return made


def test_in_operation_the_loads_are_connected_and_nothing_is_shorted(bench):
    assert bench.closed() == [1001, 1002, 1003]
    assert bench.loads["valve"].volts == pytest.approx(28.0, abs=0.2)
    assert bench.loads["lamp"].volts == pytest.approx(5.0, abs=0.1)


def test_an_open_circuit_disconnects_the_load(bench):
    with bench.inject("open"):
        assert bench.loads["valve"].volts == pytest.approx(0.0, abs=1e-6)
        assert bench.outputs["valve"].volts == pytest.approx(28.0)
        assert bench.loads["lamp"].volts == pytest.approx(5.0, abs=0.1)

    assert bench.loads["valve"].volts == pytest.approx(28.0, abs=0.2)


def test_a_short_to_ground_is_at_the_article_and_not_at_the_load(bench):
    with bench.inject("short_to_ground"):
        assert bench.outputs["valve"].volts == pytest.approx(3.0 * 0.11, rel=1e-3)  # its limit into contact and wire
        assert bench.outputs["valve"].amps == pytest.approx(-3.0)
        assert bench.loads["valve"].volts == pytest.approx(0.0, abs=1e-6)


def test_a_short_to_the_supply_rail(bench):
    with bench.inject("short_to_supply", "lamp"):
        assert bench.outputs["lamp"].volts == pytest.approx(12.0, rel=0.15)
        assert bench.rail.amps < -1.0


def test_a_short_of_two_lines_takes_both_loads_off(bench):
    with bench.inject("short_to_pin", to="lamp"):
        assert bench.outputs["valve"].volts - bench.outputs["lamp"].volts == pytest.approx(3.0 * 0.2, rel=1e-2)
        assert [load.volts for load in bench.loads.values()] == [pytest.approx(0.0, abs=1e-6)] * 2

    assert bench.loads["lamp"].volts == pytest.approx(5.0, abs=0.1)


def test_the_load_is_off_before_the_short_is_made(bench):
    with bench.inject("short_to_ground"):
        pass
    load_off = next(at for at, _, load in bench.seen if load < 0.1)
    shorted = next(at for at, output, _ in bench.seen if output < 1.0)

    assert bench.moves()[:2] == ["ROUT:OPEN (@1001)", "ROUT:CLOS (@2101)"]
    assert shorted - load_off >= MATRIX.operate_ns[0]


def test_the_load_comes_back_after_the_short_is_gone(bench):
    with bench.inject("short_to_ground"):
        bench.seen.clear()
    short_gone = next(at for at, output, _ in bench.seen if output > 20.0)
    load_back = next(at for at, _, load in bench.seen if load > 20.0)

    assert bench.moves()[2:] == ["ROUT:OPEN (@2101)", "ROUT:CLOS (@1001)"]
    assert load_back - short_gone >= SERIES.operate_ns[0]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["open", "short_to_ground"])
def test_the_onset_lies_within_its_uncertainty(kind, seed):
    bench = Bench(seed)
    bench.unit.connect_loads()
    bench.seen.clear()
    with bench.inject(kind):
        found = bench.unit.insertion("valve")
    happened = next(at for at, output, load in bench.seen if (load if kind == "open" else output) < 1.0)

    assert found.at_ns - found.uncertainty_ns <= happened <= found.at_ns
    assert found.uncertainty_ns < 15 * ms
    assert found.began_ns < happened


def test_the_undo_is_registered_before_any_relay_moves(bench):
    bench.registered.clear()
    bench.inject("short_to_ground")

    assert bench.registered == [("short_to_ground on fiu.valve", 0)]


def test_what_was_registered_takes_the_fault_away_and_opens_everything(bench):
    bench.inject("short_to_ground")
    bench.inject("open", "lamp")
    bench.undone.close()

    assert bench.closed() == []
    assert bench.loads["valve"].volts == pytest.approx(0.0, abs=1e-6)


def test_at_the_end_of_its_block_everything_is_open_whatever_happened():
    bench = Bench()
    with pytest.raises(HilError, match="has no fault 'shorted'"), bench.unit, bench.inject("short_to_supply"):
        bench.inject("shorted")

    assert bench.closed() == []


def test_a_fault_is_taken_away_once(bench):
    injection = bench.inject("short_to_ground")
    injection.clear()
    count = len(bench.moves())
    bench.undone.pop_all().close()

    assert bench.moves()[count:] == [f"ROUT:OPEN (@{shunts()})", "ROUT:OPEN:ALL"]


def shunts() -> str:
    """Every crosspoint of the lines, as a channel list."""
    return ",".join(str(channel) for line in LINES.values() for channel in line.shunts)


def test_the_cycles_of_its_relays_are_counted(bench):
    for _ in range(3):
        with bench.inject("short_to_ground"):
            pass
    counts = bench.unit.cycle_counts()

    assert (counts[1001], counts[2101], counts[2201]) == (4, 3, 0)


def test_what_is_there_is_listed(bench):
    with bench.inject("short_to_pin", to="lamp"):
        assert [(found.kind, found.lines) for found in bench.unit.present] == [("short_to_pin", ("valve", "lamp"))]
    assert bench.unit.present == ()
    with pytest.raises(HilError, match=r"fiu\.valve: no fault is there"):
        bench.unit.insertion("valve")


@pytest.mark.parametrize(
    ("kind", "line", "parameters", "why"),
    [
        ("shorted", "valve", {}, "fiu.valve has no fault 'shorted'; known are open, short_to_ground"),
        ("open", "valve", {"ohms": 1.0}, "has no parameter ohms"),
        ("short_to_pin", "valve", {"to": "valve"}, "cannot be shorted to itself"),
        ("short_to_pin", "valve", {"to": "valv"}, "has no line 'valv'; did you mean valve?"),
        ("short_to_ground", "spare", {}, "fiu.spare has no crosspoint to ground"),
    ],
)
def test_a_fault_it_cannot_insert_is_refused_before_any_relay_moves(bench, kind, line, parameters, why):
    with pytest.raises(HilError, match=why):
        bench.inject(kind, line, **parameters)
    assert bench.moves() == []


def test_a_second_fault_on_a_line_is_refused(bench):
    bench.inject("open")
    with pytest.raises(HilError, match=r"fiu\.valve has fault 'open' already; clear that first"):
        bench.inject("short_to_ground")


def test_a_fault_on_a_unit_whose_loads_are_not_connected_is_refused():
    with pytest.raises(HilError, match="the loads are not connected; connect_loads"):
        Bench().inject("open")


def test_a_fault_that_is_to_end_by_the_clock_is_refused(bench):
    fault = Fault("fiu.valve", "open", bench.clock.now, bench.clock.now + 1 * s)
    with pytest.raises(HilError, match=r"is to end at .*: relays are commanded over a bus, which takes time"):
        bench.injector.inject(fault)
    assert bench.moves() == []


def test_a_fault_that_begins_by_the_clock_fails_before_any_relay_moves(bench):
    bench.injector.inject(Fault("fiu.valve", "open", bench.clock.now + 1 * s))
    with pytest.raises(ClockError, match=r"fault insertion on fiu\.valve"):
        bench.clock.sleep(2 * s)
    assert bench.moves() == []


def test_a_stuck_relay_is_found_at_the_pin_and_not_by_its_read_back(bench):
    bench.twin.apply(Fault("fiu", "stuck_open", parameters={"channel": 2101}))
    with bench.inject("short_to_ground"):
        assert bench.outputs["valve"].volts == pytest.approx(28.0)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ({"a": Line(series=1099)}, "fiu has no channel 1099; did you mean"),
        ({"a": Line(series=1001), "b": Line(series=1001)}, "channel 1001 of fiu is named twice"),
    ],
)
def test_lines_that_do_not_fit_the_switch_are_refused(bench, lines, why):
    with pytest.raises(InstrumentError, match=why):
        FaultInsertion(bench.switch, lines, clock=bench.clock, undo=bench._undo, name="unit")


RIG = """[rig]
name = "bench"

[instrument.psu]
driver = "hil.visa.keysight_n6700:KeysightN6700"
model = "hil.visa.keysight_n6700_twin:KeysightN6700Twin"

[instrument.dmm]
driver = "hil.visa.keysight_34465a:Keysight34465A"
model = "hil.visa.keysight_34465a_twin:Keysight34465ATwin"

[instrument.sw]
driver = "hil.visa.keysight_34980a:Keysight34980A"
model = "hil.visa.keysight_34980a_twin:Keysight34980ATwin"

[net.load]
pins = ["psu.out1", "sw.s1_ch01_com"]

[net.article]
pins = ["sw.s1_ch01_no", "sw.s2_col01", "dmm.hi"]

[net.ground]
pins = ["sw.gnd", "sw.s2_row1"]
"""


def test_a_rig_file_wires_switch_supply_and_multimeter_and_its_end_opens_everything(tmp_path):
    (tmp_path / "rig.toml").write_text(RIG)
    rig = open_rig(Blueprint.of(load_rig(tmp_path / "rig.toml")))
    output, dmm = rig.instrument("psu", KeysightN6700).output(1), rig.instrument("dmm", Keysight34465A)
    switch = rig.instrument("sw", Keysight34980A)
    output.voltage_v = 12.0
    output.on()
    rig.clock.sleep(100 * ms)  # it takes up to 50 ms
    unit = FaultInsertion(switch, {"line": Line(series=1001, ground=2101)}, clock=rig.clock, undo=rig.undo, name="fiu")
    rig.faults.register("fiu.line", unit)
    unit.connect_loads()
    volts = [dmm.measure_voltage().value]
    with rig.inject("fiu.line", "short_to_ground"):
        volts.append(dmm.measure_voltage().value)
    volts.append(dmm.measure_voltage().value)
    rig.close()

    assert volts == [pytest.approx(12.0, abs=0.01), pytest.approx(0.0, abs=1e-3), pytest.approx(12.0, abs=0.01)]
    assert rig.wiring.pin("dmm.hi").volts == pytest.approx(0.0, abs=1e-6)
