"""States and errors of a controller as the kernel's slcan driver tells them: its adapter is the test's own.

The controllers that QEMU emulates never see an error; this driver's do, when the adapter says so.
"""

from __future__ import annotations

import can
import pytest
from can_stack import bring_up, eventually, ip
from slcan_adapter import SlcanAdapter

from hil.can.frame import Frame
from hil.units import ms

COMMAND = Frame(0x123, b"\x11\x22")


@pytest.fixture
def adapter():
    """An adapter whose interface is up."""
    adapter = SlcanAdapter()
    bring_up(adapter.channel)
    yield adapter
    ip("link", "set", adapter.channel, "down")
    adapter.close()


def kernel_says(adapter):
    return ip("-details", "link", "show", adapter.channel)


def test_frames_pass_the_adapter_both_ways(adapter, ear):
    bench = ear(adapter.channel)
    bench.link.send_frame(COMMAND)
    for line in ("t3212DEAD", "T1ABCDEFF0", "r3215", "R000003214"):
        adapter.say(line)

    assert [str(frame) for frame in bench.hears(4)] == ["321#DEAD", "1ABCDEFF#", "321#R5", "00000321#R4"]
    assert eventually(lambda: b"t12321122" in adapter.told)


@pytest.mark.parametrize(
    ("said", "state", "counters", "kernel"),
    [
        ("sw010096", "error-active", (10, 96), "ERROR-WARNING"),
        ("sw096010", "error-active", (96, 10), "ERROR-WARNING"),
        ("sp128000", "error-passive", (128, 0), "ERROR-PASSIVE"),
        ("sp000135", "error-passive", (0, 135), "ERROR-PASSIVE"),
    ],
)
def test_a_state_and_its_counters_are_those_that_the_kernel_tells(adapter, ear, said, state, counters, kernel):
    bench = ear(adapter.channel)
    adapter.say(said)

    assert bench.wait(lambda: bench.link.stats.tec is not None)
    stats = bench.link.stats
    assert (stats.state, sorted((stats.tec, stats.rec))) == (state, sorted(counters))
    assert f"state {kernel}" in kernel_says(adapter)


def test_a_bus_off_controller_refuses_to_send_and_names_the_remedy(adapter, ear):
    bench = ear(adapter.channel)
    adapter.say("sb000000")
    assert bench.wait(lambda: bench.link.stats.state == "bus-off")

    with pytest.raises(can.CanOperationError, match=r"bus-off.*find what disturbs the bus"):
        bench.link.send_frame(COMMAND)
    assert "state BUS-OFF" in kernel_says(adapter)


def test_a_controller_restarted_after_bus_off_sends_again(adapter, ear):
    bench = ear(adapter.channel)
    adapter.say("sb000000")
    assert bench.wait(lambda: bench.link.stats.state == "bus-off")
    bring_up(adapter.channel)
    assert bench.wait(lambda: bench.link.stats.state == "detached")
    bench.link.send_frame(COMMAND)

    assert bench.link.stats.state == "error-active"
    assert eventually(lambda: b"t12321122" in adapter.told)


@pytest.mark.parametrize(
    ("said", "kind"),
    [("e1a", "200000A8"), ("e1b", "20000088"), ("e1c", "20000088"), ("e1f", "20000088"), ("e1s", "20000088")],
    ids=["no acknowledge", "bit", "crc", "form", "stuff"],
)
def test_an_error_frame_is_counted_and_logged(adapter, ear, said, kind):
    bench = ear(adapter.channel)
    adapter.say(said)

    assert bench.wait(lambda: bench.link.stats.error_frames == 1)
    assert [line.split()[2].split("#")[0] for line in bench.lines] == [kind]
    assert bench.frames == []


def test_an_overrun_of_the_controller_is_counted(adapter, ear):
    bench = ear(adapter.channel)
    adapter.say("e1o")

    assert bench.wait(lambda: bench.link.stats.lost == 1)


def test_frames_that_nobody_acknowledges_are_told_as_such_until_the_controller_is_passive(adapter, ear):
    adapter.answer = b"e1a\r"
    bench = ear(adapter.channel)
    for _ in range(3):
        bench.link.send_frame(COMMAND)
        bench.clock.sleep(20 * ms)
    adapter.say("sp128000")

    assert bench.wait(lambda: bench.link.stats.state == "error-passive")
    assert bench.link.stats.error_frames == 3
