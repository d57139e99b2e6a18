"""The machine itself: clocks, wake-ups, scheduling, disk, processors, versions."""

from __future__ import annotations

import os
import platform
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from hil.clock import Stopwatch
from hil.doctor import kernel_clock, wake_up
from hil.doctor.finding import Finding
from hil.errors import HilError
from hil.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil.lateness import Summary
    from hil.realtime import Grant
    from hil.rig.model import RigFile

_COARSE_NS = 1_000
_FREE_MIN = 1 << 30  # bytes: an hour of frames, dialogues and signals of a large rig
_FREE_WARN = 10 << 30
_BLOCK = 1 << 16
_BLOCKS = 32
_SYNC_WARN_S = 0.25
_LISTEN_S = 1.0


def clocks(file: RigFile) -> Iterator[Finding]:
    """What time is worth on this host."""
    try:
        resolution_ns = kernel_clock.monotonic_resolution_ns()
    except OSError as problem:
        yield Finding("clock resolution", "skip", str(problem))
    else:
        coarse, found = resolution_ns > _COARSE_NS, f"CLOCK_MONOTONIC counts {format_duration(resolution_ns)}"
        remedy = "boot a kernel with high-resolution timers (CONFIG_HIGH_RES_TIMERS, no highres=off)" if coarse else ""
        yield Finding("clock resolution", "warn" if coarse else "ok", found, remedy)
    yield from _clock_source()
    yield _synchronised()
    if file.rig.is_virtual:
        yield Finding("wake-up lateness", "skip", "the rig's time is virtual: nothing waits")
        yield Finding("real-time scheduling", "skip", "the rig's time is virtual")
    else:
        yield from _wake_ups(file)


def disk(runs: Path) -> Iterator[Finding]:
    """Whether there is room for a run, and how long a record takes to reach the disk.

    Args:
        runs: the folder of run folders; where it is not there yet, what it would be in.
    """
    folder = next(path for path in (runs.absolute(), *runs.absolute().parents) if path.is_dir())
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    found, remedy = f"{free / (1 << 30):.2f} GiB free at {folder}", "remove old runs, or name another --runs folder"
    if free < _FREE_MIN:
        yield Finding("disk space", "fail", f"{found}, less than {_FREE_MIN >> 30} GiB", remedy)
    elif free < _FREE_WARN:
        yield Finding("disk space", "warn", f"{found}, less than {_FREE_WARN >> 30} GiB", remedy)
    else:
        yield Finding("disk space", "ok", found)
    yield _write_speed(folder)


