"""The frame log: candump text that python-can, cantools and can-utils read back."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import can
import pytest
from cantools.logreader import Parser
from hypothesis import given
from hypothesis import strategies as st

from hil.can.database import Database
from hil.can.frame import Frame
from hil.can.log import frame_line
from hil.can.wire import CanWire
from hil.clock import VirtualClock
from hil.faults import Fault
from hil.noise import Streams
from hil.units import ms, s

BENCH = Path(__file__).with_name("data") / "bench.dbc"
FRAMES = [
    Frame(0x123, b"\x11\x22"),
    Frame(0x7FF),
    Frame(0x00000123, bytes(range(8)), extended=True),
    Frame(0x321, remote=True),
    Frame(0x1ABCDEFF, extended=True, remote=True, requested=5),
]


@pytest.fixture
def run(tmp_path):
    """Runs a short world and returns the file its log was written to, line by line."""

    def recorded(frames, *, from_ns=0, corrupt=0):
        clock, path = VirtualClock(), tmp_path / "bus_a.log"
        with path.open("w") as file:
            log = lambda line: print(line, file=file, flush=True)  # noqa: E731
            wire = CanWire(clock, "bus_a", 500_000, Streams(1).stream("bus_a", "wire"), log=log)
            wire.attach("ear")
            if corrupt:
                wire.apply(Fault("bus_a", "corrupt", parameters={"count": corrupt, "bit": 20}))
            engine = wire.attach("engine")
            for index, frame in enumerate(frames):
                clock.at(from_ns + index * ms, lambda frame=frame: engine.send(frame))
            clock.sleep(from_ns + 1 * s)
        return path

    return recorded


def content(message):
    return (message.arbitration_id, bytes(message.data), message.is_extended_id, message.is_remote_frame, message.dlc)


def test_a_line_is_on_the_way_as_soon_as_its_frame_has_ended():
    clock, lines = VirtualClock(), []
    wire = CanWire(clock, "bus_a", 500_000, Streams(1).stream("bus_a", "wire"), log=lines.append)
    wire.attach("ear").on_frame(lambda _: lines.append("received"))
    wire.attach("engine").send(FRAMES[0])
    clock.sleep(124_000)
    assert lines == ["(0000000000.000124) bus_a 123#1122", "received"]


def test_python_can_reads_every_kind_of_frame_back(run):
    with can.LogReader(run(FRAMES)) as read_back:
        messages = list(read_back)
    assert [content(message) for message in messages] == [
        (frame.arbitration_id, frame.data, frame.extended, frame.remote, frame.dlc) for frame in FRAMES
    ]
    assert messages[0].channel == "bus_a"
    assert messages[0].timestamp == pytest.approx(124e-6)


def test_python_can_reads_error_frames_back_as_error_frames(run):
    with can.LogReader(run(FRAMES, corrupt=2)) as read_back:
        kinds = [message.is_error_frame for message in read_back]
    assert kinds == [True, True] + [False] * len(FRAMES)


@given(st.integers(0, 0x7FF), st.binary(max_size=8), st.integers(0, 10**15))
def test_any_frame_comes_back_from_its_line(identifier, data, at_ns):
    line = frame_line(Frame(identifier, data, at_ns=at_ns), "bus_a")
    (message,) = can.CanutilsLogReader(io.StringIO(line))
    assert (message.arbitration_id, bytes(message.data)) == (identifier, data)
    assert message.timestamp == pytest.approx(at_ns // 1000 / 1e6, abs=1e-9)


def status(run):
    """A log of one EngineStatus message between error frames and messages the database does not know."""
    signals = {"State": "MAINSTAGE", "ChamberPressure": 97.25, "Temperature": -40, "Speed": 31_000}
    frame = Database.load(BENCH).encode("EngineStatus", signals)
    return run([frame, *FRAMES], corrupt=1)


def test_cantools_log_reader_reads_it(run):
    with status(run).open() as file:
        frames = [frame for _, frame in Parser(file).iterlines() if frame is not None]
    assert [frame.frame_id for frame in frames] == [0x100, *(frame.arbitration_id for frame in FRAMES)]


def test_cantools_on_the_command_line_decodes_it(run):
    command = [sys.executable, "-m", "cantools", "decode", "--single-line", str(BENCH)]
    with status(run).open() as file:
        done = subprocess.run(command, stdin=file, capture_output=True, text=True, check=True)
    decoded = next(line for line in done.stdout.splitlines() if "EngineStatus(" in line)
    assert "State: MAINSTAGE, ChamberPressure: 97.25 bar, Temperature: -40 degC, Speed: 31000 rpm" in decoded


def test_can_utils_log2asc_reads_it(run, tool):
    log = run(FRAMES, from_ns=1 * s, corrupt=1)  # can-utils takes a log from second 0 for one without a start
    done = subprocess.run([tool("log2asc"), "-I", log, "bus_a"], capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()[3:]]
    assert [line[2] for line in lines] == ["ErrorFrame", "123", "7FF", "123x", "321", "1ABCDEFFx"]
    assert float(lines[2][0]) - float(lines[0][0]) == pytest.approx(1e-3, abs=2e-4)
