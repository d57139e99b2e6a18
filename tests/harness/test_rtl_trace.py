"""What went over the ports is the same on every simulator and in every run: compared as the waveform's bytes."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest
from rtl_bench import bench, rtl_file

from hil.rtl.trace import PortTrace
from hil.units import ms, us


def waveform(folder, design, simulator, *, seed=7, exchanges=150):
    """The waveform of an echo that is given random levels at random times."""
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    with bench(folder, design, simulator) as box:
        box.clock.sleep(3 * us)
        for _ in range(exchanges):
            box.clock.sleep(int(rng.integers(1, 900)))
            box.fpga.drive("level_i", int(rng.integers(256)))
            box.fpga.drive("start_i", int(rng.random() < 0.999))
        box.clock.sleep(300 * us)
        return box.rig.traces["box"].vcd()


def test_the_waveform_is_the_same_on_every_simulator_and_when_repeated(tmp_path, hdl):
    runs = [("echo", hdl("icarus")), ("echo", hdl("verilator")), ("echo", hdl("verilator")), ("echo_vhdl", hdl("ghdl"))]
    digests = [hashlib.sha256(waveform(tmp_path, *run).encode()).hexdigest() for run in runs]
    assert len(set(digests)) == 1, dict(zip(runs, digests, strict=False))


def test_a_delay_in_the_design_takes_its_time_on_every_simulator(tmp_path, hdl):
    def changes(simulator):
        with bench(tmp_path, "delayed", hdl(simulator), watch=("late_o",)) as box:
            for at_us, level in ((2, 1), (3, 0)):
                box.at(at_us * us, "level_i", level)
            box.clock.sleep(5 * us)
            return [(at_ns, level) for at_ns, _, level in box.changes if at_ns > 1 * us]

    # acts at 2075 ns, is seen by the edge at 2150, leaves at 2280, is told at the instant behind it
    assert changes("icarus") == changes("verilator") == [(2375, 1), (3375, 0)]


def test_without_power_every_output_is_unknown_in_the_waveform(tmp_path, hdl):
    with bench(tmp_path, "echo", hdl("icarus")) as box:
        box.clock.sleep(2 * us)
        box.power(0.0)
        box.clock.sleep(5 * ms)
        last = box.rig.traces["box"].vcd().rpartition("\n#")[2].splitlines()
    assert {line.split()[0].rstrip('!"#') for line in last[1:]} == {"bxxxxxxxx", "x"}


def test_other_inputs_give_another_waveform(tmp_path, hdl):
    assert waveform(tmp_path, "echo", hdl("icarus")) != waveform(tmp_path, "echo", hdl("icarus"), seed=8)


def test_a_clock_of_an_odd_period_is_stamped_in_whole_nanoseconds_rounded_up(tmp_path, hdl):
    file = rtl_file(tmp_path, "echo", swap=("period_ns = 100.0", "period_ns = 62.5"))
    with bench(tmp_path, str(file), hdl("icarus"), watch=("level_o",)) as box:
        box.clock.sleep(10 * us)
        for level in range(1, 9):
            box.at(10 * us + 1000 * level, "level_i", level)
        box.clock.sleep(20 * us)
        # instants lie 46.875 ns after a whole number of periods
        acts = [-(-((10 + level) * 1_000_000 - 46_875) // 62_500) * 62_500 + 46_875 for level in range(1, 9)]
        assert [when for when, _, level in box.changes if level] == [-(-(at + 62_500) // 1000) for at in acts]


def test_the_waveform_holds_every_port_and_time_only_goes_forward(tmp_path, hdl):
    text = waveform(tmp_path, "echo", hdl("icarus"))
    assert re.findall(r"\$var wire (\d+) \S+ (\w+) \$end", text) == [
        ("8", "level_o"), ("1", "parity_o"), ("1", "alarm_o"), ("8", "level_i"), ("1", "start_i"),
    ]  # fmt: skip
    times = [int(each) for each in re.findall(r"^#(\d+)$", text, re.MULTILINE)]
    assert times == sorted(set(times))
    assert len(times) > 200


def test_unknown_levels_stand_in_the_waveform_as_such(tmp_path):
    trace = PortTrace("box")
    trace.put(5, "bus", "01XZ")
    trace.put(2, "line", "Z")
    trace.put(9, "bus", "U011")
    trace.write(tmp_path / "box.vcd")
    body = (tmp_path / "box.vcd").read_text().partition("$enddefinitions $end\n")[2]
    assert body == '#2\nz"\n#5\nb01xz !\n#9\nbxxxx !\n'


@pytest.mark.parametrize("count", [1, 94, 95, 94 * 95 + 1])
def test_each_signal_of_a_waveform_has_a_code_of_its_own(count):
    trace = PortTrace("box")
    for index in range(count):
        trace.put(index, f"port_{index}", "0")
    codes = re.findall(r"\$var wire 1 (\S+) port_", trace.vcd())
    assert len(set(codes)) == count
