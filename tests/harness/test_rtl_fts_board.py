"""The receiver with the RTL of its decoder on its board: what it does at its connectors, against the model receiver."""

from __future__ import annotations

import pytest
from fts_decoder_bench import LAUNCHER
from fts_world import FtsWorld
from rtl_fts_world import ARM, CHECK, OPTIONAL, TERMINATE, RtlFtsWorld, rtl_world

from hil.faults import Fault
from hil.profile import Profile
from hil.units import ms, s

ARMED, TERMINATED = {"arm", "shutdown"}, {"arm", "shutdown", "terminate"}
SOON = "dut.fts_a.as_built.warm_up_ms=5"
"""A receiver that is warm at once; what is not in the FPGA needs no other build of it."""


@pytest.fixture
def fast(hdl):
    """The simulator for long stretches of time."""
    return hdl("verilator")


@pytest.fixture
def world(tmp_path, fast):
    with rtl_world(tmp_path, fast, sets=[SOON]) as opened:
        yield opened


def response_ns(world: RtlFtsWorld | FtsWorld, output: str, began_ns: int) -> int:
    return next(at_ns for name, on, at_ns in world.edges if name == output and on and at_ns > began_ns) - began_ns


# -- noise and time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("armed", [False, True])
def test_noise_alone_gives_no_command_in_ten_thousand_decisions_of_the_rtl(world, armed):
    if armed:
        world.burst(*ARM)
    before = world.on
    lsb_per_khz = 40.0
    world.board.fpga.tones("audio", [], noise_lsb=25.0 * lsb_per_khz)  # all there is without a carrier, squelch open
    world.clock.sleep(10_000 * 400_000)
    assert world.on == before
    world.burst(*(TERMINATE if armed else ARM))
    assert world.on == (TERMINATED if armed else ARMED)


def test_it_does_what_the_model_receiver_does_when_it_does(world):
    tolerance_ns = (
        Profile.load([LAUNCHER / "profiles" / "launcher_spec.toml"]).value("fts.decoder_latency_tolerance", "ms") * ms
    )
    model = FtsWorld(warm_up_ms=5.0)
    for burst, level_dbm in ((TERMINATE, -60.0), (ARM, -107.0), (OPTIONAL, -60.0), (CHECK, -60.0), (TERMINATE, -60.0)):
        began = [each.clock.now for each in (model, world)]
        for each in (model, world):
            each.burst(*burst, level_dbm=level_dbm)
        assert world.on == model.on
        output = {ARM: "arm", TERMINATE: "terminate"}.get(burst, "")
        if output in model.on:
            took = [response_ns(each, output, since) for each, since in zip((model, world), began, strict=True)]
            assert abs(took[1] - took[0]) < tolerance_ns
    assert world.on == TERMINATED


# -- board ----------------------------------------------------------------------------------------------------


def test_the_command_path_works_with_the_processor_halted(world):
    world.board.apply(Fault("fts_a", "cpu_halt"))
    known = world.board.reported
    world.burst(*ARM)
    world.burst(*TERMINATE)
    assert world.on == TERMINATED
    assert world.board.reported == known


def test_the_reset_line_opens_every_output(world):
    world.burst(*ARM)
    world.reset_line.drive(28.0, 1.0)
    world.clock.sleep(2 * ms)
    assert world.on == set()
    world.reset_line.release()
    world.burst(*TERMINATE)
    assert world.on == set()


@pytest.mark.parametrize(
    ("changes", "after"),
    [([], ARMED), (["hold_up_ms=40"], set()), (["latch_hold_up_ms=20"], set())],
    ids=["as built", "short hold-up", "short latch hold-up"],
)
def test_a_50_ms_dropout_leaves_the_latches_if_hold_up_allows(tmp_path, fast, changes, after):
    with rtl_world(tmp_path, fast, sets=[SOON, *(f"dut.fts_a.as_built.{change}" for change in changes)]) as world:
        world.burst(*ARM)
        world.power(0.0)
        world.clock.sleep(50 * ms)
        assert world.on == set()
        world.power()
        world.clock.sleep(20 * ms)
        assert world.on == after
        world.burst(*ARM)
        world.burst(*TERMINATE)
        assert world.on == TERMINATED


def test_without_supply_for_long_the_fpga_forgets(world):
    world.burst(*ARM)
    world.power(0.0)
    world.clock.sleep(1 * s)
    assert not world.board.fpga.powered
    world.power()
    world.burst(*TERMINATE)
    assert world.on == set()
    world.burst(*ARM)
    assert world.on == ARMED


@pytest.mark.parametrize(("level_dbm", "arms"), [(-115.0, True), (-117.6, False)])
def test_the_threshold_is_as_built_within_its_scatter(world, level_dbm, arms):
    for _ in range(8):
        world.burst(*ARM, level_dbm=level_dbm)
        assert (world.on == ARMED) is arms
        world.reset_line.drive(28.0, 1.0)
        world.clock.sleep(3 * ms)
        world.reset_line.release()


@pytest.mark.parametrize(("level_dbm", "arms"), [(-125.0, False), (18.0, True), (20.0, False)])
def test_squelch_and_overload_mute_the_audio(world, level_dbm, arms):
    world.burst(*ARM, level_dbm=level_dbm)
    assert (world.on == ARMED) is arms


def test_the_processor_reports_what_the_fpga_tells_it(world):
    world.clock.sleep(60 * ms)
    assert world.board.reported.passed, "the self-test at power-up"
    assert (world.board.state, world.board.heard()) == ("SAFE", set())
    world.radiate(*ARM)
    world.clock.sleep(60 * ms)
    assert (world.board.state, world.board.heard()) == ("ARMED", {1, 5})
    world.radiate(*TERMINATE)
    world.clock.sleep(60 * ms)
    assert (world.board.state, world.board.heard()) == ("TERMINATED", {1, 2})


def test_a_tone_without_a_filter_disturbs_nothing(world):
    world.burst(*ARM, 3)
    assert world.on == ARMED


# -- a wrong design is found ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "burst"),
    [
        ("commands.TERMINATE.needs=[]", TERMINATE),
        ("tones_required=1", (1,)),
        ("extra_tones_block=false", (*ARM, 2)),
        ('commands.OPTIONAL.closes=["terminate"]', OPTIONAL),
    ],
)
def test_what_was_programmed_wrongly_is_done_wrongly(tmp_path, hdl, change, burst):
    sets = [SOON, f"dut.fts_a.as_built.{change}"]
    with rtl_world(tmp_path, hdl("icarus"), sets=sets, warm=False) as world:
        world.power()
        world.clock.sleep(6 * ms)
        world.burst(*burst, duration_ns=25 * ms)
        assert world.on


@pytest.mark.parametrize(("deviation_hz", "arms"), [(9.5e3, False), (27e3, True)])
def test_deviation_decides_on_the_rtl_as_on_the_model(tmp_path, hdl, deviation_hz, arms):
    with rtl_world(tmp_path, hdl("icarus"), sets=[SOON], warm=False) as world:
        world.power()
        world.clock.sleep(6 * ms)
        world.radiate(*ARM, deviation_hz=deviation_hz)
        world.clock.sleep(25 * ms)
        assert (world.on == ARMED) is arms
        assert world.board.fpga.value("tones_o") == (0b1001 if arms else 0)
