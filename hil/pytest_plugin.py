"""The pytest plugin: options, hooks and generic fixtures. Inert without ``--rig``.

With ``--rig FILE`` every test is a trial: it is recorded from start to verdict, its world is opened fresh, and only
a PASS is *passed*. The plugin counts planned against judged tests by itself; a gap is INCOMPLETE.
"""

from __future__ import annotations

import argparse
import math
import os
import pathlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from hil.campaign.ending import Ending
    from hil.campaign.session import RunSession
    from hil.campaign.trial import Order, Trial
    from hil.campaign.workload import Known
    from hil.clock import Clock
    from hil.limits import Measurement
    from hil.profile import Profile
    from hil.rig.world import Rig
    from hil.rtl.blocks.files import BlockFile, BlockTest
    from hil.signal import Monitor, Signal

_REMEDY = "NOT_RUN: no rig is open; run with --rig FILE, for example --rig rigs/sim.toml"
_OUTCOME = "hil_outcome"
_VERDICT = "hil_verdict"  # attribute of a report; it travels from a worker as it is
_TRIAL = pytest.StashKey["Trial"]()
_PROBLEM = pytest.StashKey[Exception]()
_KNOWN = "hil/workload"  # key of pytest's cache
_BLOCK_FILES = "cocotb_*.py"
_NO_TOOL = "NOT_RUN: there is no "
_NO_SIMULATOR = f"{_NO_TOOL}simulator: "


# -- options ----------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--rig``, ``--set``, ``--rig-seed``, ``--run-folder``, ``--rtl-seed``, ``--grant``, ini options."""
    group = parser.getgroup("hil", "hardware-in-the-loop rig")
    group.addoption("--rig", metavar="FILE", help="rig file; without it tests that need a rig are NOT_RUN")
    group.addoption(
        "--set", dest="rig_sets", metavar="KEY=VALUE", action="append", default=[],
        help="change one key of the rig (a defect, a fault); recorded, and makes the run a development run",
    )  # fmt: skip
    group.addoption("--rig-seed", type=int, metavar="N", help="seed of every random stream (default: the rig file's)")
    group.addoption(
        "--bench-jitter", type=_jitter_seed, nargs="?", const=1, metavar="SEED",
        help="let calls, messages, frames and samples take as long as on a bench, in virtual time; a development run",
    )  # fmt: skip
    group.addoption(
        "--grant", dest="rig_grants", metavar="FILE", action="append", type=pathlib.Path, default=[],
        help="grant of a hazardous action, signed by two persons (hil grant); may be given several times",
    )  # fmt: skip
    group.addoption("--run-folder", metavar="DIR", help="folder of the evidence (default: runs/<utc>-<rig>)")
    group.addoption("--rtl-seed", type=int, metavar="N", help="seed of every block test (default: from its name)")
    group.addoption("--coverage", action="store_true", help="collect line, branch and toggle coverage of RTL")
    group.addoption(
        "--coverage-goals", action="store_true",
        help="collect it, and FAIL a run that misses a coverage goal: for runs of the whole suite",
    )  # fmt: skip
    parser.addini("hil_profiles", "profile files that hold limits and parameters", type="paths", default=[])
    parser.addini("hil_cover", "files that declare functional cover points", type="paths", default=[])


