"""Block tests of the CAN controller in RTL against bit-level controllers in Python, which are its reference model."""

from __future__ import annotations

import cocotb
from can_bench import BIT_NS, TIMING, Bench, kind_of, random_frame
from cocotb.triggers import RisingEdge, Timer

from hil.can.bits import arbitration_key
from hil.can.phy.coding import TAIL_BITS, PhyFrame, encode
from hil.can.phy.events import Overloaded, Received
from hil.can.phy.line import Line
from hil.can.phy.mac import Mac
from hil.rtl.cover import cover

BLOCK = "../../../fixtures/hil_launcher/rtl/can_controller.toml"
AS_BUILT = None
SIMULATORS = ("icarus", "verilator")


@cocotb.test()
async def test_any_frame_passes_in_both_directions(dut):
    """Random frames, standard and extended, data and remote, one way and the other: each arrives once, unchanged."""
    bench = Bench(dut)
    await bench.reset()
    for count in range(1, 41):
        frame, answer = random_frame(bench.rng), random_frame(bench.rng)
        bench.line.send(bench.node, frame)
        assert await bench.until(lambda: len(bench.sent()) == count)  # noqa: B023
        await bench.give(answer)
        assert await bench.until(lambda: bench.done == count)  # noqa: B023
        await bench.quiet()
        assert (bench.heard, bench.received()) == ([frame], [answer])
        bench.heard.clear()
        bench.said[bench.node] = [event for event in bench.said[bench.node] if not isinstance(event, Received)]
        cover("can.heard", kind_of(frame))
        cover("can.sent", kind_of(answer))
        cover("can.length", str(frame.dlc))
        cover("can.length", str(answer.dlc))
    assert (bench.counters, bench.errors, bench.faults()) == ((0, 0), 0, [])


@cocotb.test()
@cocotb.parametrize(error_ppm=[-19_000, 19_000])
async def test_oscillators_may_differ_by_twice_the_tolerance(dut, error_ppm):
    """Frames of either side while the other's oscillator is off by all that two tolerances allow: no error."""
    assert abs(error_ppm) <= 2 * TIMING.tolerance_ppm
    bench = Bench(dut, error_ppm)
    await bench.reset()
    for count in range(1, 11):
        frame, answer = random_frame(bench.rng), random_frame(bench.rng)
        bench.line.send(bench.node, frame)
        await bench.give(answer)
        assert await bench.until(lambda: bench.done == len(bench.heard) == len(bench.received()) == count)  # noqa: B023
        assert (bench.heard[-1], bench.received()[-1]) == (frame, answer)
    assert (bench.counters, bench.errors, bench.faults()) == ((0, 0), 0, [])
    cover("can.oscillator", "slow" if error_ppm < 0 else "fast")


@cocotb.test()
async def test_the_lower_identifier_wins_and_the_other_follows(dut):
    """Three controllers start at once with close identifiers: they are on the bus in order, and all arrive."""
    bench = Bench(dut, -700, 900)
    await bench.reset()
    for _ in range(12):
        blocker = PhyFrame(0, bytes(8))
        frames = _rivals(bench.rng)
        bench.line.send(bench.node, blocker)
        await Timer(5 * BIT_NS, "ns")
        mine, *others = frames
        await bench.give(mine)
        for node, frame in zip(bench.nodes, others, strict=True):
            bench.line.send(node, frame)
        assert await bench.until(lambda: bench.done and len(bench.sent()) == 2 and len(bench.sent(bench.nodes[1])) == 1)
        await bench.quiet()
        order = sorted(frames, key=_key)
        assert bench.heard == [blocker, *(frame for frame in order if frame is not mine)]
        cover("can.arbitration", ("first", "second", "third")[order.index(mine)])
        bench.heard.clear()
        bench.done = 0
        for said in bench.said.values():
            said.clear()
    assert (bench.counters, bench.errors) == ((0, 0), 0)


def _rivals(rng):
    """Three frames whose identifiers differ in few bits, of any kind."""
    base = int(rng.integers(1, 0x7FF))
    keys = {}
    while len(keys) < 3:
        frame = random_frame(rng)
        ident = base ^ (1 << int(rng.integers(11)) if rng.integers(2) else 0)
        extension = (frame.arbitration_id & 0x3FFFF) if frame.extended else 0
        frame = frame._replace(arbitration_id=ident << 18 | extension if frame.extended else ident)
        keys[_key(frame)] = frame
    return list(keys.values())


def _key(frame):
    return arbitration_key(frame.arbitration_id, frame.extended, frame.remote)


