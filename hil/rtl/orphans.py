"""No orphans: a child process that asks the kernel to be told, or killed, when its parent dies."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal

_PR_SET_PDEATHSIG = 1


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal when its parent ends, however that ends (Linux).

    Args:
        number: the signal; one that is handled lets the process clean up.

    Raises:
        OSError: when the kernel refuses.
    """
    parent = os.getppid()
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    if os.getppid() != parent:  # it died before the kernel was asked
        os.kill(os.getpid(), number)


def leave_with_parent(folder: str | None) -> None:
    """When the parent ends, remove a folder and kill this process with everything it started: its whole group.

    Args:
        folder: what nobody would remove; None for nothing.

    Raises:
        OSError: when the kernel refuses.
    """

    def leave(*_: object) -> None:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        os.killpg(0, signal.SIGKILL)

    signal.signal(signal.SIGTERM, leave)
    die_with_parent(signal.SIGTERM)
