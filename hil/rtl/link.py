"""The host's side of one simulator process: grants, questions, and a watchdog on wall time.

A simulator that hangs, dies or ends by itself becomes an error that says how far it got and shows the end of its log;
what it recorded up to then stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hil.clock import Stopwatch
from hil.errors import DesignError, RtlError, UnknownLevelError
from hil.rtl import protocol
from hil.rtl.ending import complaints, finished, how_it_ended, told, unknown_level
from hil.rtl.launch import PeerProcess
from hil.rtl.simulator_log import reached_ns
from hil.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hil.rtl.build import Built
    from hil.rtl.protocol import Item, Reply
    from hil.rtl.spec import RtlSpec

SILENCE_S = 8.0
"""Wall time without a sign of life after which a simulator is called hung [s]."""


class Link:
    """One running simulator.

    Args:
        built: the design.
        article: the article it stands in for, for messages.
        seed: seed of what comes up random.
        budget_s: wall time it may use in all [s].
        spent_s: how much of that was used before it began [s].
        coverage_file: where it writes its coverage when it says goodbye.
        silence_s: wall time without a sign of life after which it is called hung [s].

    Raises:
        RtlError: when it does not start.
    """

    def __init__(
        self,
        built: Built,
        *,
        article: str,
        seed: int,
        budget_s: float,
        spent_s: float = 0.0,
        coverage_file: Path | None = None,
        silence_s: float = SILENCE_S,
    ) -> None:
        self.article = article
        self._budget_s = budget_s
        self._silence_s = silence_s
        self._watch = Stopwatch()
        self._reached_ps = 0
        self._alive = True
        self._answering = False
        self._peer = PeerProcess(built, seed=seed, coverage_file=coverage_file)
        self.input_channels = {name: index for index, name in enumerate(self._peer.input_names)}
        self.output_names = tuple(self._peer.output_names)
        self.widths = self._peer.widths
        self._check_widths(built.spec)
        self.hello = self._peer.hello
        self.grants = 0
        """How many grants were given."""
        self.busy_s = spent_s
        """Wall time that grants took, with what was spent before [s]."""

    @property
    def alive(self) -> bool:
        """Whether it runs: nobody ended it, and nothing went wrong with it."""
        return self._alive

    @property
    def reached_ps(self) -> int:
        """How far it got since power-up [ps]."""
        return self._reached_ps

    def grant(self, until_ns: int, inputs: list[Item]) -> tuple[Reply, int]:
        """Let it run to the last exchange instant not after ``until_ns`` since power-up, or to its first output.

        Args:
            until_ns: since power-up [ns].
            inputs: what changes on the way, in order of time.

        Returns:
            What it says, and how many of the inputs, from the end, were not reached.

        Raises:
            DesignError: when the design complained: ``$error``, ``$fatal``, a failed assertion.
            RtlError: when it died, hung, or used up its budget.
        """
        self.grants += 1
        began_s = self._watch.elapsed_s
        packet = self._converse(protocol.pack_grant(until_ns, inputs))
        while packet[:1] == protocol.PROGRESS:
            self._reached_ps = protocol.unpack_progress(packet)
            self._within_budget(self._watch.elapsed_s - began_s)
            self._read_log()
            packet = self._receive()
        reply = protocol.unpack_reply(packet)
        self._reached_ps = reply.reached_ps
        self._answering = False
        self.busy_s += self._watch.elapsed_s - began_s
        self._within_budget(0.0)
        self._read_log()
        if reply.events and reply.events[-1].channel == protocol.NOT_REACHED:
            left = int.from_bytes(reply.events[-1].payload, "little")
            return protocol.Reply(reply.reached_ps, reply.outputs, reply.events[:-1]), left
        return reply, 0

    def ask(self, **question: object) -> dict[str, object]:
        """Ask a question at the present instant.

        Raises:
            RtlError: when the simulator is gone, or cannot answer.
        """
        answer = protocol.unpack_json(self._converse(protocol.pack_json(question)))
        self._answering = False
        if "error" in answer:
            raise RtlError(f"{self.article}: {question['ask']}: {answer['error']}")
        return answer

    def close(self) -> list[str]:
        """End it; returns what the design complained of and nobody was told yet. Harmless when done before.

        One that is in the midst of an answer, because the wait for it was interrupted, is killed at once.
        """
        if not self._alive:
            return []
        self._alive = False
        if not self._answering:
            self._peer.goodbye()
        self._peer.process.kill()
        found = complaints(self._peer.process.news())
        self._peer.close()
        return found

    def _check_widths(self, spec: RtlSpec) -> None:
        """Refuse a port that has more bits than its binding: only elaboration knows how many it has.

        Raises:
            RtlError: with the port, its width, and what it must be.
        """
        for each in spec.uses:
            width = self.widths.get(each.port, each.width)
            if each.width is not None and width != each.width:
                self._stop()
                raise RtlError(
                    f"{spec.file}: {each.key} = {each.port!r}: it has {width} bits, and must have {each.width}; bind "
                    "each bit by itself, through a port of its own"
                )

    def _converse(self, packet: bytes) -> bytes:
        """Send a packet; the first one that comes back."""
        if not self._alive:
            raise RtlError(f"{self.article}: its simulator has ended")
        if self._answering:
            raise self._broken("was asked while it still answered: a wait was interrupted")
        if len(packet) > protocol.PACKET_MAX:
            raise RtlError(
                f"{self.article}: {len(packet)} bytes at one instant are more than the {protocol.PACKET_MAX} that a "
                "simulator takes; spread them over time"
            )
        self._answering = True
        try:
            self._peer.send(packet)
        except OSError as problem:
            raise self._ended() from problem
        return self._receive()

    def _receive(self) -> bytes:
        try:
            packet = self._peer.receive(self._silence_s)
        except TimeoutError as silent:
            raise self._broken(
                f"gave no sign of life for {self._silence_s:.0f} s of wall time: a loop without time in the design, "
                "or a stopped process"
            ) from silent
        except OSError as problem:
            raise self._ended() from problem
        if not packet:
            raise self._ended()
        return packet

    def _within_budget(self, busy_s: float) -> None:
        if self.busy_s + busy_s > self._budget_s:
            raise self._broken(
                f"used up its budget of {self._budget_s:g} s of wall time; give the test a larger one "
                "(rtl.budget_s in the rig file), or run it on a faster simulator"
            )

    def _read_log(self) -> None:
        """Look at what was printed since the last look.

        Raises:
            DesignError: when the design complained.
            RtlError: when it has called ``$finish``.
        """
        news = self._peer.process.news()
        if news and (found := complaints(news)):
            raise self._complained(found)
        if news and finished(news):
            raise self._ended()

    def _ended(self) -> RtlError:
        """The error of a simulator that is gone."""
        code = self._peer.process.wait(1.0)
        log = self._peer.process.text()
        self._reached_ps = max(self._reached_ps, round((reached_ns(log) or 0.0) * 1000))
        unknown = unknown_level(log)
        if unknown is not None:
            self._stop()
            return UnknownLevelError(f"{self.article}: {unknown}, {self._after()}")
        found = complaints(log)
        return self._complained(found) if found else self._broken(how_it_ended(log, code))

    def _complained(self, found: list[str]) -> DesignError:
        self._stop()
        return DesignError(
            f"{self.article}: the design complained, {self._after()}:\n{told(found)}\nthe simulator was stopped"
        )

    def _broken(self, how: str) -> RtlError:
        """The error that says how it ended; kills what is left of it."""
        tail = self._peer.process.tail()
        self._stop()
        return RtlError(f"{self.article}: the simulator {how}, {self._after()}; the end of its log:\n{tail}")

    def kill(self) -> None:
        """End it at once; harmless when done before."""
        if self._alive:
            self._stop()

    def _stop(self) -> None:
        self._alive = False
        self._peer.close()

    def _after(self) -> str:
        return f"{format_duration(self._reached_ps // 1000)} after power-up"


def slices(names: Sequence[str], widths: dict[str, int]) -> dict[str, slice]:
    """Where each output stands in the text of all of them.

    >>> slices(["a", "b"], {"a": 2, "b": 1})
    {'a': slice(0, 2, None), 'b': slice(2, 3, None)}
    """
    found: dict[str, slice] = {}
    place = 0
    for name in names:
        found[name] = slice(place, place + widths[name])
        place += widths[name]
    return found


def answer_text(answer: dict[str, object], key: str) -> str:
    """A text in an answer."""
    return cast("str", answer[key])
