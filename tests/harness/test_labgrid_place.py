"""A rig as a place at a real labgrid coordinator on loopback; NOT_RUN where labgrid is not installed."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hil.errors import ToolMissingError
from hil.safety.errors import LeaseError
from hil.safety.labgrid_place import LabgridPlace
from hil.safety.place_watch import PlaceWatch

FOLDERS = os.pathsep.join([os.environ.get("HIL_LABGRID", ""), str(Path(sys.executable).parent), os.environ["PATH"]])


def program(name: str) -> str:
    found = shutil.which(name, path=FOLDERS)
    if found is None:
        pytest.skip(f"NOT_RUN: there is no {name}; pip install labgrid, or name its folder in HIL_LABGRID")
    return found


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory):
    """``HOST:PORT`` of a coordinator with the place ``bench``."""
    client = program("labgrid-client")
    with subprocess.Popen(
        [program("labgrid-coordinator"), "-l", "127.0.0.1:0"],
        cwd=tmp_path_factory.mktemp("labgrid"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().removeprefix("listening on ").strip()
            subprocess.run([client, "-x", address, "-p", "bench", "create"], check=True, capture_output=True)
            yield address
        finally:
            process.kill()


def place(coordinator: str, host: str, name: str = "bench") -> LabgridPlace:
    return LabgridPlace(name, coordinator, host=host, client=program("labgrid-client"))


def test_one_machine_has_a_place_and_gives_it_back(coordinator):
    here, there = place(coordinator, "here"), place(coordinator, "there")
    here.acquire(left_behind=False)

    with pytest.raises(LeaseError, match=f"is acquired by {here.me}, not by {there.me}"):
        there.acquire(left_behind=False)
    with pytest.raises(LeaseError, match=f"was taken from {there.me}; {here.me} has it"):
        there.release()
    here.release()
    assert there.owner() is None


def test_what_a_dead_holder_left_is_given_back_and_what_a_person_reserved_is_kept(coordinator):
    place(coordinator, "here").acquire(left_behind=False)
    reserved, left = place(coordinator, "here"), place(coordinator, "here")
    reserved.acquire(left_behind=False)
    reserved.release()
    assert reserved.owner() == reserved.me

    left.acquire(left_behind=True)
    left.release()
    assert left.owner() is None


def test_a_place_that_another_machine_kicks_is_noticed(coordinator):
    here, there = place(coordinator, "here"), place(coordinator, "there")
    ours, told = here.command("acquire"), queue.SimpleQueue[tuple[str, str]]()
    subprocess.run(ours, env=here.environment, check=True, capture_output=True)
    watch = PlaceWatch(here, lambda owner, why: told.put((owner, why)))
    try:
        kick = there.command("release", "--kick")
        subprocess.run(kick, env=there.environment, check=True, capture_output=True)
        assert told.get(timeout=30.0) == ("", f"place bench at {coordinator} was taken from {here.me}; nobody has it")
    finally:
        watch.end()


def test_an_abbreviated_name_is_no_place(coordinator):
    with pytest.raises(LeaseError, match="has no place ben, only bench; make it: labgrid-client -p ben create"):
        place(coordinator, "here", "ben").acquire(left_behind=False)


def test_a_coordinator_that_is_not_there_is_named():
    with pytest.raises(LeaseError, match=r"labgrid at 127\.0\.0\.1:1: show bench was refused: .*[Cc]ould not connect"):
        place("127.0.0.1:1", "here").owner()


def test_without_labgrid_the_remedy_is_named():
    with pytest.raises(ToolMissingError, match=r"no such-client, and place bench is at .*; pip install labgrid"):
        LabgridPlace("bench", "127.0.0.1:1", client="no such-client")
