"""What the keeper costs: a query through it against a query to the instrument itself, on a plain TCP instrument."""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pyvisa

from hil.clock import boot_ns
from hil.safety.launch import KeeperLink, start_keeper
from hil.safety.plan import KeeperPlan, OutletPlan, SafeStepPlan

QUERIES = 3000
ROUNDS = 7
INSTRUMENT = """
import socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
answers = {b"*IDN?": b"Keysight Technologies,N6702C,S1,E.02", b"OUTP? (@1:4)": b"0,0,0,0", b"MEAS:VOLT? (@1:4)": b"0.0"}
import threading
def serve(link):
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for line in link.makefile("rb"):
        line = line.strip()
        if b"?" in line:
            link.sendall(answers.get(line, b"1") + b"\\n")
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""


def times_us(resource: str) -> tuple[float, float]:
    """The time of a query with pyvisa: the fastest tenth is faster than the first, half than the second [us, us]."""
    manager = pyvisa.ResourceManager("@py")
    opened = manager.open_resource(resource, read_termination="\n", write_termination="\n", timeout=2000)
    interface = manager.visalib.sessions[opened.session].interface
    interface.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    taken: list[int] = []
    for _ in range(QUERIES):
        began = boot_ns()
        opened.query("VOLT? (@1)")
        taken.append(boot_ns() - began)
    opened.close()
    return statistics.quantiles(taken, n=10)[0] / 1000.0, statistics.median(taken) / 1000.0


def main() -> None:
    """Print both, and the difference."""
    child = subprocess.Popen([sys.executable, "-c", INSTRUMENT], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    resource = f"TCPIP0::127.0.0.1::{int(child.stdout.readline())}::SOCKET"
    safe = [SafeStepPlan(write="OUTP OFF,(@1:4)", query="OUTP? (@1:4)", expect="0,0,0,0")]
    with tempfile.TemporaryDirectory() as folder:
        outlet = OutletPlan(
            name="psu", driver="hil.visa.keysight_n6700:KeysightN6700", resource=resource, hazard=1, safe=safe
        )
        plan = KeeperPlan(
            rig="bench", outlets=[outlet], silence_s=10.0, deadline_s=60.0, hold_s=10.0, lease_s=5.0, who="a benchmark",
            record=str(Path(folder) / "keeper.jsonl"), lease_folder=str(Path(folder) / "lease"),
        )  # fmt: skip
        door = start_keeper(plan)
        link = KeeperLink(door)
        link.begin("benchmark")
        rounds = [(times_us(resource), times_us(door.doors["psu"])) for _ in range(ROUNDS)]
        link.end()
    for direct, kept in rounds:
        print(f"direct {direct[1]:.0f} us, through the keeper {kept[1]:.0f} us: {kept[1] - direct[1]:.0f} us more")
    for index, which in enumerate(("the fastest tenth, which nothing else disturbed", "the median")):
        pairs = [(direct[index], kept[index]) for direct, kept in rounds]
        more, ratio = (statistics.median(each) for each in zip(*((k - d, k / d) for d, k in pairs), strict=True))
        print(f"{which}, {ROUNDS} rounds: {more:.0f} us more, {ratio:.2f} times as long")
    child.kill()
    child.wait()
    threading.Event().wait(0.1)


if __name__ == "__main__":
    main()
