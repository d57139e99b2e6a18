"""Real-time scheduling as far as the host permits: scheduling class, memory lock, processors, garbage, thread switch.

What is refused is reported with its remedy and never an error: a rig may run without, and its lateness is measured
either way.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_LOCK_ALL = 0x1 | 0x2  # MCL_CURRENT | MCL_FUTURE
_CAP_IPC_LOCK = 14
_CLASS = "scheduling class"
_MEMORY = "memory lock"
_PROCESSORS = "processors"
_SWITCH_S = 1e-4
_PAM = "/etc/security/limits.d/hil.conf, then log in again"


@dataclass(frozen=True, slots=True)
class Grant:
    """One thing that was asked of the host."""

    what: str
    asked: str
    granted: bool
    detail: str
    """When granted nothing, otherwise why not and what to do."""

    def __str__(self) -> str:
        """In one line for people."""
        return f"{self.what}: {self.asked}" if self.granted else f"{self.what}: no {self.asked}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Scheduling:
    """What the host gave of what was asked."""

    grants: tuple[Grant, ...]

    @property
    def complete(self) -> bool:
        """Whether everything asked for was given."""
        return all(grant.granted for grant in self.grants)

    def lines(self) -> list[str]:
        """Each grant and each refusal with its remedy, for people."""
        return [str(grant) for grant in self.grants]


def request(priority: int = 80, *, lock_memory: bool = True, cpus: Collection[int] | None = None) -> Scheduling:
    """Ask the host for real-time scheduling of this process's threads, and settle its memory and garbage.

    Threads and processes started afterwards are scheduled as ever: a program that spins at a real-time priority would
    take the host. Such a thread asks for its own class with :func:`request_class`. All that are there get it, because
    one of them that holds the interpreter and waits for a processor holds up the others.

    Args:
        priority: SCHED_FIFO priority, 1 to 99.
        lock_memory: whether to keep all memory of the process in RAM.
        cpus: the processors the thread may run on, by number; None leaves them as they are.
    """
    grants = [request_class(priority, every_thread=True)]
    if lock_memory:
        grants.append(_locked_memory())
    if cpus is not None:
        grants.append(_pinned(cpus))
    grants.append(settled_garbage())
    sys.setswitchinterval(_SWITCH_S)
    grants.append(Grant("thread switch", f"every {_SWITCH_S * 1e3:g} ms", granted=True, detail=""))
    return Scheduling(tuple(grants))


def settled_garbage() -> Grant:
    """From now on collect garbage in :func:`collect` only: between tests.

    A collection visits every object that is left, which took 60 ms in the middle of a flight.
    """
    gc.disable()
    collect()
    return Grant("garbage", "collected between tests only", granted=True, detail="")


def collect_at_any_time() -> None:
    """The end of :func:`settled_garbage`."""
    gc.unfreeze()
    gc.enable()


def collect() -> None:
    """Collect garbage where nothing is measured, unless it is done at any time; what is left is not visited again."""
    if not gc.isenabled():
        gc.collect()
        gc.freeze()


def request_class(priority: int, *, every_thread: bool = False) -> Grant:
    """Ask for SCHED_FIFO for the calling thread.

    Args:
        priority: 1 to 99.
        every_thread: whether for all threads that this process has now.
    """
    asked = f"SCHED_FIFO {priority}"
    if sys.platform != "linux":
        return Grant(_CLASS, asked, granted=False, detail=f"{sys.platform} has none; run the bench on Linux")
    lowest, highest = os.sched_get_priority_min(os.SCHED_FIFO), os.sched_get_priority_max(os.SCHED_FIFO)
    if not lowest <= priority <= highest:
        return Grant(_CLASS, asked, granted=False, detail=f"priorities are {lowest} to {highest}")
    ceiling = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    remedy = (
        f"this user may have priorities up to {ceiling}; as root write '@realtime - rtprio {priority}' into {_PAM} "
        "(a systemd unit: LimitRTPRIO=)"
    )
    policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK

    def ask() -> None:
        threads = [int(task.name) for task in Path("/proc/self/task").iterdir()] if every_thread else [0]
        for thread in threads:
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setscheduler(thread, policy, os.sched_param(priority))

    return _attempt(_CLASS, asked, remedy, ask)


def same_class() -> Callable[[], object]:
    """What gives another thread of this process the class of the calling one, when that is a real-time one.

    A thread that holds the interpreter and gets no processor would hold up this one, whatever its class.
    """
    if sys.platform != "linux" or os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK != os.SCHED_FIFO:
        return _as_it_is
    return partial(request_class, os.sched_getparam(0).sched_priority)


def _as_it_is() -> None:
    """Leave a thread in its class."""


def _locked_memory() -> Grant:
    asked = "mlockall"
    if sys.platform != "linux":
        return Grant(_MEMORY, asked, granted=False, detail=f"{sys.platform} has none; run the bench on Linux")
    remedy = f"as root write '@realtime - memlock unlimited' into {_PAM} (a systemd unit: LimitMEMLOCK=infinity)"
    limit_bytes = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if limit_bytes != resource.RLIM_INFINITY and not _has_capability(_CAP_IPC_LOCK):
        # locking what fits would make the first allocation beyond the limit fail in the middle of a run
        return Grant(_MEMORY, asked, granted=False, detail=f"the limit is {limit_bytes} bytes; {remedy}")
    return _attempt(_MEMORY, asked, remedy, _lock_all)


def _lock_all() -> None:
    """Lock all memory, present and future.

    Raises:
        OSError: when the host refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_LOCK_ALL) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _pinned(cpus: Collection[int]) -> Grant:
    asked = f"only {', '.join(map(str, sorted(cpus)))}"
    if sys.platform != "linux":
        return Grant(_PROCESSORS, asked, granted=False, detail=f"{sys.platform} has no affinity; leave cpus out")
    known = sorted(os.sched_getaffinity(0))
    remedy = f"this process may use {', '.join(map(str, known))}; name some of these"
    if not set(cpus) & set(known):
        return Grant(_PROCESSORS, asked, granted=False, detail=remedy)
    return _attempt(_PROCESSORS, asked, remedy, lambda: os.sched_setaffinity(0, cpus))


def _attempt(what: str, asked: str, remedy: str, ask: Callable[[], object]) -> Grant:
    try:
        ask()
    except OSError as refused:
        reason = errno.errorcode.get(refused.errno, str(refused.errno)) if refused.errno else str(refused)
        return Grant(what, asked, granted=False, detail=f"{reason}; {remedy}")
    return Grant(what, asked, granted=True, detail="")


def _has_capability(number: int) -> bool:
    """Whether the process has one of Linux's capabilities."""
    status = Path("/proc/self/status").read_text()
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(effective, 16) >> number & 1)
