"""What a controller on a real bus has told so far: frames, load, error frames, its state; and the frame log of it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hil.can.bits import INTERMISSION_BITS, measure
from hil.can.error_message import decode, message_line
from hil.can.log import frame_line
from hil.units import s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hil.can.frame import Frame

_LOAD_NS = 1 * s


class Observed:
    """Counts what one real bus carried and hands each line of the frame log on at once.

    State and error counters are as the last error message told; a controller that tells nothing is error-active.

    Args:
        bus: the name in the frame log.
        bitrate_bps: bit rate [bit/s].
        log: called with each line, without its end of line; None writes no log.
    """

    def __init__(self, bus: str, bitrate_bps: int, log: Callable[[str], None] | None) -> None:
        self.bus = bus
        self.error_frames = 0
        self.lost = 0
        """Frames that the controller, or a keeper, told that nobody took in time."""
        self.state = "error-active"
        self.tec: int | None = None
        self.rec: int | None = None
        self._bitrate_bps = bitrate_bps
        self._log = log
        self._start_ns = self._end_ns = 0
        self._last_error: tuple[int, bytes] | None = None
        self._busy: deque[tuple[int, int]] = deque()  # end [ns] and duration [ns] of the frames of the last second

    def duration_ns(self, frame: Frame) -> int:
        """How long a frame is on the wire, stuff bits included [ns]."""
        return measure(frame)[1] * s // self._bitrate_bps

    def carried(self, frame: Frame) -> None:
        """A frame was on the wire."""
        self.carried_all((frame,))

    def carried_all(self, frames: Sequence[Frame]) -> None:
        """Frames were on the wire, in this order; the log is handed their lines together."""
        busy, intermission_ns = self._busy, INTERMISSION_BITS * s // self._bitrate_bps
        for frame in frames:
            busy.append((frame.at_ns, self.duration_ns(frame) + intermission_ns))
        while busy[0][0] < busy[-1][0] - _LOAD_NS:
            busy.popleft()
        if self._log is not None:
            self._last_error = None
            self._log("\n".join([frame_line(frame, self.bus) for frame in frames]))

    def spread(self, frames: Sequence[Frame], at_ns: int) -> list[Frame]:
        """Frames that were read at once, with starts and ends [ns] that never go backwards.

        A bus carries one frame after the other: the last of them had ended when they were read, and every other so
        much earlier as those behind it take. Put at one instant, they would all count in a second to which only some
        of them belong.

        Args:
            frames: the frames, in order.
            at_ns: when they were read.
        """
        intermission_ns = INTERMISSION_BITS * s // self._bitrate_bps
        durations_ns = [self.duration_ns(frame) for frame in frames]
        end_ns = at_ns - sum(durations_ns[1:]) - intermission_ns * (len(frames) - 1)
        found: list[Frame] = []
        for frame, duration_ns, next_ns in zip(frames, durations_ns, (*durations_ns[1:], 0), strict=True):
            self._end_ns = max(self._end_ns, end_ns)
            self._start_ns = max(self._start_ns, self._end_ns - duration_ns)
            found.append(frame._replace(start_ns=self._start_ns, at_ns=self._end_ns))
            end_ns += next_ns + intermission_ns
        return found

    def started_anew(self) -> None:
        """The controller was taken down and up, or restarted: it is error-active, its counters are not known."""
        self.state, self.tec, self.rec = "error-active", None, None

    def told(self, classes: int, payload: bytes, at_ns: int) -> None:
        """An error message of the controller [ns]. One that says what the last one said is counted and not logged."""
        found = decode(classes, payload)
        self.error_frames += found.on_wire
        self.lost += found.lost
        if found.state is not None:
            self.state = found.state
        if found.tec is not None:
            self.tec, self.rec = found.tec, found.rec
        if self._log is not None and (classes, payload) != self._last_error:
            self._last_error = classes, payload
            self._log(message_line(classes, payload, at_ns, self.bus))

    def load(self, now_ns: int, began_ns: int = 0) -> float:
        """The fraction (0 to 1) of the last second in which frames were on the wire; error frames are not known.

        Args:
            now_ns: rig time [ns].
            began_ns: when the bus was opened, which may be less than a second ago [ns].
        """
        busy_ns = sum(duration_ns for at_ns, duration_ns in self._busy if at_ns > now_ns - _LOAD_NS)
        return min(1.0, busy_ns / min(_LOAD_NS, max(1, now_ns - began_ns)))
