"""Synthesis as a check, with yosys: what no simulator refuses and no FPGA can be built from, and how large it is.

A latch that was inferred, a net without a driver, a loop of gates, or a part of one vendor's library is found here;
:mod:`hil.rtl.analysis.power_up` then walks the netlist that was made.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from hil.errors import RtlError, ToolMissingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hil.rtl.spec import RtlSpec

Device = Literal["ecp5", "ice40"]
Kind = Literal["latch", "undriven net", "combinational loop", "driver conflict", "unknown module", "warning"]
Netlist = dict[str, Any]
"""One flat module as yosys writes it in JSON: ``ports``, ``cells``, ``netnames``."""
UNDEFINED_RESET: Final = "hil_undefined_reset"
"""Attribute of a flip-flop whose asynchronous reset sets it to nothing (x)."""

_REMEDY = "no usable yosys: there is no yosys on PATH; install it with: apt-get install yosys"
_TIMEOUT_S: Final = 600.0
# 4-input tables, flip-flops, block memories and multipliers by the names of each device's cells
_CELLS: Final[Mapping[Device, Mapping[str, tuple[tuple[str, int], ...]]]] = {
    "ecp5": {
        "lut4": (("LUT4", 1), ("CCU2C", 2), ("TRELLIS_DPR16X4", 4)),
        "ff": (("TRELLIS_FF", 1),),
        "bram": (("DP16KD", 1), ("PDPW16KD", 1)),
        "dsp": (("MULT18X18D", 1), ("ALU54B", 1)),
    },
    "ice40": {
        "lut4": (("SB_LUT4", 1),),
        "ff": (("SB_DFF", 1),),
        "bram": (("SB_RAM40_4K", 1),),
        "dsp": (("SB_MAC16", 1),),
    },
}
_KINDS: Final[tuple[tuple[Kind, str], ...]] = (
    ("latch", r"(?<!No )[Ll]atch inferred for signal .*"),
    ("unknown module", r"Module `.*' referenced in module .* is not part of the design"),
    ("undriven net", r"Wire .* is used but has no driver"),
    ("combinational loop", r"found logic loop"),
    ("driver conflict", r"multiple conflicting drivers"),
)
_FOLDER = re.compile(r"/[^\s:]*/")
_HARMLESS = re.compile(r"Replacing memory .* with list of registers")


@dataclass(frozen=True, slots=True)
class Problem:
    """What makes a design unfit for synthesis: its kind, and what yosys says of it."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Elaborated:
    """A design as yosys understands it.

    Args:
        problems: what must not be there; empty as it should be.
        netlist: the flat netlist of simple gates, words of arithmetic and memories; None when it could not be made.
    """

    problems: tuple[Problem, ...]
    netlist: Netlist | None


@dataclass(frozen=True, slots=True)
class Area:
    """What a design takes of a device, in its cells.

    Args:
        device: the device.
        lut4: tables of 4 inputs; carry chains and distributed memory are counted as the tables they take.
        ff: flip-flops.
        bram: block memories.
        dsp: multipliers.
    """

    device: Device
    lut4: int
    ff: int
    bram: int
    dsp: int


def find_yosys() -> Path:
    """The synthesiser.

    Raises:
        ToolMissingError: when it is not there; says what to install.
    """
    path = shutil.which("yosys")
    if path is None:
        raise ToolMissingError(_REMEDY)
    return Path(path)


