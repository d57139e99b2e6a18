"""Tools from outside Python: a test asks for one by name, and is NOT_RUN where the set-up could not install it.

Missing tools leave a run green, with a table of what was not run; with ``CI=true`` they make it red.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

_NO_TOOL = "NOT_RUN: there is no "


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """``tool("log2asc")`` is the path of a program named in tests/tools.txt; without it the test is NOT_RUN."""
    lines = (Path(__file__).parents[1] / "tools.txt").read_text().splitlines()
    packages = dict(line.split()[:2] for line in lines if not line.startswith("#"))

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"{_NO_TOOL}{name}; apt-get install {packages[name].replace(',', ' ')}")
        return path

    return find


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of tests that were not run for want of a tool."""
    not_run = _not_run(terminalreporter)
    if not_run:
        terminalreporter.section("NOT_RUN, for want of a tool" + (": red, because CI=true" if _in_ci() else ""))
        for test, reason in not_run:
            terminalreporter.write_line(f"{test}  {reason}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a test that was not run is a failure."""
    reporter: pytest.TerminalReporter | None = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == 0 and _in_ci() and reporter is not None and _not_run(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _not_run(reporter: pytest.TerminalReporter) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for report in reporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        if _NO_TOOL in reason:
            found.append((report.nodeid, reason[reason.index(_NO_TOOL) + len("NOT_RUN: ") :]))
    return sorted(found)


def _in_ci() -> bool:
    return os.environ.get("CI") == "true"
