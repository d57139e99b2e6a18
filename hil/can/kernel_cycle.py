"""Frames that the kernel's broadcast manager, or the interface itself, sends in turn: no program is late for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import can
from can.broadcastmanager import ModifiableCyclicTaskABC, ThreadBasedCyclicSendTask

from hil.units import us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.can.frame import Frame

Key: TypeAlias = "tuple[int, bool, bool, bytes]"
"""What two frames on a bus are the same by: identifier, extended, remote, data."""
_MICROSECOND_HALVES = us // 2  # python-can cuts the period to whole microseconds: 29 ms would become 28.999 ms


class KernelCycle:
    """A running turn of frames; made by :func:`hand_over`.

    Args:
        task: python-can's own.
        frames: what it sends.
    """

    def __init__(self, task: ModifiableCyclicTaskABC, frames: Sequence[Frame]) -> None:
        self._task = task
        self._keys = self._before = frozenset(map(key_of, frames))
        self._running = True

    @property
    def keys(self) -> frozenset[Key]:
        """What it sends, and what it sent before the last update: that may still be on its way."""
        return self._keys | self._before

    def update(self, frames: Sequence[Frame]) -> None:
        """Send these instead, as many as before, at the same times and at the same place in the turn.

        Raises:
            can.CanOperationError: when they are not taken; the old ones go on.
        """
        try:
            self._task.modify_data([message_of(frame) for frame in frames])
        except (ValueError, OSError) as problem:
            raise can.CanOperationError(f"update of {frames[0].arbitration_id:#x}: {problem}") from problem
        self._before, self._keys = self._keys, frozenset(map(key_of, frames))

    def stop(self) -> None:
        """Send no more; harmless when stopped."""
        if self._running:
            self._running = False
            self._task.stop()


def hand_over(bus: can.BusABC, frames: Sequence[Frame], period_ns: int) -> KernelCycle | None:
    """Have a bus send frames in turn, the first one now, one a period [ns].

    Returns:
        What changes and ends it; None where the bus has no scheduler for that: python-can would start a thread.

    Raises:
        can.CanOperationError: when the scheduler refuses.
    """
    overridden = type(bus)._send_periodic_internal is not can.BusABC._send_periodic_internal  # noqa: SLF001  # type: ignore[reportPrivateUsage]  # nothing public tells
    if not overridden or period_ns <= 0 or period_ns % us:
        return None
    try:
        task = bus.send_periodic(
            [message_of(frame) for frame in frames], (period_ns + _MICROSECOND_HALVES) / 1e9, autostart=True
        )
    except (ValueError, NotImplementedError):
        return None  # some take a single frame only
    except OSError as problem:
        raise can.CanOperationError(f"cyclic send of {frames[0].arbitration_id:#x}: {problem}") from problem
    if isinstance(task, ThreadBasedCyclicSendTask) or not isinstance(task, ModifiableCyclicTaskABC):
        task.stop()
        return None
    return KernelCycle(task, frames)


def message_of(frame: Frame) -> can.Message:
    """A frame as python-can has it."""
    return can.Message(
        arbitration_id=frame.arbitration_id,
        is_extended_id=frame.extended,
        is_remote_frame=frame.remote,
        dlc=frame.dlc,
        data=None if frame.remote else frame.data,
        is_fd=frame.fd,
        bitrate_switch=frame.brs,
        error_state_indicator=frame.esi,
    )


def key_of(frame: Frame) -> Key:
    """What a frame is recognised by when the bus gives it back."""
    return frame.arbitration_id, frame.extended, frame.remote, frame.data
