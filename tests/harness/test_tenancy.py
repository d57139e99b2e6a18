"""A rig has one holder: between machines by its place, on its machine by its lease, with a keeper and without one."""

from __future__ import annotations

import os
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from kill_bench import await_true
from suite import Suite

from hil.campaign.session import RunSession, Settings
from hil.campaign.trial import Order
from hil.cli import main
from hil.limits import Verdict
from hil.rig.keeping import has_keeper, is_leased
from hil.rig.loader import load_rig
from hil.safety.errors import LeaseError
from hil.safety.labgrid_place import LabgridPlace
from hil.safety.lease import Lease, Takeover, status
from hil.safety.lease_file import find_folder
from hil.safety.lease_record import State
from hil.safety.lease_seen import LeaseSeen
from hil.safety.place_watch import PlaceWatch
from hil.safety.plan import LabPlan
from hil.safety.session_lease import SessionLease
from hil.safety.tenancy import Tenancy

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
RIG = """
[rig]
name = "wired"
pace = "wall"
[instrument.dmm]
driver = "hil.visa.keysight_34465a:Keysight34465A"
resource = "TCPIP0::192.0.2.1::5025::SOCKET"
"""
PSU = "psu at TCPIP0::192.0.2.10::5025::SOCKET"
LAB = LabPlan(coordinator="lab:1", place="bench")
CLIENT = """#!/bin/sh
cd "$(dirname "$0")" && shift 4
echo "$1 $(ls "$HIL_LEASE_FOLDER" | grep -c lease)" >> said
case $1 in
    show) [ -e silent ] && exit 1
        echo "Place 'bench':" && echo "  acquired: $(cat owner 2>/dev/null || echo None)" ;;
    acquire) echo "$LG_HOSTNAME/$LG_USERNAME" > owner ;;
    release-from) rm owner ;;
    monitor) cat changes ;;
esac
"""
"""What labgrid-client does of all this; the adapter is tried with the real one in test_labgrid_place.py."""


@pytest.fixture(autouse=True)
def leases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of leases of its own."""
    folder = tmp_path / "leases"
    monkeypatch.setenv("HIL_LEASE_FOLDER", str(folder))
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where labgrid's program is, and what it was asked."""
    folder = tmp_path / "labgrid"
    folder.mkdir()
    (folder / "labgrid-client").write_text(CLIENT)
    (folder / "labgrid-client").chmod(0o755)
    monkeypatch.setenv("HIL_LABGRID", str(folder))
    return folder


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    """A rig with a real instrument and no hazard."""
    (tmp_path / "rig.toml").write_text(RIG)
    return tmp_path / "rig.toml"


def acquire() -> Tenancy:
    return Tenancy.acquire("wired", ttl_s=5.0, who="a test", keeps=["psu at x"], lab=LAB)


# -- without a keeper -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "keeper", "leased"),
    [("rigs/sim.toml", False, False), ("rigs/mixed.toml", False, True), ("rigs/processes.toml", True, True)],
)
def test_what_reaches_out_of_the_test_s_program_is_leased(file, keeper, leased):
    found = load_rig(ROOT / file)
    assert (has_keeper(found), is_leased(found)) == (keeper, leased)


def test_a_simulated_rig_on_the_wall_clock_is_nobody_else_s_business(tmp_path):
    twin = 'model = "hil.visa.keysight_34465a_twin:Keysight34465ATwin"'
    (tmp_path / "rig.toml").write_text(RIG.replace('resource = "TCPIP0::192.0.2.1::5025::SOCKET"', twin))
    assert not is_leased(load_rig(tmp_path / "rig.toml"))


def test_a_run_holds_its_rig_and_another_is_refused_until_it_is_over(rig, tmp_path):
    run = RunSession.begin(Settings(str(rig), tmp_path, folder=str(tmp_path / "one")))
    assert status("wired").state is State.HELD
    with pytest.raises(LeaseError, match=r"'run one', since .*; wait until it is released, or ask its holder"):
        RunSession.begin(Settings(str(rig), tmp_path, folder=str(tmp_path / "two")))
    run.finish()
    assert status("wired").state is State.FREE


