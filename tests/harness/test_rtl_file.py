"""RTL files: what is refused when they are read or the design is built, and with which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from rtl_bench import bench, built, rtl_file

from hil.errors import ConfigError, RtlError
from hil.rtl import tools
from hil.rtl.build import Variant, build
from hil.rtl.design import Design
from hil.rtl.spec import ClockTable, load_spec


def refused(file):
    """What is said of an RTL file when its design is to be built; no simulator is asked before that."""
    with pytest.raises((ConfigError, RtlError)) as caught:  # noqa: PT012  # either may refuse
        spec = load_spec(file)
        build(spec, tools.find("icarus"), Variant(), {})
    return str(caught.value)


@given(quarter_ps=st.integers(1, 10**9))
def test_every_period_with_a_quarter_in_whole_picoseconds_is_accepted(quarter_ps):
    assert ClockTable(port="clk", period_ns=quarter_ps * 4 / 1000).period_ps == quarter_ps * 4


@given(quarter_ps=st.integers(1, 10**6), off_ps=st.sampled_from([0.25, 0.5, 0.75]))
def test_any_other_period_is_refused_with_the_nearest_that_fits(quarter_ps, off_ps):
    with pytest.raises(ValidationError, match="the nearest that fits is") as caught:
        ClockTable(port="clk", period_ns=(quarter_ps + off_ps) * 4 / 1000)
    nearest_ns = float(str(caught.value).partition("the nearest that fits is ")[2].partition(" ns")[0])
    assert abs(nearest_ns * 250 - quarter_ps - off_ps) <= 0.5 + 1e-6
    assert ClockTable(port="clk", period_ns=nearest_ns).period_ps % 4 == 0


def test_a_refused_period_is_told_with_file_and_line(tmp_path):
    file = rtl_file(tmp_path, "echo", swap=("period_ns = 100.0", "period_ns = 33.333"))
    assert "echo.toml:6: clock" in refused(file)
    assert "a quarter of a period of 33.333 ns is 8333.25 ps" in refused(file)
    assert "the nearest that fits is 33.332 ns" in refused(file)


def test_an_unknown_key_names_the_nearest(tmp_path):
    assert "lookahed_us is not known; did you mean lookahead_us" in refused(
        rtl_file(tmp_path, "echo", top="lookahed_us = 3.0")
    )


def test_a_source_that_is_not_there_is_named(tmp_path):
    assert "sources: there is no file" in refused(rtl_file(tmp_path, "echo", swap=("echo.sv", "ehco.sv")))


def test_a_top_that_no_source_declares_is_named(tmp_path, hdl):
    hdl("icarus")
    file = rtl_file(tmp_path, "echo", swap=('top = "echo"', 'top = "ecco"'))
    assert "no source declares module ecco" in refused(file)


@pytest.mark.parametrize(
    ("binding", "words"),
    [
        ('kind = "discrete_in"\nport = "strat_i"', "bind.x.port = 'strat_i': echo has no such port; it has clk, rst_n"),
        ('kind = "discrete_in"\nport = "alarm_o"', "'alarm_o': it is an output of echo, and must be an input"),
        ('kind = "discrete_out"\nport = "start_i"', "'start_i': it is an input of echo, and must be an output"),
        ('kind = "uart"\ntx = "start_i"\nbaud = 1e6', "bind.x.tx = 'start_i': it is an input of echo"),
        ('kind = "can"\ntx = "alarm_o"\nrx = "rst_n"', "bind.x.rx = 'rst_n': reset.port drives that input already"),
        ('kind = "samples"\nport = "level_i"\nrate_hz = 300000.0', "the nearest rate that fits is 303030.303 Hz"),
        ('kind = "discrete"\nport = "start_i"', "discrete_in"),
        ('kind = "spi_adc"\nsclk = "alarm_o"\nchannels = ["a"]', "cs_n"),
    ],
)
def test_a_binding_that_does_not_fit_is_refused(tmp_path, hdl, binding, words):
    hdl("icarus")
    assert words in refused(rtl_file(tmp_path, "echo", then=f"[bind.x]\n{binding}"))


def test_a_binding_of_one_bit_to_a_port_of_several_is_refused_when_it_gets_power(tmp_path, hdl):
    file = rtl_file(tmp_path, "echo", then='[bind.x]\nkind = "discrete_out"\nport = "level_o"')
    with bench(tmp_path, str(file), hdl("icarus"), on=False) as box:
        box.clock.sleep(1)
        with pytest.raises(RtlError, match=r"bind.x.port = 'level_o': it has 8 bits, and must have 1"):  # noqa: PT012  # at once or at the first instant
            box.power()
            box.clock.sleep(1)


def test_a_parameter_that_the_design_does_not_have_is_refused(tmp_path, hdl):
    hdl("icarus")
    file = rtl_file(tmp_path, "echo", then='[scaled.ALARMS]\nvalue = 10\nhardware = 1000\nreason = "quicker"')
    design = Design(file, "icarus", coverage=False, waves=False, upsets=False)
    with pytest.raises(RtlError, match="echo has no parameter ALARMS; it has ALARM"):
        design.built(None)  # type: ignore[arg-type]  # the design needs no as-built data


def test_a_scaled_parameter_stands_in_what_evidence_records(tmp_path, hdl):
    hdl("icarus")
    file = rtl_file(tmp_path, "echo", then='[scaled.ALARM]\nvalue = 10\nhardware = 1000\nreason = "quicker"')
    identity = Design(file, "icarus", coverage=False, waves=False, upsets=False).built(None).identity  # type: ignore[arg-type]  # as above
    assert identity["parameters"] == {"ALARM": 10}
    assert identity["scaled"] == {"ALARM": {"value": 10, "hardware": 1000, "reason": "quicker"}}


@pytest.mark.parametrize("board", ["no.such.module:Board", "hil.units:Board", "hil.units:format_time"])
def test_a_board_that_is_not_there_or_no_article_is_refused(tmp_path, board):
    file = rtl_file(tmp_path, "echo", top=f'board = "{board}"')
    with pytest.raises(ConfigError, match=r"board = .* is (not there|no article)"):
        Design(file, "icarus", coverage=False, waves=False, upsets=False)


def test_what_a_build_is_made_of_is_recorded(hdl):
    identity = built("echo", hdl("icarus")).identity
    assert identity["simulator"] == "icarus"
    assert len(identity["sha256"]) == len(identity["build"]) == 64
    assert list(identity["sources"]) == ["echo.sv"]
    assert identity["cocotb"].startswith("2.1")
