"""A bench for tests of RTL in the loop: one powered box on a rig of its own, and what its outputs did and when."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest
from rtl_world import DATA, connect, world

from hil.clock import Stopwatch
from hil.rtl import tools
from hil.rtl.build import Variant, build
from hil.rtl.link import Link
from hil.rtl.spec import load_spec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hil.rig.world import Rig
    from hil.rtl.board import RtlArticle
    from hil.rtl.build import Built

on_icarus = pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
"""Marks a test of what does not depend on the simulator: one of them is enough."""
OPEN = "upsets = true"
"""Opens registers to faults; every bench has it, so that each design is built once for a simulator."""


def rtl_file(folder: Path, design: str, *, top: str = "", then: str = "", swap: tuple[str, str] = ("", "")) -> Path:
    """An RTL file like one of ``data/rtl``, with lines before its tables and after them, and a text swapped."""
    text = (DATA / f"{design}.toml").read_text().replace('sources = ["', f'sources = ["{DATA}/')
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{design}.toml"
    path.write_text(f"{top}\n{text}\n{then}\n".replace(*swap) if swap[0] else f"{top}\n{text}\n{then}\n")
    return path


def built(design: str | Path, simulator: str) -> Built:
    """A design of ``data/rtl``, or the RTL file of that path, built."""
    spec = load_spec(design if isinstance(design, Path) else DATA / f"{design}.toml")
    found = tools.find(simulator, spec.language)  # type: ignore[arg-type]  # a name of one
    return build(spec, found, Variant(upsets=simulator == "verilator"), {})


@contextmanager
def linked(design: str, simulator: str, *, seed: int = 1) -> Iterator[Link]:
    """A design in its simulator, without a rig."""
    link = Link(built(design, simulator), article="box", seed=seed, budget_s=60.0)
    try:
        yield link
    finally:
        link.close()


class Bench:
    """The box of a rig, powered at 0 unless told otherwise; its inputs and outputs by port.

    Args:
        rig: the rig.
        watch: outputs whose changes are noted.
    """

    def __init__(self, rig: Rig, watch: tuple[str, ...]) -> None:
        self.rig, self.clock = rig, rig.clock
        box = rig.models["box"]
        self.box: RtlArticle = box  # type: ignore[assignment]  # of a design without a board of its own
        self.fpga = self.box.fpga
        self.supply = connect(rig, "power")
        self.changes: list[tuple[int, str, int]] = []
        """(rig time [ns], output, level) of every change."""
        for port in watch:
            self._watch(port)

    def power(self, volts: float = 28.0) -> None:
        """Feed it, or not with 0 V."""
        self.supply.drive(volts, 0.01)

    def at(self, time_ns: int, port: str, level: int) -> None:
        """Drive an input at a rig time [ns]."""
        self.clock.at(time_ns, lambda: self.fpga.drive(port, level))

    def since(self, time_ns: int) -> list[tuple[int, str, int]]:
        """The changes from a rig time [ns] on."""
        return [change for change in self.changes if change[0] >= time_ns]

    def simulator_pid(self) -> int:
        """The process that runs the design."""
        return int(str(self.fpga.live.hello["pid"]))

    def _watch(self, port: str) -> None:
        self.fpga.on_output(port, lambda level: self.changes.append((self.clock.now, port, level)))


@contextmanager
def bench(
    folder: Path,
    design: str,
    simulator: str,
    *,
    watch: tuple[str, ...] = (),
    more: str = "",
    on: bool = True,
    seed: int = 1,
) -> Iterator[Bench]:
    """A box with a design of ``data/rtl`` (or the RTL file of that path); ``more`` are lines of the rig's ``[rtl]``."""
    with world(folder, design, "auto" if simulator == "ghdl" else simulator, seed=seed, more=f"{OPEN}\n{more}") as rig:
        made = Bench(rig, watch)
        if on:
            made.power()
        yield made


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has buried yet has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def running(pids: Iterable[int], within_s: float = 2.0) -> list[int]:
    """Which of some processes still run after a time [s of wall time]; a killed one takes a moment to be gone."""
    watch = Stopwatch()
    found = [pid for pid in pids if not gone(pid)]
    while found and watch.elapsed_s < within_s:
        Event().wait(0.01)
        found = [pid for pid in found if not gone(pid)]
    return found


def family(pid: int) -> list[int]:
    """The processes of the group that a process leads, itself included."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getpgid(int(entry.name)) == pid and not gone(int(entry.name)):
                    found.append(int(entry.name))
            except (ProcessLookupError, PermissionError):
                continue
    return sorted(found)
