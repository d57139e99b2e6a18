"""All powered FPGAs of a rig as one source of events on its clock.

Each may run ahead of rig time by its lookahead, because nothing that happens from now on acts on it before. Those with
one run first; the one without runs last, up to the first output of the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.errors import RtlError

if TYPE_CHECKING:
    from hil.clock import Clock
    from hil.rtl.session import Session


class RtlSource:
    """What the clock grants time to.

    Args:
        clock: the rig clock; the source adds itself.

    Raises:
        RtlError: for a clock that keeps wall time: an HDL simulator is never real time.
    """

    def __init__(self, clock: Clock) -> None:
        if clock.pace != "virtual":
            raise RtlError(
                f"RTL on a rig of pace {clock.pace!r}: an HDL simulator is never real time; give the rig virtual pace"
            )
        self._clock = clock
        self._sessions: list[Session] = []
        clock.add_source(self)

    def admit(self, article: str, lookahead_ns: int) -> None:
        """Ask whether one more FPGA may have power.

        Raises:
            RtlError: for a second one without lookahead: neither could say what the other's next output is.
        """
        for other in self._sessions:
            if lookahead_ns == other.lookahead_ns == 0:
                raise RtlError(
                    f"{article} and {other.article} both have no lookahead: of several powered FPGAs all "
                    "but one need the delay of their inputs (lookahead_us in the RTL file)"
                )

    def add(self, session: Session) -> None:
        """An FPGA has power from now on."""
        self._sessions.append(session)
        self._sessions.sort(key=lambda each: -each.lookahead_ns)

    def remove(self, session: Session) -> None:
        """An FPGA has lost power."""
        if session in self._sessions:
            self._sessions.remove(session)

    def grant(self, until_ns: int) -> int:
        """Run every FPGA up to ``until_ns`` [ns]; returns the first output before that, or ``until_ns``.

        Raises:
            RtlError: when a simulator died, hung, or used up its budget.
        """
        now = self._clock.now
        bound = until_ns
        if len(self._sessions) > 1:
            bound = min([until_ns, *(now + each.lookahead_ns for each in self._sessions if each.lookahead_ns)])
        first = bound
        for session in self._sessions:
            ahead = max(first if session.lookahead_ns == 0 else bound, now + session.lookahead_ns)
            first = min(first, self._run(session, ahead, needed_ns=bound if session.lookahead_ns else first))
        return first

    def _run(self, session: Session, until_ns: int, *, needed_ns: int) -> int:
        """Run one FPGA at least to ``needed_ns``; returns its first output before that, or ``needed_ns``."""
        first = needed_ns
        alone = len(self._sessions) == 1
        while session.granted_ns < needed_ns:
            try:
                at_ns = session.run_to(until_ns)
            except (RtlError, KeyboardInterrupt):
                session.kill()
                self.remove(session)  # time must still pass for what has to be undone
                raise
            if at_ns is None:
                break
            first = min(first, at_ns)
            if alone or session.lookahead_ns == 0:
                break
        return first