def test_a_lease_without_a_keeper_outlasts_its_time_to_live():
    held = SessionLease("wired", ttl_s=0.1, who="a run")
    Event().wait(0.3)
    assert not status("wired").expired
    assert held.release() == ""


def test_a_lease_lost_during_a_run_makes_its_tests_inconclusive_from_then_on(rig, tmp_path):
    rig.write_text(f"{rig.read_text()}[safety]\nlease_s = 0.1\n")
    run = RunSession.begin(Settings(str(rig), tmp_path, folder=str(tmp_path / "one")))
    run.plan(["before", "after"])
    before = run.trial(Order("before"))
    before.measure("mass", 1.0, "kg", limit=(0.0, None))
    assert before.end_body().verdict is Verdict.PASS
    before.end()
    records = find_folder("wired", None)
    newest = records.newest()
    assert newest is not None
    records.supersede(newest[0], newest[1].token + 1)  # as somebody who takes over does
    assert await_true(lambda: bool(run.lease and run.lease.lost))
    after = run.trial(Order("after"))
    after.measure("mass", 1.0, "kg", limit=(0.0, None))
    found = after.end_body()
    after.end()
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "was taken over" in found.reason
    run.finish()


STOLEN = """
from hil.safety.lease_file import find_folder

def test_before(measure):
    measure("box.volts", 28.0, "V")

def test_after(measure):
    records = find_folder("wired", None)
    number, mine = records.newest()
    records.supersede(number, mine.token + 1)
    assert records.claim(number + 1, replace(mine, token=mine.token + 1, user="ada"))
    measure("box.volts", 28.0, "V")
"""


def test_a_worker_of_xdist_sees_that_the_lease_of_its_run_was_lost(tmp_path):
    suite = Suite(tmp_path, f"from dataclasses import replace\n{STOLEN}", RIG)
    ran = suite.run("-n", "1")
    assert (ran.verdict("test_before"), ran.verdict("test_after")) == ("PASS", "INCONCLUSIVE"), ran.text
    assert "somebody else may have had the rig during the test: lease" in ran.text
    assert "was taken over: ada" in ran.text


def test_a_lease_of_another_process_that_cannot_be_read_is_not_taken_for_held(leases):
    with Lease.acquire("wired", ttl_s=5.0, who="a run", keeps=()) as held:
        seen = LeaseSeen("wired", held.token)
        assert seen.lost == ""
        next(leases.glob("wired.*.lease")).write_bytes(b"?")
        assert "is no lease record" in seen.lost


def test_what_a_keeper_left_is_not_confirmed_by_a_run_without_one():
    with Lease.acquire("wired", ttl_s=5.0, who="a keeper that dies"):
        pass
    for _ in range(2):
        with pytest.raises(LeaseError, match="left by a keeper: run `hil safe` with the rig file that has the hazards"):
            SessionLease("wired", ttl_s=5.0, who="the next")
        assert status("wired").state is State.SAFING


def test_what_a_run_that_died_left_is_held_by_the_next_and_freed_by_hil_safe(rig):
    with Lease.acquire("wired", ttl_s=5.0, who="a run that dies", keeps=()):
        pass
    assert status("wired").state is State.SAFING
    SessionLease("wired", ttl_s=5.0, who="the next").release()
    assert status("wired").state is State.FREE
    with Lease.acquire("wired", ttl_s=5.0, who="a run that dies", keeps=()):
        pass
    assert CliRunner().invoke(main, ["safe", str(rig)]).exit_code == 0
    assert status("wired").state is State.FREE


def left_by_a_keeper(*keeps: str, unsafe: bool = False) -> None:
    with Lease.acquire("wired", ttl_s=5.0, who="a keeper that dies", keeps=keeps or None) as dying:
        if unsafe:
            dying.mark_unsafe("psu: output 1 reads 28 V")


@pytest.mark.parametrize("unsafe", [False, True])
def test_hil_safe_does_not_free_what_a_keeper_left_with_a_rig_file_that_has_no_hazard(rig, unsafe):
    left_by_a_keeper(PSU, unsafe=unsafe)
    left = status("wired")
    done = CliRunner().invoke(main, ["safe", str(rig)])
    assert done.exit_code == 13
    assert f"left by a keeper of {PSU}, which this rig file does not keep" in done.output
    assert (status("wired").token, status("wired").state) == (left.token, left.state)


