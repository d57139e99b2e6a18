"""The report's tables: rows of text, made from a run; the template only arranges them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.limits import DECISIONS, GRADES, Verdict, margin_percent, worst
from hil.report.bars import Bar, bar_of
from hil.report.figures import figure, flat, measured_figure, recorded, with_unit
from hil.report.flight import FlightView, flight_view
from hil.report.kept import is_quiet, kept_lines
from hil.report.wording import closes

if TYPE_CHECKING:
    from pathlib import Path

    from hil.evidence.documents import Document, Json
    from hil.evidence.index import Run
    from hil.evidence.records import Attempt, Check, Event, LimitSource, Measured, Test

_STIMULI_SHOWN = 10  # of one attempt; the rest stands in events.jsonl, and the report says how many
_EVENTS_SHOWN = 40
_PASSES_SHOWN = 20
_IDENTITY = ("manufacturer", "model", "serial", "firmware")  # what an instrument answers to *IDN?
_ELSEWHERE = ("instrument", "design")  # events that stand in the tables of the run's identity


@dataclass(frozen=True, slots=True)
class MeasurementRow:
    """One measurement as printed; numbers are texts in ``measured.unit``."""

    measured: Measured
    value: str
    exact: str
    uncertainty: str
    low: str
    high: str
    margin: str
    percent: str
    bar: Bar | None
    sources: tuple[str, ...]
    rule: str

    @property
    def verdict(self) -> str:
        """The verdict, or "INFO" where nothing judges."""
        return "INFO" if self.measured.info and self.measured.verdict is Verdict.PASS else self.measured.verdict.value


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event as printed; ``t_ns`` is virtual time [ns]."""

    t_ns: int
    text: str


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One attempt as printed: every measurement, every check that did not hold, and the first of the rest.

    Invariants that were kept stand in lines of their own.
    """

    attempt: Attempt
    rows: tuple[MeasurementRow, ...]
    invariants: tuple[str, ...]
    checks: tuple[Check, ...]
    checks_left: int
    events: tuple[EventRow, ...]
    events_left: int
    flight: FlightView | None

    @property
    def verdict(self) -> str:
        """Its verdict; INCONCLUSIVE when its recording breaks off."""
        return (self.attempt.verdict or Verdict.INCONCLUSIVE).value


@dataclass(frozen=True, slots=True)
class TestView:
    """One test as printed; ``number`` counts from 1 and is its anchor."""

    __test__ = False  # pytest takes classes by this name for its own

    number: int
    test: Test
    attempts: tuple[AttemptView, ...]

    @property
    def verdict(self) -> str:
        """Its verdict."""
        return self.test.verdict.value

    @property
    def short(self) -> str:
        """Its id without the folders, for tables; the whole id stands in the list of tests."""
        path, mark, name = self.test.nodeid.partition("::")
        return f"{path.rpartition('/')[2]}{mark}{name}"

    @property
    def why(self) -> str:
        """Why it is not a PASS: what it said, or what its verdict came from."""
        if not self.test.attempts:
            return "planned, but never started"
        last = self.test.attempts[-1]
        if last.verdict is None:
            return "the recording breaks off: the test's process died"
        reasons = [measured.reason for measured in last.measurements if measured.reason]
        reasons += [f"{check.form} {check.signal}: {check.condition}" for check in last.checks if not check.passed]
        return last.message or last.reason or "; ".join(reasons)


@dataclass(frozen=True, slots=True)
class RequirementView:
    """One requirement with every test that verifies it."""

    requirement: str
    tests: tuple[TestView, ...]
    verdict: str
    status: str


def test_views(run: Run, run_dir: Path) -> list[TestView]:
    """Every test as printed, in plan order.

    Args:
        run: the run.
        run_dir: its folder, where the samples of its channels are.
    """
    return [
        TestView(
            number,
            test,
            tuple(_attempt_view(attempt, _flight(run_dir, number, test, attempt)) for attempt in test.attempts),
        )
        for number, test in enumerate(run.tests, 1)
    ]


def _flight(run_dir: Path, number: int, test: Test, attempt: Attempt) -> FlightView | None:
    anchor = f"flight-{number}" if attempt is test.attempts[0] else f"flight-{number}-{attempt.number}"
    return flight_view(run_dir, test, attempt, anchor)


def requirement_views(run: Run, tests: list[TestView]) -> list[RequirementView]:
    """Every requirement with its tests, sorted by id; tests without a requirement come last, under ""."""
    found: dict[str, list[TestView]] = {}
    for view in tests:
        for requirement in view.test.requirements or ("",):
            found.setdefault(requirement, []).append(view)
    views: list[RequirementView] = []
    for requirement in sorted(found, key=lambda name: (not name, name)):
        verdict = worst(view.test.verdict for view in found[requirement])
        status = closes(run, verdict) if requirement else "verifies no requirement"
        views.append(RequirementView(requirement, tuple(found[requirement]), verdict.value, status))
    return views


def decisions_used(run: Run) -> list[tuple[str, str]]:
    """The decision rules that judged anything in this run, with their statements."""
    used = {measured.decision for test in run.tests for measured in test.measurements if measured.decision}
    return [(name, DECISIONS.get(name, "not a rule that this version knows")) for name in sorted(used)]


def grades_used(run: Run) -> list[tuple[str, str]]:
    """The evidence grades of the limits and published events in this run, with their meaning."""
    used = {
        source.grade
        for test in run.tests
        for measured in test.measurements
        for source in measured.limits
        if source.grade
    }
    used |= {row.grade for test in run.tests for each in test.attempts for row in each.exhibits.rows if row.grade}
    return [(grade, GRADES.get(grade, "not a grade that this version knows")) for grade in sorted(used)]


@dataclass(frozen=True, slots=True)
class IdentityTable:
    """Part of the run's identity as printed: a list of pairs has no columns.

    Args:
        title: what it is of.
        columns: the columns' names, or none.
        rows: texts, as many as columns, or pairs.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def identity_tables(identity: Document) -> list[IdentityTable]:
    """The identity of a run as tables: the rig, each set of instruments or articles in it, then the rest."""
    rig = identity.get("rig")
    tables: list[IdentityTable] = []
    if isinstance(rig, dict):
        listed = {key: rows for key, value in rig.items() if (rows := _rows_of(value))}
        nested: dict[str, Document] = {
            key: value for key, value in rig.items() if isinstance(value, dict) and value and key not in listed
        }
        plain = {key: value for key, value in rig.items() if key not in listed and key not in nested}
        tables.append(IdentityTable("rig", (), _pairs(plain)))
        tables += [IdentityTable(key, (), _pairs(value)) for key, value in nested.items()]
        tables += [_listed(key, rows) for key, rows in listed.items()]
    tables.append(IdentityTable("run", (), _pairs({key: identity[key] for key in identity if key != "rig"})))
    return tables


