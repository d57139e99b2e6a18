"""A rig that is one design on its plainest board, powered from a pin: what the tests of RTL in the loop look at."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.rtl.board import RtlArticle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hil.nets import Pin
    from hil.rig.world import Rig

DATA = Path(__file__).parent / "data" / "rtl"


def rig_file(folder: Path, designs: Mapping[str, str], simulator: str, *, more: str = "") -> Path:
    """A rig file with one article per design: by article name, the name of its RTL file in ``data/rtl``."""
    lines = ["[rig]", 'name = "rtl"', 'pace = "virtual"', "[rtl]", f'simulator = "{simulator}"', more]
    for name, design in designs.items():
        file = Path(design) if design.endswith(".toml") else DATA / f"{design}.toml"
        lines += [f"[dut.{name}]", f'rtl = "{file}"', f'as_built = "{DATA / "as_built.toml"}"']
    path = folder / "rtl.toml"
    path.write_text("\n".join(lines))
    return path


@contextmanager
def world(folder: Path, design: str, simulator: str, *, seed: int = 1, more: str = "") -> Iterator[Rig]:
    """A rig with one article, ``box``, that is a design of ``data/rtl``; without power."""
    blueprint = Blueprint.of(load_rig(rig_file(folder, {"box": design}, simulator, more=more)))
    rig = open_rig(blueprint, seed=seed)
    try:
        yield rig
    finally:
        rig.close()


def connect(rig: Rig, port: str) -> Pin:
    """A wire from the bench to a pin of the article; its end on the bench."""
    pin = rig.wiring.pin(f"bench.{port}")
    rig.wiring.net(port, [pin.name, f"box.{port}"])
    return pin


def power(rig: Rig, volts: float = 28.0) -> RtlArticle:
    """Feed the article."""
    connect(rig, "power").drive(volts, 0.01)
    box = rig.models["box"]
    assert isinstance(box, RtlArticle)
    return box
