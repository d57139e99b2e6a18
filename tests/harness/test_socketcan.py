"""The tests on a real CAN stack: a guest is booted once, runs tests/socketcan, and each of them is told of here.

Then it runs qualification tests, unmodified, with the articles as a program of its own.
"""

from __future__ import annotations

import ast
import os
import subprocess
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from guest_boot import EXIT_CODE, GUEST, IN_GUEST, ROOT, booted, make_guest, shared

from hil.can.database import Database
from hil.evidence.index import read_run
from hil.limits import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def functions_in(file: Path) -> list[str]:
    """``file::test`` of every test function, as junit names them; nothing is imported."""
    body = ast.parse(file.read_text()).body
    return [f"{file.stem}::{node.name}" for node in body if getattr(node, "name", "").startswith("test_")]


TESTS = [name for file in sorted((ROOT / "tests" / "socketcan").glob("test_*.py")) for name in functions_in(file)]


@pytest.fixture(scope="session")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the guest left."""
    return booted(shared(tmp_path_factory.getbasetemp()))


@pytest.fixture
def made(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The guest's kernel, unpacked."""
    make_guest(shared(tmp_path_factory.getbasetemp()))


@pytest.fixture(scope="session")
def told(share: Path) -> Mapping[str, list[str]]:
    """By test: what went wrong in each of its cases, empty where nothing did."""
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


@pytest.mark.parametrize("test", IN_GUEST)
def test_an_unmodified_qualification_test_passes_over_real_can(share, test):
    run = read_run(share / "run")
    found = {each.nodeid: each.verdict for each in run.tests}

    assert found.get(test) is Verdict.PASS, (share / "said").read_text()
    assert run.finished
    assert not run.unsafe


@pytest.mark.parametrize("bus", ["bus_a", "bus_b"])
@pytest.mark.parametrize("node", ["FTS_B", "ENG1"])
def test_the_article_was_heard_over_the_kernels_stack(share, bus, node):
    database = Database.load(ROOT / "fixtures" / "hil_launcher" / "launcher.dbc")
    lines = (share / "run" / "can" / f"{bus}.log").read_text().splitlines()
    heard = {int(line.split()[2].partition("#")[0], 16) for line in lines}

    assert heard & {database.identifier(name)[0] for name in database.sent_by(node)}


def test_output_and_exit_code_are_those_of_the_command(share):
    lines = (share / "said").read_text().splitlines()

    assert "the end" in lines
    assert lines[-1] == f"code {EXIT_CODE}"


def test_a_guest_over_its_limit_is_killed_and_says_so(made):
    environment = {**os.environ, "GUEST_LIMIT_S": "3"}
    done = subprocess.run([GUEST / "run", "true"], env=environment, capture_output=True, text=True, check=False)

    assert "killed after the limit of 3 s (GUEST_LIMIT_S)" in done.stderr
    assert done.returncode == 124
