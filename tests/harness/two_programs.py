"""A rig of two programs, ``hil sim`` and the test, with little in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LAUNCHER = Path(__file__).parents[2] / "fixtures" / "hil_launcher"
RIG = """
[rig]
name = "two_programs"
pace = "wall"
max_lateness_ms = 50.0
worlds = { sim = "tcp://127.0.0.1:0" }

[instrument.psu]
driver = "hil.visa.keysight_n6700:KeysightN6700"
model = "hil.visa.keysight_n6700_twin:KeysightN6700Twin"
resource = "TCPIP0::127.0.0.1::0::SOCKET"
process = "sim"

[instrument.stand]
driver = "hil.io.stream_card:StreamCard"
model = "hil.io.sim_card:SimIoCard"
resource = "tcp://127.0.0.1:0"
process = "sim"

[net.power]
pins = ["psu.out1", "stand.load_out1", "stand.di_out1"]
ohms = { "stand.load_out1" = 100.0 }
"""

FTS = f"""
[bus.bus_a]
interface = "slcan"
channel = "bus_a_0"
channels = {{ sim = "bus_a_1" }}
bitrate_bps = 500000
database = "{LAUNCHER}/launcher.dbc"

[bus.bus_b]
interface = "slcan"
channel = "bus_b_0"
channels = {{ sim = "bus_b_1" }}
bitrate_bps = 500000
database = "{LAUNCHER}/launcher.dbc"

[dut.fts_a]
client = "hil_launcher.clients.fts:Fts"
bus = ["bus_a", "bus_b"]
node = "FTS_A"
model = "hil_launcher.models.fts.receiver:FtsReceiver"
as_built = "{LAUNCHER}/as_built/fts_a.toml"
process = "sim"

[net.power_fts_a]
pins = ["psu.out2", "fts_a.power", "stand.ai_fts_a_power"]
[net.fts_a_arm]
pins = ["fts_a.arm", "stand.load_fts_a_arm", "stand.di_fts_a_arm"]
ohms = {{ "stand.load_fts_a_arm" = 5.0 }}
[net.fts_a_terminate]
pins = ["fts_a.terminate", "stand.load_fts_a_terminate", "stand.di_fts_a_terminate"]
ohms = {{ "stand.load_fts_a_terminate" = 5.0 }}
[net.fts_a_shutdown]
pins = ["fts_a.shutdown", "stand.di_fts_a_shutdown"]
[net.fts_a_sst]
pins = ["fts_a.sst", "stand.ai_fts_a_sst"]
[net.fts_a_unlatch]
pins = ["fts_a.unlatch", "stand.do_fts_a_unlatch"]
"""


class Simulation:
    """The program, started on a rig file, up to its ``ready``."""

    def __init__(self, rig_file: Path, *options: str) -> None:
        command = [sys.executable, "-c", "from hil.sim.commands import sim; sim()", str(rig_file), *options]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.child.stdout is not None
        self.lines: list[str] = []
        for line in self.child.stdout:
            self.lines.append(line.strip())
            if self.lines[-1] == "ready":
                break

    def __enter__(self) -> Simulation:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.kill()
        self.child.communicate(timeout=10.0)

    def where(self, what: str) -> str:
        """The endpoint that the line beginning with ``what`` names."""
        return next(line.removeprefix(f"{what} ") for line in self.lines if line.startswith(f"{what} "))

    def sets(self) -> list[str]:
        """The addresses it serves, as changes to the rig file of the test."""
        return [
            f"rig.worlds.sim={self.where('world sim')}",
            f"instrument.psu.resource={self.where('instrument psu')}",
            f"instrument.stand.resource={self.where('card stand')}",
        ]
