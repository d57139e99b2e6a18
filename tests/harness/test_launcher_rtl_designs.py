"""The FPGA designs of the reference launcher, without a rig: what the source alone shows."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from hil.rtl.analysis.lint import lint
from hil.rtl.spec import load_spec

FOLDER = Path(__file__).parents[2] / "fixtures" / "hil_launcher" / "rtl"
BLOCKS = Path(__file__).parents[1] / "launcher" / "blocks"
DESIGNS = sorted(path.stem for path in FOLDER.glob("*.toml") if "top = " in path.read_text())


@pytest.mark.parametrize("design", DESIGNS)
def test_verilator_has_nothing_to_say_with_all_of_its_warnings(hdl, design):
    hdl("verilator")
    assert "\n".join(map(str, lint(load_spec(FOLDER / f"{design}.toml")))) == ""


def test_a_design_whose_article_nobody_names_stops_the_collection():
    found = importlib.util.spec_from_file_location("designs_of_block_tests", BLOCKS / "conftest.py")
    assert found is not None
    assert found.loader is not None
    designs = importlib.util.module_from_spec(found)
    found.loader.exec_module(designs)
    spec = load_spec(FOLDER / "engine_core.toml").model_copy(update={"parameters": "some.where:parameters"})

    assert set(designs.DESIGNS) == set(DESIGNS)
    assert all(each.parameters for each in designs.DESIGNS.values() if each.spec.parameters)
    with pytest.raises(pytest.UsageError, match=r"engine_core.toml: parameters = 'some.where:parameters': no article"):
        designs.built_into(spec)


def test_every_source_belongs_to_a_design():
    named = {source.name for design in DESIGNS for source in load_spec(FOLDER / f"{design}.toml").source_files}
    assert sorted({path.name for path in FOLDER.glob("*.sv")} - named) == []


def test_no_source_relies_on_a_compiler_directive_of_another():
    for path in sorted(FOLDER.glob("*.sv")):
        text = path.read_text()
        assert "`default_nettype none" in text, path.name
        assert text.rstrip().endswith("`default_nettype wire"), path.name
