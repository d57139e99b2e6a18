"""Block tests of the engine controller's FPGA core against its reference model, on a scaled major cycle.

The major cycle has 256 clocks instead of 80 000 (see ``[scaled]`` in ``engine_core.toml``): everything counts major
cycles but the report, which takes about 100 clocks.
"""

from __future__ import annotations

from pathlib import Path

import cocotb
from engine_bench import BANKS, CLOCKS, DATABASE, JUDGED, Bench
from engine_scenarios import EVENTS, PHASES, clear, flight, ways

from hil.can.frame import Frame
from hil_launcher.models.engine.states import Output, State

BLOCK = "../../../fixtures/hil_launcher/rtl/engine_core.toml"
AS_BUILT = "../../../fixtures/hil_launcher/as_built/engine.toml"
SIMULATORS = ("icarus", "verilator")
UPSETS = True
REQUIREMENTS = ("ENG-R-02", "ENG-R-05", "ENG-R-07", "ENG-R-08", "ENG-R-13", "ENG-R-14", "ENG-R-16")
WALL_LIMIT_S = 300.0

ENGINE = Path(__file__).parent / AS_BUILT
STATE_BITS = 24 + 41 + 3 * 29 + 16 + 49
"""Bits of the state of one copy: time base, bus watch, votes, redlines, sequence."""


@cocotb.test()
@cocotb.parametrize(scenario=list(EVENTS))
async def test_every_event_is_handled_as_the_reference_does(dut, scenario):
    """A start with one thing going wrong at a random time: outputs and messages are those of the reference."""
    bench = Bench(dut, ENGINE, cocotb.RANDOM_SEED)
    for phase in PHASES[scenario]:
        await flight(bench, scenario, phase)


@cocotb.test()
async def test_any_inputs_are_judged_as_the_reference_does(dut):
    """Converter codes, lines and commands without any sense: outputs and messages are those of the reference."""
    bench = Bench(dut, ENGINE, cocotb.RANDOM_SEED)
    await bench.reset()
    rng = bench.rng
    for _ in range(600):
        if rng.random() < 0.04:
            clear(bench)
        if rng.random() < 0.03:
            bench.lines[str(rng.choice(["a", "b"]))] = bool(rng.integers(2))
        if rng.random() < 0.03:
            bench.interrupted = bool(rng.integers(2))
        if rng.random() < 0.05:
            bench.engine.sensors_v[int(rng.integers(9))] = float(rng.uniform(-0.1, 5.1))
        if rng.random() < 0.1:
            bench.engine.apart_v[int(rng.integers(9))] = float(rng.uniform(-0.3, 0.3))
        if rng.random() < 0.03:
            bench.engine.ox, bench.engine.fuel = rng.random(2)
        commands = [("START", "SHUTDOWN", "RESET")[int(rng.integers(3))] for _ in range(int(rng.integers(3)))]
        await bench.cycle(*(frame for command in commands for frame in bench.command(command, *ways(rng))))


@cocotb.test()
async def test_every_value_is_told_as_the_database_scales_it(dut):
    """Values over the whole range, and those that lie half way between two steps of their field: to the even one."""
    bench = Bench(dut, ENGINE, cocotb.RANDOM_SEED)
    await bench.reset()
    half_way = [512, 1024, 1536, 2560, 3584]
    for code in (*half_way, 0, 4095, *(int(code) for code in bench.rng.integers(205, 3892, 8))):
        for _ in range(bench.as_built.sensor_status_cycles):
            await bench.judged([code] * 11, [(20, bus, frame) for bus, frame in bench.heartbeats()][:1])


@cocotb.test()
async def test_no_upset_reaches_an_output_and_all_are_corrected(dut):
    """Random flips of registers in every major cycle of a run: each is told, none moves an output or a message."""
    bench = Bench(dut, ENGINE, cocotb.RANDOM_SEED)
    bench.upsets = 12
    for scenario, phase in (("shutdown", "mainstage"), ("pc high", "ramp"), ("two sensors", "standby")):
        await flight(bench, scenario, phase)


