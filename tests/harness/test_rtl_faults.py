"""Faults inside an FPGA: injected where named, read back, gone when they should be, refused when they cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rtl_bench import bench, built, on_icarus, rtl_file

from hil.errors import HilError, RtlError
from hil.rtl.build import Variant
from hil.rtl.host import FpgaHost
from hil.rtl.port import FpgaHandle
from hil.units import ms, us


@pytest.fixture
def echo(tmp_path, simulator):
    """An echo that counts."""
    with bench(tmp_path, "echo", simulator, watch=("level_o", "alarm_o")) as box:
        box.fpga.drive("start_i", 1)
        box.clock.sleep(50 * us)
        box.changes.clear()
        yield box


def count(box):
    return int(box.fpga.peek("count_q"), 2)


# -- upsets -----------------------------------------------------------------------------------------------------


def test_an_upset_flips_one_bit_once_and_the_design_goes_on_from_there(echo):
    before = count(echo)
    with echo.rig.inject("box", "seu", register="count_q", bit=9):
        assert count(echo) == before + 1 + 512  # at the instant behind the next edge
        echo.clock.sleep(10 * us)
        assert count(echo) == before + 512 + 100
    assert count(echo) == before + 512 + 100  # nothing takes an upset away
    assert echo.box.upsets.flips == [(50 * us, "count_q", 9)]


def test_an_upset_that_reaches_an_output_is_seen_there(echo):
    echo.rig.inject("box", "seu", register="count_q", bit=31)
    echo.clock.sleep(1 * us)
    assert [(port, level) for _, port, level in echo.changes] == [("alarm_o", 1)]


@on_icarus
def test_an_upset_comes_at_its_time(echo):
    echo.rig.inject("box", "seu", at=60 * us + 50, register="count_q", bit=20)
    echo.clock.sleep(10 * us)
    assert count(echo) < 1 << 20
    echo.clock.sleep(1 * us)
    assert count(echo) > 1 << 20


def test_upsets_at_a_rate_hit_listed_registers_as_often_as_told_until_they_end(echo):
    with echo.rig.inject("box", "seu_rate", per_s=10_000.0):
        echo.clock.sleep(10 * ms)
    hits = list(echo.box.upsets.flips)
    assert 60 < len(hits) < 140
    assert {register for _, register, _ in hits} == {"count_q"}
    assert len({bit for _, _, bit in hits}) > 20
    echo.clock.sleep(10 * ms)
    assert echo.box.upsets.flips == hits


def test_the_same_seed_hits_the_same_bits_at_the_same_times_on_every_simulator(tmp_path, hdl):
    def hits(simulator, seed):
        with bench(tmp_path, "echo", hdl(simulator), seed=seed) as box:
            box.clock.sleep(1 * ms)
            box.rig.inject("box", "seu_rate", per_s=20_000.0)
            box.clock.sleep(2 * ms)
            return box.box.upsets.flips

    first = hits("icarus", 5)
    assert hits("verilator", 5) == first
    assert hits("icarus", 6) != first


# -- what lasts -------------------------------------------------------------------------------------------------


def test_a_stuck_net_is_held_until_the_fault_ends(echo):
    for level, held in ((0, 0), (1, 2**32 - 1)):
        with echo.rig.inject("box", "stuck", net="count_q", level=level):
            assert count(echo) == held
            echo.clock.sleep(10 * us)
            assert count(echo) == held
        echo.clock.sleep(1 * us)
        assert count(echo) == (held + 9) % 2**32


@on_icarus
def test_a_stuck_net_is_still_stuck_after_a_power_cycle(echo):
    with echo.rig.inject("box", "stuck", net="count_q", level=1):
        echo.power(0.0)
        echo.clock.sleep(5 * ms)
        echo.power(28.0)
        echo.clock.sleep(1 * ms)
        assert count(echo) == 2**32 - 1
    echo.clock.sleep(1 * us)
    assert count(echo) < 2**32 - 1


def test_a_stopped_clock_stops_everything_and_goes_on_where_it_stood(echo):
    before = count(echo)
    with echo.rig.inject("box", "clock_stop"):
        echo.fpga.drive("level_i", 77)
        echo.clock.sleep(100 * us)
        assert count(echo) == before + 1  # it stopped at the instant behind the next edge
        assert echo.changes == []
    echo.clock.sleep(1 * us)
    assert count(echo) == before + 10
    assert echo.changes[0][1:] == ("level_o", 77)


def test_an_upset_comes_at_the_instant_at_which_an_input_of_now_acts(echo):
    echo.clock.sleep(80)  # behind the instant at 75 ns of a period; the next edge is at 150
    before = count(echo)
    echo.rig.inject("box", "seu", register="count_q", bit=20)
    assert count(echo) == before + 1 + 2**20


def test_a_glitch_on_the_reset_resets(echo):
    echo.fpga.drive("level_i", 77)
    echo.clock.sleep(1 * us)
    echo.changes.clear()
    now = echo.clock.now
    echo.rig.inject("box", "reset_glitch", width_ns=1000)
    echo.clock.sleep(5 * us)
    assert [(when - now, level) for when, port, level in echo.changes] == [(175, 0), (1175, 77)]
    assert count(echo) == 39


def test_the_shortest_glitch_resets_whenever_it_comes(echo):
    for _ in range(10):
        echo.clock.sleep(10 * us + 13)
        echo.rig.inject("box", "reset_glitch", width_ns=100)
        echo.clock.sleep(1 * us)
        assert count(echo) < 10


@on_icarus
def test_a_glitch_that_is_no_whole_number_of_clocks_is_refused_with_the_nearest(echo):
    with pytest.raises(HilError, match="must be a multiple of 100 ns; the nearest is 200"):
        echo.rig.inject("box", "reset_glitch", width_ns=160)


def test_a_glitch_lasts_as_long_as_told_on_a_board_with_a_delay(tmp_path, simulator):
    file = rtl_file(tmp_path, "echo", top="lookahead_us = 25.0")
    with bench(tmp_path, str(file), simulator, watch=("level_o",)) as box:
        box.fpga.drive("level_i", 77)
        box.clock.sleep(100 * us)
        box.changes.clear()
        box.rig.inject("box", "reset_glitch", width_ns=2000)
        box.clock.sleep(100 * us)
        assert [(when - 125 * us, level) for when, _, level in box.changes] == [(175, 0), (2175, 77)]


def test_a_design_in_vhdl_takes_a_glitch_and_refuses_what_ghdl_cannot_do(tmp_path, hdl):
    with bench(tmp_path, "echo_vhdl", hdl("ghdl")) as box:
        box.fpga.drive("start_i", 1)
        box.clock.sleep(50 * us)
        for kind, parameters, words in (
            ("seu", {"register": "count_q"}, "count_q cannot be written: GHDL holds what is written"),
            ("stuck", {"net": "count_q", "level": 1}, "count_q cannot be written: GHDL holds what is written"),
            ("clock_stop", {}, "the clock of a VHDL design cannot be stopped"),
        ):
            with pytest.raises(RtlError, match=words):
                box.rig.inject("box", kind, **parameters)
        assert count(box) > 400
        box.rig.inject("box", "reset_glitch", width_ns=1000)
        box.clock.sleep(2 * us)
        assert count(box) == 9


# -- refusals ---------------------------------------------------------------------------------------------------


def test_what_cannot_be_injected_is_refused_and_changes_nothing(echo):
    before = count(echo)
    for kind, parameters, words in (
        ("seu", {"register": "cuont_q"}, r"no signal cuont_q .* \[upsets\] of the RTL file"),
        ("seu", {"register": "count_q", "bit": 32}, "count_q has 32 bits, 0 to 31; there is no bit 32"),
        ("seu", {"bit": 3}, "needs register="),
        ("seu", {"register": "count_q", "bits": 3}, "has no parameter bits; did you mean bit"),
        ("stuck", {"net": "count_q", "level": 2}, "stuck at 0 or 1, not at 2"),
        ("stuck", {"net": "count_q[0]]", "level": 1}, "no name in a hierarchy"),
        ("reset_glitch", {}, "needs a number width_ns="),
        ("clock_stop", {"width_ns": 3}, "has no parameter width_ns"),
        ("seo", {}, "no fault 'seo'"),
    ):
        with pytest.raises(HilError, match=words):
            echo.rig.inject("box", kind, **parameters)
    echo.clock.sleep(1 * us)
    assert count(echo) == before + 10


@on_icarus
def test_a_fault_needs_power(tmp_path, simulator):
    with (
        bench(tmp_path, "echo", simulator, on=False) as box,
        pytest.raises(RtlError, match="its FPGA has no power; power it before looking into it"),
    ):
        box.rig.inject("box", "seu", register="count_q", bit=1)


def test_an_unknown_register_is_not_flipped(tmp_path, hdl):
    with bench(tmp_path, "unreset", hdl("icarus"), on=True) as box:
        box.clock.sleep(300)
        with pytest.raises(HilError, match="terminate_o is X: an unknown bit cannot be flipped"):
            box.rig.inject("box", "seu", register="terminate_o", bit=0)


def test_a_force_that_the_simulator_ignores_is_found_by_reading_back(tmp_path, hdl):
    with bench(tmp_path, "echo", hdl("verilator")) as box:
        box.clock.sleep(1 * ms)
        with pytest.raises(RtlError, match=r"force of /start_i to 1 was ignored: it reads 0.*Verilator"):
            box.fpga.live.change("force", "/start_i", "1")


def test_a_deposit_that_the_design_overwrites_at_once_is_found_by_reading_back(tmp_path, hdl):
    with bench(tmp_path, "echo", hdl("verilator")) as box:
        box.clock.sleep(1 * ms)
        with pytest.raises(RtlError, match="deposit of /hil_out to 1111111111 was ignored"):
            box.fpga.live.change("deposit", "/hil_out", "1" * 10)


def test_registers_of_a_build_for_speed_are_refused_with_the_remedy(hdl):
    fast = replace(built("echo", hdl("verilator")), variant=Variant())
    with pytest.raises(RtlError, match=r"optimised away for speed; set upsets = true in the \[rtl\] table"):
        FpgaHandle(FpgaHost("box", fast, None)).must_be_open()  # type: ignore[arg-type]  # it is never started