def instruments_seen(run: Run) -> IdentityTable:
    """Every instrument as it answered when a test opened it, with the number of tests it answered so."""
    found: dict[tuple[str, ...], int] = {}
    for test in run.tests:
        for attempt in test.attempts:
            for event in attempt.events:
                if event.what == "instrument":
                    row = tuple(flat(event.fields.get(key, "")) for key in ("name", *_IDENTITY))
                    found[row] = found.get(row, 0) + 1
    rows = tuple((*row, str(count)) for row, count in sorted(found.items()))
    return IdentityTable("instruments as they answered", ("name", *_IDENTITY, "opened"), rows)


def _rows_of(value: Json) -> list[Document]:
    """A list of mappings, or a mapping of them by name; empty when the value is something else."""
    if isinstance(value, dict):
        rows = [{"name": name, **item} for name, item in value.items() if isinstance(item, dict)]
    else:
        rows = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    return rows if isinstance(value, list | dict) and len(rows) == len(value) else []


def _pairs(values: Document) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (key, " ".join(map(flat, item)) or "none" if isinstance(item, list) else flat(item))
        for key, item in values.items()
    )


def _listed(title: str, rows: list[Document]) -> IdentityTable:
    columns = sorted({key for row in rows for key in row}, key=lambda key: (key != "name", key))
    texts = tuple(tuple(flat(row[key]) if key in row else "" for key in columns) for row in rows)
    return IdentityTable(title, tuple(columns), texts)


