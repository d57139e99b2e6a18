"""The process behind a lease: is it alive, is it still the same one, and its certain end.

A process id is recycled, so a process is named by its id and its start time. Liveness is judged on a pidfd, which
tells of the end only when the last thread is gone: from then on nothing of that process can write to hardware.
"""

from __future__ import annotations

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

from hil.safety.errors import LeaseError

_START_TIME = 22  # field of /proc/PID/stat, counted from 1 (proc_pid_stat(5))
_AFTER_NAME = 3  # the first field after the name, which may itself hold blanks and parentheses
_KILL_PATIENCE_S = 5.0  # a process in an uninterruptible system call can outlive SIGKILL


@dataclass(frozen=True, slots=True)
class Holder:
    """A process, named so that no other can be taken for it.

    Args:
        pid: process id in its own namespace.
        start_ticks: its start time [clock ticks since boot].
        pid_space: inode of its process-id namespace.
        boot: the boot of the machine it runs in.
    """

    pid: int
    start_ticks: int
    pid_space: int
    boot: str

    @classmethod
    def this(cls) -> Holder:
        """The calling process.

        Raises:
            LeaseError: when /proc does not show it.
        """
        pid = os.getpid()
        try:
            return cls(pid, start_ticks(_stat(pid)), _pid_space(), boot_id())
        except OSError as error:
            raise LeaseError(f"/proc does not show process {pid} ({error.strerror}); a lease needs /proc") from error

    def is_near(self) -> bool:
        """Whether its process id means the same process here."""
        return self.pid_space == _pid_space()

    def is_alive(self) -> bool:
        """Whether it may still run; what cannot be seen from here counts as alive."""
        if self.boot != boot_id() or self.pid == 0:
            return False
        if not self.is_near():
            return True
        pidfd = self._open()
        if pidfd is None:
            return False
        try:
            return not _ended(pidfd, 0.0)
        finally:
            os.close(pidfd)

    def kill(self) -> None:
        """End it for certain: SIGKILL, then wait until its last thread is gone.

        Raises:
            LeaseError: when it belongs to somebody else, is not visible from here, or outlives SIGKILL by 5 s.
        """
        if not self.is_near():
            raise LeaseError(f"process {self.pid} runs in another process namespace; end it there")
        pidfd = self._open()
        if pidfd is None:
            return
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            if not _ended(pidfd, _KILL_PATIENCE_S):
                raise LeaseError(
                    f"process {self.pid} was sent SIGKILL and is still there after {_KILL_PATIENCE_S:g} s: it hangs in "
                    "the kernel and may still write; cut the rig's power by hand"
                )
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise LeaseError(f"process {self.pid} may not be killed from here; its user or root can end it") from error
        finally:
            os.close(pidfd)

    def _open(self) -> int | None:
        """A pidfd of exactly this process; None when it is gone."""
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        try:
            if start_ticks(_stat(self.pid)) != self.start_ticks:  # read after the pidfd: the id cannot change hands
                os.close(pidfd)
                return None
        except OSError:  # /proc hides other users' processes: nobody can say it is another one
            pass
        return pidfd


def start_ticks(stat: bytes) -> int:
    """The start time [clock ticks since boot] in the content of /proc/PID/stat.

    >>> start_ticks(b"7 (a) b (c) S " + b" ".join(b"%d" % n for n in range(4, 53)))
    22
    """
    fields = stat[stat.rindex(b")") + 1 :].split()
    return int(fields[_START_TIME - _AFTER_NAME])


def boot_id() -> str:
    """A name of this boot of the machine: the same in all its processes, another after each start."""
    return Path("/proc/sys/kernel/random/boot_id").read_bytes().decode("ascii").strip()


def _stat(pid: int) -> bytes:
    return Path(f"/proc/{pid}/stat").read_bytes()


def _pid_space() -> int:
    return Path("/proc/self/ns/pid").stat().st_ino


def _ended(pidfd: int, patience_s: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(round(patience_s * 1000)))
