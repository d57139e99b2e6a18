"""Hazard 3 from the grant to the connector: on the simulated rig with live lines, and with a keeper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from authority_bench import KEYS, person, write_register
from live_bench import BOTH, ROOT, close_the_chain, granted, live_rig
from suite import Suite

from hil.campaign.session import RunSession, Settings
from hil.clock import utc_now
from hil.errors import InterlockError
from hil.profile import Profile
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.rig.world import Rig, Sinks
from hil.safety.errors import AuthorityError, NoGrantError
from hil.safety.keys import SigningKey, fingerprint
from hil.safety.register import Register
from hil.units import ms, s
from hil_launcher.clients.tone_table import ToneTable
from hil_launcher.clients.uplink import Uplink
from hil_launcher.fixtures import uplink_parts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACTION = "fts.terminate"
MARKS = [fingerprint(SigningKey(KEYS[name]).public) for name in BOTH]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("live")


@pytest.fixture(scope="module")
def blueprint(folder: Path) -> Blueprint:
    return Blueprint.of(load_rig(live_rig(folder)))


@pytest.fixture
def events() -> list[tuple[str, dict[str, object]]]:
    return []


@pytest.fixture
def rig(blueprint: Blueprint, folder: Path, events: list[tuple[str, dict[str, object]]]) -> Iterator[Rig]:
    """The rig with its safety chain closed, and with no grant."""
    write_register(folder)
    (folder / "revoked.txt").write_text("")
    opened = open_rig(blueprint, sinks=Sinks(event=lambda what, fields: events.append((what, dict(fields)))))
    close_the_chain(opened)
    yield opened
    opened.close()


# -- the permit -----------------------------------------------------------------------------------------------


def test_a_run_without_a_grant_is_permitted_nothing_and_told_how(rig, events):
    with pytest.raises(NoGrantError, match=r"no grant was given to this run: `hil grant request`.*--grant FILE"):
        rig.permit(ACTION)
    assert [what for what, _ in events] == ["not permitted"]


def test_a_permit_names_both_persons_and_their_keys_in_the_evidence(rig, events):
    rig.grants = [granted()]
    permit = rig.permit(ACTION)
    assert [(each.name, each.key) for each in permit.persons] == list(zip(BOTH, MARKS, strict=True))
    assert events == [("permit", {key: value for key, value in permit.document().items() if key != "checked_utc"})]
    assert [each["key"] for each in events[0][1]["persons"]] == MARKS


@pytest.mark.parametrize(
    ("grant", "reason"),
    [
        (granted("Ada Marsh"), "1 of 2 different persons signed it rightly"),
        (granted("Ada Marsh", "Cy Oak"), "the register knows no Cy Oak"),
        (granted(rig="bench"), "the grant is for rig bench"),
        (granted(action="pyro.fire"), "the grant is for pyro.fire"),
        (granted(begins_s=-3600, lasts_s=60), "it expired at"),
        (granted(begins_s=3600), "it is not valid before"),
        (granted(lasts_s=20_000), "the register allows 240 min"),
        (granted(interlock="key_switch"), "the rig has no interlock key_switch"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_grant_that_does_not_hold_is_refused_with_its_reason(rig, grant, reason):
    rig.grants = [grant]
    with pytest.raises(AuthorityError, match=reason):
        rig.permit(ACTION)


def test_every_reason_is_told_that_of_the_interlock_too(rig):
    rig.grants = [granted("Ada Marsh", rig="bench")]
    with rig.inject("safety_chain", "plug_missing"):
        rig.clock.sleep(10 * ms)
        with pytest.raises(AuthorityError) as refused:
            rig.permit(ACTION)
    for reason in ("for rig bench", "1 of 2 different persons", "stand.di_arming_plug high reads low"):
        assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("interlock", "fault"), [("contactor", ("timer", "open")), ("emergency_stop", ("safety_chain", "emergency_stop"))]
)
def test_the_interlock_that_the_grant_names_must_read_back(rig, interlock, fault):
    rig.grants = [granted(interlock=interlock)]
    rig.permit(ACTION)
    with rig.inject(*fault):
        rig.clock.sleep(1 * s)
        with pytest.raises(AuthorityError, match=f"interlock stand.di_{interlock} high reads low"):
            rig.permit(ACTION)


def test_one_grant_of_several_is_enough(rig):
    rig.grants = [granted("Ada Marsh"), granted(action="pyro.fire"), granted()]
    assert rig.permit(ACTION).grant is rig.grants[2]


def test_a_grant_that_is_revoked_in_the_middle_of_a_test_permits_nothing_any_more(rig, folder):
    rig.grants = [granted()]
    rig.permit(ACTION)
    Register(folder / "authority.toml").revoke(rig.grants[0], utc=utc_now(), reason="the wind turned")
    with pytest.raises(AuthorityError, match="it was revoked"):
        rig.permit(ACTION)


def test_a_register_that_forgets_a_person_forgets_the_grant(rig, folder):
    rig.grants = [granted()]
    rig.permit(ACTION)
    write_register(folder, person("Ada Marsh"), person("Cy Oak"))
    with pytest.raises(AuthorityError, match="the register knows no Bo Lind"):
        rig.permit(ACTION)


def test_pulses_move_no_mark_and_end_with_the_world(rig):
    before = rig.timeline.mark_ns
    rig.clock.sleep(1 * s)
    assert rig.timeline.mark_ns == before
    rig.close()
    rig.clock.sleep(400 * ms)
    assert not rig.models["safety_chain"].live_ports["line_out"].closed


# -- the uplink -----------------------------------------------------------------------------------------------


@pytest.fixture
def uplink(rig: Rig, launcher_profile: Profile) -> Uplink:
    return Uplink(uplink_parts(rig), ToneTable.of(launcher_profile), loss_db=6.5)


@pytest.fixture(scope="module")
def launcher_profile() -> Profile:
    return Profile.load([ROOT / "fixtures" / "hil_launcher" / "profiles" / "launcher_spec.toml"])


def test_terminate_into_live_lines_is_refused_as_ever_without_a_grant(rig, uplink):
    uplink.sense_simulators()
    with pytest.raises(InterlockError, match=r"does not read back .* Into live lines only with a grant: .*hil grant"):
        uplink.send("TERMINATE", level_dbm=-100.0)
    with pytest.raises(InterlockError, match="preload of ARM, TERMINATE is refused"):
        uplink.preload(level_dbm=-100.0)


def test_terminate_is_refused_with_the_reasons_of_a_grant_that_does_not_hold(rig, uplink):
    rig.grants = [granted("Ada Marsh")]
    with pytest.raises(AuthorityError, match="1 of 2 different persons"):
        uplink.send("TERMINATE", level_dbm=-100.0)
    assert rig.wiring.rf_pin("fts_a.rf").value is None


def test_terminate_asks_for_a_permit_each_time(rig, uplink, events):
    rig.grants = [granted()]
    for _ in range(2):
        uplink.send("TERMINATE", level_dbm=-100.0)
    assert [what for what, _ in events] == ["permit", "permit"]
    assert uplink.hazard_of("TERMINATE") == 3


# -- whole runs -----------------------------------------------------------------------------------------------


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    (tmp_path / "box.grant").write_bytes(granted().encode())
    (tmp_path / "half.grant").write_bytes(granted("Bo Lind").encode())
    (tmp_path / "cut.grant").write_bytes(granted().encode()[:-2])
    return tmp_path


def live_suite(folder: Path, tests: str) -> Suite:
    suite = Suite(folder, tests)
    live_rig(folder).rename(folder / "rig.toml")
    return suite


_POWERED = """
from hil.signal import HIGH

def powered(rig):
    card = rig.card("stand")
    card.switch("do_safety_chain_power", on=True)
    card.level("di_contactor").expect(HIGH, within=500_000_000)

def test_permitted(rig):
    powered(rig)
    rig.permit("fts.terminate")
"""


def test_a_run_with_grants_records_who_granted(run_folder):
    ran = live_suite(run_folder, _POWERED).run("--grant", "half.grant", "--grant", "box.grant")
    assert ran.verdict("test_permitted") == "PASS", ran.text
    found = [document for document in ran.documents if document.get("what") == "permit"]
    assert [person["key"] for person in found[0]["persons"]] == MARKS
    assert all(mark in (ran.folder / "identity.json").read_text() for mark in MARKS)


@pytest.mark.parametrize("name", ["cut.grant", "none.grant"])
def test_a_file_that_is_no_grant_starts_no_run(run_folder, name):
    settings = Settings(
        rig=str(live_rig(run_folder)), root=run_folder, folder=str(run_folder / "run"), grants=(run_folder / name,)
    )
    with pytest.raises(AuthorityError, match=name):
        RunSession.begin(settings)
    assert not (run_folder / "run").exists()