def _attempt_view(attempt: Attempt, flight: FlightView | None) -> AttemptView:
    failed = [check for check in attempt.checks if check.verdict is not Verdict.PASS]
    passed = [check for check in attempt.checks if check.verdict is Verdict.PASS][:_PASSES_SHOWN]
    stimuli = [event for event in attempt.events if event.what == "stimulus"][:_STIMULI_SHOWN]
    others = [event for event in attempt.events if event.what not in ("stimulus", *_ELSEWHERE)][:_EVENTS_SHOWN]
    return AttemptView(
        attempt=attempt,
        rows=tuple(_measurement_row(measured) for measured in attempt.measurements if not is_quiet(measured)),
        invariants=kept_lines(attempt.measurements),
        checks=tuple(sorted(failed + passed, key=lambda check: check.t_ns)),
        checks_left=len(attempt.checks) - len(failed) - len(passed),
        events=tuple(_event_row(event) for event in sorted(stimuli + others, key=lambda event: event.t_ns)),
        events_left=sum(event.what not in _ELSEWHERE for event in attempt.events) - len(stimuli) - len(others),
        flight=flight,
    )


def _measurement_row(measured: Measured) -> MeasurementRow:
    number = measured.value if isinstance(measured.value, float | int) else None
    percent = None if number is None else margin_percent(number, measured.low, measured.high)
    equals = measured.equals is not None
    return MeasurementRow(
        measured=measured,
        value=measured_figure(measured),
        exact=repr(measured.value) if number is not None else "",
        uncertainty=f"± {figure(measured.uncertainty)}" if measured.uncertainty else "",
        low=f"= {figure(measured.equals)}" if equals else figure(measured.low),
        high="" if equals else figure(measured.high),
        margin="–" if measured.margin is None else f"{measured.margin:+.4g}",
        percent="" if percent is None else f"{percent:+.3g} %",
        bar=bar_of(measured),
        sources=tuple(_source(source, measured.unit) for source in measured.limits),
        rule=_rule(measured),
    )


def _source(source: LimitSource, unit: str) -> str:
    """One limit in a line: numbers, clause, document, grade, profile."""
    if source.equals is not None:
        bounds = f"= {figure(source.equals)}"
    elif source.low is not None and source.high is not None:
        bounds = f"{figure(source.low)} to {with_unit(source.high, unit)}"
    elif source.low is not None:
        bounds = f"≥ {with_unit(source.low, unit)}"
    elif source.high is not None:
        bounds = f"≤ {with_unit(source.high, unit)}"
    else:
        bounds = "family only"
    where = ", ".join(text for text in (source.source, source.clause) if text) or "no source given"
    grade = f" [{source.grade}]" if source.grade else ""
    origin = f" ({source.origin})" if source.origin else ""
    note = f"; {source.note.rstrip('.')}" if source.note else ""
    return f"{bounds}: {where}{grade}{origin}{note}"


def _rule(measured: Measured) -> str:
    """Decision rule, guard band and family in a line."""
    if measured.info:
        return "for information, not judged"
    texts = [measured.decision or "no rule"]
    if measured.equals is None:
        texts.append(f"guard band {with_unit(measured.guard, measured.unit)}")
    if measured.family_low is not None or measured.family_high is not None:
        texts.append(f"family {figure(measured.family_low)} to {with_unit(measured.family_high, measured.unit)}")
    return ", ".join(texts)


def _event_row(event: Event) -> EventRow:
    fields = dict(event.fields)
    name = fields.pop("stimulus", None)
    if event.what == "stimulus" and isinstance(name, str) and fields.keys() <= {"detail"}:
        return EventRow(event.t_ns, f"{name} {recorded(fields.get('detail'))}")
    return EventRow(event.t_ns, f"{event.what}: {recorded(dict(event.fields))}")
