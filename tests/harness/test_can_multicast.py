"""A bus over UDP multicast: never out of this host, its own frames known, its losses counted, and ``hil sim`` on it."""

from __future__ import annotations

import ctypes
import os
import subprocess
from threading import Event
from typing import TYPE_CHECKING

import can
import pytest
from kill_bench import await_true
from two_programs import FTS, RIG, Simulation

from hil.can.bridge import Bridge
from hil.can.frame import Frame
from hil.can.kept_bus import KeptBus, Received
from hil.can.opening import open_bus
from hil.can.real import open_real
from hil.can.wire import CanWire
from hil.clock import WallClock
from hil.errors import BusError
from hil.noise import Streams
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.units import ms, s
from hil.visa.keysight_n6700 import KeysightN6700
from hil_launcher.clients.fts import Fts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GROUP, OTHER_GROUP = "239.74.163.2", "239.74.163.3"
BITRATE = 500_000
_CLONE_NEWNET = 0x40000000


@pytest.fixture
def alone() -> Iterator[None]:
    """This thread, and what it starts, in a network namespace with nothing but loop-back."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(_CLONE_NEWNET):
            pytest.skip(f"no network namespace can be made here: {os.strerror(ctypes.get_errno())}; run as root")
        for words in ("link set lo up multicast on", "route add 224.0.0.0/4 dev lo"):
            subprocess.run(["ip", *words.split()], check=True)
        yield
    finally:
        libc.setns(before, _CLONE_NEWNET)
        os.close(before)


def multicast(*, echo: bool = False) -> can.BusABC:
    return open_bus("udp_multicast", GROUP, BITRATE, echo=echo)


def test_a_frame_reaches_the_other_programs_and_its_own_counts_as_sent(alone: None) -> None:
    clock = WallClock()
    link = open_real("bus_a", clock, interface="udp_multicast", channel=GROUP, bitrate_bps=BITRATE)
    other, of_another_bus = multicast(), open_bus("udp_multicast", OTHER_GROUP, BITRATE, echo=False)
    try:
        link.send_frame(Frame(0x123, b"\1\2"))
        found = other.recv(5.0)
        assert found is not None
        assert (found.arbitration_id, bytes(found.data), found.is_rx) == (0x123, b"\1\2", True)
        assert other.recv(0.0) is None
        assert of_another_bus.recv(0.0) is None
        assert clock.wait(5 * s, lambda: link.stats.sent == 1)
        assert (link.stats.received, link.stats.lost) == (0, 0)
        other.send(can.Message(arbitration_id=0x321, is_extended_id=False))
        assert clock.wait(clock.now + 5 * s, lambda: link.stats.received == 1)
        assert link.stamper.refused == 0
    finally:
        link.shutdown()
        other.shutdown()
        of_another_bus.shutdown()


def test_a_bridge_does_not_hear_what_it_sent(alone: None) -> None:
    clock = WallClock()
    wire = CanWire(clock, "bus_a", BITRATE, Streams(1).stream("bus_a", "wire"))
    bridge, node, other = Bridge(wire, multicast(), clock), wire.attach("node"), multicast()
    try:
        assert node.send(Frame(0x123, b"\1"))
        clock.sleep(1 * ms)
        assert other.recv(5.0) is not None
        other.send(can.Message(arbitration_id=0x55, is_extended_id=False))
        assert clock.wait(clock.now + 5 * s, lambda: node.received == 1)
        assert bridge.stats.from_bus == 1
    finally:
        bridge.close()
        other.shutdown()


def test_frames_that_a_reader_has_no_room_for_are_counted(alone: None) -> None:
    clock = WallClock()
    wire = CanWire(clock, "bus_a", BITRATE, Streams(1).stream("bus_a", "wire"))
    sender, reader = multicast(), multicast()
    count = 2000
    for number in range(count):
        sender.send(can.Message(arbitration_id=number, is_extended_id=False))
    bridge = Bridge(wire, reader, clock)  # its reader begins only now, as one that was held up does
    try:
        assert clock.wait(20 * s, lambda: bridge.stats.from_bus + bridge.stats.lost_from_bus == count)
        assert bridge.stats.lost_from_bus > 0
    finally:
        bridge.close()
        sender.shutdown()


def test_frames_that_a_keeper_has_no_room_for_are_counted(alone: None) -> None:
    sender, may_read, taken = multicast(), Event(), list[Received]()
    kept = KeptBus(
        "bus_a", interface="udp_multicast", channel=GROUP, bitrate_bps=BITRATE, clock=WallClock(), wake=may_read.wait
    )
    count = 2000
    try:
        for number in range(count):  # its reader stands still with the first of them
            sender.send(can.Message(arbitration_id=number, is_extended_id=False))
        may_read.set()
        assert await_true(lambda: bool(taken.extend(kept.take()) or len(taken) + kept.lost == count))
        assert kept.lost > 0
    finally:
        kept.close()
        sender.shutdown()
    assert len(taken) + kept.lost == count


def test_no_bus_is_opened_where_frames_could_leave_this_host(alone: None) -> None:
    subprocess.run(["ip", "link", "add", "out", "type", "veth", "peer", "name", "far"], check=True)
    subprocess.run(["ip", "link", "set", "out", "up"], check=True)
    with pytest.raises(BusError, match="network interface out is up, and frames would leave this host by it; run"):
        multicast()


def test_an_article_of_hil_sim_reports_over_multicast(alone: None, tmp_path: Path) -> None:
    file = tmp_path / "two_programs.toml"
    buses = FTS.replace('"slcan"', '"udp_multicast"')
    for bus, group in (("a", GROUP), ("b", OTHER_GROUP)):
        buses = buses.replace(f'channel = "bus_{bus}_0"\nchannels = {{ sim = "bus_{bus}_1" }}', f'channel = "{group}"')
    file.write_text(RIG + buses)
    with Simulation(file) as program:
        rig = open_rig(Blueprint.of(load_rig(file, program.sets())))
        try:
            output, fts = rig.instrument("psu", KeysightN6700).output(2), rig.device("fts_a", Fts)
            output.voltage_v, output.current_limit_a = 28.0, 3.0
            output.on()
            assert fts.reported_state.expect("SAFE", within=3 * s)
            assert rig.buses["bus_a"].stats.received > 0
            assert rig.buses["bus_b"].stats.received > 0
        finally:
            rig.close()