def _jitter_seed(text: str) -> int:
    """The seed of ``--bench-jitter``; a path that stands behind it is no seed."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; write --bench-jitter=SEED, or put the option last")
    return int(text)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers; with ``--rig`` open the run."""
    config.addinivalue_line("markers", "requirement(*ids): requirements that the test verifies")
    config.addinivalue_line("markers", "measures(*names): measurements the test must take; one never taken is FAIL")
    config.addinivalue_line("markers", "leaves(*names): invariants of the bench that the test breaks on purpose")
    config.addinivalue_line("markers", "realtime: judges wall time; an ERROR on a rig of virtual pace, RTL above all")
    config.addinivalue_line("markers", "deadline(seconds): what the test may take, as far as the rig file lets it")
    config.addinivalue_line("markers", "draw(number): one of several trials alike; the run's seed + number is its seed")
    config.pluginmanager.register(_Tools(), "hil-tools")
    if config.option.rig is None:
        config.pluginmanager.register(_Bare(), "hil-bare")
        return
    from hil.campaign.session import RunSession, Settings
    from hil.errors import HilError
    from hil.limits import Outcome
    from hil.safety.errors import UnsafeError

    settings = Settings(
        rig=config.option.rig,
        sets=tuple(config.option.rig_sets),
        seed=config.option.rig_seed,
        profiles=tuple(config.getini("hil_profiles")),
        folder=config.option.run_folder,
        cover=tuple(config.getini("hil_cover")),
        coverage=config.option.coverage,
        coverage_goals=config.option.coverage_goals,
        bench_jitter=config.option.bench_jitter,
        grants=tuple(config.option.rig_grants),
        root=config.rootpath,
    )
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    try:
        if worker:
            told = (worker[key] for key in ("hil_folder", "workerid", "hil_keeper", "hil_lease"))
            run = RunSession.join(settings, *told)
        else:
            run = RunSession.begin(settings)
    except UnsafeError as problem:
        pytest.exit(f"UNSAFE: {problem}", returncode=Outcome.UNSAFE.exit_code)
    except HilError as problem:
        raise pytest.UsageError(str(problem)) from problem
    config.pluginmanager.register(_Recording(run) if worker else _Control(run, _known(config)), "hil-run")


class _Bare:
    """Without a rig: when every test was NOT_RUN for want of one, the run is not green."""

    def __init__(self) -> None:
        self.not_run = self.others = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the tests that needed a rig or a simulator, and the others."""
        if report.skipped and any(reason in str(report.longrepr) for reason in (_REMEDY, _NO_SIMULATOR)):
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
        self.trial: Trial | None = None
        """The trial that runs."""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """What was collected, in that order, is the plan."""
        from hil.errors import ConfigError

        self.orders = {item.nodeid: _order(item) for item in session.items}
        try:
            self.run.demand_deadlines(self.orders.values())
        except ConfigError as problem:
            raise pytest.UsageError(str(problem)) from problem
        self.run.plan(list(self.orders), {nodeid: order.requirements for nodeid, order in self.orders.items()})

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self) -> None:
        """Have the rig made safe at once: pytest first describes where it was interrupted, and takes its time."""
        if self.run.keeping is not None:
            self.run.keeping.interrupted()

    def pytest_enter_pdb(self, config: pytest.Config) -> None:
        """A debugger is a declared hold: it does not trip the keeper, and it is on record."""
        if self.trial is not None:
            self._held(config, self.trial.enter_debugger)

    def pytest_leave_pdb(self, config: pytest.Config) -> None:
        """The hold ends when the test goes on."""
        if self.trial is not None:
            self._held(config, self.trial.leave_debugger)

    @staticmethod
    def _held(config: pytest.Config, call: Callable[[], None]) -> None:
        from hil.errors import HilError

        try:
            call()
        except HilError as problem:
            reporter = config.pluginmanager.get_plugin("terminalreporter")
            if reporter is not None:
                reporter.write_line(f"NOT HELD: {problem}", red=True)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Begin a trial for every attempt of a test."""
        from hil.errors import HilError

        try:
            item.stash[_TRIAL] = self.trial = self.run.trial(self.orders[item.nodeid])
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
            self.trial = None
            found = trial.end("" if problem is None else f"putting the rig back: {problem}")
            report.user_properties.append((_OUTCOME, summary(found, trial.cost)))
            if problem is not None:
                setattr(report, _VERDICT, "ERROR")
        elif call.when == "call" or problem is not None:
            found = trial.end_body(*ended_by(problem, phase=call.when), check=getattr(problem, "check", None))
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

    def __init__(self, run: RunSession, known: Known) -> None:
        super().__init__(run)
        self.outcomes: dict[str, Any] = {}
        self.ending: Ending | None = None
        self.trouble = ""
        self.known = known

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of pytest-xdist the run folder, where the keeper is, and which lease the run holds."""
        node.workerinput["hil_folder"] = str(self.run.folder)
        node.workerinput["hil_keeper"] = "" if self.run.keeping is None else self.run.keeping.door
        node.workerinput["hil_lease"] = 0 if self.run.lease is None else self.run.lease.token

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """The workers collect; their common list is the plan."""
        if not self.run.planned:
            self.run.plan(list(ids))
            self._announce()
            self._forecast(node.config, ids)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Write the plan down before the first trial, and say what a run with RTL will cost."""
        if session.items:
            self._announce()
            self._forecast(session.config, [item.nodeid for item in session.items])
        return (yield)

    def _announce(self) -> None:
        from hil.errors import ConfigError

        try:
            self.run.announce()
        except ConfigError as problem:
            raise pytest.UsageError(str(problem)) from problem

    def _forecast(self, config: pytest.Config, nodeids: Sequence[str]) -> None:
        from hil.campaign.workload import forecast

        reporter = config.pluginmanager.get_plugin("terminalreporter")
        for line in forecast(self.run.blueprint, nodeids, self.known):
            if reporter is not None:
                reporter.ensure_newline()
                reporter.write_line(line)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what was judged."""
        for name, value in report.user_properties:
            if name == _OUTCOME:
                self.outcomes[report.nodeid] = value

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None, object, object]:
        """Close the run and give its exit code; pytest's own codes 2 to 4 stay, unless the rig is UNSAFE."""
        from hil.campaign.ending import end_run
        from hil.errors import HilError
        from hil.limits import Outcome

        done: object = None
        try:
            done = yield
        except HilError as problem:  # after an interrupt the rig is put back here, and that can fail
            self.trouble = str(problem)
        self.ending = end_run(self.run)
        self.known.learn(self.outcomes)
        cache = getattr(session.config, "cache", None)
        if cache is not None:
            cache.set(_KNOWN, vars(self.known))
        if exitstatus not in (2, 3, 4) or self.ending.code == Outcome.UNSAFE.exit_code:
            session.exitstatus = self.ending.code
        return done

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print measurements with limits and margins, the counts, and where the evidence is."""
        if self.ending is None:
            return
        terminalreporter.section("rig")
        for line in self.ending.lines(self.run, self.outcomes, coloured=terminalreporter.hasmarkup):
            terminalreporter.write_line(line)
        if self.trouble:
            terminalreporter.write_line(f"ERROR: putting the rig back: {self.trouble}")


def _known(config: pytest.Config) -> Known:
    """What earlier runs on this machine showed of the tests' cost."""
    from hil.campaign.workload import Known

    cache = getattr(config, "cache", None)
    known: dict[str, Any] = {} if cache is None else cache.get(_KNOWN, None) or {}
    return Known(**known)