@cocotb.test()
@cocotb.parametrize(part=[1, 2])
async def test_a_flipped_bit_makes_the_errors_the_reference_makes(dut, part):
    """One bit of a frame is inverted on the bus: counters, error flags and repetition are those of the reference."""
    bench = Bench(dut)
    await bench.reset()
    for number in range(30 + part):
        frame, sends = random_frame(bench.rng, top=0x3FF), bool(number % 2)
        bit = int(bench.rng.integers(1, len(encode(frame)) + TAIL_BITS))
        expected = _reference(frame, bit, sends=sends, counters=bench.counters)
        bench.node.mac.counters.clear()
        bench.node.mac.disturb_at = bit
        if sends:
            await bench.give(frame)
        else:
            bench.line.send(bench.node, frame)
        # the first bit behind a flip may look like another frame, which has its own end
        await Timer(2 * (len(encode(frame)) + 60) * BIT_NS, "ns")
        await bench.quiet()
        arrived = bench.received() if sends else bench.heard
        assert (bench.counters, bench.errors, arrived) == expected, f"bit {bit} of {frame}"
        cover("can.flip", "sender" if sends else "receiver")
        bench.heard.clear()
        bench.said[bench.node].clear()
        bench.errors = 0


def _reference(frame, bit, *, sends, counters):
    """The same on a line of two reference controllers: what becomes of the one in the design's place."""
    line = Line()
    design, other = (line.attach(TIMING, Mac(fd=False)) for _ in range(2))
    design.mac.counters.tec, design.mac.counters.rec = counters
    line.run(40_000_000)
    other.mac.disturb_at = bit
    line.send(design if sends else other, frame)
    line.run(3_000_000_000)
    arrived = [event.frame for event in line.told(other if sends else design) if isinstance(event, Received)]
    errors = sum(type(event).__name__ == "ErrorFound" for event in line.told(design))
    return (design.mac.counters.tec, design.mac.counters.rec), errors, arrived


@cocotb.test()
async def test_nobody_acknowledges_and_it_ends_error_passive(dut):
    """Alone on the bus it repeats its frame, counts to 128 and no further, and is heard once somebody listens."""
    bench = Bench(dut)
    await bench.reset()
    bench.node.mac.listen_only = True
    frame = PhyFrame(0x123, b"anybody?")
    await bench.give(frame)
    assert await bench.until(lambda: int(dut.passive_o.value), bits=4_000)
    await Timer(600 * BIT_NS, "ns")
    assert (bench.counters[0], int(dut.off_o.value)) == (128, 0)
    cover("can.standing", "error-passive")
    bench.node.mac.listen_only = False
    assert await bench.until(lambda: bench.done == 1)
    assert bench.received()[-1] == frame
    assert bench.counters[0] == 127
    cover("can.standing", "error-active")


@cocotb.test()
async def test_a_destroyed_frame_ends_in_bus_off_and_it_recovers(dut):
    """A frame whose bits are always disturbed takes it off the bus; 128 times 11 recessive bits bring it back."""
    bench = Bench(dut)
    await bench.reset()
    await bench.give(PhyFrame(0x155, bytes(8)))
    for _ in range(32):
        bench.node.mac.disturb_at = 25
        bench.node.mac.counters.clear()
        before = bench.counters[0]
        assert await bench.until(lambda: bench.counters[0] > before or int(dut.off_o.value))  # noqa: B023
        await Timer(14 * BIT_NS, "ns")  # the reference finds the error later than the sender
    assert int(dut.off_o.value)
    cover("can.standing", "bus-off")
    assert not int(dut.tx_ready_o.value)
    bench.node.mac.disturb_at = None
    for _ in range(1_390):
        await Timer(BIT_NS, "ns")
    assert int(dut.off_o.value)
    assert await bench.until(lambda: not int(dut.off_o.value), bits=60)
    assert bench.counters == (0, 0)
    bench.said[bench.node].clear()
    await bench.give(PhyFrame(0x2AA, b"back"))
    assert await bench.until(lambda: bench.done == 1)
    assert bench.received() == [PhyFrame(0x2AA, b"back")]


@cocotb.test()
async def test_a_shorted_bus_is_counted_and_left_behind(dut):
    """The bus is dominant for a while, longer and longer: receive errors by the rules, and traffic goes on."""
    bench = Bench(dut, 0, 0)
    await bench.reset()
    reference, sender = bench.node.mac.counters, bench.nodes[1]
    for count, bits in enumerate((10, 12, 13, 14, 19, 20, 27, 28, 46, 150), 1):
        bench.line.hold(0)
        await Timer(bits * BIT_NS, "ns")
        bench.line.hold(None)
        await Timer(25 * BIT_NS, "ns")
        assert bench.counters == (reference.tec, reference.rec), f"{bits} bits dominant"
        cover("can.standing", "shorted")
        bench.line.send(sender, PhyFrame(0x7FF, bytes([bits])))
        assert await bench.until(lambda: len(bench.heard) == count)  # noqa: B023
        await bench.quiet()
    assert bench.heard[-1].data == bytes([150])
    assert bench.counters == (0, reference.rec) == (0, 120)  # more than 127 before the last frame


