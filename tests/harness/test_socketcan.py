"""The tests on a real CAN stack: a guest is booted once, runs tests/socketcan, and each of them is told of here."""

from __future__ import annotations

import ast
import contextlib
import fcntl
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
GUEST = ROOT / ".ci" / "guest"
LIMIT_S = 300  # alone it takes 40 s
_NOT_HERE = 77


def functions_in(file: Path) -> list[str]:
    """``file::test`` of every test function, as junit names them; nothing is imported."""
    body = ast.parse(file.read_text()).body
    return [f"{file.stem}::{node.name}" for node in body if getattr(node, "name", "").startswith("test_")]


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """While the block runs, no other worker runs one of this lock."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


TESTS = [name for file in sorted((ROOT / "tests" / "socketcan").glob("test_*.py")) for name in functions_in(file)]


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this session share: one guest is enough for all of them."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def made(common: Path) -> None:
    """The guest's kernel, unpacked; NOT_RUN where it cannot be had."""
    with alone(common / "guest.lock"):
        making = subprocess.run([GUEST / "make_guest"], capture_output=True, text=True, check=False)
    if making.returncode == _NOT_HERE:
        pytest.skip(f"NOT_RUN: {making.stderr.splitlines()[-1]}")
    assert making.returncode == 0, making.stderr


@pytest.fixture(scope="session")
def told(made: None, common: Path) -> Mapping[str, list[str]]:
    """By test: what went wrong in each of its cases, empty where nothing did."""
    share = common / "guest"
    with alone(common / "guest.lock"):
        if not share.exists():
            share.mkdir()
            environment = {**os.environ, "GUEST_SHARE": str(share), "GUEST_LIMIT_S": str(LIMIT_S)}
            command = [GUEST / "pytest", "-q", f"--junitxml={share / 'result.xml'}"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            (share / "said").write_text(f"code {done.returncode}\n{done.stdout}\n{done.stderr}")
    assert (share / "result.xml").exists(), (share / "said").read_text()
    found: dict[str, list[str]] = {}
    for case in ET.parse(share / "result.xml").getroot().iter("testcase"):
        name = f"{case.attrib['classname']}::{case.attrib['name'].partition('[')[0]}"
        problems = "\n".join(problem.text or problem.attrib.get("message", problem.tag) for problem in case)
        found.setdefault(name, []).append(problems)
    return found


@pytest.mark.parametrize("test", TESTS)
def test_on_a_real_can_stack(told, test):
    assert test in told, f"{test} did not run in the guest"
    assert not any(told[test]), "\n".join(told[test])


def test_the_exit_code_is_that_of_the_command(made):
    done = subprocess.run([GUEST / "run", "sh", "-c", "echo said; exit 3"], capture_output=True, text=True, check=False)

    assert (done.stdout, done.returncode) == ("said\n", 3)


def test_a_guest_over_its_limit_is_killed_and_says_so(made):
    environment = {**os.environ, "GUEST_LIMIT_S": "3"}
    done = subprocess.run([GUEST / "run", "true"], env=environment, capture_output=True, text=True, check=False)

    assert "killed after the limit of 3 s (GUEST_LIMIT_S)" in done.stderr
    assert done.returncode == 124
