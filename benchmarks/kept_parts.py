"""What the keeper costs on an I/O card and on a bus: a switch that is acknowledged, and a frame that is answered."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hil.can.frame import Frame
from hil.can.real import open_real
from hil.clock import WallClock, boot_ns
from hil.io.stream_card import StreamCard
from hil.safety.launch import KeeperLink, start_keeper
from hil.safety.plan import BusPlan, CardPlan, KeeperPlan, OutputPlan, SafeStepPlan
from hil.signal import Timeline
from hil.units import s

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.can.real import RealLink

COUNT = 1000
ROUNDS = 5
DBC = Path(__file__).parents[1] / "tests" / "harness" / "data" / "bench.dbc"
CARD = """
import json, socket, threading, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
hello = {"kind": "hello", "protocol": 2, "card": "plain", "channels": ["do_a", "di_a"], "volts": 0.0, "amps": 0.0}
def serve(link):
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    say = lambda **told: link.sendall(json.dumps(told).encode() + b"\\n")
    say(**hello, stamp_ns=0)
    say(kind="sample", channel="di_a", quantity="level", value=False, at_ns=time.monotonic_ns())
    for line in link.makefile("rb"):
        asked = json.loads(line)
        say(kind="time" if asked["kind"] == "ask_time" else "done", id=asked["id"], at_ns=time.monotonic_ns())
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""
ECHO = """
import sys
from hil.can.opening import open_bus
bus = open_bus("slcan", sys.argv[1], 500000)
print("ready", flush=True)
while True:
    message = bus.recv()
    if message.arbitration_id == 512:
        message.arbitration_id, message.data, message.dlc = 256, bytearray(8), 8
        bus.send(message)
"""


def median_us(once: Callable[[], object]) -> float:
    """The median time of a call [us]."""
    taken: list[int] = []
    for _ in range(COUNT):
        began = boot_ns()
        once()
        taken.append(boot_ns() - began)
    return statistics.median(taken) / 1000.0


def switched(clock: WallClock, address: str) -> float:
    """The median time of a switch that is acknowledged [us]."""
    card = StreamCard("card", address, timeline=Timeline(clock), ports=["do_a", "di_a"])
    found = median_us(lambda: card.switch("do_a", on=False))
    card.close()
    return found


def answered(clock: WallClock, link: RealLink) -> float:
    """The median time from a frame to the one that answers it [us]."""
    heard: list[Frame] = []
    link.listen(heard.append, [(256, False)])

    def once() -> None:
        heard.clear()
        link.send_frame(Frame(512, bytes(4)))
        clock.wait(clock.now + 1 * s, lambda: bool(heard))

    found = median_us(once)
    link.shutdown()
    return found


def main() -> None:
    """Print each with and without the keeper."""
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory()))

        def program(*arguments: str) -> subprocess.Popen[str]:
            child = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
            ending.callback(child.wait)
            ending.callback(child.kill)
            return child

        card, hub = program("-c", CARD), program("-m", "hil.sim.slcan_hub", "--ports=3", f"--link={folder}/bus_")
        assert card.stdout is not None
        assert hub.stdout is not None
        address = f"tcp://127.0.0.1:{int(card.stdout.readline())}"
        while hub.stdout.readline() != "ready\n":
            pass
        echo = program("-c", ECHO, f"{folder}/bus_2")
        assert echo.stdout is not None
        echo.stdout.readline()
        safe = [SafeStepPlan(write="do_a open", query="di_a", expect="low")]
        frame = [SafeStepPlan(write="ValveCommand Valve=0 Position=0", query="EngineStatus.State", expect="OFF")]
        plan = KeeperPlan(
            rig="bench", silence_s=10.0, deadline_s=600.0, hold_s=10.0, lease_s=5.0, who="a benchmark",
            record=str(folder / "keeper.jsonl"), lease_folder=str(folder / "lease"),
            cards=[CardPlan(
                name="card", driver="hil.io.stream_card:StreamCard", address=address, hazard=1, safe=safe,
                outputs={"do_a": OutputPlan(energises="high")},
            )],
            buses=[BusPlan(
                name="bus", interface="slcan", channel=f"{folder}/bus_1", bitrate_bps=500_000, database=str(DBC),
                hazard=1, send=["ValveCommand"], energising={"ValveCommand": {"Valve": [1]}}, safe=frame,
            )],
        )  # fmt: skip
        door = start_keeper(plan)
        link = KeeperLink(door)
        link.begin("benchmark")
        clock, place = WallClock(), urlsplit(door.doors["bus"])
        kept = {"interface": "socketcand", "options": {"host": place.hostname, "port": place.port}}
        for _ in range(ROUNDS):
            direct, through = switched(clock, address), switched(clock, door.doors["card"])
            print(f"switch, acknowledged: direct {direct:.0f} us, through the keeper {through:.0f} us")
            near = open_real("bus", clock, interface="slcan", channel=f"{folder}/bus_0", bitrate_bps=500_000)
            far = open_real("bus", clock, channel="bus", bitrate_bps=500_000, **kept)
            direct, through = answered(clock, near), answered(clock, far)
            print(f"frame, answered over slcan: direct {direct:.0f} us, through the keeper {through:.0f} us")
        link.end()


if __name__ == "__main__":
    main()
