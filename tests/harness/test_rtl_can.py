"""A CAN controller in RTL on a simulated bus: unchanged python-can code talks to it, and arbitrates against it."""

from __future__ import annotations

from contextlib import contextmanager

import can
import pytest
from rtl_world import DATA, connect, power

from hil.errors import BusError
from hil.faults import Fault
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.units import ms, us

BIT = 2 * us


@contextmanager
def rig_with(folder, simulator, *names):
    """A rig with a bus and one article per name, each the design ``can_box``; the first is powered."""
    lines = ["[rig]", 'name = "rtl"', 'pace = "virtual"', "[rtl]", f'simulator = "{simulator}"']
    lines += ["[bus.bus_a]", 'interface = "hil"', 'channel = "bus_a"', "bitrate_bps = 500000"]
    lines += [f'database = "{DATA.parent / "bench.dbc"}"']
    for name in names:
        lines += [f"[dut.{name}]", f'rtl = "{DATA / "can_box.toml"}"', f'as_built = "{DATA / "as_built.toml"}"']
        lines += ['bus = ["bus_a"]', f'node = "{name.upper()}"']
    path = folder / "rig.toml"
    path.write_text("\n".join(lines))
    rig = open_rig(Blueprint.of(load_rig(path)), seed=1)
    try:
        yield rig
    finally:
        rig.close()


class Box:
    """The powered design, its pins, and a python-can bus."""

    def __init__(self, rig):
        self.rig, self.clock = rig, rig.clock
        self.go, self.storm = connect(rig, "go"), connect(rig, "storm")
        self.fpga = power(rig).fpga
        self.bus = can.Bus(interface="hil", channel="bus_a", bitrate=500_000)
        self.wire = self.bus.wire
        self.clock.sleep(100 * us)

    def said(self):
        """What has arrived, as (identifier, data)."""
        found = []
        while (message := self.bus.recv(0)) is not None:
            found.append((message.arbitration_id, bytes(message.data)))
        return found

    def send(self, identifier, data=b"", **options):
        """Send with python-can."""
        self.bus.send(can.Message(arbitration_id=identifier, data=data, **{"is_extended_id": False, **options}))

    def leave_alone(self):
        """Switch every other node of the bus off, but python-can's here."""
        for name in self.wire.nodes:
            if name != "box" and self.wire.node(name) is not self.bus.node:
                self.wire.node(name).power(False)

    def counters(self):
        """TEC, REC and the frames heard, sent and flagged by the controller in RTL."""
        return tuple(self.fpga.value(port) for port in ("tec_o", "rec_o", "heard_o", "sent_o", "errors_o"))


@pytest.fixture
def box(tmp_path, simulator):
    with rig_with(tmp_path, simulator, "box") as rig:
        box = Box(rig)
        yield box
        box.bus.shutdown()


def fault(target, kind, **parameters):
    return Fault(target, kind, 0, None, parameters)


def test_python_can_code_sends_to_the_controller_and_hears_its_answer(box):
    box.send(0x312, b"question")
    box.clock.sleep(1 * ms)
    box.send(0x312 << 18 | 0x2AAAA, b"\x01\x02", is_extended_id=True)
    box.clock.sleep(1 * ms)
    box.send(0x323, is_remote_frame=True, dlc=4)
    box.clock.sleep(1 * ms)
    assert box.said() == [(0x392, b"question"), (0x392 << 18 | 0x2AAAA, b"\x01\x02"), (0x3A3, b"")]
    assert box.counters() == (0, 0, 3, 3, 0)
    assert box.wire.stats.frames == 6


def test_its_frame_begins_and_ends_when_it_does_on_the_pins(box):
    start = box.clock.now
    box.go.drive(28.0, 1.0)
    message = box.bus.recv(0.001)
    assert message.arbitration_id == 0x2A0
    length = round(message.timestamp * 1e9) - start
    assert length == pytest.approx(118 * BIT, abs=2 * BIT)
    # taken by the controller at once, start of frame with its next bit
    assert box.clock.now - start == length


