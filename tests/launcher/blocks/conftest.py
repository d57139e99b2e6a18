"""The FPGA designs of the reference launcher, each with the parameters of the article that it is built into."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from hil.errors import ToolMissingError
from hil.rtl.blocks.run import as_built_of
from hil.rtl.build import parameters_of
from hil.rtl.spec import load_spec

if TYPE_CHECKING:
    from hil.rtl.spec import RtlSpec

LAUNCHER = Path(__file__).parents[3] / "fixtures" / "hil_launcher"
AS_BUILT = {
    "hil_launcher.models.fts.rtl_parameters:parameters": "fts_a",
    "hil_launcher.models.engine.rtl_parameters:parameters": "engine",
}
"""The article whose as-built data a function of parameters is given."""


class Design(NamedTuple):
    """A design, and the parameters of its top."""

    spec: RtlSpec
    parameters: dict[str, int | str]


def built_into(spec):
    """A design with the parameters of its article; one whose article is not known is an error of the collection."""
    if spec.parameters is not None and spec.parameters not in AS_BUILT:
        raise pytest.UsageError(
            f"{spec.file}: parameters = {spec.parameters!r}: no article is known for it, so that the design would be "
            f"judged by its defaults; add it to AS_BUILT in {__file__}"
        )
    article = None if spec.parameters is None else LAUNCHER / "as_built" / f"{AS_BUILT[spec.parameters]}.toml"
    return Design(spec, parameters_of(spec, as_built_of(spec, article)))


FILES = sorted(path for path in (LAUNCHER / "rtl").glob("*.toml") if "top = " in path.read_text())
DESIGNS = {path.stem: built_into(load_spec(path)) for path in FILES}


@pytest.fixture(params=DESIGNS)
def design(request):
    """Each design in turn."""
    return DESIGNS[request.param]


@pytest.fixture
def design_named():
    """A design by its name."""
    return DESIGNS.__getitem__


@pytest.fixture
def tool():
    """Calls something that needs a program; the test is NOT_RUN where that is not installed."""

    def call(function, *arguments, **named):
        try:
            return function(*arguments, **named)
        except ToolMissingError as missing:
            pytest.skip(f"NOT_RUN: there is no tool: {missing}")

    return call
