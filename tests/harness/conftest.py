"""Tools from outside Python: a test asks for one by name, and is NOT_RUN where the set-up could not install it.

Missing tools leave a run green, with a table of what was not run; with ``CI=true`` they make it red: the plugin of the
harness sees to both.
"""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

_NO_TOOL = "NOT_RUN: there is no "


def pytest_configure() -> None:
    """Programs that tests start are ended by Ctrl-C and hang-up, although a shell in the background ignores both."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


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


@pytest.fixture(scope="session")
def hdl() -> Callable[[str], str]:
    """``hdl("icarus")`` is the name of an HDL simulator that is there; without it the test is NOT_RUN."""
    from hil.errors import ToolMissingError
    from hil.rtl.tools import find

    def found(name: str) -> str:
        try:
            return find(name, "vhdl" if name == "ghdl" else "verilog").name  # type: ignore[arg-type]  # a name of one
        except ToolMissingError as missing:
            pytest.skip(f"{_NO_TOOL}simulator: {missing}")

    return found


@pytest.fixture(params=["icarus", "verilator"])
def simulator(request: pytest.FixtureRequest, hdl: Callable[[str], str]) -> str:
    """Each Verilog simulator in turn; without it the test is NOT_RUN."""
    return hdl(request.param)