def elaborate(spec: RtlSpec, parameters: Mapping[str, int | str]) -> Elaborated:
    """Read a design and make it one flat netlist; say what no FPGA could be built from.

    Args:
        spec: the design.
        parameters: what the parameters of its top are set to.

    Raises:
        ToolMissingError: when there is no yosys.
        RtlError: when yosys does not understand the source.
    """
    with tempfile.TemporaryDirectory(prefix="hil-yosys-") as scratch:
        words, made = Path(scratch) / "words.json", Path(scratch) / "netlist.json"
        script = [
            *_read(spec, parameters, Path(scratch)),
            "proc",
            "setattr -mod -unset keep_hierarchy *",  # copies that synthesis must not merge are looked into as well
            "setattr -unset keep_hierarchy t:*",
            "flatten",
            "opt_expr",
            "check",  # on words: a name there is still the source's
            f"write_json {words}",
            "memory -nomap",
            "memory_map t:$mem_v2 r:WR_PORTS>1 %i",  # an array that a reset clears all at once is made of registers
            "pmuxtree",
            "simplemap",
            "opt_clean",
            f"write_json {made}",
        ]
        code, log = _yosys(script)
        problems = _problems(log)
        if code != 0 and not problems:
            raise RtlError(f"{spec.file}: yosys does not accept {spec.top}:\n{_tail(log)}")
        netlist = None
        if code == 0:
            netlist = _top_module(json.loads(made.read_text())["modules"])
            whole = _top_module(json.loads(words.read_text())["modules"])
            _drop_padding(netlist, whole)
            _mark_undefined_resets(netlist, whole)
    return Elaborated(tuple(problems), netlist)


def area(spec: RtlSpec, parameters: Mapping[str, int | str], device: Device = "ecp5") -> Area:
    """Map a design onto a device and count what it takes.

    Args:
        spec: the design.
        parameters: what the parameters of its top are set to.
        device: "ecp5" or "ice40".

    Raises:
        ToolMissingError: when there is no yosys.
        RtlError: when it cannot be mapped, with the end of the log.
    """
    with tempfile.TemporaryDirectory(prefix="hil-yosys-") as scratch:
        made = Path(scratch) / "mapped.json"
        options = " -dsp" if device == "ice40" else ""
        script = [*_read(spec, parameters, Path(scratch)), f"synth_{device}{options}", f"write_json {made}"]
        code, log = _yosys(script)
        if code != 0:
            raise RtlError(f"{spec.file}: yosys cannot map {spec.top} onto {device}:\n{_tail(log)}")
        modules: dict[str, Netlist] = json.loads(made.read_text())["modules"]
    counts = _cells(modules, _top_module(modules))
    return Area(device, **{what: _count(counts, names) for what, names in _CELLS[device].items()})


def _cells(modules: Mapping[str, Netlist], module: Netlist) -> Counter[str]:
    """The device's cells in a module and in all that it instantiates, by kind."""
    counts: Counter[str] = Counter()
    for cell in module["cells"].values():
        inner = modules.get(cell["type"])
        if inner is None or inner["attributes"].get("blackbox") or inner["attributes"].get("whitebox"):
            counts[cell["type"]] += 1
        else:
            counts += _cells(modules, inner)
    return counts


def _count(counts: Mapping[str, int], names: Sequence[tuple[str, int]]) -> int:
    """How many cells of some names there are; SB_DFF stands for its variants with enable and reset too."""
    return sum(
        each * number
        for cell, number in counts.items()
        for name, each in names
        if cell == name or (name == "SB_DFF" and cell.startswith(name))
    )


def _read(spec: RtlSpec, parameters: Mapping[str, int | str], scratch: Path) -> list[str]:
    """The commands that read a design and set its top's parameters."""
    if spec.language == "vhdl":
        return [f"read_verilog {_as_verilog(spec, parameters, scratch)}", f"hierarchy -check -top {spec.top}"]
    files = " ".join(str(path) for path in spec.source_files)
    set_to = " ".join(f"-chparam {name} {value}" for name, value in parameters.items())
    return [f"read_verilog -sv {files}", f"hierarchy -check -top {spec.top} {set_to}"]


