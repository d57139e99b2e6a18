"""The notice of a process's death: it comes however the process dies, and not when it says goodbye."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from hil.safety.control import ControlSocket
from hil.safety.death_notice import DeathNotice, await_death
from hil.safety.launch import KeeperDoor, KeeperLink, exit_code_of, start_keeper
from hil.safety.plan import KeeperPlan

if TYPE_CHECKING:
    from pathlib import Path

    from hil.safety.control import Message, Peer

PATIENCE_S = 10.0
HOLDS = """
import os, signal, socket, sys
from hil.safety.death_notice import DeathNotice
link = socket.socket(fileno=int(sys.argv[1]))
notice = DeathNotice.hold()
socket.send_fds(link, [b"held"], [notice.descriptor])
{end}
"""
JOINS = """
import os, sys
from hil.safety.launch import KeeperDoor, KeeperLink
link = KeeperLink(KeeperDoor(sys.argv[1], 0))
os.set_inheritable(link._socket.fileno(), True)
{end}
"""
WAIT = "sys.stdin.read()"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="NOT_RUN: notices of death are Linux's")


class Awaited:
    """A notice that somebody waits for in a thread."""

    def __init__(self, descriptor: int) -> None:
        self.died: list[bool] = []
        self._thread = threading.Thread(target=lambda: self.died.append(await_death(descriptor)), daemon=True)
        self._thread.start()

    def result(self) -> bool:
        self._thread.join(PATIENCE_S)
        assert self.died, "nothing was told"
        return self.died[0]


def child_that(end: str) -> tuple[subprocess.Popen[bytes], int]:
    """A process that holds a mutex, and what it sent."""
    here, there = socket.socketpair()
    with here:
        with there:
            command = [sys.executable, "-c", HOLDS.format(end=end), str(there.fileno())]
            child = subprocess.Popen(command, pass_fds=[there.fileno()], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        _, descriptors, _, _ = socket.recv_fds(here, 16, 1)
    return child, descriptors[0]


@pytest.mark.parametrize(
    "end",
    [
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os._exit(0)",
        "os.kill(os.getpid(), signal.SIGSEGV)",
        "os.execv('/bin/true', ['true'])",
        "pass",
    ],
)
def test_a_notice_comes_however_a_process_ends_that_says_no_goodbye(end: str) -> None:
    child, descriptor = child_that(end)
    with child:
        assert Awaited(descriptor).result()


def test_a_process_killed_from_outside_gives_notice_though_its_child_lives_on() -> None:
    child, descriptor = child_that(f"os.fork(); {WAIT}")
    with child:
        awaited = Awaited(descriptor)
        child.kill()
        assert awaited.result()


def test_a_goodbye_gives_no_notice() -> None:
    child, descriptor = child_that(f"notice.give_back(); {WAIT}")
    with child:
        assert not Awaited(descriptor).result()


def test_neither_a_child_nor_another_thread_gives_notice_for_the_process_that_holds_it() -> None:
    end = (
        "import threading; thread = threading.Thread(target=notice.give_back); thread.start(); thread.join();"
        f"os.fork() or os._exit(0); os.wait(); print('done', flush=True); {WAIT}; os.kill(os.getpid(), signal.SIGKILL)"
    )
    child, descriptor = child_that(end)
    with child:
        awaited = Awaited(descriptor)
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline() == b"done\n"
        assert awaited.died == []
        child.stdin.close()
        assert awaited.result()


def test_only_the_main_thread_can_hold_a_notice() -> None:
    held: list[DeathNotice | None] = []
    thread = threading.Thread(target=lambda: held.append(DeathNotice.hold()))
    thread.start()
    thread.join(PATIENCE_S)
    assert held == [None]


@pytest.mark.parametrize("size", [0, 2, 4096])
def test_memory_that_nobody_holds_gives_no_notice(size: int) -> None:
    descriptor = os.memfd_create("test")
    os.truncate(descriptor, size)
    assert not Awaited(descriptor).result()


class Told:
    """A control socket that answers every question, and what it told of processes that are gone."""

    def __init__(self, path: Path) -> None:
        self.gone: list[int] = []
        self.came = threading.Event()
        self.path = path
        ControlSocket(path, self._said, self._is_gone, starter=os.getpid())

    def _said(self, peer: Peer, message: Message) -> None:
        peer.joined = peer.joined or message.get("do") == "join"
        peer.left = message.get("do") == "leave"
        peer.reply(ok=True, to=message.get("number"))

    def _is_gone(self, pid: int) -> None:
        self.gone.append(pid)
        self.came.set()

    def process_that(self, end: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", JOINS.format(end=end), str(self.path)]
        return subprocess.Popen(command, stdin=subprocess.PIPE)


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path / "control")


def test_the_keeper_acts_on_the_notice_before_connection_or_process_have_ended(told: Told) -> None:
    with told.process_that("os.execv('/bin/cat', ['cat'])") as child:
        assert told.came.wait(PATIENCE_S)
        assert child.poll() is None
        assert told.gone == [child.pid]


def test_who_leaves_is_not_gone(told: Told) -> None:
    with told.process_that("link.leave()"):
        pass
    with told.process_that("os._exit(0)") as child:
        assert told.came.wait(PATIENCE_S)
    assert set(told.gone) == {child.pid}


def test_a_notice_that_never_comes_does_not_hold_up_the_end_of_the_keeper(tmp_path: Path) -> None:
    plan = KeeperPlan(
        rig="notice", outlets=[], who="a test", lease_folder=str(tmp_path),
        silence_s=60.0, deadline_s=60.0, hold_s=60.0, lease_s=5.0,
    )  # fmt: skip
    door = start_keeper(plan)
    link, other = KeeperLink(door), KeeperLink(KeeperDoor(door.control, door.pid))
    link.end()
    assert exit_code_of(door, PATIENCE_S) == 0
    other.close()