@cocotb.test()
async def test_overload_frames_and_glitches_do_no_harm(dut):
    """Two overload frames between frames, and dominant spikes too short to be sampled: no error, no frame."""
    bench = Bench(dut)
    await bench.reset()
    bench.node.mac.overloads = 2
    bench.line.send(bench.node, PhyFrame(0x100))
    await bench.give(PhyFrame(0x101))
    assert await bench.until(lambda: bench.done == 1)
    assert len(bench.of(bench.node, Overloaded)) >= 2
    await bench.quiet()
    for length_ns in (150, 400, 900):
        bench.line.disturb(True)
        await Timer(length_ns, "ns")
        bench.line.disturb(False)
        await Timer(30 * BIT_NS, "ns")
    bench.line.send(bench.node, PhyFrame(0x102))
    assert await bench.until(lambda: len(bench.heard) == 2)
    bench.line.hold(0)  # from the intermission on; what is dominant behind an overload flag is no error of anybody
    await Timer(10 * BIT_NS, "ns")
    bench.line.hold(None)
    await bench.quiet()
    assert (bench.heard[0], bench.counters, bench.errors) == (PhyFrame(0x100), (0, 0), 0)
    cover("can.standing", "overload")


@cocotb.test()
async def test_a_length_above_eight_means_eight(dut):
    """A DLC of 9 to 15 in a frame of another node is a frame of eight bytes."""
    bench = Bench(dut)
    await bench.reset()
    bench.line.send(bench.node, PhyFrame(0x321, b"", False, True, 13))
    assert await bench.until(lambda: bench.heard == [PhyFrame(0x321, b"", False, True, 8)])
    assert bench.counters == (0, 0)


@cocotb.test()
async def test_a_controller_that_is_error_passive_does_no_harm(dut):
    """Unheard and under random short circuits it turns passive; all that arrives later is whole; others go first."""
    bench = Bench(dut)
    await bench.reset()
    bench.node.mac.listen_only = True
    unheard = PhyFrame(0x123, b"passive?")
    await bench.give(unheard)
    assert await bench.until(lambda: int(dut.passive_o.value), bits=4_000)
    for _ in range(2):  # a passive error flag for want of an acknowledgement counts when it is not alone on the bus
        before = bench.counters[0]
        await RisingEdge(dut.error_o)
        assert bench.counters[0] == before
        await Timer(2 * BIT_NS, "ns")
        bench.line.disturb(True)
        await Timer(BIT_NS, "ns")
        bench.line.disturb(False)
        await Timer(BIT_NS, "ns")
        assert bench.counters[0] == before + 8
    while bench.counters[0] < 190:
        await Timer(int(bench.rng.integers(20, 150) * BIT_NS // 4), "ns")
        bench.line.disturb(True)
        await Timer(int(bench.rng.integers(4, 16) * BIT_NS // 4), "ns")
        bench.line.disturb(False)
    bench.node.mac.listen_only = False
    bench.node.mac.counters.clear()
    assert await bench.until(lambda: bench.done == 1)
    assert int(dut.passive_o.value)
    cover("can.standing", "error-passive")
    await bench.quiet()
    for count in range(1, 6):  # both want the bus at once; the passive one wins it, and then lets the other go first
        bench.line.send(bench.node, PhyFrame(0x200 + count))
        await bench.give(PhyFrame(0x100 + count))
        await bench.give(PhyFrame(0x110 + count))
        assert await bench.until(lambda: bench.done == 1 + 2 * count and len(bench.sent()) == count)  # noqa: B023
        await bench.quiet()
    assert bench.heard == [PhyFrame(0x200 + count) for count in range(1, 6)]
    mine = [PhyFrame(at + count) for count in range(1, 6) for at in (0x100, 0x110)]
    assert bench.received() == [unheard, *mine]


@cocotb.test()
async def test_it_joins_after_eleven_recessive_bits(dut):
    """Reset in the middle of traffic it takes no part, not even in the acknowledgement, until the bus was idle."""
    bench = Bench(dut)
    await bench.reset()
    frame = PhyFrame(0x055, bytes(8))
    bench.line.send(bench.node, frame)
    await Timer(20 * BIT_NS, "ns")
    dut.rst_n.value = 0
    await Timer(3 * BIT_NS, "ns")
    dut.rst_n.value = 1
    assert await bench.until(lambda: bench.node.mac.counters.tec == 8)  # nobody acknowledges
    assert (bench.heard, bench.counters) == ([], (0, 0))
    assert await bench.until(lambda: bench.heard == [frame])