def processors() -> Finding:
    """Whether the processors run at their speed all the time."""
    files = sorted(Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor"))
    governors = sorted({file.read_text().strip() for file in files})
    if not governors:
        return Finding("processor governor", "skip", "this host offers none (a virtual machine, or a fixed frequency)")
    if governors != ["performance"]:
        return Finding(
            "processor governor", "warn", ", ".join(governors), "as root: cpupower frequency-set -g performance"
        )
    return Finding("processor governor", "ok", "performance")


def versions(file: RigFile) -> Iterator[Finding]:
    """What is installed; a VISA backend is needed where an instrument has an address."""
    told = [f"Python {platform.python_version()}"]
    told += [f"{package} {_version(package) or 'missing'}" for package in ("hil", "pyvisa", "python-can")]
    yield Finding("versions", "ok", ", ".join(told))
    preempt = "PREEMPT_RT" if Path("/sys/kernel/realtime").exists() else platform.version()
    yield Finding("kernel", "ok", f"{platform.system()} {platform.release()}, {preempt}")
    backend = _version("pyvisa-py")
    if backend:
        yield Finding("VISA backend", "ok", f"pyvisa-py {backend}")
    elif any(table.resource for table in file.instrument.values()):
        yield Finding("VISA backend", "fail", "pyvisa-py is not installed", "pip install pyvisa-py")
    else:
        yield Finding("VISA backend", "skip", "no instrument has an address")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _clock_source() -> Iterator[Finding]:
    path = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    if not path.exists():
        yield Finding("clock source", "skip", "the kernel does not tell")
        return
    source = path.read_text().strip()
    if source in ("hpet", "acpi_pm", "jiffies", "refined-jiffies"):
        yield Finding(
            "clock source",
            "warn",
            f"{source}: every look at the clock takes a microsecond or more",
            "find in dmesg why the kernel distrusts the TSC (firmware, or a virtual machine's settings)",
        )
    else:
        yield Finding("clock source", "ok", source)


def _synchronised() -> Finding:
    try:
        found = kernel_clock.discipline()
    except OSError as problem:
        return Finding("clock synchronised", "skip", str(problem))
    if not found.synchronised:
        return Finding(
            "clock synchronised",
            "warn",
            "no: the host's real-time clock follows no reference; run stamps are its own",
            "start chrony, systemd-timesyncd or ptp4l with a server that answers",
        )
    told = f"offset {format_duration(found.offset_ns)}, at most {found.max_error_us} us off"
    return Finding("clock synchronised", "ok", told)


def _wake_ups(file: RigFile) -> Iterator[Finding]:
    rig = file.rig
    try:
        found = wake_up.measure(
            seconds=_LISTEN_S,
            factor=rig.factor,
            allowed_ns=rig.max_lateness_ns,
            priority=rig.realtime_priority,
            cpus=rig.cpus,
        )
    except HilError as problem:
        yield Finding("wake-up lateness", "skip", str(problem))
        return
    yield from (_scheduling(grant, asked=bool(rig.realtime_priority)) for grant in found.grants)
    late = found.lateness
    told = (
        f"p50 {format_duration(late.p50_ns)}, p99 {format_duration(late.p99_ns)}, max {format_duration(late.worst_ns)} "
        f"of {late.ticks} in {_LISTEN_S:g} s; max_lateness is {format_duration(rig.max_lateness_ns)}"
    )
    remedy = "end what else runs here, ask for rig.realtime_priority and cpus, or raise rig.max_lateness_ms"
    if late.p99_ns > rig.max_lateness_ns:
        yield Finding("wake-up lateness", "fail", told, remedy)
    elif late.worst_ns > rig.max_lateness_ns:
        yield Finding("wake-up lateness", "warn", told, remedy)
    else:
        yield Finding("wake-up lateness", "ok", told)
    yield _at_half_load(found.working)


def _at_half_load(working: Summary) -> Finding:
    """Whether the machine works as fast as it did, all the time."""
    told = (
        f"p50 {format_duration(working.p50_ns)}, p99 {format_duration(working.p99_ns)}, max "
        f"{format_duration(working.worst_ns)} of {working.ticks} that compute for half of a millisecond; "
        f"{working.late} beyond max_lateness, {format_duration(working.allowed_ns)} of wall time"
    )
    if not working.late:
        return Finding("lateness at half load", "ok", told)
    return Finding(
        "lateness at half load",
        "warn",
        told,
        "the machine works slowly at times, which no scheduling class hinders: end what else runs here; take a machine "
        "that is not virtual, and cores of their own (isolcpus=, rig.cpus); or a slower rig.pace",
    )


def _scheduling(grant: Grant, *, asked: bool) -> Finding:
    """One thing that was asked of the host; what the rig file does not ask for is tried all the same."""
    what = f"real-time {grant.what}"
    found = str(grant) if asked else f"{grant} (the rig file does not ask for it)"
    if grant.granted:
        return Finding(what, "ok", found)
    return Finding(what, "fail" if asked else "warn", found, grant.detail.rpartition("; ")[2])


def _write_speed(folder: Path) -> Finding:
    """Write and synchronise some blocks in a file that is gone afterwards."""
    what, worst_s, whole = "disk write", 0.0, Stopwatch()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            for _ in range(_BLOCKS):
                watch = Stopwatch()
                file.write(bytes(_BLOCK))
                file.flush()
                os.fdatasync(file.fileno())
                worst_s = max(worst_s, watch.elapsed_s)
    except OSError as problem:
        return Finding(
            what, "fail", f"{folder}: {problem}", "free the disk, or give this user the right to write there"
        )
    rate_mb_s = _BLOCK * _BLOCKS / whole.elapsed_s / 1e6
    found = f"{rate_mb_s:.0f} MB/s with fdatasync after every 64 KiB, the slowest {worst_s * 1e3:.1f} ms"
    if worst_s > _SYNC_WARN_S:
        return Finding(
            what, "warn", f"{found}: a test waits so long before it energises", "put --runs on a disk of its own (SSD)"
        )
    return Finding(what, "ok", found)
