"""Block tests of the receivers' FPGA: random situations against the reference, and each of its promises by itself."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import cocotb
from fts_bench import COMMANDS, TONES_HZ, Bench

from hil.rtl.cover import cover

BLOCK = "../../../fixtures/hil_launcher/rtl/fts_receiver.toml"
AS_BUILT = "../../../fixtures/hil_launcher/as_built/fts_a.toml"
SIMULATORS = ("icarus", "verilator")
REQUIREMENTS = ("FTS-R-12", "FTS-R-22", "FTS-R-27", "FTS-R-30", "FTS-R-32", "FTS-R-33", "FTS-R-35", "FTS-R-37")

BUILT = Path(__file__).parent / AS_BUILT
ARM, TERMINATE, SHUTDOWN = 1, 2, 4


@cocotb.test()
@cocotb.parametrize(part=[1, 2, 3])
async def test_any_situation_is_decided_as_the_reference_does(dut, part):
    """Random tones, deviations, noise, durations and lines: tones and outputs are the reference's at every decision."""
    bench = Bench(dut, BUILT, cocotb.RANDOM_SEED + part)
    rng = bench.rng
    await bench.reset()
    while bench.played < 500:
        if rng.random() < 0.6:
            chosen = COMMANDS[str(rng.choice(list(COMMANDS), p=[0.4, 0.4, 0.1, 0.1]))]
            tones = {TONES_HZ[number] * rng.uniform(0.99, 1.01): rng.uniform(27.0, 33.0) for number in chosen}
        else:
            numbers = rng.choice(list(TONES_HZ), size=int(rng.integers(5)), replace=False)
            spread = rng.choice([0.01, 0.06])
            tones = {
                TONES_HZ[int(number)] * (1.0 + rng.uniform(-spread, spread)): 10.0 ** rng.uniform(0.7, 1.9)
                for number in numbers
            }
        for deviation_khz in tones.values():
            cover("fts.deviation", float(deviation_khz))
        await bench.tones(tones, int(rng.integers(5, 60)), noise_khz=float(rng.choice([0.0, 2.0, 6.0, 25.0])))
        if rng.random() < 0.5:
            await bench.tones({}, int(rng.integers(1, 20)))
        if rng.random() < 0.15:
            await bench.unlatch(tones)
        elif rng.random() < 0.1:
            await bench.drop_latch_supply(tones, 3)


@cocotb.test()
async def test_arm_opens_the_way_for_terminate_and_nothing_else_does(dut):
    """TERMINATE does nothing before ARM, nor after any other command; after ARM it closes its output."""
    bench = Bench(dut, BUILT, cocotb.RANDOM_SEED)
    await bench.reset()
    for name in ("TERMINATE", "OPTIONAL", "TERMINATE", "CHECK", "TERMINATE"):
        await bench.command(name)
        assert bench.on == 0
    await bench.command("ARM")
    assert bench.on == ARM | SHUTDOWN
    await bench.command("TERMINATE")
    assert bench.on == ARM | TERMINATE | SHUTDOWN


@cocotb.test()
@cocotb.parametrize(armed=[False, True])
async def test_no_other_set_of_tones_is_a_command(dut, armed):
    """Every set of tones that is not exactly a command's does nothing, armed or not; the check tone may be with it."""
    bench = Bench(dut, BUILT, cocotb.RANDOM_SEED)
    await bench.reset()
    if armed:
        await bench.command("ARM")
    before, closing = bench.on, [{1, 5}, *([{1, 2}] if armed else [])]
    for count in range(1, 5):
        for numbers in combinations((1, 2, 4, 5), count):
            if set(numbers) - {4} not in closing:
                await bench.tones({TONES_HZ[number]: 30.0 for number in numbers}, 40)
                await bench.tones({}, 12)
                assert bench.on == before, numbers
    await bench.tones({TONES_HZ[number]: 30.0 for number in (1, 4, 2 if armed else 5)}, 40)
    assert bench.on == (ARM | TERMINATE | SHUTDOWN if armed else ARM | SHUTDOWN)


@cocotb.test()
async def test_a_command_must_last(dut):
    """A burst a little too short does nothing, however often it comes; one a little longer is obeyed."""
    bench = Bench(dut, BUILT, cocotb.RANDOM_SEED)
    await bench.reset()
    needed = bench.numbers.rise[0] + bench.numbers.confirm
    tones = {TONES_HZ[number]: 30.0 for number in COMMANDS["ARM"]}
    for _ in range(4):
        await bench.tones(tones, needed - 3)
        await bench.tones({}, 15)
        assert bench.on == 0
    await bench.tones(tones, needed + 2)
    await bench.tones({}, 15)
    assert bench.on == ARM | SHUTDOWN


