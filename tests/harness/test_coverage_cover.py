"""Cover points: the same bins on the bench and in a simulator, unknown ones refused, missed ones listed."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from cover_world import COVER
from hypothesis import given
from hypothesis import strategies as st

from hil.coverage.bins import Bins
from hil.coverage.model import CoverModel
from hil.errors import ConfigError, HilError
from hil.rtl.cover import VARIABLE, cover

MODEL = CoverModel([("cover.toml", COVER)])
HEAD = '[cover]\nname = "x"\nedition = "1"\n'


def table(name: str, *rows: str) -> str:
    return HEAD + "\n".join([f'[{name}]\nsource = "s"', *rows])


TWICE = 'points = ["pin", "pin"]'


def crossed(*rows: str, name: str = "x") -> str:
    return table("point.pin", 'bins = ["on", "of"]', f"[cross.{name}]", 'source = "s"', *rows)


def result(name: str, *hits: tuple[str, tuple[object, ...]]):
    found = Counter(hit for point, values in hits for hit in MODEL.bins.hits(point, values))
    return next(each for each in MODEL.results(found) if each.name == name)


def test_a_bin_is_hit_and_the_others_are_missed():
    found = result("fts.command", ("fts.command", ("ARM",)), ("fts.command", ("ARM",)))

    assert dict(found.counts) == {("ARM",): 2, ("TERMINATE",): 0, ("OPTIONAL",): 0}
    assert found.problem == ("fts.command: 1 of 3 bins hit, 33.3 %, goal 100 %; not hit: TERMINATE, OPTIONAL")


@pytest.mark.parametrize(
    ("level_dbm", "name"), [(-120.0, "weak"), (-107.0001, "weak"), (-107.0, "strong"), (-1, "strong")]
)
def test_a_number_is_in_the_range_that_holds_it(level_dbm, name):
    assert MODEL.bins.hits("fts.level", (level_dbm,)) == [("fts.level", (name,))]


def test_a_cross_hits_its_points_as_well():
    assert MODEL.bins.hits("fts.command_at_level", ("ARM", -110.0)) == [
        ("fts.command", ("ARM",)),
        ("fts.level", ("weak",)),
        ("fts.command_at_level", ("ARM", "weak")),
    ]


def test_a_combination_that_cannot_be_does_not_count_as_missed():
    assert ("OPTIONAL", "weak") not in result("fts.command_at_level").counts
    assert len(result("fts.command_at_level").counts) == 5


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("fts.comand", ("ARM",), "there is no such cover point; did you mean fts.command?"),
        ("fts.command", ("ARMED",), "'ARMED' is in no bin; did you mean ARM?"),
        ("fts.command", (), "0 bins are given; it takes one bin"),
        ("fts.level", (3.0,), "3.0 is in no bin; known are strong, weak; weak is -120 to -107, strong is -107 to 0"),
        ("fts.command_at_level", ("ARM",), "1 bins are given; it takes one bin each of fts.command, fts.level"),
        ("fts.command_at_level", ("ARM", "week"), "'week' is in no bin of fts.level; did you mean weak?"),
        ("fts.command_at_level", ("OPTIONAL", "weak"), "OPTIONAL × weak is declared never to be"),
    ],
)
def test_an_unknown_point_or_bin_is_refused_with_the_nearest_known(name, values, said):
    with pytest.raises(HilError) as refused:
        MODEL.bins.hits(name, values)

    assert said in str(refused.value)


def test_a_bin_may_have_to_be_hit_several_times():
    model = CoverModel(
        [("c.toml", table('point."p"', 'bins = ["a", "b"]', "at_least = 2", "goal_pct = 50.0").encode())]
    )
    once, twice = (next(model.results(Counter({("p", ("a",)): times}))) for times in (1, 2))

    assert (once.meets, twice.meets) == (False, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (table('point."p"', 'bin = ["a"]'), r'cover.toml:6: point.p.bin is not known; did you mean bins\?'),
        (table('point."p"'), "give one of bins"),
        (table('point."p"', 'bins = ["a", "a"]'), "a bin has a name of its own"),
        (table('point."p"', "ranges = { a = [1.0, 2.0] }"), "ranges need a unit"),
        (table('point."p"', "ranges = { a = [2.0, 2.0] }", 'unit = "V"'), "the range a is empty"),
        (crossed('points = ["pin", "pan"]'), r"cover.toml:7: points: pan is no cover point; did you mean pin\?"),
        (crossed('points = ["pin", "pin"]', name="pin"), "pin is declared twice"),
        (crossed(TWICE, 'never = [["off", "*"]]'), r"never: off is no bin of pin; did you mean of\?"),
        (crossed(TWICE, 'never = [["on"]]'), "names 1 bins; the cross has 2 points"),
        (crossed(TWICE, 'never = [["*", "*"]]'), "never excludes every combination"),
    ],
)  # fmt: skip
def test_a_wrong_declaration_is_refused(text, said):
    with pytest.raises(ConfigError, match=said):
        CoverModel([("cover.toml", text.encode())])


NAMES = st.text("abc.", min_size=1, max_size=4)


@given(st.dictionaries(NAMES, st.lists(NAMES, min_size=1, unique=True)))
def test_a_declaration_comes_through_json(points):
    tables = {"points": {name: [bins, {}] for name, bins in points.items()}, "crosses": {}}

    assert json.loads(json.dumps(Bins.declared(tables).declaration())) == tables


# -- inside a simulator -----------------------------------------------------------------------------------------


def test_a_simulator_notes_hits_where_the_harness_asks(tmp_path, monkeypatch):
    file = tmp_path / "hits"
    file.write_text(json.dumps(MODEL.bins.declaration()) + "\n")
    monkeypatch.setenv(VARIABLE, str(file))
    cover("fts.command", "ARM")
    cover("fts.command_at_level", "ARM", -110.0)

    assert [json.loads(line) for line in file.read_text().splitlines()[1:]] == [
        ["fts.command", ["ARM"]],
        ["fts.command_at_level", ["ARM", -110.0]],
    ]


def test_a_simulator_refuses_an_unknown_bin_at_once(tmp_path, monkeypatch):
    file = tmp_path / "hits"
    file.write_text(json.dumps(MODEL.bins.declaration()) + "\n")
    monkeypatch.setenv(VARIABLE, str(file))

    with pytest.raises(HilError, match="did you mean ARM"):
        cover("fts.command", "ARMM")


def test_without_a_harness_nothing_is_noted(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    cover("anything", "goes")

    monkeypatch.setenv(VARIABLE, str(tmp_path / "new"))
    cover("anything", "goes")
    assert (tmp_path / "new").read_text() == '["anything", ["goes"]]\n'
