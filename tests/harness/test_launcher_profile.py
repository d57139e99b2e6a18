"""The launcher's profile: no design value is dressed as a rule, and nothing in it is idle."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.profile import Profile

ROOT = Path(__file__).parents[2]
PROFILE = Profile.load([ROOT / "fixtures" / "hil_launcher" / "profiles" / "launcher_spec.toml"])
ENTRIES = [limit for name in PROFILE.limit_names for limit in PROFILE.limits(name)]
ENTRIES += [PROFILE.parameter(name) for name in PROFILE.parameter_names]


def test_the_profile_says_that_it_is_notional():
    assert PROFILE.editions[0].status.startswith("notional")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_number_is_graded_by_where_it_stands(entry):
    if "notional" in entry.source:
        assert entry.grade in {"D", "C"}
    if entry.grade == "P":
        assert entry.source.startswith("14 CFR 417")
        assert entry.clause.startswith(("D417.", "E417.", "417."))
    else:
        assert not entry.clause.startswith(("D417.", "E417.", "417.")) or entry.grade == "C"


def test_every_limit_judges_a_test():
    folders = (ROOT / "tests" / "launcher", ROOT / "fixtures" / "hil_launcher")
    code = "".join(path.read_text() for folder in folders for path in sorted(folder.rglob("*.py")))
    assert [limit for limit in PROFILE.limit_names if f'"{limit}"' not in code] == []