def test_hil_safe_does_not_free_what_is_not_known_to_be_harmless(rig):
    left_by_a_keeper()
    done = CliRunner().invoke(main, ["safe", str(rig)])
    assert done.exit_code == 13
    assert "run `hil safe` with the rig file that has the hazards" in done.output


def test_a_rig_file_that_lacks_one_of_the_parts_left_is_refused_and_one_with_another_name_for_it_is_not():
    left_by_a_keeper("psu at A", "load at B")
    with pytest.raises(LeaseError, match="left by a keeper of load at B, which this rig file does not keep"):
        Lease.acquire("wired", ttl_s=5.0, who="the next", keeps=["psu at A", "dmm at C"])
    with Lease.acquire("wired", ttl_s=5.0, who="the next", keeps=["supply at A", "load at B", "dmm at C"]) as taken:
        assert isinstance(taken, Takeover)
    assert status("wired").keeps == ("supply at A", "load at B", "dmm at C")


@pytest.mark.parametrize("unsafe", [False, True])
def test_a_take_over_that_is_refused_leaves_the_parts_of_the_last_holder_and_not_its_own(unsafe):
    left_by_a_keeper("psu at A", unsafe=unsafe)
    left = status("wired")
    keeps = ["psu at A", "load at B"]
    Tenancy.acquire("wired", ttl_s=5.0, who="a greater rig file", keeps=keeps, unsafe_too=True).refuse()
    found = status("wired")
    assert (found.keeps, found.harmless, found.alive) == (("psu at A",), False, False)
    assert found.state is (State.UNSAFE if unsafe else State.SAFING)
    assert found.why == left.why
    with Lease.acquire("wired", ttl_s=5.0, who="hil safe", keeps=["psu at A"], unsafe_too=True) as taken:
        assert isinstance(taken, Takeover)


def test_a_take_over_of_what_is_harmless_leaves_it_harmless_when_it_is_refused():
    with Lease.acquire("wired", ttl_s=5.0, who="a run that dies", keeps=()):
        pass
    Tenancy.acquire("wired", ttl_s=5.0, who="a keeper", keeps=["psu at A"]).refuse()
    SessionLease("wired", ttl_s=5.0, who="the next").release()
    assert status("wired").state is State.FREE


def test_who_does_not_say_what_it_keeps_hands_on_what_was_left():
    left_by_a_keeper("psu at A")
    with Lease.acquire("wired", ttl_s=5.0, who="the next"):
        pass
    assert (status("wired").keeps, status("wired").harmless) == (("psu at A",), False)


def test_more_hazards_than_a_lease_has_room_for_are_refused():
    parts = [f"psu_{number} at TCPIP0::192.0.2.{number}::5025::SOCKET" for number in range(200)]
    with pytest.raises(LeaseError, match=r"its 200 hazardous parts take .* bytes, and a lease holds 7167"):
        Lease.acquire("wired", ttl_s=5.0, who="a run", keeps=parts)


def test_the_status_of_a_rig_names_what_is_hazardous(rig, told: Callable[[Path], str]):
    left_by_a_keeper("psu at A", unsafe=True)
    assert "hazardous: psu at A\n" in told(rig)


def test_hil_safe_refuses_a_rig_that_somebody_holds(rig):
    with Lease.acquire("wired", ttl_s=5.0, who="a run"):
        assert CliRunner().invoke(main, ["safe", str(rig)]).exit_code == 13


# -- between machines -------------------------------------------------------------------------------------------


def test_the_place_is_acquired_before_the_lease_and_released_after_it(lab):
    held = acquire()
    assert (lab / "said").read_text().split("\n")[:3] == ["show 0", "acquire 0", "show 0"]
    held.release(safe=True)
    assert not (lab / "owner").exists()
    assert status("wired").state is State.FREE