def test_arbitration_is_won_by_the_lower_identifier_whoever_sends_it(box):
    box.storm.drive(28.0, 1.0)  # 0x2A0 for ever
    box.clock.sleep(1 * ms)
    box.said()
    box.send(0x29F, b"first")
    box.clock.sleep(600 * us)
    assert box.bus.node.sent == 1
    box.send(0x2A1, b"never")
    box.clock.sleep(5 * ms)
    assert box.bus.node.sent == 1
    box.storm.drive(0.0, 1.0)
    box.clock.sleep(2 * ms)
    assert box.bus.node.sent == 2
    assert {identifier for identifier, _ in box.said()} == {0x2A0}
    assert (box.wire.stats.error_frames, box.counters()[0]) == (0, 0)


def test_alone_on_the_bus_it_goes_error_passive_and_recovers_with_company(box):
    box.leave_alone()
    box.bus.node.power(False)
    box.go.drive(28.0, 1.0)
    box.clock.sleep(6 * ms)
    assert (box.fpga.value("passive_o"), box.fpga.value("off_o"), box.fpga.value("tec_o")) == (1, 0, 128)
    box.bus.node.power(True)
    box.clock.sleep(2 * ms)
    assert [identifier for identifier, _ in box.said()] == [0x2A0]
    assert box.fpga.value("tec_o") == 127


def test_a_flipped_bit_is_an_error_on_both_sides_and_the_frame_is_repeated(box):
    clear = box.wire.apply(fault("bus_a", "corrupt", bit=40, count=2))
    box.send(0x123, b"12345678")
    box.go.drive(28.0, 1.0)
    box.clock.sleep(3 * ms)
    clear()
    assert box.said() == [(0x2A0, bytes.fromhex("0055ff00aa110000"))]
    assert box.counters()[2:] == (1, 1, 2)
    assert box.wire.stats.error_frames == 2


def test_an_open_stub_takes_it_off_the_bus_and_closing_it_brings_it_back(box):
    box.leave_alone()
    close = box.wire.apply(fault("bus_a.box", "open"))
    box.send(0x301, b"x")
    box.clock.sleep(1 * ms)
    assert box.counters()[2] == 0
    assert box.bus.node.tec > 0
    close()
    box.clock.sleep(1 * ms)
    assert box.said() == [(0x381, b"x")]


def test_without_power_it_neither_hears_nor_acknowledges_and_power_brings_it_back(box):
    box.leave_alone()
    feed = box.rig.wiring.pin("bench.power")
    feed.drive(0.0, 0.01)
    box.clock.sleep(5 * ms)
    box.send(0x301, b"x")
    box.clock.sleep(1 * ms)
    assert box.bus.node.sent == 0
    feed.drive(28.0, 0.01)
    box.clock.sleep(2 * ms)
    assert (box.bus.node.sent, box.said()) == (1, [(0x381, b"x")])


def test_a_second_controller_in_rtl_on_the_bus_is_refused(tmp_path, simulator):
    refused = pytest.raises(BusError, match="box takes part at bit level already, so other cannot")
    with refused, rig_with(tmp_path, simulator, "box", "other"):
        pass


def test_its_bits_stay_inside_the_simulator(box):
    grants = box.fpga.live._link.grants
    box.send(0x123, b"12345678")
    box.clock.sleep(1 * ms)
    assert box.fpga.live._link.grants - grants <= 8  # frames cross the socket, never bits


def test_every_simulator_gives_the_same_traffic_to_the_nanosecond(tmp_path, hdl):
    def run(simulator):
        with rig_with(tmp_path, simulator, "box") as rig:
            box, log = Box(rig), []
            box.wire._tally.log = log.append
            box.storm.drive(28.0, 1.0)
            box.wire.apply(fault("bus_a", "corrupt", probability=0.2))
            for number in range(12):
                box.send(0x280 + 8 * number, bytes(number % 9))
                box.clock.sleep(333_333)
            box.bus.shutdown()
            return log, [frame.at_ns for frame in box.bus._inbox.frames], box.counters()

    assert run(hdl("icarus")) == run(hdl("verilator"))
