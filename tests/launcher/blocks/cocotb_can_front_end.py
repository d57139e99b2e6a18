"""Block tests of the discrete I/O and CAN front end: what reaches the core from bus and pins, and what leaves it."""

from __future__ import annotations

import cocotb
import numpy as np
from can_bench import BIT_NS, TIMING, random_frame
from cocotb.triggers import RisingEdge, Timer

from hil.can.phy.coding import PhyFrame
from hil.can.phy.events import Received, Sent
from hil.can.phy.mac import Mac
from hil.can.phy.node import Node
from hil.rtl.cover import cover
from hil.rtl.peer.can_line import PinLine

BLOCK = "../../../fixtures/hil_launcher/rtl/can_front_end.toml"
AS_BUILT = None
SIMULATORS = ("icarus", "verilator")

ACCEPTED = (0x100, 0x101)  # parameters as in can_front_end.sv
STABLE_NS = 800 * 125
CLOCK_NS = 125


class Bench:
    """The front end, reset, with one reference controller on its bus."""

    def __init__(self, dut):
        self.dut = dut
        self.rng = np.random.default_rng(cocotb.RANDOM_SEED)
        self.events = []
        self.handed = []
        self.line = PinLine(dut.can_tx_o, dut.can_rx_i, 125_000, lambda _, told: self.events.append(told.event))
        self.node = self.line.attach(Node(TIMING, Mac(fd=False)))

    async def reset(self):
        """Reset it and let it find the bus idle."""
        dut = self.dut
        for name in ("tx_valid_i", "tx_id_i", "tx_dlc_i", "tx_data_i", "discrete_pin_i", "drive_i", "drive_sense_i"):
            getattr(dut, name).value = 0
        self.line.start()
        dut.rst_n.value = 0
        await Timer(2_010, "ns")
        dut.rst_n.value = 1
        cocotb.start_soon(self._watch())
        await Timer(14 * BIT_NS, "ns")

    async def _watch(self):
        while True:
            await RisingEdge(self.dut.rx_valid_o)
            await Timer(30, "ns")
            dlc = int(self.dut.rx_dlc_o.value)
            data = int(self.dut.rx_data_o.value).to_bytes(8, "big")
            assert not any(data[dlc:])
            self.handed.append(PhyFrame(int(self.dut.rx_id_o.value), data[:dlc]))

    async def said(self, kind, count):
        """Wait until the reference controller has told so many events of a kind."""
        for _ in range(400):
            if sum(isinstance(event, kind) for event in self.events) == count:
                return
            await Timer(4 * BIT_NS, "ns")
        raise AssertionError(f"no {count} x {kind.__name__} in {self.events}")


@cocotb.test()
async def test_only_accepted_frames_reach_the_core(dut):
    """Frames of any kind are acknowledged; standard data frames with an accepted identifier are handed over."""
    bench = Bench(dut)
    await bench.reset()
    expected = []
    for count in range(1, 25):
        frame = random_frame(bench.rng)
        if bench.rng.integers(2):
            near = int(bench.rng.choice([*ACCEPTED, 0x102, 0x0FF, 0x500]))
            frame = frame._replace(arbitration_id=near << 18 if frame.extended else near)
        if count % 4 == 0:
            frame = PhyFrame(int(bench.rng.choice(ACCEPTED)), frame.data)
        bench.line.send(bench.node, frame)
        await bench.said(Sent, count)
        taken = frame.arbitration_id in ACCEPTED and not frame.extended and not frame.remote
        expected += [frame] if taken else []
        cover("can.filter", "accepted" if taken else "dropped")
    await Timer(BIT_NS, "ns")
    assert bench.handed == expected
    assert expected


