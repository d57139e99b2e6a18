"""The exchange between rig and simulator: when inputs act, when outputs are seen, and that the clock stops for them.

The box has a clock of 100 ns and is powered at 0: rising edges stand at 50 ns, 150 ns and so on, the exchange instants
25 ns after each.
"""

from __future__ import annotations

import pytest
from rtl_bench import bench, linked, on_icarus, rtl_file
from rtl_world import connect

from hil.errors import RtlError
from hil.rtl.protocol import Item
from hil.units import ms, us

EDGE = 12_345_050
"""A rising edge [ns]."""
INSTANT = EDGE + 25
"""The exchange instant after it [ns]."""
LEVEL, START = 0, 1  # channels of the echo's inputs


@pytest.fixture
def echo(tmp_path, simulator):
    with bench(tmp_path, "echo", simulator, watch=("level_o", "parity_o", "alarm_o")) as box:
        box.clock.sleep(12 * ms)
        box.changes.clear()
        yield box


def test_an_input_acts_at_the_first_instant_that_is_not_before_it(echo):
    places = [(-99, 0), (-1, 0), (0, 0), (1, 100)]  # given and acting, from an instant [ns]
    for number, (given_ns, _) in enumerate(places):
        echo.at(INSTANT + 1000 * number + given_ns, "level_i", 3 * (number + 1))
    echo.clock.sleep(1 * ms)
    levels = [(when, level) for when, port, level in echo.changes if port == "level_o"]
    # through one register: an edge, and the instant behind it
    assert levels == [
        (INSTANT + 1000 * number + acts_ns + 100, 3 * (number + 1)) for number, (_, acts_ns) in enumerate(places)
    ]


def test_an_output_without_a_register_follows_at_the_same_instant(echo):
    echo.at(INSTANT, "level_i", 1)
    echo.clock.sleep(1 * ms)
    assert echo.changes == [(INSTANT, "parity_o", 1), (INSTANT + 100, "level_o", 1)]


def test_inputs_of_one_instant_act_together_and_no_glitch_between_them_is_seen(echo):
    echo.at(INSTANT, "level_i", 1)
    echo.at(INSTANT, "start_i", 1)  # either alone would change the parity
    echo.clock.sleep(INSTANT + 10 * us - echo.clock.now)
    assert echo.changes == [(INSTANT + 100, "level_o", 1)]


def test_an_output_without_a_register_keeps_its_instant_after_a_look_inside(echo):
    echo.clock.sleep(INSTANT - echo.clock.now)
    for bit in (3, 4):
        echo.fpga.deposit("count_q", 1 << bit)
    echo.fpga.drive("level_i", 1)
    echo.clock.sleep(1 * us)
    assert echo.changes == [(INSTANT, "parity_o", 1), (INSTANT + 100, "level_o", 1)]


def test_a_wait_ends_at_the_instant_of_the_output_it_waits_for(echo):
    echo.at(INSTANT, "start_i", 1)
    assert echo.clock.wait(1_000 * ms, ready=lambda: any(port == "alarm_o" for _, port, _ in echo.changes))
    assert echo.clock.now == INSTANT + 1001 * 100  # a count for each of 1000 edges, and one edge that sees it
    assert echo.changes[-1] == (echo.clock.now, "alarm_o", 1)


@on_icarus
def test_a_board_that_answers_an_output_is_heard_a_clock_later(echo):
    def answer(level):
        if 0 < level < 50:
            echo.fpga.drive("level_i", level * 2)

    echo.fpga.on_output("level_o", answer)
    echo.at(INSTANT, "level_i", 7)
    echo.clock.sleep(1 * ms)
    levels = [(when - INSTANT, level) for when, port, level in echo.changes if port == "level_o"]
    assert levels == [(100, 7), (200, 14), (300, 28), (400, 56)]


def test_outputs_are_told_two_clocks_into_the_reset_and_again_when_it_is_over(tmp_path, simulator):
    with bench(tmp_path, "echo", simulator, watch=("level_o",)) as box:
        box.clock.sleep(400)
        assert box.changes == [(275, "level_o", 0)]
        with pytest.raises(RtlError, match="output level_o was read before the power-up reset was over"):
            box.fpga.value("level_o")
        box.clock.sleep(600)
        assert box.changes == [(275, "level_o", 0), (575, "level_o", 0)]  # reset until 475 ns, then an edge