def _order(item: pytest.Item) -> Order:
    from hil.campaign.trial import Order

    block = item if isinstance(item, BlockItem) else None
    doc: str = block.test.title if block else getattr(getattr(item, "obj", None), "__doc__", None) or ""
    requirements, measures, leaves = (
        tuple(str(name) for mark in reversed(list(item.iter_markers(kind))) for name in mark.args)
        for kind in ("requirement", "measures", "leaves")
    )
    draw = item.get_closest_marker("draw")
    number = 0 if draw is None else int(draw.args[0])
    title = doc.strip().partition("\n")[0]
    order = Order(item.nodeid, title, requirements, measures, number, leaves=leaves, deadline_s=_deadline(item))
    return replace(order, evidence_class="rtl", seed=block.seed) if block else order


def _deadline(item: pytest.Item) -> float | None:
    """What a test may take [s], as its nearest marker says; None without one.

    Raises:
        UsageError: for anything but one positive number.
    """
    mark = item.get_closest_marker("deadline")
    if mark is None:
        return None
    match mark.args:
        case (int() | float() as asked_s,) if (
            not mark.kwargs and type(asked_s) is not bool and 0.0 < asked_s < math.inf
        ):
            return float(asked_s)
        case _:
            named = [f"{name}={value!r}" for name, value in mark.kwargs.items()]
            given = ", ".join([*map(repr, mark.args), *named])
            raise pytest.UsageError(
                f"{item.nodeid}: pytest.mark.deadline({given}) takes one number of seconds above 0, for example "
                "pytest.mark.deadline(30)"
            )


def pytest_itemcollected(item: pytest.Item) -> None:
    """Refuse a deadline that is none, with and without a rig."""
    _deadline(item)


def _plain(value: object) -> object:
    """A property as a builtin: a numpy scalar would not survive the way from an xdist worker."""
    from hil.evidence.documents import plain

    return plain(value, "a property of the test")


