"""CAN speed: the simulated bus beside python-can's own ``virtual`` interface, in one thread, alternated rounds.

``virtual`` copies a message into a queue. The simulated bus computes stuff bits, arbitrates, acknowledges, counts
errors and keeps rig time; the goal is at least 0.7 of the messages per second, with nothing left out.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import can

from hil.can.bits import measure as measure_frame
from hil.can.bus import SimBus
from hil.can.database import Database
from hil.can.facade import Bus
from hil.can.frame import Frame
from hil.can.wire import CanWire
from hil.clock import VirtualClock
from hil.noise import Streams
from hil.units import ms, s

if TYPE_CHECKING:
    from collections.abc import Callable

BITRATE_BPS = 500_000
MESSAGES = 5_000
NODES = 10
DBC = """VERSION ""
NS_ :
BS_:
BU_: A
BO_ 256 Status: 8 A
 SG_ Alive : 0|4@1+ (1,0) [0|15] "" A
 SG_ State : 4|4@1+ (1,0) [0|2] "" A
 SG_ Pressure : 8|16@1+ (0.01,0) [0|150] "bar" A
 SG_ Temperature : 24|8@1- (1,0) [-128|127] "degC" A
 SG_ Speed : 32|16@1+ (1,0) [0|60000] "rpm" A
 SG_ Crc : 56|8@1+ (1,0) [0|255] "" A
