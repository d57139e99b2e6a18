"""A small paced rig with a plant, and articles on one bus: here, in another program, or real."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hil.rig.loader import load_rig

if TYPE_CHECKING:
    from hil.rig.model import RigFile

LAUNCHER = Path(__file__).parents[2] / "fixtures" / "hil_launcher"
BENCH = Path(__file__).parent / "data" / "bench.dbc"
RECEIVER = "hil_launcher.models.fts.receiver:FtsReceiver"
RIG = """
[rig]
name = "loop"
pace = {pace}
max_lateness_ms = 1000.0
phase_budget_deg = 1e6
worlds = {{ {worlds} }}

[plant]
model = "small_plant:MassOnSpring"
vehicle = "spring.toml"
rate_hz = 500.0
process = "{plant}"
"""
BUS = """
[bus.{name}]
interface = "virtual"
channel = "loop_{name}"
bitrate_bps = 500000
database = "{database}"
{loopback}
"""
NODES = {"fts_a": "FTS_A", "fts_b": "FTS_B", "fc": "FC"}


def loop_rig(
    folder: Path,
    articles: dict[str, str],
    *,
    plant: str = "test",
    loopback: str = "",
    on_b: str | None = None,
    pace: str = '"wall"',
    database: Path = BENCH,
) -> RigFile:
    """Write and load one.

    Args:
        folder: where.
        articles: by name (``fts_a``, ``fts_b``, ``fc``) the program that simulates it, or ``real``.
        plant: the program that runs the plant.
        loopback: the line of both buses that declares their loop-back.
        on_b: that of ``bus_b``, where it is another.
        pace: the rig's pace.
        database: their messages.
    """
    programs = sorted({plant, *articles.values()} - {"test", "real"})
    worlds = ", ".join(f'{program} = "tcp://127.0.0.1:1"' for program in programs)
    lines = [RIG.format(pace=pace, plant=plant, worlds=worlds)]
    for name, line in (("bus_a", loopback), ("bus_b", loopback if on_b is None else on_b)):
        lines.append(BUS.format(name=name, database=database, loopback=line))
    for name, program in articles.items():
        lines += [f'[dut.{name}]\nbus = ["bus_a", "bus_b"]\nnode = "{NODES[name]}"']
        if program == "real":
            lines.append('serial = "SN1"')
        else:
            lines.append(f'model = "{RECEIVER}"\nas_built = "{LAUNCHER}/as_built/fts_a.toml"\nprocess = "{program}"')
    (folder / "spring.toml").write_text("mass_kg = 2.0\nstiffness_n_m = 8.0\n")
    (folder / "loop.toml").write_text("\n".join(lines) + "\n")
    return load_rig(folder / "loop.toml")
