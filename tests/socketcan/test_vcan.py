"""vcan, the kernel's virtual CAN: canplayer replays our log, programs share an interface, crafted error frames."""

from __future__ import annotations

import itertools
import socket
import struct
import subprocess

import pytest

from hil.can.frame import Frame
from hil.can.log import frame_line
from hil.units import ms

ERR_FLAG = 0x20000000


@pytest.fixture
def raw(vcan):
    """A raw socket on vcan0, which can send what no controller would."""
    with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as raw:
        raw.bind((vcan,))
        yield raw


def error(classes, *payload):
    return struct.pack("=IB3x8s", classes | ERR_FLAG, 8, bytes(payload))


def test_canplayer_replays_our_log_frame_by_frame_at_its_pace(vcan, ear, tmp_path):
    frames = [
        Frame(0x100 + n, bytes(n % 9), extended=bool(n % 2), at_ns=1_000_000_000 + n * 20 * ms) for n in range(20)
    ]
    log = tmp_path / "bus_a.log"
    log.write_text("".join(f"{frame_line(frame, 'bus_a')}\n" for frame in frames))
    bench = ear(vcan)
    subprocess.run(["canplayer", "-I", log, f"{vcan}=bus_a"], check=True)

    assert [str(frame) for frame in bench.hears(20)] == [str(frame) for frame in frames]
    span_ns = bench.frames[-1].at_ns - bench.frames[0].at_ns
    assert span_ns == pytest.approx(19 * 20 * ms, abs=100 * ms)


def test_what_was_recorded_here_is_what_canplayer_sends_again(vcan, ear, tmp_path):
    first = ear(vcan)
    for payload in (b"\x01", b"\x02\x03"):
        first.link.send_frame(Frame(0x123, payload))
    first.wait(lambda: len(first.lines) == 2)
    log = tmp_path / "bus_a.log"
    log.write_text("".join(f"{line}\n" for line in first.lines))
    second = ear(vcan)
    subprocess.run(["canplayer", "-I", log, f"{vcan}=bus_a"], check=True)

    assert [str(frame) for frame in second.hears(2)] == ["123#01", "123#0203"]


def test_frames_of_another_program_on_the_same_interface_count_as_received(vcan, ear):
    bench = ear(vcan)
    bench.link.send_frame(Frame(0x100))
    subprocess.run(["cansend", vcan, "100#"], check=True)

    assert bench.wait(lambda: bench.link.stats.sent == bench.link.stats.received == 1)


def test_a_burst_of_another_program_is_received_without_loss_and_in_order(vcan, ear):
    bench = ear(vcan)
    subprocess.run(["cangen", vcan, "-g", "1", "-n", "500", "-I", "i", "-L", "8", "-D", "i"], check=True)

    assert [frame.arbitration_id for frame in bench.hears(500)] == list(range(500))
    assert all(before.at_ns <= after.at_ns for before, after in itertools.pairwise(bench.frames))


@pytest.mark.parametrize(
    ("message", "state"),
    [
        (error(0x004, 0, 0x08), "error-active"),
        (error(0x204, 0, 0x20, 0, 0, 0, 0, 128, 0), "error-passive"),
        (error(0x004, 0, 0x10), "error-passive"),
        (error(0x040), "bus-off"),
    ],
    ids=["warning", "transmit passive", "receive passive", "bus-off"],
)
def test_a_crafted_error_frame_changes_the_state(vcan, ear, raw, message, state):
    bench = ear(vcan)
    raw.send(message)

    assert bench.wait(lambda: bool(bench.lines))
    assert bench.link.stats.state == state
    assert bench.frames == []


def test_a_restart_told_by_the_kernel_ends_bus_off(vcan, ear, raw):
    bench = ear(vcan)
    raw.send(error(0x040))
    bench.wait(lambda: bench.link.stats.state == "bus-off")
    raw.send(error(0x100))

    assert bench.wait(lambda: bench.link.stats.state == "error-active")
    bench.link.send_frame(Frame(0x123))


def test_lost_arbitration_is_no_error_frame(vcan, ear, raw):
    bench = ear(vcan)
    raw.send(error(0x002, 5))
    raw.send(error(0x0A8, 0, 0, 0x80, 0x19))

    assert bench.wait(lambda: len(bench.lines) == 2)
    assert bench.link.stats.error_frames == 1