CLOSED = """
`default_nettype none
module closed (input wire clk, input wire rst_n, output reg lamp_o);
    always @(posedge clk) lamp_o <= !rst_n;
endmodule
`default_nettype wire
"""
CLOSED_FILE = """
top = "closed"
sources = ["closed.sv"]
clock = {port = "clk", period_ns = 100.0}
reset = {port = "rst_n", cycles = 10}
bind.lamp = {kind = "discrete_out", port = "lamp_o"}
"""


def test_a_switch_that_the_reset_holds_closed_is_closed_at_the_connector(tmp_path, simulator):
    source = tmp_path / "closed.sv"
    source.write_text(CLOSED)
    (tmp_path / "closed.toml").write_text(CLOSED_FILE)
    with bench(tmp_path, str(tmp_path / "closed.toml"), simulator) as box:
        load = connect(box.rig, "lamp")
        load.load(100.0)
        box.clock.sleep(400)
        assert load.volts > 27.0
        box.clock.sleep(1000)
        assert load.volts < 1.0
        box.power(0.0)
        box.clock.sleep(5 * ms)
        assert load.volts < 1.0


def test_a_power_cycle_loses_the_registers(echo):
    echo.fpga.drive("start_i", 1)
    echo.clock.sleep(50 * us)
    assert int(echo.fpga.peek("count_q"), 2) > 100
    echo.power(0.0)
    echo.clock.sleep(5 * ms)
    assert (echo.fpga.powered, echo.fpga.value("level_o")) == (False, 0)
    echo.power(28.0)
    echo.clock.sleep(10 * us)
    assert 0 < int(echo.fpga.peek("count_q"), 2) < 100


@on_icarus
def test_a_level_that_is_driven_without_power_is_there_when_power_comes(tmp_path, simulator):
    with bench(tmp_path, "echo", simulator, watch=("level_o",), on=False) as box:
        box.fpga.drive("level_i", 9)
        box.clock.sleep(10 * us)
        box.power()
        box.clock.sleep(10 * us)
        assert [level for _, _, level in box.changes] == [0, 9]  # in the reset, and behind it


def test_inputs_act_later_by_exactly_the_delay_of_the_board(tmp_path, simulator):
    file = rtl_file(tmp_path, "echo", top="lookahead_us = 25.0")
    with bench(tmp_path, str(file), simulator, watch=("level_o",)) as box:
        box.clock.sleep(12 * ms)
        box.at(INSTANT, "level_i", 3)
        box.at(INSTANT + 10 * us, "level_i", 6)
        box.clock.sleep(1 * ms)
        acts = INSTANT + 25 * us
        assert box.since(12 * ms) == [(acts + 100, "level_o", 3), (acts + 10 * us + 100, "level_o", 6)]


def test_a_grant_takes_several_inputs_and_stops_at_the_first_output(simulator):
    with linked("echo", simulator) as link:
        while link.reached_ps < 9_975_000:
            link.grant(10_000, [])
        left = [Item(at, LEVEL, bytes([level])) for at, level in ((10_275, 1), (10_475, 2), (30_000, 3))]
        seen = []
        while link.reached_ps < 39_975_000:
            reply, count = link.grant(40_000, left)
            left = left[len(left) - count :] if count else []
            seen += [(reply.reached_ps // 1000, int(reply.outputs[:8], 2), count)] if reply.outputs else []
        assert seen == [(10_275, 0, 2), (10_375, 1, 2), (10_575, 2, 1), (30_075, 2, 0), (30_175, 3, 0)]


@on_icarus
def test_an_input_that_the_design_does_not_have_is_refused_with_or_without_power(tmp_path, simulator):
    with bench(tmp_path, "echo", simulator, on=False) as box:
        with pytest.raises(RtlError, match="no input levl_i for the board; did you mean level_i"):
            box.fpga.drive("levl_i", 1)
        with pytest.raises(RtlError, match="no input clk for the board"):
            box.fpga.drive("clk", 1)
        with pytest.raises(RtlError, match="no output level_i for the board; did you mean level_o"):
            box.fpga.on_output("level_i", print)


@on_icarus
def test_a_value_that_does_not_fit_an_input_is_refused(echo):
    with pytest.raises(RtlError, match="256 does not fit input level_i of 8 bits"):
        echo.fpga.drive("level_i", 256)


@on_icarus
def test_more_than_a_packet_holds_is_refused(simulator):
    with linked("echo", simulator) as link, pytest.raises(RtlError, match="spread them over time"):
        link.grant(1_000_000, [Item(1000, LEVEL, b"\x00")] * 20_000)
