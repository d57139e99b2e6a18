"""A trial: one attempt of one test, from its start document to its verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from hil import realtime
from hil.campaign.coverage import collected_of
from hil.campaign.transport import on_flight
from hil.clock import WallClock
from hil.closed import Closed
from hil.coverage.bins import Bins
from hil.errors import EvidenceError, HilError
from hil.evidence.coverage import TrialCoverage
from hil.evidence.documents import measurement_fields
from hil.evidence.exhibits import checked
from hil.evidence.raw import RawLog, write_block
from hil.evidence.recorder import SegmentRecorder
from hil.invariants import Invariants, Taken
from hil.limits import Limit, Measurement, Verdict, judge_test, take, worst
from hil.rig.assembly import open_rig
from hil.rig.world import Rig, Sinks
from hil.signal import Check, Condition, Monitor, Signal, Value
from hil.units import format_time

if TYPE_CHECKING:
    from pathlib import Path

    from hil.campaign.keeping import Keeping
    from hil.campaign.transport import Transport
    from hil.coverage.bins import Bin
    from hil.evidence.folder import Part
    from hil.evidence.recorder import SegmentFile
    from hil.profile import Profile
    from hil.rig.blueprint import Blueprint
    from hil.rtl.build import Built
    from hil.safety.grant import Grant
    from hil.safety.lease_seen import RunLease


_DEBUGGER = "a debugger"


@dataclass(frozen=True)
class Order:
    """What a trial is ordered to be: a test of the plan, what it verifies and what it must measure.

    ``draw`` tells trials of one test apart that differ by chance alone: it is added to the run's seed. A test that
    runs on something else than the rig has an evidence class and a seed of its own.
    """

    nodeid: str
    title: str = ""
    requirements: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    draw: int = 0
    evidence_class: str = ""
    seed: int | None = None
    leaves: tuple[str, ...] = ()
    """Invariants of the bench that the test breaks on purpose."""
    deadline_s: float | None = None
    """What the test may take [s]; what the rig file says unless given."""


@dataclass(frozen=True)
class Desk:
    """What all trials of a process share.

    That is the folder, the file of segments, the rig's blueprint, profiles, seed, the declared cover points, and the
    keeper of a rig with hazards.
    """

    folder: Path
    segments: SegmentFile
    blueprint: Blueprint
    profile: Profile
    seed: int
    bins: Bins = field(default_factory=Bins)
    keeping: Keeping | None = None
    scheduling: tuple[str, ...] = ()
    development: tuple[str, ...] = ()
    """What makes the run a development run."""
    bench_jitter: int | None = None
    """What seeds the latencies of a bench, where they are drawn."""
    grants: tuple[Grant, ...] = ()
    """The grants of hazardous actions that the run was given."""
    lease: RunLease | None = None
    """The lease of a rig without a keeper."""


@dataclass
class Outcome:
    """How a trial ended: its verdict, why, and the message of the failure."""

    verdict: Verdict = Verdict.NOT_RUN
    reason: str = ""
    message: str = ""
    measurements: list[Measurement] = field(default_factory=list[Measurement])


class Trial(Closed):
    """One attempt of one test: opens its world, takes its measurements, keeps its record, gives its verdict.

    Args:
        desk: what the run's trials share.
        order: what is tried.
        part: its place in the run folder.
    """

    desk: Desk
    order: Order
    rig: Rig | None
    measurements: list[Measurement]
    checks: list[Check]
    _doubts: list[str]
    _part: Part
    _evidence_class: str
    _recorder: SegmentRecorder
    _logs: dict[str, RawLog]
    _watching: list[Monitor[Any]]
    _body: Outcome | None
    _invariants: Invariants | None
    _broken: list[Taken]
    _late: str
    _lost: str
    _turned: str
    _transport: Transport | None
    _by_hand: list[str]
    _debugged: bool
    coverage: TrialCoverage
    _epoch: str

    def __init__(self, desk: Desk, order: Order, part: Part) -> None:
        self.desk, self.order, self._part = desk, order, part
        self.rig = None
        self.measurements, self.checks = [], []
        self._watching, self._logs, self._body, self._epoch = [], {}, None, ""
        self._doubts, self._invariants, self._broken, self._late = [], None, [], ""
        self._lost = ""
        self._turned, self._transport, self._by_hand, self._debugged = "", None, [], False
        self._recorder = SegmentRecorder(desk.segments, nodeid=order.nodeid, index=part.index, attempt=part.attempt)
        self.coverage = TrialCoverage(desk.folder, part, desk.bins)
        file = desk.blueprint.file
        self._evidence_class = order.evidence_class or file.evidence_class
        self._recorder.write(
            "start",
            title=order.title,
            requirements=order.requirements,
            measures=order.measures,
            seed=desk.seed + order.draw if order.seed is None else order.seed,
            evidence_class=self._evidence_class,
            rig=file.rig.name,
            development=desk.development,
        )

    # -- during the test ----------------------------------------------------------------------------------

    def open_rig(self) -> Rig:
        """Open the trial's own world; its records go to the trial's part of the run folder."""
        sinks = Sinks(
            self._frame,
            self._dialogue,
            self._stimulus,
            self._check,
            self._recorder.sync,
            event=lambda what, fields: self.note(what, **fields),
            covered=self.covered,
        )
        self.rig = self._opened(sinks)
        self.rig.grants = self.desk.grants
        for name, identity in self.rig.identities.items():
            self._recorder.write("event", t_ns=0, what="instrument", name=name, **identity)
        for line in self.desk.scheduling:
            self._recorder.write("event", t_ns=0, what="note", text=line)
        if isinstance(self.rig.clock, WallClock):
            realtime.collect()
            self.rig.clock.settle()
        on_flight(self.rig, self._vehicle, self._flies)
        for name, design in self.rig.designs.items():
            self._recorder.write("event", t_ns=0, what="design", name=name, **design.identity)
        if self.rig.file.rig.judges_invariants:
            try:
                self._invariants = Invariants(self.rig, self.order.leaves)
            except HilError:
                self.rig.close()
                raise
        return self.rig

    def _flies(self, transport: Transport) -> None:
        """The plant was started: keep what the rig's delay does to its bending modes, and doubt what is too much."""
        self._turned, self._transport = transport.doubt, transport
        if transport.note:
            self.record("note", text=transport.note)
        else:
            self.record("table", **transport.table)

    def _opened(self, sinks: Sinks) -> Rig:
        keeping, seed = self.desk.keeping, self.desk.seed + self.order.draw
        if keeping is None:
            label = None if self.desk.bench_jitter is None else f"{self.desk.bench_jitter} {self.order.nodeid}"
            rig = open_rig(self.desk.blueprint, seed=seed, sinks=sinks, jitter=label)
            rig.pulse_timer()
            in_phase_s: dict[str, float] = {**rig.file.safety.phase_deadline_s}
            rig.time_limits.begin(self.order.nodeid, self.order.deadline_s, in_phase_s, rig.safe_state.phase)
            return rig
        keeping.begin(self.order.nodeid, self.order.deadline_s)
        try:
            rig = open_rig(self.desk.blueprint, seed=seed, sinks=sinks, doors=keeping.keeper.doors)
        except BaseException:
            keeping.give_up()
            raise
        keeping.watch(rig)
        return rig

    def measure(
        self,
        name: str,
        value: object,
        unit: str,
        *,
        uncertainty: float | None = None,
        info: bool = False,
        limit: tuple[float | None, float | None] | None = None,
        since: int | None = None,
    ) -> Measurement:
        """Judge one value by every limit of its name, record it, and go on.

        It is INCONCLUSIVE when a clock was late in a window of it: from the mark to now, and every window in which
        the test looked at a signal since the measurement before.

        Args:
            name: its name in the profiles.
            value: the value [unit].
            unit: its unit, the same as the limit's.
            uncertainty: expanded uncertainty (k = 2) [unit]; the limit's own unless given.
            info: taken for information; no limit applies and it is no check record.
            limit: (low, high) [unit], given in the call, for tutorials; the stricter of it and the profile's judges.
            since: when its one window begins [ns rig time], in the place of all those.

        Raises:
            HilError: for an unknown name without ``info``, a unit mismatch, a value that is no number, or a window
                that begins in the future.
        """
        __tracebackhide__ = True
        limits = list(self.desk.profile.limits(name))
        if limit is not None:
            limits.append(Limit(name=name, unit=unit, low=limit[0], high=limit[1], origin="call"))
        if not limits and not info:
            raise HilError(f"measure: {self.desk.profile.no_limit(name)}; or take it for information with info=True")
        doubt = self._doubt_of_all_looks(since, name)
        taken = take(name, value, unit, None if info else limits, uncertainty=uncertainty, doubt=doubt)
        if self.rig is not None and not info:
            self.rig.timeline.looks.take(since)
        self.measurements.append(taken)
        self._keep(taken)
        return taken

    def _keep(self, taken: Measurement) -> None:
        fields = measurement_fields(taken, t_ns=self._now(), evidence_class=self._evidence_class)
        self._recorder.write("measurement", **fields)

    def always(self, signal: Signal[Value], condition: Condition[Value]) -> Monitor[Value]:
        """Watch in the background, to the end of the test body, that a condition holds.

        Raises:
            HilError: when no rig is open.
        """
        if self.rig is None:
            raise HilError(f"always({signal.name}): no rig is open; the test needs the rig fixture")
        monitor = Monitor(signal, condition, self.rig.timeline)
        self._watching.append(monitor)
        return monitor

    def record(self, what: str, **fields: object) -> None:
        """Lay something beside the measurements for the report to show; it judges nothing.

        Args:
            what: "plot", "track_plot", "mark", "epoch", "event_row", "link", "note" or "table".
            fields: its fields, as docs/evidence.md lists them.

        Raises:
            EvidenceError: for an unknown kind or field, a missing one, a value that has no sense, or a second epoch.
        """
        __tracebackhide__ = True
        document = checked(what, fields, now_ns=self._now())
        if what == "epoch" and self._epoch:
            raise EvidenceError(
                f"record('epoch'): {fields['name']!r} would be a second one; T+ counts from {self._epoch!r} already: "
                "record it as a mark"
            )
        self._recorder.write("event", **document)
        if what == "epoch":
            self._epoch = str(fields["name"])

    def cover(self, name: str, *values: Bin) -> None:
        """Note that a declared situation was met; it judges nothing by itself.

        Args:
            name: a cover point or a cross, as a file of the ini option ``hil_cover`` declares it.
            values: its bin, or a number [the point's unit] that one of its ranges holds; of a cross one a point.

        Raises:
            HilError: for an unknown name or bin, with the nearest known.
        """
        __tracebackhide__ = True
        self.coverage.hit(name, values)

    def covered(self, article: str, dat: Path, built: Built) -> None:
        """Take over the code coverage of one simulator process.

        Args:
            article: the article, or the block that a block test drives.
            dat: the file that Verilator wrote; it is not needed afterwards.
            built: the design.

        Raises:
            EvidenceError: when the file is damaged, or what belongs to it cannot be kept.
        """
        self.coverage.simulated(collected_of(article, dat, built))

    @property
    def folder(self) -> Path:
        """Where raw files of its own are put: every file in it at the trial's end becomes part of the evidence."""
        return self._part.folder(self.desk.folder)

    def kept_as(self, name: str) -> str:
        """Where a file ``kind/name`` of :attr:`folder` stands in the finished run folder."""
        kind, _, rest = name.partition("/")
        return f"{kind}/{self._part.stem}/{rest}"

    def note(self, what: str, **fields: object) -> None:
        """Record an event of a kind that the report shows as it is."""
        self._recorder.write("event", t_ns=self._now(), what=what, **fields)

    def judged(self, check: Check) -> None:
        """Record a check that was made outside of the rig, and let it count."""
        self._check(check)

    # -- a person takes a hand ----------------------------------------------------------------------------

    def enter_debugger(self) -> None:
        """A debugger stops the test: it is held, on record, and proves nothing any more.

        Raises:
            HilError: when it cannot be held: it will soon be made safe.
        """
        if self._debugged:  # the next breakpoint, stepped to
            return
        self._done_by_hand("a debugger", "what was typed there is on no record")
        if self.rig is not None:
            self.rig.begin_hold(_DEBUGGER)
            self._debugged = True

    def leave_debugger(self) -> None:
        """The test goes on.

        Raises:
            HilError: when the keeper is gone.
        """
        if self._debugged and self.rig is not None:
            self._debugged = False
            self.rig.end_hold(_DEBUGGER)

    def _done_by_hand(self, by: str, why: str) -> None:
        self.note("by hand", by=by, why=why)
        doubt = f"{by} had the rig during the test ({why})"
        if doubt not in self._by_hand:
            self._by_hand.append(doubt)

    # -- the end ------------------------------------------------------------------------------------------

    def end_body(
        self, verdict: Verdict | None = None, reason: str = "", message: str = "", *, check: Check | None = None
    ) -> Outcome:
        """The test body has ended: close the monitors and judge.

        An assertion is about what a measurement would be, what was seen since the last stimulus and looked at before:
        where a clock was late meanwhile it shows nothing.

        Args:
            verdict: FAIL, ERROR or NOT_RUN when the body ended by an exception; None when it ended by itself.
            reason: why, in one line.
            message: the failure's whole text.
            check: the check that did not come true and ended it, which says since when it looked.
        """
        doubt = self._doubt_of(check) if verdict is Verdict.FAIL else ""
        for monitor in self._watching:
            monitor.end()
        for monitor in self._watching:
            monitor.close()
        self._late = "" if self.rig is None else self.rig.clock.lateness.beyond_limit()  # asking instruments costs time
        if self._invariants is not None and verdict is not Verdict.NOT_RUN:
            self._take_invariants(self._invariants, ask=verdict is not Verdict.ERROR)
        for by, why in [] if self.desk.keeping is None else self.desk.keeping.take_overs():
            self._done_by_hand(by, why)
        if self.desk.lease is not None and self.desk.lease.lost:
            self._lost = f"somebody else may have had the rig during the test: {self.desk.lease.lost}"
        if doubt:
            verdict, reason = Verdict.INCONCLUSIVE, f"{reason}; {doubt}"
        found = self._judged() if verdict is None else Outcome(verdict, reason, message)
        if verdict is not None and verdict is not Verdict.NOT_RUN:
            so_far = self._judged(whole=False).verdict
            found.verdict = worst([verdict, so_far] if self._has_records() else [verdict])
        found.measurements = [*self.measurements, *(taken.measurement for taken in self._broken)]
        self._body = found
        return found

    def _take_invariants(self, invariants: Invariants, *, ask: bool) -> None:
        """Read what a bench must be like at the end of a test; after an ERROR it is made safe before it is asked."""
        for taken in invariants.taken(ask=ask):
            self._keep(taken.measurement)
            if taken.why:
                self.note("note", text=taken.why)
            if taken.broken:
                self._broken.append(taken)

    def end(self, trouble: str = "") -> Outcome:
        """The trial is over, its fixtures are torn down: write the verdict and close the record.

        Args:
            trouble: what went wrong while the rig was put back; it makes the verdict ERROR.
        """
        found = self._body or Outcome(Verdict.ERROR, "the test body did not run", "")
        if trouble:
            found.verdict, found.reason = Verdict.ERROR, trouble
        now = self._now()
        try:
            self.coverage.close()
        except HilError as problem:
            found.verdict, found.reason = Verdict.ERROR, f"coverage: {problem}"
        late: dict[str, int] = {}
        if self.rig is not None:
            self._keep_signals(self.rig)
            for link in () if self._transport is None else self._transport.links(self._evidence_class):
                self.record("link", **link)  # not when they were measured: writing them takes the time of some ticks
            if found.verdict not in (Verdict.PASS, Verdict.NOT_RUN):
                self._keep_waves(self.rig)
            if isinstance(self.rig.clock, WallClock):
                self.note("lateness", **asdict(self.rig.clock.lateness.summary()))
                late["late"] = self.rig.clock.lateness.late
            for name, fpga in self.rig.fpgas.items():
                self.note("simulated", name=name, cycles=fpga.cycles, **fpga.inside)
        for log in self._logs.values():
            log.close()
        self._recorder.write(
            "stop",
            verdict=found.verdict,
            reason=found.reason,
            message=found.message,
            t_ns=now,
            duration_ns=self._duration_ns,
            **late,
        )
        self._recorder.sync()
        self._recorder.close()
        return found

    @property
    def cost(self) -> dict[str, object]:
        """Rig time [ns]; and by FPGA its simulator, the cycles simulated, the wall time they took [s]."""
        fpgas = {} if self.rig is None else self.rig.fpgas
        return {
            "duration_ns": self._duration_ns,
            "simulated": {name: [fpga.built.simulator.name, fpga.cycles, fpga.busy_s] for name, fpga in fpgas.items()},
        }

    def _doubt_of(self, check: Check | None) -> str:
        """Why what ended the body cannot be trusted: a check, or an assertion of the test's own."""
        for known, doubt in zip(self.checks, self._doubts, strict=True):
            if known is check:
                return doubt
        return self._doubt_of_all_looks(None, "assertion")

    def _judged(self, *, whole: bool = True) -> Outcome:
        """What the records say; ``whole``: the body ended by itself, so that what is missing will not come."""
        judged = [taken for taken in self.measurements if not taken.info]
        taken_names = {taken.name for taken in self.measurements}
        never = [name for name in self.order.measures if whole and name not in taken_names]
        verdicts = [taken.verdict for taken in judged]
        verdicts += [
            Verdict.INCONCLUSIVE if doubt else Verdict.PASS if check.passed else Verdict.FAIL
            for check, doubt in zip(self.checks, self._doubts, strict=True)
        ]
        wholly = [reason for reason in (self._late, self._lost, self._turned, *self._by_hand) if reason]
        verdicts += [Verdict.INCONCLUSIVE] * len(wholly)
        verdict = worst(
            [judge_test(verdicts, never_taken=never), *(taken.measurement.verdict for taken in self._broken)]
        )
        reasons = [f"{taken.name}: {taken.judgement.reason}" for taken in judged if taken.verdict is not Verdict.PASS]
        reasons += [
            f"{check.signal} {check.form} {check.condition}: {check.seen}" for check in self.checks if not check.passed
        ]
        reasons += [taken.reason for taken in self._broken]
        reasons += [doubt for doubt in dict.fromkeys(self._doubts) if doubt]
        reasons += wholly
        reasons += [f"{name} is declared by the test and was never taken" for name in never]
        if not verdicts and not never:
            reasons.append("no check record: nothing was measured, expected or watched, so nothing was shown")
        return Outcome(verdict, "; ".join(reasons))

    @property
    def _vehicle(self) -> object:
        plant = self.desk.blueprint.plant
        return None if plant is None else plant[1]

    def _has_records(self) -> bool:
        return bool(self.checks or self._broken) or any(not taken.info for taken in self.measurements)

    def _keep_signals(self, rig: Rig) -> None:
        """Keep the samples of every signal the test asked about, one numpy block each, and declare its channel."""
        for name, signal in sorted(rig.timeline.asked.items()):
            times, values = signal.samples()
            numbers = [float(value) for value in values if not isinstance(value, str)]
            if numbers:
                path = self._part.folder(self.desk.folder) / "signals" / f"{name}.npy"
                write_block(path, times, numbers)
                self._recorder.write("channel", name=name, unit=signal.unit, samples=len(times))

    def _keep_waves(self, rig: Rig) -> None:
        """Keep what went over the ports of every FPGA, as a waveform, and say where."""
        for name, trace in rig.traces.items():
            if not trace.empty:
                path = self.folder / "waves" / f"{name}.vcd"
                path.parent.mkdir(parents=True, exist_ok=True)
                trace.write(path)
                self.note("waveform", name=name, file=self.kept_as(f"waves/{name}.vcd"))

    # -- records ------------------------------------------------------------------------------------------

    def _now(self) -> int:
        return 0 if self.rig is None else self.rig.clock.now

    @property
    def _duration_ns(self) -> int:
        """How long its world has run [ns]."""
        return 0 if self.rig is None else self.rig.clock.now - self.rig.clock.began_ns

    def _doubt(self, since_ns: int) -> str:
        """Why what was seen since a rig time cannot be trusted: a wall clock that was late meanwhile."""
        return "" if self.rig is None else self.rig.doubt(since_ns)

    def _doubt_of_all_looks(self, since_ns: int | None, name: str) -> str:
        """Why a measurement cannot be trusted: a clock was late in one of its windows."""
        if self.rig is None:
            return ""
        if since_ns is None:
            timeline = self.rig.timeline
            return self.rig.doubt(timeline.mark_ns, timeline.looks.windows)
        if since_ns > self.rig.clock.now:
            now, begin = format_time(self.rig.clock.now), format_time(since_ns)
            raise HilError(f"measure({name}): since={begin} is in the future, it is {now}; give when the window began")
        return self.rig.doubt(since_ns)

    def _stimulus(self, what: str, detail: object) -> None:
        self._recorder.write("event", t_ns=self._now(), what="stimulus", stimulus=what, detail=detail)

    def _check(self, check: Check) -> None:
        self.checks.append(check)
        self._doubts.append(self._doubt(check.mark_ns))
        self._recorder.write("event", t_ns=self._now(), what="check", **asdict(check))

    def _frame(self, bus: str, line: str) -> None:
        self._log("can", bus, line)

    def _dialogue(self, instrument: str, line: str) -> None:
        self._log("scpi", instrument, line)

    def _log(self, folder: str, name: str, line: str) -> None:
        key = f"{folder}/{name}"
        log = self._logs.get(key)
        if log is None:
            path = self._part.folder(self.desk.folder) / folder / f"{name}.log"
            log = self._logs[key] = RawLog(path)
        log.line(line)