# -- block tests: ordinary cocotb tests, each in a simulator of its own ---------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Collect a file of cocotb tests as such, and by nothing else: doctest would import it, and cocotb with it."""
    found = yield
    make: Any = BlockModule  # pytest leaves the arguments of from_parent open
    if file_path.match(_BLOCK_FILES):
        return [make.from_parent(parent, path=file_path)]
    beside = file_path.suffix == ".py" and any(file_path.parent.glob(_BLOCK_FILES))  # what block tests import
    return [] if beside and not any(map(file_path.match, parent.config.getini("python_files"))) else found


class BlockModule(pytest.File):
    """A file of cocotb tests; it is read, never imported."""

    def collect(self) -> list[pytest.Item]:
        """One item per cocotb test, or literal case of it, and simulator.

        Raises:
            CollectError: when the file holds no test, or says something impossible.
        """
        from hil.errors import HilError
        from hil.rtl.blocks.files import read_blocks

        try:
            blocks = read_blocks(self.path)
        except HilError as problem:
            raise self.CollectError(str(problem)) from problem
        make: Any = BlockItem
        items: list[BlockItem] = [make.from_parent(self, name=test.name) for test in blocks.tests]
        for item, test in zip(items, blocks.tests, strict=True):
            item.is_to_run(blocks, test)
        return list(items)


class BlockItem(pytest.Item):
    """One cocotb test on one simulator."""

    test: BlockTest
    seed: int
    _blocks: BlockFile

    def is_to_run(self, blocks: BlockFile, test: BlockTest) -> None:
        """Say which test of which file it is."""
        self._blocks, self.test = blocks, test
        asked: int | None = self.config.option.rtl_seed
        self.seed = blocks.seed(test) if asked is None else asked
        self.add_marker(pytest.mark.requirement(*test.requirements))

    def runtest(self) -> None:
        """Run it: NOT_RUN without its simulator, FAIL by the design, ERROR by anything else.

        Raises:
            RtlError: when the verdict is ERROR.
        """
        from hil.campaign.block import BlockTrial
        from hil.errors import RtlError, ToolMissingError
        from hil.limits import Verdict

        trial = BlockTrial(self._blocks, self.test, self.nodeid, self.seed, self.config.rootpath)
        try:
            verdict, text = trial.run(self.stash.get(_TRIAL, None))
        except ToolMissingError as missing:
            pytest.skip(f"{_NO_SIMULATOR}{missing}")
        if verdict is Verdict.NOT_RUN:
            pytest.skip(text)
        elif verdict is Verdict.FAIL:
            pytest.fail(text, pytrace=False)
        elif verdict is not Verdict.PASS:
            raise RtlError(text)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What went wrong in the simulator; where this process was is of no interest."""
        from hil.errors import HilError

        problem = excinfo.value
        return f"ERROR: {problem}" if isinstance(problem, HilError) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it stands."""
        return self.path, self.test.line - 1, self.name


class _Tools:
    """Lists the tests that were not run for want of a program; with ``CI=true`` they make the run red."""

    def __init__(self) -> None:
        self.missing: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what was missing."""
        text = str(report.longrepr[2]) if report.skipped and isinstance(report.longrepr, tuple) else ""
        if _NO_TOOL in text:
            self.missing[report.nodeid] = text[text.index(_NO_TOOL) + len("NOT_RUN: ") :]

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """In CI a test that was not run is a failure."""
        done = yield
        if self.missing and _in_ci() and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return done

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table."""
        if self.missing:
            terminalreporter.section("NOT_RUN, for want of a tool" + (": red, because CI=true" if _in_ci() else ""))
            for nodeid, reason in sorted(self.missing.items()):
                terminalreporter.write_line(f"{nodeid}  {reason}")


def _in_ci() -> bool:
    return os.environ.get("CI") == "true"


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
    from hil.errors import HilError, ToolMissingError

    trial = _trial(request)
    file = trial.desk.blueprint.file
    if file.rig.is_virtual and request.node.get_closest_marker("realtime"):
        raise HilError(
            f"a test marked realtime judges wall time, and {file.file.name} has pace {file.rig.pace!r}; a simulator "
            "is never real time, nor is a simulated rig: run it on a bench"
        )
    try:
        opened = trial.open_rig()
    except ToolMissingError as missing:
        pytest.skip(f"{_NO_SIMULATOR}{missing}")
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
def cover(request: pytest.FixtureRequest) -> Callable[..., None]:
    """``cover(point, bin)`` notes that a situation was met which the files of ``hil_cover`` declare; judges nothing."""
    return _trial(request).cover


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
