"""A tool that the set-up could not install: NOT_RUN in a table, green at the desk and red in CI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TEST = """\
def test_needs_a_tool(tool):
    assert tool("log2asc")

def test_needs_none():
    pass
"""


@pytest.fixture
def run(tmp_path):
    """Runs a small test folder with this project's conftest, in a child whose PATH holds no tools."""
    harness = tmp_path / "tests" / "harness"
    harness.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("conftest.py"), harness)
    shutil.copy(Path(__file__).parents[1] / "tools.txt", tmp_path / "tests")
    (harness / "test_it.py").write_text(TEST)

    def run_with(ci):
        command = [sys.executable, "-m", "pytest", "--import-mode=importlib", "-p", "no:cacheprovider", str(harness)]
        environment = {**os.environ, "PATH": str(tmp_path), "CI": ci}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run_with


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_a_missing_tool_is_listed_and_red_only_in_ci(run, ci, code):
    done = run(ci)

    assert "test_needs_a_tool  there is no log2asc; apt-get install can-utils" in done.stdout
    assert "1 passed, 1 skipped" in done.stdout
    assert done.returncode == code