BA_DEF_ SG_ "HilProtection" ENUM "None","Counter","Crc8";
BA_DEF_DEF_ "HilProtection" "None";
BA_ "HilProtection" SG_ 256 Alive 1;
BA_ "HilProtection" SG_ 256 Crc 2;
VAL_ 256 State 0 "OFF" 1 "IGNITION" 2 "MAINSTAGE" ;
"""


def _rate(work: Callable[[], object], count: int) -> float:
    """How often per second of CPU time ``work`` does one of its ``count`` things; wall time on a quiet machine."""
    start = time.process_time()
    work()
    return count / (time.process_time() - start)


def _messages() -> list[can.Message]:
    """Random data, so that nothing can be remembered from one message to the next."""
    rng = random.Random(1)
    return [
        can.Message(arbitration_id=rng.randrange(0x800), data=rng.randbytes(8), is_extended_id=False)
        for _ in range(MESSAGES)
    ]


def _one_to_one(sender: can.BusABC, receiver: can.BusABC, messages: list[can.Message]) -> float:
    """Messages per second, each sent and received before the next."""

    def work() -> None:
        for message in messages:
            sender.send(message)
            if receiver.recv(1.0) is None:
                raise RuntimeError(f"{message} did not arrive")

    return _rate(work, len(messages))


def _wire(log: Callable[[str], object] | None = None) -> CanWire:
    return CanWire(VirtualClock(), "bench", BITRATE_BPS, Streams(1).stream("bench", "wire"), log=log)


def _simulated(messages: list[can.Message]) -> float:
    wire = _wire()
    with SimBus("bench") as sender, SimBus("bench") as receiver:
        rate = _one_to_one(sender, receiver, messages)
    wire.close()
    return rate


def _virtual(messages: list[can.Message]) -> float:
    with (
        can.Bus(interface="virtual", channel="bench", ignore_config=True) as sender,
        can.Bus(interface="virtual", channel="bench", ignore_config=True) as receiver,
    ):
        return _one_to_one(sender, receiver, messages)


def _coded(database: Database, folder: Path) -> float:
    """Frames per second: encoded with counter and CRC, sent, arbitrated, checked, decoded, logged as candump text."""
    with (folder / "bench.log").open("w") as file:
        wire = _wire(lambda line: file.write(line + "\n"))
        bus = Bus("bench", wire.clock, SimBus("bench"), database)
        other = wire.attach("other")
        receiver, decoded = database.receiver("Status"), [0]

        def arrived(frame: Frame) -> None:
            if receiver.check(frame) is None:
                decoded[0] += len(database.decode(frame))

        other.on_frame(arrived)

        def work() -> None:
            for count in range(MESSAGES):
                signals = {"State": "MAINSTAGE", "Pressure": 97.0, "Temperature": -40, "Speed": count}
                bus.send("Status", signals)
                wire.clock.sleep(1 * ms)

        rate = _rate(work, MESSAGES)
        bus.close()
        wire.close()
    if decoded[0] != 6 * MESSAGES:
        raise RuntimeError(f"{decoded[0]} signals were decoded, not {6 * MESSAGES}")
    return rate


def _through_python_can(database: Database, folder: Path) -> float:
    """Frames per second through ``can.Bus``: encoded, sent, arbitrated, logged, received as a message, decoded."""
    with (folder / "bench.log").open("w") as file:
        wire = _wire(lambda line: file.write(line + "\n"))
        stream, status = database.sender("Status"), database.message("Status")
        decoded = 0
        with SimBus("bench") as sender, SimBus("bench") as receiver:

            def work() -> None:
                nonlocal decoded
                for count in range(MESSAGES):
                    signals = {"State": "MAINSTAGE", "Pressure": 97.0, "Temperature": -40, "Speed": count}
                    frame = stream.frame(signals)
                    sender.send(can.Message(arbitration_id=frame.arbitration_id, data=frame.data, is_extended_id=False))
                    message = receiver.recv(1.0)
                    decoded += 0 if message is None else len(status.decode_simple(message.data))

            rate = _rate(work, MESSAGES)
        wire.close()
    if decoded != 6 * MESSAGES:
        raise RuntimeError(f"{decoded} signals were decoded, not {6 * MESSAGES}")
    return rate


def _ten_nodes() -> tuple[float, float]:
    """(frames per second, rig seconds per second) of ten nodes that hear one another at 86 % load."""
    wire, rng, heard = _wire(), random.Random(2), [0]

    def count(_: Frame) -> None:
        heard[0] += 1

    frames = [Frame(0x100 + number, rng.randbytes(8)) for number in range(NODES)]
    period_ns = round(sum(measure_frame(frame)[1] + 3 for frame in frames) * s / BITRATE_BPS / 0.86)
    for frame in frames:
        node = wire.attach(f"node_{frame.arbitration_id:x}")
        node.on_frame(count)
        wire.clock.every(period_ns, lambda node=node, frame=frame: node.send(frame))
    rig_seconds_per_s = _rate(lambda: wire.clock.sleep(1 * s), 1)
    return wire.stats.frames * rig_seconds_per_s, rig_seconds_per_s


def _length_us() -> float:
    rng = random.Random(3)
    frames = [Frame(rng.randrange(0x800), rng.randbytes(8)) for _ in range(MESSAGES)]

    def work() -> None:
        for frame in frames:
            measure_frame(frame)

    return 1e6 / _rate(work, len(frames))


def measure(rounds: int) -> dict[str, float]:
    """Medians over ``rounds`` alternated rounds.

    ``hil_per_s``, ``virtual_per_s``: messages sent and received one to one [1/s]; ``ratio``: median of hil / virtual;
    ``python_can_coded_per_s``: frames through ``can.Bus`` with encode, decode and log [1/s]; ``coded_per_s``: frames
    through the rig's own Bus, counter and CRC checked as well [1/s]; ``ten_nodes_per_s`` [1/s] and
    ``ten_nodes_real_time`` [rig s per s] at 86 % load; ``length_us``: exact length of one 8-byte frame [us].
    """
    messages = _messages()
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="hil-bench-") as scratch:
        folder = Path(scratch)
        (folder / "bench.dbc").write_text(DBC)
        database = Database.load(folder / "bench.dbc")
        for _ in range(rounds):
            hil, virtual = _simulated(messages), _virtual(messages)
            frames, real_time = _ten_nodes()
            figures = {
                "hil_per_s": hil,
                "virtual_per_s": virtual,
                "ratio": hil / virtual,
                "coded_per_s": _coded(database, folder),
                "python_can_coded_per_s": _through_python_can(database, folder),
                "ten_nodes_per_s": frames,
                "ten_nodes_real_time": real_time,
                "length_us": _length_us(),
            }
            for name, value in figures.items():
                taken.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in taken.items()}


def report(taken: dict[str, float]) -> list[tuple[str, float, str, str]]:
    """(what, value, unit, goal) per line."""
    return [
        ("CAN one to one, simulated bus", taken["hil_per_s"], "messages/s", ""),
        ("CAN one to one, python-can virtual", taken["virtual_per_s"], "messages/s", ""),
        ("CAN one to one, simulated / virtual", taken["ratio"], "", ">= 0.7"),
        ("CAN through python-can, encode, decode and log", taken["python_can_coded_per_s"], "frames/s", ">= 30000"),
        ("CAN through Bus, encode, decode, checks and log", taken["coded_per_s"], "frames/s", ">= 30000"),
        ("CAN ten nodes at 86 % load", taken["ten_nodes_per_s"], "frames/s", ""),
        ("CAN ten nodes at 86 % load, 500 kbit/s", taken["ten_nodes_real_time"], "x real time", ""),
        ("CAN exact length of an 8-byte frame", taken["length_us"], "us", ""),
    ]


def main() -> None:
    """Print the figures beside their goals."""
    for what, value, unit, goal in report(measure(rounds=7)):
        print(f"{what:48} {value:12.2f} {unit:12} {goal}")


if __name__ == "__main__":
    main()
