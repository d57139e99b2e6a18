"""Builds: once for what went into them, whoever asks at the same time; and what is said when one does not work."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rtl_bench import rtl_file, running

from hil.errors import RtlError
from hil.rtl import tools
from hil.rtl.build import Variant, build, cache_folder
from hil.rtl.spec import load_spec

BUILDER = """
import sys
from hil.rtl import tools
from hil.rtl.build import Variant, build
from hil.rtl.spec import load_spec

print("begins", flush=True)
print(build(load_spec(sys.argv[1]), tools.find("icarus"), Variant(), {}).folder)
"""
COMPILER = """#!/bin/sh
case " $* " in *" -o "*) echo x >> {count}; [ -e {slow} ] && sleep 30 ;; esac
exec {real} "$@"
"""


@pytest.fixture
def compiler(tmp_path, monkeypatch, tool):
    """An empty cache, and an Icarus that counts what it compiles; returns the count."""
    real, count, folder = tool("iverilog"), tmp_path / "count", tmp_path / "bin"
    folder.mkdir()
    count.write_text("")
    script = folder / "iverilog"
    script.write_text(COMPILER.format(count=count, slow=tmp_path / "slow", real=real))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HIL_CACHE", str(tmp_path / "cache"))
    return lambda: len(count.read_text().split())


def icarus(file, **parameters):
    return build(load_spec(file), tools.find("icarus"), Variant(), parameters)


def test_a_design_is_built_once_and_found_again(tmp_path, compiler):
    file = rtl_file(tmp_path, "echo")
    assert icarus(file).folder == icarus(file).folder
    assert compiler() == 1


def test_other_parameters_and_other_sources_are_other_builds(tmp_path, compiler):
    file = rtl_file(tmp_path, "echo")
    source = tmp_path / "echo.sv"
    source.write_text(Path(load_spec(file).source_files[0]).read_text())
    own = rtl_file(tmp_path / "own", "echo", swap=(str(load_spec(file).source_files[0]), str(source)))
    folders = {icarus(own).folder, icarus(own, ALARM=7).folder}
    source.write_text(source.read_text() + "// changed\n")
    assert len(folders | {icarus(own).folder}) == compiler() == 3


def test_builds_that_nobody_has_used_for_a_month_are_removed_when_another_is_made(tmp_path, compiler):
    file = rtl_file(tmp_path, "echo")
    old, used = icarus(file).folder, icarus(file, ALARM=7).folder
    for folder in (old, used):
        os.utime(folder / "built", (0.0, 0.0))
    assert icarus(file, ALARM=7).folder == used
    icarus(file, ALARM=8)
    assert (old.exists(), used.exists()) == (False, True)


def test_two_that_ask_at_once_build_once(tmp_path, compiler):
    file = rtl_file(tmp_path, "echo")
    builders = [
        subprocess.Popen([sys.executable, "-c", BUILDER, str(file)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [builder.communicate(timeout=120.0)[0].split() for builder in builders]
    assert told[0] == told[1]
    assert compiler() == 1


def test_who_comes_while_another_builds_waits_for_it(tmp_path, compiler):
    file = rtl_file(tmp_path, "echo")
    made = icarus(file)
    (made.folder / "built").unlink()
    with (made.folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        builder = subprocess.Popen([sys.executable, "-c", BUILDER, str(file)], stdout=subprocess.PIPE, text=True)
        assert builder.stdout is not None
        assert builder.stdout.readline() == "begins\n"
        with pytest.raises(subprocess.TimeoutExpired):
            builder.wait(1.0)
        (made.folder / "built").write_text(made.digest)
    assert builder.communicate(timeout=60.0)[0].strip() == str(made.folder)
    assert compiler() == 1


def test_a_build_that_is_killed_leaves_nothing_that_counts_as_built(tmp_path, compiler):
    file = rtl_file(tmp_path, "echo")
    (tmp_path / "slow").touch()
    builder = subprocess.Popen([sys.executable, "-c", BUILDER, str(file)], stdout=subprocess.PIPE, text=True)
    assert builder.stdout is not None
    builder.stdout.readline()
    while compiler() == 0:
        assert builder.poll() is None
    started = [int(each) for each in _below(builder.pid)]
    builder.send_signal(signal.SIGKILL)
    builder.communicate()
    assert running(started) == []
    (tmp_path / "slow").unlink()
    assert (icarus(file).folder / "model").is_dir()
    assert compiler() == 2
    assert list(cache_folder().glob("*/making-*")) == []


def _below(pid: int) -> list[str]:
    """The processes below one, by their parents."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return children + [each for child in children for each in _below(int(child))]


@pytest.mark.parametrize("name", ["icarus", "verilator"])
def test_a_design_that_does_not_compile_is_told_with_file_and_line(tmp_path, hdl, monkeypatch, name):
    monkeypatch.setenv("HIL_CACHE", str(tmp_path / "cache"))
    simulator = tools.find(hdl(name))
    source = tmp_path / "broken.sv"
    source.write_text(
        "module broken (\n  input wire clk,\n  input wire rst_n\n);\n  assign nothing = = clk;\nendmodule\n"
    )
    file = tmp_path / "broken.toml"
    file.write_text(
        'top = "broken"\nsources = ["broken.sv"]\n[clock]\nport = "clk"\nperiod_ns = 100.0\n[reset]\nport = "rst_n"\n'
    )
    with pytest.raises(RtlError, match=rf"broken does not build on {name} (?s:.*)broken\.sv:5:"):
        build(load_spec(file), simulator, Variant(), {})


def test_a_vhdl_design_that_does_not_compile_is_told_with_file_and_line(tmp_path, hdl, monkeypatch):
    monkeypatch.setenv("HIL_CACHE", str(tmp_path / "cache"))
    simulator = tools.find(hdl("ghdl"), "vhdl")
    source = tmp_path / "broken.vhd"
    source.write_text(
        "library ieee;\nuse ieee.std_logic_1164.all;\nentity broken is\n"
        "  port (clk : in std_logic; rst_n : in std_logic);\nend entity;\n"
        "architecture rtl of broken is\nbegin\n  nothing <= clk;\nend architecture;\n"
    )
    file = tmp_path / "broken.toml"
    file.write_text(
        'top = "broken"\nlanguage = "vhdl"\nsources = ["broken.vhd"]\n[clock]\nport = "clk"\nperiod_ns = 100.0\n'
        '[reset]\nport = "rst_n"\n'
    )
    with pytest.raises(RtlError, match=r"broken does not build on ghdl (?s:.*)broken\.vhd:8:"):
        build(load_spec(file), simulator, Variant(), {})