@cocotb.test()
async def test_the_core_sends_one_frame_at_a_time(dut):
    """A frame is taken when valid meets ready; ready is low until it was acknowledged, which is told by a strobe."""
    bench = Bench(dut)
    await bench.reset()
    frames = [frame._replace(extended=False, remote=False, requested=0) for frame in _frames(bench.rng, 6)]
    for count, frame in enumerate(frames, 1):
        assert int(dut.tx_ready_o.value)
        dut.tx_id_i.value = frame.arbitration_id
        dut.tx_dlc_i.value = len(frame.data)
        dut.tx_data_i.value = int.from_bytes(frame.data.ljust(8, b"\x5a"), "big")
        dut.tx_valid_i.value = 1
        await RisingEdge(dut.clk)
        await Timer(30, "ns")
        dut.tx_valid_i.value = 0
        assert not int(dut.tx_ready_o.value)
        await RisingEdge(dut.tx_done_o)
        await Timer(30, "ns")
        await bench.said(Received, count)
    assert [event.frame for event in bench.events if isinstance(event, Received)] == frames
    assert (int(dut.can_tec_o.value), int(dut.can_rec_o.value), int(dut.can_off_o.value)) == (0, 0, 0)


def _frames(rng, count):
    return [
        PhyFrame(int(rng.integers(0x800)), bytes(rng.integers(0, 256, size, dtype=np.uint8)))
        for size in rng.integers(0, 9, count)
    ]


@cocotb.test()
async def test_a_discrete_input_counts_when_it_is_stable(dut):
    """A pin that bounces is not believed; it is after 800 clocks without a change."""
    bench = Bench(dut)
    await bench.reset()
    for pin in range(len(dut.discrete_o)):
        level = 0
        for _ in range(6):
            level ^= 1
            dut.discrete_pin_i.value = level << pin
            await Timer(int(bench.rng.integers(1, 790)) * CLOCK_NS, "ns")
            assert int(dut.discrete_o.value) == 0
        dut.discrete_pin_i.value = 1 << pin
        await Timer(STABLE_NS + 1 * CLOCK_NS, "ns")
        assert int(dut.discrete_o.value) == 0
        await Timer(4 * CLOCK_NS, "ns")
        assert int(dut.discrete_o.value) == 1 << pin
        cover("can.discrete", "bounced")
        dut.discrete_pin_i.value = 0
        await Timer(STABLE_NS + 5 * CLOCK_NS, "ns")
        assert int(dut.discrete_o.value) == 0


@cocotb.test()
async def test_an_output_that_does_not_follow_is_told(dut):
    """An output is what the core wants; its fault line rises when the pin has differed for 800 clocks, not before."""
    bench = Bench(dut)
    await bench.reset()
    for pin in range(len(dut.drive_pin_o)):
        dut.drive_i.value = 1 << pin
        await Timer(3 * CLOCK_NS, "ns")
        assert int(dut.drive_pin_o.value) == 1 << pin
        dut.drive_sense_i.value = 1 << pin
        await Timer(STABLE_NS + 5 * CLOCK_NS, "ns")
        assert (int(dut.drive_sense_o.value), int(dut.drive_fault_o.value)) == (1 << pin, 0)
        dut.drive_sense_i.value = 0
        await Timer(STABLE_NS - 5 * CLOCK_NS, "ns")
        assert int(dut.drive_fault_o.value) == 0
        await Timer(10 * CLOCK_NS, "ns")
        assert int(dut.drive_fault_o.value) == 1 << pin
        cover("can.discrete", "differed")
        dut.drive_i.value = 0
        await Timer(5 * CLOCK_NS, "ns")
        assert int(dut.drive_fault_o.value) == 0


@cocotb.test()
async def test_in_reset_nothing_is_driven(dut):
    """While the reset is on the bus is recessive and every output off, whatever is asked."""
    bench = Bench(dut)
    await bench.reset()
    dut.drive_i.value = (1 << len(dut.drive_pin_o)) - 1
    dut.tx_valid_i.value = 1
    await Timer(4 * BIT_NS, "ns")
    dut.rst_n.value = 0
    for _ in range(40):
        await RisingEdge(dut.clk)
        await Timer(30, "ns")
        assert (int(dut.can_tx_o.value), int(dut.drive_pin_o.value), int(dut.rx_valid_o.value)) == (1, 0, 0)
