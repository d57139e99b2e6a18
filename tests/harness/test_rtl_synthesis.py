"""Synthesis as a check, power-up without a run, and lint: each finds what it is there for, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hil.errors import ConfigError
from hil.rtl.analysis.lint import HIDING, lint
from hil.rtl.analysis.power_up import power_up
from hil.rtl.analysis.synthesis import area, elaborate
from hil.rtl.spec import load_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.rtl.analysis.power_up import PowerUp
    from hil.rtl.spec import RtlSpec

    Tool = Callable[[str], str]

DATA = Path(__file__).with_name("data") / "rtl"
PORTS = "input wire clk, input wire rst_n, input wire en_i, input wire [3:0] d_i, output logic [3:0] q_o"
FILE = """
top = "box"
sources = ["box.sv"]
clock = {port = "clk", period_ns = 100.0}
reset = {port = "rst_n", cycles = 4}
"""


def design(folder: Path, body: str, *, more: str = "") -> RtlSpec:
    """A design with a clock, a reset, an enable, four bits in and four bits out."""
    head = f"`default_nettype none\nmodule box #(parameter int WIDTH = 4) ({PORTS});\n"
    (folder / "box.sv").write_text(f"{head}{body}\nendmodule\n`default_nettype wire\n")
    (folder / "box.toml").write_text(FILE + more)
    return load_spec(folder / "box.toml")


def powered(folder: Path, body: str, *, more: str = "") -> PowerUp:
    """What power-up shows of such a design."""
    spec = design(folder, body, more=more)
    made = elaborate(spec, {})
    assert made.problems == ()
    assert made.netlist is not None
    return power_up(spec, made.netlist)


RESET = "always_ff @(posedge clk) if (!rst_n) q_o <= '0; else q_o <= d_i;"


def test_a_sound_design_has_no_problem_and_an_area(tool: Tool, tmp_path: Path) -> None:
    tool("yosys")
    spec = design(tmp_path, RESET)
    found = area(spec, {}, "ecp5")
    assert elaborate(spec, {}).problems == ()
    assert (found.ff, found.bram, found.dsp) == (4, 0, 0)
    assert area(spec, {}, "ice40").ff == 4


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        ("always_comb if (en_i) q_o = d_i;", "latch", "box.q_o"),
        ("always @* if (en_i) q_o = d_i;", "latch", "box.q_o"),
        ("wire [3:0] loose; assign q_o = d_i & loose;", "undriven net", "box.loose"),
        ("wire a, b; assign a = ~b & en_i; assign b = a | d_i[0]; assign q_o = {4{a}};", "combinational loop", "$not"),
        ("assign q_o = d_i; assign q_o = ~d_i;", "driver conflict", "box.sv:3"),
        ("assign q_o = d_i; SB_GB u_buffer (.USER_SIGNAL_TO_GLOBAL_BUFFER(clk));", "unknown module", "SB_GB"),
    ],
)
def test_what_no_fpga_can_be_built_from_is_found(tool: Tool, tmp_path: Path, body: str, kind: str, told: str) -> None:
    tool("yosys")
    problems = elaborate(design(tmp_path, body), {}).problems
    assert kind in {problem.kind for problem in problems}
    assert any(told in problem.text for problem in problems)


def test_parameters_reach_the_synthesiser(tool: Tool, tmp_path: Path) -> None:
    tool("yosys")
    body = "logic [WIDTH-1:0] r; always_ff @(posedge clk) r <= !rst_n ? '0 : {r, en_i}; assign q_o = {4{r[WIDTH-1]}};"
    spec = design(tmp_path, body)
    assert [area(spec, {"WIDTH": width}).ff for width in (5, 9)] == [5, 9]
    assert area(spec, {"WIDTH": "32'd7"}).ff == 7


SOUND = {
    "synchronous reset": RESET,
    "asynchronous reset": "always_ff @(posedge clk or negedge rst_n) if (!rst_n) q_o <= 4'd9; else q_o <= q_o + d_i;",
    "reset through a register": "logic r; always_ff @(posedge clk) begin r <= ~rst_n; q_o <= r ? '0 : q_o ^ d_i; end",
    "reset or clear": "wire c = !rst_n | en_i; always_ff @(posedge clk) if (c) q_o <= '0; else q_o <= q_o + 4'd1;",
    "inputs flush it": "logic [3:0] a, b; always_ff @(posedge clk) begin a <= d_i; b <= a; q_o <= b; end",
    "array reset in a loop": "logic [3:0] r [5]; assign q_o = r[d_i[2:0] % 5];"
    " always_ff @(posedge clk) if (!rst_n) for (int i = 0; i < 5; i++) r[i] <= '0; else if (en_i) r[d_i % 5] <= d_i;",
    "reaches nothing": RESET + " logic [3:0] lost; always_ff @(posedge clk) if (en_i) lost <= d_i;",
}


@pytest.mark.parametrize("name", SOUND)
def test_a_register_that_the_reset_sets_or_the_inputs_flush_is_not_reported(
    tool: Tool, tmp_path: Path, name: str
) -> None:
    tool("yosys")
    assert powered(tmp_path, SOUND[name]).unset == ()


LOOSE = {
    "set to nothing by the reset": (
        "logic r; always_ff @(posedge clk) if (!rst_n) r <= 1'bx; else r <= r ^ en_i; assign q_o = {4{r}};",
        "r",
    ),
    "set to nothing by an asynchronous reset": (
        "logic r; always_ff @(posedge clk or negedge rst_n) if (!rst_n) r <= 1'bx; else r <= r ^ en_i;"
        " assign q_o = {4{r}};",
        "r",
    ),
    "enable without reset": (
        "logic [3:0] held; always_ff @(posedge clk) if (en_i) held <= d_i; assign q_o = held;",
        "held",
    ),
    "counter": ("logic [3:0] count; always_ff @(posedge clk) count <= count + 4'd1; assign q_o = count;", "count"),
    "toggle": ("logic t; always_ff @(posedge clk) t <= ~t; assign q_o = {4{t}};", "t"),
    "reset by data": (
        "logic [3:0] r; always_ff @(posedge clk) if (en_i) r <= '0; else r <= r + d_i; assign q_o = r;",
        "r",
    ),
    "memory": (
        "logic [3:0] ram [16]; always_ff @(posedge clk) if (en_i) ram[d_i] <= d_i; assign q_o = ram[~d_i];",
        "ram",
    ),
    "through a register that is reset": (
        "logic [3:0] held; always_ff @(posedge clk) begin if (en_i) held <= d_i; q_o <= !rst_n ? '0 : q_o + held; end",
        "held",
    ),
}


@pytest.mark.parametrize("name", LOOSE)
def test_a_register_that_is_unknown_after_reset_and_can_reach_an_output_is_found(
    tool: Tool, tmp_path: Path, name: str
) -> None:
    tool("yosys")
    body, register = LOOSE[name]
    (found,) = powered(tmp_path, body).unset
    assert (found.register, found.reaches) == (register, ("q_o",))
    assert str(found) == f"{register} (box.sv:3) is unknown after reset and can reach q_o"


def test_an_open_wire_is_as_unset_as_what_is_undefined(tool: Tool, tmp_path: Path) -> None:
    tool("yosys")
    body = "logic r; always_ff @(posedge clk) r <= rst_n ? r ^ en_i : 1'bz; assign q_o = {4{r}};"
    spec = design(tmp_path, body)
    made = elaborate(spec, {})
    assert made.netlist is not None
    assert [each.register for each in power_up(spec, made.netlist).unset] == ["r"]


def test_a_register_of_an_instance_is_named_by_its_path(tool: Tool, tmp_path: Path) -> None:
    tool("yosys")
    inner = "endmodule\nmodule cell(input wire clk, input wire d, output logic q); always_ff @(posedge clk) q <= q ^ d;"
    (found,) = powered(tmp_path, "wire q; cell u_cell (clk, en_i, q); assign q_o = {4{q}};\n" + inner).unset
    assert found.register == "u_cell.q"
    assert found.where == "box.sv:5"


def test_a_register_that_is_meant_to_have_no_reset_is_declared_and_a_stale_declaration_is_told(
    tool: Tool, tmp_path: Path
) -> None:
    tool("yosys")
    body = "logic [3:0] held; always_ff @(posedge clk) if (en_i) held <= d_i; assign q_o = held;"
    declared = (
        '[power_up.unreset]\nheld = {justification = "data path, marked valid by a reset register", approver = "me"}\n'
        'gone = {justification = "no more", approver = "me"}\n'
    )
    found = powered(tmp_path, body, more=declared)
    assert found.unset == ()
    assert {name: each.approver for name, each in found.declared.items()} == {"held": "me"}
    assert found.stale == ("gone",)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('{justification = "harmless"}', r"box.toml:7: power_up.unreset.held.approver is missing"),
        ('{justification = " ", approver = "me"}', r"box.toml:7: power_up.unreset.held.justification"),
        ('"harmless"', r"box.toml:7: power_up.unreset.held"),
    ],
)
def test_a_declaration_without_justification_and_approver_is_refused(tmp_path: Path, entry: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        design(tmp_path, RESET, more=f"[power_up.unreset]\nheld = {entry}\n")


def test_an_initial_value_in_the_source_is_told(tool: Tool, tmp_path: Path) -> None:
    tool("yosys")
    found = powered(tmp_path, "logic t = 1'b0; always_ff @(posedge clk) t <= t ^ en_i; assign q_o = {4{t}};")
    assert found.unset == ()
    assert found.initial == ("t",)


def test_vhdl_is_synthesised_and_powered_up_too(tool: Tool) -> None:
    tool("yosys")
    tool("ghdl")
    spec = load_spec(DATA / "hold.toml")
    made = elaborate(spec, {})
    assert made.problems == ()
    assert made.netlist is not None
    assert power_up(spec, made.netlist).unset == ()
    assert area(spec, {}).ff == 8


def test_lint_says_file_line_and_code(tool: Tool, tmp_path: Path) -> None:
    tool("g++")
    spec = design(tmp_path, RESET + "\nwire [2:0] narrow = d_i;")
    found = lint(spec)
    assert ("WIDTHTRUNC", "box.sv", 4) in {(each.code, each.file, each.line) for each in found}
    assert "box.sv:4: WIDTHTRUNC: " in "\n".join(map(str, found))


@pytest.mark.parametrize(
    "hiding", ["// verilator lint_off WIDTH", "/* verilator coverage_off */", "//synthesis translate_off"]
)
def test_lint_finds_what_hides_something_from_a_judge(tool: Tool, tmp_path: Path, hiding: str) -> None:
    tool("g++")
    spec = design(tmp_path, f"{RESET}\n{hiding}\nwire [2:0] narrow = d_i;")
    found = [(each.file, each.line, each.text) for each in lint(spec) if each.code == HIDING]
    (file, line, text) = found[0]
    assert (len(found), file, line) == (1, "box.sv", 4)
    assert text.endswith(("hides something from lint: remove it", "coverage: remove it", "synthesis: remove it"))
