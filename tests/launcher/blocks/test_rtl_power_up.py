"""Power-up of the FPGA designs: every register that can come up either way, and no output that follows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.errors import ToolMissingError
from hil.rtl.block_run import as_built_of
from hil.rtl.build import parameters_of
from hil.rtl.power_up_runs import power_up_runs
from hil.rtl.solo import Input
from hil.rtl.spec import load_spec
from hil.units import ms, us

LAUNCHER = Path(__file__).parents[3] / "fixtures" / "hil_launcher"
DESIGNS = sorted(path.stem for path in (LAUNCHER / "rtl").glob("*.toml") if "top = " in path.read_text())
AS_BUILT = {"fts_receiver": "fts_a", "engine_core": "engine", "engine_controller": "engine"}
TONES = b'{"tones": [[7500.0, 3000.0], [12140.0, 3000.0]]}'
MID_SCALE = int.from_bytes(b"\x80\x08\x00" * 6, "little") & (1 << 132) - 1
PLAYS = {
    "fts_receiver": (60 * ms, [Input(0, "latch_good_i", 1), Input(10 * ms, "audio", TONES)]),
    "engine_core": (2 * ms, [Input(0, "engine_i", 1), Input(100 * us, "codes_i", MID_SCALE)]),
    "engine_controller": (12 * ms, [Input(0, "engine_i", 1), Input(0, "adc", b"\x00\x08" * 11)]),
}
"""How long each design is looked at, and what it is given; the others idle."""


@pytest.mark.measures("rtl.power_up_doubts")
@pytest.mark.parametrize("name", DESIGNS)
def test_no_output_depends_on_what_registers_came_up_with(measure, record, name):
    """Run in four states, and in two from several power-ups, the design says the same after its reset."""
    spec = load_spec(LAUNCHER / "rtl" / f"{name}.toml")
    built = AS_BUILT.get(name)
    as_built = as_built_of(spec, LAUNCHER / "as_built" / f"{built}.toml" if built else None)
    until_ns, inputs = PLAYS.get(name, (1 * ms, []))
    try:
        found = power_up_runs(spec, parameters_of(spec, as_built), until_ns=until_ns, inputs=inputs)
    except ToolMissingError as missing:
        pytest.skip(f"NOT_RUN: there is no tool: {missing}")
    record(
        "table",
        title=f"{name}: outputs after power-up, {until_ns / ms:g} ms, {found.changes} changes",
        columns=["run", "outputs in doubt"],
        rows=[[run, ", ".join(f"{doubt.output} {doubt.seen[run]}" for doubt in found.doubts)] for run in found.runs],
    )
    for doubt in found.doubts:
        record("note", text=str(doubt))
    measure("rtl.power_up_doubts", len(found.doubts), "1")
