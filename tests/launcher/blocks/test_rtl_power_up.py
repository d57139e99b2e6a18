"""Power-up of the FPGA designs: every register that can come up either way, and no output that follows it."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from hil.can.phy.coding import PhyFrame
from hil.rtl.analysis.power_up_runs import power_up_runs
from hil.rtl.analysis.solo import Input
from hil.rtl.can.words import Meet, Play, pack
from hil.units import ms, us

ARM = b'{"tones": [[7500.0, 3000.0], [12140.0, 3000.0]]}'
MID_SCALE = int.from_bytes(b"\x80\x08\x00" * 6, "little") & (1 << 132) - 1
PS = 1000


class Asked(NamedTuple):
    """How long a design is looked at [ns], what it is given, and the outputs and bindings that must move for it."""

    until_ns: int
    inputs: list[Input]
    moves: tuple[str, ...]


def meets(binding):
    """Another node is on the bus, which acknowledges what it hears."""
    return Input(0, binding, pack(Meet(500_000, present=True, passive=False, disturbed=False)))


def hears(binding, at_ns, identifier, data):
    """A frame of another node."""
    return Input(
        at_ns, binding, pack(Play(1, at_ns * PS, PhyFrame(identifier, data), acknowledged=True, disturbed=None))
    )


def sends(at_ns, identifier, *more):
    """A frame of the design itself, for as long as it takes to be taken."""
    fields = [Input(at_ns, "tx_id_i", identifier), Input(at_ns, "tx_dlc_i", 2), Input(at_ns, "tx_data_i", 0xA55A << 48)]
    return [*fields, *more, Input(at_ns, "tx_valid_i", 1), Input(at_ns + 125, "tx_valid_i", 0)]


ASKED = {
    "fts_receiver": Asked(
        60 * ms, [Input(0, "latch_good_i", 1), Input(10 * ms, "audio", ARM)], ("arm_o", "shutdown_o")
    ),
    "engine_core": Asked(2 * ms, [Input(0, "engine_i", 1), Input(100 * us, "codes_i", MID_SCALE)], ("scan_o",)),
    "engine_controller": Asked(
        25 * ms,
        [Input(0, "engine_i", 1), Input(0, "adc", b"\x00\x08" * 11), meets("can_a"), meets("can_b")],
        ("can_a", "can_b"),
    ),
    "adc_spi": Asked(
        1 * ms,
        [Input(50 * us, "scan_i", 1), Input(50 * us + 125, "scan_i", 0), Input(80 * us, "miso_i", 1)],
        ("sclk_o", "cs_n_o", "mosi_o", "codes_o"),
    ),
    "can_controller": Asked(
        1 * ms,
        [meets("can"), hears("can", 100 * us, 0x123, b"\x5a"), *sends(400 * us, 0x555 << 18)],
        ("rx_valid_o", "rx_data_o", "tx_ready_o", "tx_done_o"),
    ),
    "can_front_end": Asked(
        1 * ms,
        [
            meets("can"),
            Input(0, "discrete_pin_i", 5),
            Input(50 * us, "drive_i", 3),
            hears("can", 100 * us, 0x100, b"\x5a"),
            *sends(400 * us, 0x555),
        ],
        ("rx_valid_o", "rx_data_o", "tx_done_o", "discrete_o", "drive_pin_o", "drive_fault_o"),
    ),
}
"""Each design must stand here: a design that idles says little of what it came up with."""


@pytest.mark.measures("rtl.power_up_doubts")
def test_no_output_depends_on_what_registers_came_up_with(design, tool, measure, record):
    """Run in four states, and in two from several power-ups, the design says the same after its reset."""
    name = design.spec.name
    asked = ASKED[name]
    found = tool(power_up_runs, design.spec, design.parameters, until_ns=asked.until_ns, inputs=asked.inputs)
    record(
        "table",
        title=f"{name}: outputs after power-up, {asked.until_ns / ms:g} ms, {found.changes} changes",
        columns=["run", "outputs in doubt"],
        rows=[[run, ", ".join(f"{doubt.output} {doubt.seen[run]}" for doubt in found.doubts)] for run in found.runs],
    )
    for doubt in found.doubts:
        record("note", text=str(doubt))
    still = [each for each in asked.moves if each not in found.moved]
    assert not still, f"what was asked of the design did not move {', '.join(still)}: {name} was not looked at"
    measure("rtl.power_up_doubts", len(found.doubts), "1")
