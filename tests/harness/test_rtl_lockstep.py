"""Two FPGAs on one clock: each one's output is the other's input, exactly, whatever runs ahead of what."""

from __future__ import annotations

from itertools import pairwise

import pytest
from rtl_bench import OPEN, on_icarus, rtl_file
from rtl_world import rig_file

from hil.errors import RtlError
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.units import us

US = 1000


def two(folder, simulator, delays_us, order=("left", "right")):
    """A rig with two powered echoes, wired crosswise: each answers a level with the next one, up to 40."""
    files = {
        name: str(rtl_file(folder / name, "echo", top=f"lookahead_us = {delay}" if delay else ""))
        for name, delay in zip(("left", "right"), delays_us, strict=True)
    }
    rig = open_rig(
        Blueprint.of(load_rig(rig_file(folder, {name: files[name] for name in order}, simulator, more=OPEN)))
    )
    seen = []

    def wire(source, sink):
        def hear(level):
            seen.append((rig.clock.now, source, level))
            if 0 < level < 40:
                rig.models[sink].fpga.drive("level_i", level + 1)

        rig.models[source].fpga.on_output("level_o", hear)

    wire("left", "right")
    wire("right", "left")
    return rig, seen


def play(rig, *, step_ns=1_000_000):
    """Power both a little apart, start the exchange, and let it end; whoever waits in short steps changes nothing."""
    for name, after_ns in (("left", 0), ("right", 130)):
        rig.clock.sleep(after_ns)
        rig.wiring.pin(f"bench.{name}").drive(28.0, 0.01)
        rig.wiring.net(f"power_{name}", [f"bench.{name}", f"{name}.power"])
    rig.clock.sleep(5 * us)
    rig.models["left"].fpga.drive("level_i", 1)
    end_ns = rig.clock.now + 2_000 * us
    while rig.clock.now < end_ns:
        rig.clock.sleep(min(step_ns, end_ns - rig.clock.now))


@pytest.mark.parametrize(
    ("simulator", "delays_us"),
    [
        ("icarus", (25.0, 25.0)), ("icarus", (30.0, 10.0)), ("icarus", (10.0, 0.0)), ("icarus", (0.0, 10.0)),
        ("verilator", (30.0, 10.0)), ("verilator", (0.0, 10.0)),
    ],
    indirect=["simulator"],
)  # fmt: skip
def test_levels_cross_back_and_forth_with_the_delays_of_the_boards(tmp_path, simulator, delays_us):
    rig, seen = two(tmp_path, simulator, delays_us)
    with_power = []
    try:
        play(rig)
        with_power = [each for each in seen if each[2]]
    finally:
        rig.close()
    assert [level for _, _, level in with_power] == list(range(1, 41))
    assert [name for _, name, _ in with_power] == ["left", "right"] * 20
    gaps = [later[0] - earlier[0] for earlier, later in pairwise(with_power)]
    # behind the delay comes the next instant of that FPGA, which has its own phase, and then its register
    assert set(gaps[0::2]) == {round(delays_us[1] * US) + 130}
    assert set(gaps[1::2]) == {round(delays_us[0] * US) + 170}


@on_icarus
def test_the_order_of_the_rig_file_and_the_steps_of_the_test_change_nothing(tmp_path, simulator):
    found = []
    for order, step_ns in ((("left", "right"), 2_000_000), (("right", "left"), 2_000_000), (("left", "right"), 700)):
        rig, seen = two(tmp_path, simulator, (30.0, 10.0), order)
        try:
            play(rig, step_ns=step_ns)
            found.append((seen, [rig.traces[name].vcd() for name in ("left", "right")]))
        finally:
            rig.close()
    assert found[0] == found[1] == found[2]


@on_icarus
def test_two_without_a_delay_are_refused_when_the_second_gets_power(tmp_path, simulator):
    rig, _ = two(tmp_path, simulator, (0.0, 0.0))
    try:
        with pytest.raises(RtlError, match=r"right and left both have no lookahead: .*lookahead_us in the RTL file"):
            play(rig)
        assert [rig.models[name].fpga.powered for name in ("left", "right")] == [True, False]
    finally:
        rig.close()
