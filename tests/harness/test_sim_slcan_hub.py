"""The slcan hub: several programs on one machine share a CAN bus over pseudo-terminals."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import can
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.errors import HilError
from hil.sim.slcan_hub import _DATA, _REMOTE, SlcanHub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def hub() -> Iterator[SlcanHub]:
    with SlcanHub(3) as hub:
        yield hub


def _bus(path: str, bitrate: int = 500_000) -> can.BusABC:
    bus = can.Bus(interface="slcan", channel=path, bitrate=bitrate, sleep_after_open=0.0, ignore_config=True)
    assert isinstance(bus, can.BusABC)
    while bus.recv(0.02) is not None:  # until the hub has answered everything that opening said
        pass
    return bus


@given(st.integers(0, 0x7FF), st.binary(max_size=8))
def test_what_python_can_says_is_a_frame_to_the_hub(identifier: int, data: bytes) -> None:
    assert _DATA.fullmatch(f"t{identifier:03X}{len(data):d}{data.hex().upper()}".encode())
    assert _REMOTE.fullmatch(f"R{identifier:08X}{len(data):d}".encode())


@given(st.from_regex(re.compile(rb"t[0-7][0-9A-F]{2}([0-8])[0-9A-F]*"), fullmatch=True))
def test_a_frame_whose_length_is_not_that_of_its_data_is_none(line: bytes) -> None:
    assert (_DATA.fullmatch(line) is not None) == (len(line) == 5 + 2 * int(line[4:5]))


def test_a_frame_reaches_every_other_port_and_not_its_sender(hub: SlcanHub) -> None:
    one, two, three = (_bus(path) for path in hub.paths)
    one.send(can.Message(arbitration_id=0x123, is_extended_id=False, data=b"\x01\x02"))
    for bus in (two, three):
        message = bus.recv(2.0)
        assert message is not None
        assert (message.arbitration_id, bytes(message.data)) == (0x123, b"\x01\x02")
    assert one.recv(0.05) is None
    for bus in (one, two, three):
        bus.shutdown()


def test_frames_arrive_complete_and_in_order(hub: SlcanHub) -> None:
    one, two = (_bus(path) for path in hub.paths[:2])
    sent = [
        can.Message(
            arbitration_id=number, is_extended_id=bool(number % 2), data=number.to_bytes(2, "big") * (number % 5)
        )
        for number in range(100)
    ]
    for message in sent:
        one.send(message)
    got = [two.recv(2.0) for _ in sent]
    assert [(m.arbitration_id, m.is_extended_id, m.data) for m in got if m] == [
        (m.arbitration_id, m.is_extended_id, m.data) for m in sent
    ]
    assert hub.lost == 0
    one.shutdown()
    two.shutdown()


def test_a_port_that_is_not_read_loses_frames_and_counts_them(hub: SlcanHub) -> None:
    two, sent = _bus(hub.paths[1]), 4_000
    one = os.open(hub.paths[0], os.O_RDWR | os.O_NOCTTY)
    os.write(one, b"O\r" + b"".join(b"t%03X8%016X\r" % (number % 0x800, number) for number in range(sent)))
    received = [int.from_bytes(message.data, "big") for message in iter(lambda: two.recv(0.2), None)]
    assert hub.lost + len(received) == sent
    assert hub.lost > 0
    assert received == sorted(received)
    os.close(one)
    two.shutdown()


def test_ports_of_different_bit_rates_do_not_hear_each_other(hub: SlcanHub) -> None:
    one, two = _bus(hub.paths[0]), _bus(hub.paths[1], bitrate=250_000)
    one.send(can.Message(arbitration_id=1, is_extended_id=False, data=b""))
    assert two.recv(0.05) is None
    one.shutdown()
    two.shutdown()


@pytest.mark.parametrize("line", [b"t1232\r", b"t8001FF\r", b"x\r", b"Z1\r", b"t12300\r"])
def test_a_command_that_is_none_is_answered_by_bel(hub: SlcanHub, line: bytes) -> None:
    link = os.open(hub.paths[0], os.O_RDWR | os.O_NOCTTY)
    os.write(link, b"O\r" + line)
    assert os.read(link, 1) == b"\r"
    assert os.read(link, 1) == b"\a"
    os.close(link)


def test_a_closed_port_sends_nothing(hub: SlcanHub) -> None:
    link = os.open(hub.paths[0], os.O_RDWR | os.O_NOCTTY)
    os.write(link, b"t1230\r")
    assert os.read(link, 1) == b"\a"
    os.close(link)


def test_a_hub_of_one_port_joins_nothing() -> None:
    with pytest.raises(HilError, match="2 or more"):
        SlcanHub(1)


def test_the_program_makes_links_and_takes_them_away(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hil.sim.slcan_hub", "--ports", "2", "--link", f"{tmp_path}/bus_a_"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert [child.stdout.readline().strip() for _ in range(3)] == [
        f"{tmp_path}/bus_a_0",
        f"{tmp_path}/bus_a_1",
        "ready",
    ]
    one, two = _bus(f"{tmp_path}/bus_a_0"), _bus(f"{tmp_path}/bus_a_1")
    one.send(can.Message(arbitration_id=5, is_extended_id=False, data=b"\x07"))
    message = two.recv(2.0)
    assert message is not None
    one.shutdown()
    two.shutdown()
    child.send_signal(signal.SIGTERM)
    ended, _ = child.communicate(timeout=10.0)
    assert f"{tmp_path}/bus_a_1 sent 0 received 1 lost 0 refused 0" in ended
    assert child.returncode == 0
    assert list(tmp_path.iterdir()) == []