def _as_verilog(spec: RtlSpec, parameters: Mapping[str, int | str], scratch: Path) -> Path:
    """A VHDL design as one Verilog file, written by GHDL.

    Raises:
        ToolMissingError: when there is no GHDL.
        RtlError: when GHDL cannot synthesise it.
    """
    ghdl = shutil.which("ghdl")
    if ghdl is None:
        raise ToolMissingError("no usable ghdl: there is no ghdl on PATH; install it with: apt-get install ghdl-mcode")
    generics = [f"-g{name}={value}" for name, value in parameters.items()]
    done = subprocess.run(
        [ghdl, "--synth", "--std=08", "--out=verilog", *generics, *map(str, spec.source_files), "-e", spec.top],
        cwd=scratch,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    if done.returncode != 0:
        raise RtlError(f"{spec.file}: ghdl cannot synthesise {spec.top}:\n{_tail(done.stderr)}")
    made = scratch / f"{spec.top}.v"
    made.write_text(done.stdout)
    return made


def _yosys(script: Sequence[str]) -> tuple[int, str]:
    """Run commands; returns the exit code and the log."""
    done = subprocess.run(
        [find_yosys(), "-p", "; ".join(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        timeout=_TIMEOUT_S,
    )
    return done.returncode, done.stdout


def _problems(log: str) -> list[Problem]:
    """What a log tells of a design's problems, each once, in order."""
    found: dict[str, Problem] = {}
    lines = log.splitlines()
    for index, line in enumerate(lines):
        kind: Kind | None = next((kind for kind, pattern in _KINDS if re.search(pattern, line)), None)
        text = _FOLDER.sub("", line.removeprefix("ERROR: ").removeprefix("Warning: ").replace("\\", "")).strip()
        if kind is None and (not line.startswith("Warning: ") or _HARMLESS.search(line)):
            continue
        if kind == "combinational loop":
            members = [_FOLDER.sub("", each) for each in _following(lines, index)]
            text = f"loop through {', '.join(members)}" if members else text
        found.setdefault(text, Problem("warning" if kind is None else kind, text))
    return list(found.values())


def _following(lines: Sequence[str], index: int) -> list[str]:
    """The members of a loop, which stand indented below the line that reports it: cells, by what they do and where."""
    members: list[str] = []
    for line in lines[index + 1 :]:
        if not line.startswith("    "):
            break
        if line.strip().startswith("cell "):
            members.append(line.split()[1].replace("\\", ""))
    return members


def _top_module(modules: Mapping[str, Netlist]) -> Netlist:
    """The top of a design."""
    return next(module for module in modules.values() if int(module["attributes"].get("top", "0"), 2))


def _drop_padding(netlist: Netlist, words: Netlist) -> None:
    """Take out the registers beyond the end of an array, which yosys adds up to a power of two."""
    padding: set[int] = set()
    for name, memory in words.get("memories", {}).items():
        first, size = memory["start_offset"], memory["size"]
        for index in range(size, 1 << (size - 1).bit_length()):
            padding.update(netlist["netnames"].get(f"{name}[{first + index}]", {"bits": ()})["bits"])
    cells = netlist["cells"]
    for name in [name for name, cell in cells.items() if padding.intersection(cell["connections"].get("Q", ()))]:
        del cells[name]


def _mark_undefined_resets(netlist: Netlist, words: Netlist) -> None:
    """Mark the flip-flops whose asynchronous reset value is undefined in the source: as a gate each of them gets 0."""
    cells = [cell for cell in words["cells"].values() if set(cell["parameters"].get("ARST_VALUE", "")) & {"x", "z"}]
    undefined = {
        bit
        for cell in cells
        for bit, level in zip(cell["connections"]["Q"], reversed(cell["parameters"]["ARST_VALUE"]), strict=True)
        if level in "xz"
    }
    marked: set[int] = set()
    for name, net in words["netnames"].items() if undefined else ():
        now = netlist["netnames"].get(name, {"bits": ()})["bits"]
        marked.update(bit for bit, was in zip(now, net["bits"], strict=False) if was in undefined)
    for cell in netlist["cells"].values():
        if marked.intersection(cell["connections"].get("Q", ())):
            cell["attributes"][UNDEFINED_RESET] = "1"


def _tail(log: str) -> str:
    """The lines that say what is wrong; the end when none does."""
    lines = [line for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower()]
    return "\n".join((telling or lines)[-10:])