def test_a_place_that_another_machine_has_is_refused_and_nothing_is_leased(lab):
    (lab / "owner").write_text("elsewhere/ada")
    with pytest.raises(LeaseError, match="place bench at lab:1 is acquired by elsewhere/ada"):
        acquire()
    assert status("wired").token == 0


def test_a_place_is_given_back_when_the_lease_is_refused(lab):
    with Lease.acquire("wired", ttl_s=5.0, who="a run"):
        with pytest.raises(LeaseError, match="wait until it is released"):
            acquire()
        assert not (lab / "owner").exists()


def test_a_rig_that_is_not_safe_keeps_its_place_until_it_was_made_safe_here(lab):
    acquire().release(safe=False)
    assert (lab / "owner").exists()
    again = acquire()
    again.confirmed_safe()
    again.release(safe=True)
    assert not (lab / "owner").exists()


def test_a_place_that_somebody_kicks_is_lost_during_the_run_in_all_its_processes(lab):
    os.mkfifo(lab / "changes")
    held = SessionLease("wired", ttl_s=5.0, who="a run", lab=LAB)
    assert held.lost == ""
    (lab / "owner").write_text("elsewhere/ada")
    (lab / "changes").write_text("Place bench changed:\n")
    seen = LeaseSeen("wired", held.token)
    assert await_true(lambda: bool(seen.lost))
    assert "place bench at lab:1 was taken from" in held.lost
    assert seen.lost == held.lost
    assert held.lost in str(status("wired"))
    assert "elsewhere/ada has it" in held.release()
    assert (lab / "owner").read_text() == "elsewhere/ada"


def test_a_place_that_is_kicked_before_a_slow_monitor_has_connected_is_noticed_all_the_same(lab):
    os.mkfifo(lab / "changes")
    place, told = LabgridPlace("bench", "lab:1"), SimpleQueue[tuple[str, str]]()
    place.acquire(left_behind=False)
    watch = PlaceWatch(place, lambda owner, why: told.put((owner, why)), asked_s=0.02)
    assert await_true(lambda: (lab / "said").read_text().count("show") >= 3)  # it was asked once without news
    (lab / "owner").write_text("elsewhere/ada")
    assert told.get(timeout=10.0)[0] == "elsewhere/ada"
    watch.end()


def test_a_place_that_cannot_be_watched_is_told_as_lost(lab):
    place, told = LabgridPlace("bench", "lab:1"), SimpleQueue[tuple[str, str]]()
    place.acquire(left_behind=False)
    (lab / "labgrid-client").unlink()
    watch = PlaceWatch(place, lambda owner, why: told.put((owner, why)))
    owner, why = told.get(timeout=10.0)
    watch.end()
    assert owner == ""
    assert why.startswith("place bench at lab:1 cannot be watched: labgrid-client cannot be run: ")


def test_a_coordinator_that_does_not_answer_has_taken_nothing(lab):
    os.mkfifo(lab / "changes")
    held = SessionLease("wired", ttl_s=5.0, who="a run", lab=LAB)
    (lab / "silent").touch()
    (lab / "changes").write_text("Place bench changed:\n")
    assert await_true(lambda: (lab / "said").read_text().count("show") >= 3)
    (lab / "silent").unlink()
    assert held.release() == ""


def test_the_status_of_a_rig_says_who_has_its_place(lab, rig, told: Callable[[Path], str]):
    rig.write_text(RIG + '[lab]\ncoordinator = "lab:1"\nplace = "bench"\n')
    assert "place bench at lab:1: nobody has it" in told(rig)
    (lab / "owner").write_text("elsewhere/ada")
    assert "place bench at lab:1: elsewhere/ada has it" in told(rig)


def test_without_labgrid_the_status_names_the_remedy(rig, told: Callable[[Path], str], monkeypatch):
    rig.write_text(RIG + '[lab]\ncoordinator = "lab:1"\nplace = "bench"\n')
    monkeypatch.setenv("HIL_LABGRID", "")
    monkeypatch.setenv("PATH", "")
    assert "place bench: there is no labgrid-client" in told(rig)


@pytest.fixture
def told() -> Callable[[Path], str]:
    """``hil rig status``."""
    return lambda rig: CliRunner().invoke(main, ["rig", "status", str(rig)]).output
