"""What the block tests of the CAN controller share: the design on a bit-level bus with other controllers."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge, Timer

from hil.can.phy.coding import PhyFrame
from hil.can.phy.events import ErrorFound, Received, Sent
from hil.can.phy.mac import Mac
from hil.can.phy.node import Node
from hil.can.phy.timing import timing_for
from hil.rtl.peer.can_line import PinLine

BIT_NS = 2_000
TIMING = timing_for(500_000)
STUFFY = (0x00, 0xFF, 0x1F, 0xE0, 0x55)  # bytes after which bits are stuffed, and one without


def random_frame(rng, *, top=0x7FF):
    """Any classic frame, rich in stuff bits; its base identifier is ``top`` at most."""
    extended, remote = bool(rng.integers(2)), bool(rng.integers(5) == 0)
    ident = int(rng.integers(top + 1))
    if extended:
        ident = ident << 18 | int(rng.integers(1 << 18))
    if remote:
        return PhyFrame(ident, b"", extended, True, int(rng.integers(9)))
    size = int(rng.integers(9))
    data = bytes(int(rng.choice(STUFFY)) if rng.integers(2) else int(rng.integers(256)) for _ in range(size))
    return PhyFrame(ident, data, extended)


def kind_of(frame):
    """The kind of a frame, as its cover point has it."""
    return f"{'extended' if frame.extended else 'standard'} {'remote' if frame.remote else 'data'}"


class Bench:
    """The controller under test, reset, on a bus with ``errors_ppm`` other controllers; the first is ``node``.

    Args:
        dut: the wrapper.
        errors_ppm: by how much the oscillators of the others are fast [ppm].
    """

    def __init__(self, dut, *errors_ppm):
        self.dut = dut
        self.rng = np.random.default_rng(cocotb.RANDOM_SEED)
        self.said = {}
        self.heard = []
        self.done = 0
        self.errors = 0
        self.line = PinLine(dut.can_tx_o, dut.can_rx_i, 125_000, self._told)
        self.nodes = [
            self.line.attach(Node(TIMING, Mac(fd=False), error_ppm=ppm, origin_ps=self.line.now_ps + 31_007 * place))
            for place, ppm in enumerate(errors_ppm or (0,))
        ]
        self.said = {node: [] for node in self.nodes}

    @property
    def node(self):
        """The first of the other controllers."""
        return self.nodes[0]

    @property
    def counters(self):
        """Transmit and receive error counter of the design."""
        return int(self.dut.tec_o.value), int(self.dut.rec_o.value)

    async def reset(self):
        """Reset the design and let everybody find the bus idle."""
        dut = self.dut
        for name in ("tx_valid_i", "tx_id_i", "tx_extended_i", "tx_remote_i", "tx_dlc_i", "tx_data_i"):
            getattr(dut, name).value = 0
        self.line.start()
        dut.rst_n.value = 0
        await Timer(2_010, "ns")
        dut.rst_n.value = 1
        cocotb.start_soon(self._watch(dut.rx_valid_o, self._hear))
        cocotb.start_soon(self._watch(dut.tx_done_o, self._sent))
        cocotb.start_soon(self._watch(dut.error_o, self._fail))
        await Timer(14 * BIT_NS, "ns")

    async def give(self, frame):
        """Give the design a frame to send."""
        dut = self.dut
        while not int(dut.tx_ready_o.value):
            await RisingEdge(dut.tx_ready_o)
        await self.behind_edge()
        dut.tx_id_i.value = frame.arbitration_id if frame.extended else frame.arbitration_id << 18
        dut.tx_extended_i.value = int(frame.extended)
        dut.tx_remote_i.value = int(frame.remote)
        dut.tx_dlc_i.value = frame.dlc
        dut.tx_data_i.value = int.from_bytes(frame.data.ljust(8, b"\xa5"), "big")
        dut.tx_valid_i.value = 1
        await self.behind_edge()
        dut.tx_valid_i.value = 0

    async def behind_edge(self):
        """A quarter period behind the next rising edge, where inputs may change."""
        await RisingEdge(self.dut.clk)
        await Timer(31_250, "ps")

    async def until(self, ready, bits=1_000):
        """Wait until something holds, at most so many bits; whether it does."""
        for _ in range(bits // 4):
            if ready():
                return True
            await Timer(4 * BIT_NS, "ns")
        return ready()

    async def quiet(self):
        """Let the frame on the bus, its end and what follows at once pass: until 20 bits without anything."""
        while True:
            await Timer(20 * BIT_NS, "ns")
            if self.line.design_level and self.line.bus and not any(node.mac.in_frame for node in self.nodes):
                return

    def of(self, node, kind):
        """The events of a kind that one of the other controllers has told."""
        return [event for event in self.said[node] if isinstance(event, kind)]

    def received(self, node=None):
        """Frames that one of the others has received."""
        return [event.frame for event in self.of(node or self.node, Received)]

    def sent(self, node=None):
        """Frames that one of the others has sent."""
        return [event.frame for event in self.of(node or self.node, Sent)]

    def faults(self):
        """Errors that any of the others has found."""
        return [event for node in self.nodes for event in self.of(node, ErrorFound)]

    def _told(self, node, told):
        self.said[node].append(told.event)

    async def _watch(self, strobe, fn):
        """Call ``fn`` in every clock in which a strobe is high."""
        while True:
            await RisingEdge(strobe)
            await Timer(31_250, "ps")
            while int(strobe.value):
                fn()
                await self.behind_edge()

    def _hear(self):
        dut = self.dut
        extended, remote, dlc = (int(port.value) for port in (dut.rx_extended_o, dut.rx_remote_o, dut.rx_dlc_o))
        ident, data = int(dut.rx_id_o.value), int(dut.rx_data_o.value).to_bytes(8, "big")
        assert extended or not ident & 0x3FFFF, "the extension of a standard identifier is 0"
        assert not any(data[0 if remote else dlc :]), "bytes beyond the length are 0"
        frame = PhyFrame(
            ident if extended else ident >> 18, b"" if remote else data[:dlc], bool(extended), bool(remote)
        )
        self.heard.append(frame._replace(requested=dlc if remote else 0))

    def _sent(self):
        self.done += 1

    def _fail(self):
        self.errors += 1
