"""What has been on a wire: frames, error frames, load; and the frame log, written as the run goes on."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from hil.can.log import WireError, error_line, frame_line
from hil.errors import BusError
from hil.units import format_duration, s

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.can.frame import Frame

_HISTORY_NS = 10 * s


class Tally:
    """Counts what one wire carried and hands each line of the frame log on at once.

    Args:
        bus: the name in the frame log.
        log: called with each line, without its end of line; ``None`` writes no log.
    """

    def __init__(self, bus: str, log: Callable[[str], None] | None = None) -> None:
        self.bus = bus
        self.log = log
        self.frames = 0
        self.error_frames = 0
        self._busy_ns = 0
        self._idle_ns = 0
        self._ends: list[int] = [0]  # when each frame of the history left the wire idle [ns]
        self._spent: list[int] = [0]  # and for how long the wire had not been idle by then [ns]
        self._last_error: WireError | None = None

    def frame(self, frame: Frame, idle_ns: int) -> None:
        """A frame has ended; the wire may carry the next one from ``idle_ns`` [ns]."""
        self.frames += 1
        self._occupy(frame[5], idle_ns)
        log = self.log
        if log is not None:
            self._last_error = None
            log(frame_line(frame, self.bus))

    def error(self, error: WireError, start_ns: int, idle_ns: int) -> None:
        """An error frame has ended. One that changed nothing since the last is counted and not logged.

        A passive node alone on a wire repeats its frame for ever with constant counters: thousands of lines a second.
        """
        self.error_frames += 1
        self._occupy(start_ns, idle_ns)
        if self.log is not None:
            timeless = error._replace(at_ns=0)
            if timeless != self._last_error:
                self._last_error = timeless
                self.log(error_line(error, self.bus))

    def load(self, window_ns: int, now_ns: int, since_ns: int | None) -> float:
        """The fraction (0 to 1) of the last ``window_ns`` in which the wire was not idle, intermissions included.

        Args:
            window_ns: 1 ns to 10 s; a run younger than that is measured from its start.
            now_ns: rig time [ns].
            since_ns: start of the frame now on the wire [ns], or None when there is none.

        Raises:
            BusError: for a window that is not positive or longer than the history kept.
        """
        if not 0 < window_ns <= _HISTORY_NS:
            raise BusError(
                f"{self.bus}: a load window of {format_duration(window_ns)} is outside 1 ns to "
                f"{format_duration(_HISTORY_NS)}, the history that is kept; ask for a shorter one, or for mean_load"
            )
        begin = max(0, now_ns - window_ns)
        busy = max(0, now_ns - max(begin, since_ns)) if since_ns is not None else 0
        busy += self._spent_by(now_ns) - self._spent_by(begin)
        return busy / (now_ns - begin) if now_ns > begin else 0.0

    def mean_load(self, now_ns: int, since_ns: int | None) -> float:
        """As :meth:`load`, since the clock started [ns]."""
        busy = self._busy_ns - max(0, self._idle_ns - now_ns) + (0 if since_ns is None else now_ns - since_ns)
        return busy / now_ns if now_ns else 0.0

    def _occupy(self, start_ns: int, idle_ns: int) -> None:
        self._busy_ns += idle_ns - start_ns
        self._idle_ns = idle_ns
        self._ends.append(idle_ns)
        self._spent.append(self._busy_ns)
        if self._ends[1] < idle_ns - 2 * _HISTORY_NS:
            old = bisect_right(self._ends, idle_ns - 3 * _HISTORY_NS // 2) - 1
            del self._ends[:old], self._spent[:old]

    def _spent_by(self, time_ns: int) -> int:
        """For how long the wire had not been idle by a rig time within the history [ns]."""
        index = bisect_right(self._ends, time_ns) - 1
        if index < 0 or index + 1 == len(self._ends):
            return self._spent[max(index, 0)]
        start_ns = self._ends[index + 1] - (self._spent[index + 1] - self._spent[index])
        return self._spent[index] + max(0, time_ns - start_ns)