@cocotb.test()
async def test_every_single_bit_of_every_copy_is_voted_out(dut):
    """Each bit of each copy of the triplicated state is flipped in turn while the engine runs."""
    bench = Bench(dut, ENGINE, cocotb.RANDOM_SEED)
    await bench.reset()
    for cycle in range(60):
        await bench.cycle(*(bench.command("START") if cycle == 14 else ()))
    assert bench.told[Output.MAIN_OX]
    every = [(name, copy, bit) for name in BANKS for copy in "abc" for bit in range(len(bench.bank(name, copy)))]
    bench.planned, bench.upsets = list(every), 40
    while bench.planned:
        await bench.cycle()
    assert len(every) == 3 * STATE_BITS


@cocotb.test()
@cocotb.parametrize(number=list(range(1, 11)))
async def test_each_engine_hears_and_speaks_by_its_own_identifiers(dut, number):
    """With the strap of engine n the core obeys command n, no other, and its messages are those of engine n."""
    bench = Bench(dut, ENGINE, cocotb.RANDOM_SEED, f"ENG{number}")
    await bench.reset()
    for cycle in range(40):
        others = [
            ("can_a", DATABASE.sender(f"ENG{other}_COMMAND").frame({"COMMAND": "START"}))
            for other in range(1, 11)
            if other != number and cycle == 16
        ]
        await bench.cycle(*others, *(bench.command("START") if cycle == 25 else ()))
        assert cycle >= 25 or not bench.told[Output.IGNITER]
    assert bench.told[Output.IGNITER]


@cocotb.test()
async def test_spoiled_messages_do_nothing(dut):
    """A command with any one bit flipped, of another length, or repeated is not obeyed; the good one is."""
    bench = Bench(dut, ENGINE, cocotb.RANDOM_SEED)
    await bench.reset()
    for _ in range(14):
        await bench.cycle()
    good = bench.frame("can_a", "ENG1_COMMAND", COMMAND="START")
    spoiled = [
        Frame(good.arbitration_id, (int.from_bytes(good.data, "big") ^ 1 << bit).to_bytes(3, "big"))
        for bit in range(24)
    ]
    spoiled += [Frame(good.arbitration_id, good.data[:2]), Frame(good.arbitration_id, good.data + b"\0")]
    spoiled += [Frame(good.arbitration_id ^ 1 << bit, good.data) for bit in range(11)]
    for frame in spoiled:
        await bench.cycle(("can_a", frame))
        assert bench.state is State.STANDBY
    for number in (0, 4, 15):  # commands that nobody has defined, sound in every other way
        data = bytes([number]) + bench.frame("can_a", "ENG1_COMMAND", COMMAND="START").data[1:]
        await bench.cycle(("can_a", Frame(good.arbitration_id, DATABASE.protection("ENG1_COMMAND").seal(data))))
        assert bench.state is State.STANDBY
    await bench.cycle(("can_a", good))
    assert bench.state is State.IGNITION
    await bench.cycle(*bench.command("SHUTDOWN", "can_b"))
    assert bench.state is State.SAFE
    await bench.cycle(*bench.command("RESET", "can_b"))
    await bench.cycle(("can_a", good))
    assert bench.state is State.STANDBY


@cocotb.test()
async def test_an_order_counts_for_the_cycle_in_which_it_comes(dut):
    """A command up to the last clock before the judgement is obeyed in it, one clock later in the next."""
    bench = Bench(dut, ENGINE, cocotb.RANDOM_SEED)
    for clock, state in ((JUDGED - 1, State.IGNITION), (JUDGED, State.STANDBY)):
        await bench.reset()
        for _ in range(14):
            await bench.cycle()
        [(bus, frame)] = bench.command("START", "can_a")
        await bench.judged(bench.engine.codes(bench.rng), [(clock, bus, frame)])
        assert bench.state is state
        await bench.cycle()
        assert bench.state is State.IGNITION


@cocotb.test()
async def test_a_bus_that_takes_nothing_gets_the_newest_messages_later(dut):
    """While a bus takes no frame the other one is served; afterwards it gets the last of each kind, status first."""
    bench = Bench(dut, ENGINE, cocotb.RANDOM_SEED)
    await bench.reset()
    bench.ready["b"] = False
    for _ in range(33):
        await bench.cycle()
    assert bench.sent["b"] == []
    bench.ready["b"] = True
    bench.sent["b"] = []
    newest = dict(bench.expected)
    await bench.clocks(CLOCKS)
    assert bench.sent["b"][:2] == sorted(newest.items())