@cocotb.test()
@cocotb.parametrize(percent=[-4.0, -1.0, 1.0, 4.0])
async def test_tones_are_taken_in_their_filters_and_not_beside_them(dut, percent):
    """At 1 % beside the middle a command is obeyed at nominal deviation; at 4 % not even with ten times the power."""
    bench = Bench(dut, BUILT, cocotb.RANDOM_SEED)
    await bench.reset()
    khz = 30.0 if abs(percent) < 2.0 else 94.8
    for name in ("ARM", "TERMINATE"):
        await bench.tones({TONES_HZ[number] * (1.0 + percent / 100.0): khz for number in COMMANDS[name]}, 60)
        await bench.tones({}, 15)
    assert bench.on == (ARM | TERMINATE | SHUTDOWN if abs(percent) < 2.0 else 0)


@cocotb.test()
async def test_the_reset_line_must_be_held(dut):
    """Held for 0.9 ms it does nothing, for 1.2 ms it opens every output; TERMINATE then needs another ARM."""
    bench = Bench(dut, BUILT, cocotb.RANDOM_SEED)
    await bench.reset()
    await bench.command("ARM")
    dut.unlatch_i.value = 1
    for _ in range(45):
        await bench.sample(0)
    dut.unlatch_i.value = 0
    for _ in range(15):
        await bench.sample(0)
    assert bench.on == ARM | SHUTDOWN
    bench.judges = False  # samples that the reference has not seen went by
    await bench.tones({}, 20)
    dut.unlatch_i.value = 1
    await bench.tones({}, 3)
    assert bench.on == 0
    dut.unlatch_i.value = 0
    await bench.command("TERMINATE")
    assert bench.on == 0


@cocotb.test()
async def test_a_reset_line_that_is_stuck_takes_no_command_away(dut):
    """The reset line acts once when it comes: while it stays, ARM and TERMINATE are obeyed."""
    bench = Bench(dut, BUILT, cocotb.RANDOM_SEED)
    await bench.reset()
    dut.unlatch_i.value = 1
    await bench.tones({}, 5)
    for name in ("ARM", "TERMINATE"):
        await bench.command(name)
    assert bench.on == ARM | TERMINATE | SHUTDOWN


@cocotb.test()
@cocotb.parametrize(heard=["silence", "tones", "command accepted"])
async def test_a_self_test_inhibits_nothing(dut, heard):
    """A self-test passes whatever is received meanwhile, and a command during it is obeyed, as fast as ever."""
    bench = Bench(dut, BUILT, cocotb.RANDOM_SEED)
    await bench.reset()
    tones = {"silence": {}, "tones": {TONES_HZ[4]: 94.8, TONES_HZ[1]: 60.0}}.get(
        heard, {TONES_HZ[number]: 30.0 for number in COMMANDS["ARM"]}
    )
    assert not int(dut.self_test_passed_o.value)
    dut.self_test_i.value = 1
    await bench.tones(tones, 28)
    dut.self_test_i.value = 0
    assert int(dut.self_test_busy_o.value)
    assert bench.on == (ARM | SHUTDOWN if heard == "command accepted" else 0)
    await bench.tones(tones, 6)
    assert not int(dut.self_test_busy_o.value)
    assert int(dut.self_test_passed_o.value)
    assert not int(dut.self_test_failed_o.value)
    cover("fts.self_test", heard)
    await bench.tones({}, 20)
    dut.self_test_i.value = 1
    await bench.tones({}, 40)
    assert int(dut.self_test_passed_o.value)


@cocotb.test()
async def test_reports_say_what_the_pins_say(dut):
    """Every change of outputs and tones is reported within 1.5 ms, and silence lasts 50 ms at most."""
    bench = Bench(dut, BUILT, cocotb.RANDOM_SEED)
    await bench.reset()
    for name in ("CHECK", "ARM", "OPTIONAL", "TERMINATE"):
        await bench.tones({TONES_HZ[number]: 30.0 for number in COMMANDS[name]}, 40)
        report = bench.reports[-1]
        assert (report.outputs, report.tones) == (bench.on, int(dut.tones_o.value))
        assert report.accepted == bench.reference.accepted
        await bench.tones({}, 15)
        assert bench.reports[-1].tones == 0
    count = len(bench.reports)
    await bench.tones({}, 3 * 125 + 10)
    assert len(bench.reports) == count + 3
    assert [report.count for report in bench.reports] == list(range(len(bench.reports)))
    assert not any(report.upset or report.failed for report in bench.reports)
