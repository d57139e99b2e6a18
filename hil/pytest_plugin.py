"""The pytest plugin: options, hooks and generic fixtures. Inert without ``--rig``.

With ``--rig FILE`` every test is a trial: it is recorded from start to verdict, its world is opened fresh, and only
a PASS is *passed*. The plugin counts planned against judged tests by itself; a gap is INCOMPLETE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from hil.campaign.ending import Ending
    from hil.campaign.session import RunSession
    from hil.campaign.trial import Order, Trial
    from hil.clock import Clock
    from hil.limits import Measurement
    from hil.profile import Profile
    from hil.rig.world import Rig
    from hil.signal import Monitor, Signal

_REMEDY = "NOT_RUN: no rig is open; run with --rig FILE, for example --rig rigs/sim.toml"
_OUTCOME = "hil_outcome"
_VERDICT = "hil_verdict"  # attribute of a report; it travels from a worker as it is
_TRIAL = pytest.StashKey["Trial"]()
_PROBLEM = pytest.StashKey[Exception]()


# -- options ----------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--rig``, ``--set``, ``--rig-seed`` and ``--run-folder``, and the ini option ``hil_profiles``."""
    group = parser.getgroup("hil", "hardware-in-the-loop rig")
    group.addoption("--rig", metavar="FILE", help="rig file; without it tests that need a rig are NOT_RUN")
    group.addoption(
        "--set", dest="rig_sets", metavar="KEY=VALUE", action="append", default=[],
        help="change one key of the rig (a defect, a fault); recorded, and makes the run a development run",
    )  # fmt: skip
    group.addoption("--rig-seed", type=int, metavar="N", help="seed of every random stream (default: the rig file's)")
    group.addoption("--run-folder", metavar="DIR", help="folder of the evidence (default: runs/<utc>-<rig>)")
    parser.addini("hil_profiles", "profile files that hold limits and parameters", type="paths", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers; with ``--rig`` open the run."""
    config.addinivalue_line("markers", "requirement(*ids): requirements that the test verifies")
    config.addinivalue_line("markers", "measures(*names): measurements the test must take; one never taken is FAIL")
    config.addinivalue_line("markers", "draw(number): one of several trials alike; the run's seed + number is its seed")
    if config.option.rig is None:
        config.pluginmanager.register(_Bare(), "hil-bare")
        return
    from hil.campaign.session import RunSession, Settings
    from hil.errors import HilError

    settings = Settings(
        rig=config.option.rig,
        sets=tuple(config.option.rig_sets),
        seed=config.option.rig_seed,
        profiles=tuple(config.getini("hil_profiles")),
        folder=config.option.run_folder,
        root=config.rootpath,
    )
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    try:
        if worker:
            run = RunSession.join(settings, worker["hil_folder"], worker["workerid"])
        else:
            run = RunSession.begin(settings)
    except HilError as problem:
        raise pytest.UsageError(str(problem)) from problem
    config.pluginmanager.register(_Recording(run) if worker else _Control(run), "hil-run")


class _Bare:
    """Without a rig: when every test was NOT_RUN for want of one, the run is not green."""

    def __init__(self) -> None:
        self.not_run = self.others = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the tests that needed a rig, and the others."""
        if report.skipped and _REMEDY in str(report.longrepr):
            self.not_run += 1
        elif report.when == "call":
            self.others += 1

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Nothing ran: pytest's own code for that."""
        if exitstatus == 0 and self.not_run and not self.others:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


class _Recording:
    """Makes every test a trial: what runs in the process that runs tests.

    Args:
        run: the run it belongs to.
    """

    def __init__(self, run: RunSession) -> None:
        self.run = run
        self.orders: dict[str, Order] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """What was collected, in that order, is the plan."""
        self.orders = {item.nodeid: _order(item) for item in session.items}
        self.run.plan(list(self.orders), {nodeid: order.requirements for nodeid, order in self.orders.items()})

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Begin a trial for every attempt of a test."""
        from hil.errors import HilError

        try:
            item.stash[_TRIAL] = self.run.trial(self.orders[item.nodeid])
        except HilError as problem:
            item.stash[_PROBLEM] = problem
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Refuse to run a test that cannot be recorded."""
        if _PROBLEM in item.stash:
            problem = item.stash[_PROBLEM]
            del item.stash[_PROBLEM]
            raise problem

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Turn what happened into the trial's verdict, and the verdict into what pytest reports."""
        from hil.errors import HilError

        report = yield
        try:
            report.user_properties = [(name, _plain(value)) for name, value in report.user_properties]
            if _TRIAL in item.stash:
                self._conclude(item, call, report)
        except HilError as problem:
            report.outcome = "failed"
            setattr(report, _VERDICT, "ERROR")
            report.longrepr = f"ERROR: {problem}"
            report.user_properties = []
        return report

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """The verdict's own word: ERROR is an error, every other verdict but PASS and NOT_RUN a failure."""
        verdict: str | None = getattr(report, _VERDICT, None)
        if verdict is None:
            return None
        return ("error" if verdict == "ERROR" else "failed"), verdict[0], verdict

    def _conclude(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        from hil.campaign.verdicts import ended_by, summary, table
        from hil.limits import Verdict

        trial = item.stash[_TRIAL]
        problem = call.excinfo.value if call.excinfo else None
        if call.when == "teardown":
            del item.stash[_TRIAL]
            found = trial.end("" if problem is None else f"putting the rig back: {problem}")
            report.user_properties.append((_OUTCOME, summary(found)))
            if problem is not None:
                setattr(report, _VERDICT, "ERROR")
        elif call.when == "call" or problem is not None:
            found = trial.end_body(*ended_by(problem, phase=call.when))
            if found.verdict in (Verdict.PASS, Verdict.NOT_RUN):
                return
            setattr(report, _VERDICT, str(found.verdict))
            text = table(found, trial.checks)
            if report.passed:
                report.outcome = "failed"
                report.longrepr = text
            else:
                report.sections.append((f"verdict {found.verdict}", text))


class _Control(_Recording):
    """Keeps the run: plan, count, end, exit code. It is the only process, or the controller of several."""

    def __init__(self, run: RunSession) -> None:
        super().__init__(run)
        self.outcomes: dict[str, Any] = {}
        self.ending: Ending | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of pytest-xdist the run folder."""
        node.workerinput["hil_folder"] = str(self.run.folder)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:  # noqa: ARG002
        """The workers collect; their common list is the plan."""
        if not self.run.planned:
            self.run.plan(list(ids))
            self.run.announce()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Write the plan down before the first trial."""
        if session.items:
            self.run.announce()
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what was judged."""
        for name, value in report.user_properties:
            if name == _OUTCOME:
                self.outcomes[report.nodeid] = value

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Close the run and give its exit code; pytest's own codes 2 to 4 stay."""
        from hil.campaign.ending import end_run

        self.ending = end_run(self.run)
        if exitstatus not in (2, 3, 4):
            session.exitstatus = self.ending.code

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print measurements with limits and margins, the counts, and where the evidence is."""
        if self.ending is None:
            return
        terminalreporter.section("rig")
        for line in self.ending.lines(self.run, self.outcomes, coloured=terminalreporter.hasmarkup):
            terminalreporter.write_line(line)


def _order(item: pytest.Item) -> Order:
    from hil.campaign.trial import Order

    doc: str = getattr(getattr(item, "obj", None), "__doc__", None) or ""
    requirements, measures = (
        tuple(str(name) for mark in reversed(list(item.iter_markers(kind))) for name in mark.args)
        for kind in ("requirement", "measures")
    )
    draw = item.get_closest_marker("draw")
    number = 0 if draw is None else int(draw.args[0])
    return Order(item.nodeid, doc.strip().partition("\n")[0], requirements, measures, number)


def _plain(value: object) -> object:
    """A property as a builtin: a numpy scalar would not survive the way from an xdist worker."""
    from hil.evidence.documents import plain

    return plain(value, "a property of the test")


# -- fixtures ---------------------------------------------------------------------------------------------------


def _trial(request: pytest.FixtureRequest) -> Trial:
    """The record of a test; NOT_RUN without ``--rig``."""
    found = request.node.stash.get(_TRIAL, None)
    if found is None:
        pytest.skip(_REMEDY)
    return found


@pytest.fixture
def rig(request: pytest.FixtureRequest) -> Generator[Rig, None, None]:
    """The open rig: on a virtual rig a fresh world per test, with the clock at 0."""
    from hil.clock import sleep_forbidden

    opened = _trial(request).open_rig()
    with sleep_forbidden(opened.clock):
        try:
            yield opened
        finally:
            opened.close()


@pytest.fixture
def clock(rig: Rig) -> Clock:
    """The rig clock."""
    return rig.clock


@pytest.fixture
def profile(request: pytest.FixtureRequest) -> Profile:
    """Limits and parameters of the profiles in the ini option ``hil_profiles``."""
    return _trial(request).desk.profile


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Callable[..., Measurement]:
    """``measure(name, value, unit)`` records a value, judges it by its limits, and goes on."""
    return _trial(request).measure


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[..., None]:
    """``record(what, **fields)`` lays a plot, a mark or a row of a table beside the measurements for the report."""
    return _trial(request).record


@pytest.fixture
def always(request: pytest.FixtureRequest) -> Callable[..., Monitor[Any]]:
    """``always(signal, value)`` watches in the background that a condition holds to the end of the test."""
    from hil.signal import Condition

    trial = _trial(request)

    def watch(
        signal: Signal[Any], *value: object, below: float | None = None, above: float | None = None
    ) -> Monitor[Any]:
        return trial.always(signal, Condition[Any](*value, below=below, above=above))

    return watch
