"""One holder per rig: who gets the lease, who is refused, and what a dead holder leaves behind."""

from __future__ import annotations

import os
import platform
import select
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hil.clock import Stopwatch
from hil.safety.errors import LeaseError
from hil.safety.holder import Holder, start_ticks
from hil.safety.lease import Lease, Takeover, status
from hil.safety.lease_file import Folder
from hil.safety.lease_record import Record, State, Word

HOLDER = """
import os, sys
from pathlib import Path
from hil.safety.lease import Lease

if "nobody" in sys.argv:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
held = Lease.acquire("bench", ttl_s=float(sys.argv[2]), who="the other test", folder=Path(sys.argv[1]))
if "unsafe" in sys.argv:
    held.mark_unsafe("psu output 1 reads 28 V")
print(held.token, flush=True)
sys.stdin.read()
"""


class Other:
    """Another process that holds the rig."""

    def __init__(self, folder: Path, ttl_s: float = 100.0, *words: str) -> None:
        arguments = [sys.executable, "-c", HOLDER, str(folder), str(ttl_s), *words]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.token = int(self.process.stdout.readline())

    def end(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait()

    def __enter__(self) -> Other:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def acquire(folder: Path, ttl_s: float = 100.0, **more: bool) -> Lease:
    held = Lease.acquire("bench", ttl_s=ttl_s, who="a test", folder=folder, **more)
    assert isinstance(held, Lease)
    return held


def take_over(folder: Path, **more: bool) -> Takeover:
    held = Lease.acquire("bench", ttl_s=100.0, who="a test", folder=folder, **more)
    assert isinstance(held, Takeover)
    return held


def expire(folder: Path) -> None:
    while not status("bench", folder).expired:
        select.select([], [], [], 0.005)


def test_a_released_rig_is_free_for_the_next_with_a_greater_token(tmp_path):
    with acquire(tmp_path) as first:
        first.release()
    with acquire(tmp_path) as second:
        assert second.token == first.token + 1
        second.release()

    assert status("bench", tmp_path).state == State.FREE


def test_who_asks_for_a_rig_that_is_held_is_told_by_whom_and_since_when(tmp_path):
    with (
        Other(tmp_path) as other,
        pytest.raises(LeaseError, match=rf"HELD: \w+, process {other.process.pid} on .*'the other test', since 20"),
    ):
        acquire(tmp_path)


def test_a_process_that_holds_the_rig_does_not_get_it_twice(tmp_path):
    with acquire(tmp_path), pytest.raises(LeaseError, match=f"process {os.getpid()}"):
        acquire(tmp_path)


def test_a_dead_holder_leaves_the_duty_to_make_the_rig_safe(tmp_path):
    with Other(tmp_path) as other:
        other.end()
        with take_over(tmp_path) as found:
            assert (found.state, found.previous.pid, found.token) == (State.SAFING, other.process.pid, other.token + 1)
            held = found.confirmed_safe()
            assert (held.state, held.still_mine(), found.still_mine()) == (State.HELD, True, False)
            held.release()


def test_who_dies_while_making_a_rig_safe_leaves_that_duty_too(tmp_path):
    with Other(tmp_path) as other:
        other.end()
        with Other(tmp_path) as second:
            second.end()
            take_over(tmp_path).release()


def test_a_holder_that_leaves_without_saying_safe_leaves_the_duty(tmp_path):
    with acquire(tmp_path):
        pass

    assert "without a confirmed safe state" in str(status("bench", tmp_path))
    take_over(tmp_path).release()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_an_unsafe_rig_stays_so_until_somebody_confirms_that_it_is_safe(tmp_path, number):
    with Other(tmp_path, 0.01, "unsafe") as other:
        other.end(number)
        expire(tmp_path)
        with pytest.raises(LeaseError, match=r"UNSAFE \(psu output 1 reads 28 V\).*hil safe bench"):
            acquire(tmp_path)
        with take_over(tmp_path, unsafe_too=True):
            pass
        with pytest.raises(LeaseError, match="hil safe bench"):
            acquire(tmp_path)
        take_over(tmp_path, unsafe_too=True).confirmed_safe().release()
        acquire(tmp_path).release()


def test_a_stopped_holder_is_killed_once_its_time_has_run_out(tmp_path):
    with Other(tmp_path, 0.2) as other:
        watch = Stopwatch()
        other.end(signal.SIGSTOP)
        with pytest.raises(LeaseError, match="wait until it is released"):
            acquire(tmp_path)
        expire(tmp_path)
        take_over(tmp_path).release()

        assert other.process.wait(5.0) == -signal.SIGKILL
        assert watch.elapsed_s < 0.2 + 2.0


def test_a_holder_whose_time_ran_out_may_not_write_until_it_renews(tmp_path):
    with acquire(tmp_path, ttl_s=0.01) as held:
        expire(tmp_path)
        assert not held.still_mine()
        held.renew()
        assert held.still_mine()


def test_a_holder_that_was_taken_over_is_refused_with_the_name_of_the_new_one(tmp_path):
    with acquire(tmp_path, ttl_s=0.01) as held:
        expire(tmp_path)
        found = take_over(tmp_path)  # in this process, which nobody kills for it
        assert not held.still_mine()
        with pytest.raises(LeaseError, match=f"taken over: .*process {os.getpid()}.*'a test'"):
            held.renew()
        found.release()


def test_a_holder_that_was_taken_over_may_not_write_though_it_has_time_left(tmp_path):
    with acquire(tmp_path) as held:
        Folder(tmp_path, "bench").supersede(1, held.token + 1)

        assert held.remaining_s > 0.0
        assert not held.still_mine()


def test_a_forked_child_does_not_drive_the_rig(tmp_path):
    with acquire(tmp_path) as held:
        child = os.fork()
        if child == 0:
            held.__exit__(None, None, None)  # nor does it give it back
            os._exit(held.still_mine())

        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert held.still_mine()


def test_a_recycled_process_number_is_not_taken_for_the_holder():
    this = Holder.this()
    recycled = Holder(this.pid, this.start_ticks - 1, this.pid_space, this.boot)

    assert (this.is_alive(), recycled.is_alive()) == (True, False)
    recycled.kill()  # nobody: this test goes on


def test_after_a_boot_no_holder_is_alive():
    this = Holder.this()

    assert not Holder(this.pid, this.start_ticks, this.pid_space, "another boot").is_alive()


def test_a_holder_in_another_process_namespace_lives_as_long_as_its_record_is_open(tmp_path, monkeypatch):
    with Other(tmp_path, 0.01) as other:
        expire(tmp_path)
        monkeypatch.setattr("hil.safety.holder._pid_space", lambda: 1)
        with pytest.raises(LeaseError, match="runs in another process namespace; end it there"):
            acquire(tmp_path)
        other.end()
        take_over(tmp_path).release()


@pytest.mark.skipif(os.getuid() != 0, reason="NOT_RUN: only root can be two users")
def test_another_users_process_is_not_killed_and_is_named():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o1777)
        with Other(folder, 0.01) as other:
            expire(folder)
            arguments = [sys.executable, "-c", HOLDER, name, "1", "nobody"]
            child = subprocess.run(arguments, capture_output=True, text=True, check=False)

            assert f"root, process {other.process.pid} on" in child.stderr
            assert "may not be killed from here; its user or root can end it" in child.stderr
            other.end()
        with Other(folder, 1.0, "nobody") as other:
            other.end()
        take_over(folder).release()


def left_by(folder: Path, boot: str, host: str) -> None:
    """A record of a holder that drove the rig in another boot, or on another machine."""
    here = Holder.this()
    holder = Holder(here.pid, here.start_ticks, here.pid_space, boot)
    record = Record(7, State.HELD, holder, 0, 1, 1, "ada", host, "2026-03-01T09:00:00", "last night's run")
    assert Folder(folder, "bench").claim(1, record) is not None


def test_a_rig_that_was_driven_when_the_machine_went_down_has_to_be_made_safe(tmp_path):
    left_by(tmp_path, "another boot", platform.node())

    found = take_over(tmp_path)
    assert (found.token, found.previous.user) == (8, "ada")
    found.release()


def test_a_record_of_another_machine_is_refused(tmp_path):
    left_by(tmp_path, "its boot", "its name")

    with pytest.raises(LeaseError, match=r"written on another machine.*use labgrid.*remove its files there"):
        acquire(tmp_path)


def test_of_many_that_want_a_free_rig_at_once_one_gets_it(tmp_path):
    start = threading.Barrier(8)

    def want(_: int) -> Lease | Takeover | None:
        start.wait()
        try:
            return Lease.acquire("bench", ttl_s=100.0, who="one of many", folder=tmp_path)
        except LeaseError:
            return None

    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            (held,) = (got for got in pool.map(want, range(8)) if got is not None)
            held.release()


def test_a_rig_stays_in_the_folder_where_it_was_leased_first(tmp_path, monkeypatch):
    permanent, lock, common = (tmp_path / name for name in ("lib", "lock", "tmp"))
    monkeypatch.delenv("HIL_LEASE_FOLDER", raising=False)
    monkeypatch.setattr("hil.safety.lease_file._PLACES", (permanent, lock))
    monkeypatch.setattr("hil.safety.lease_file._SHARED_BY_ALL", common)
    common.mkdir()
    Lease.acquire("old", ttl_s=1.0, who="a test").release()
    permanent.mkdir()

    assert [status(rig).folder for rig in ("old", "new")] == [common, permanent]


def test_the_folder_is_made_for_all_users_of_the_machine(tmp_path):
    acquire(tmp_path / "made").release()

    assert (tmp_path / "made").stat().st_mode & 0o7777 == 0o1777
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "made").iterdir()} == {0o666}


class OneRig(RuleBasedStateMachine):
    """Whatever is done with a lease in whichever order, the next one gets what the last one left."""

    def __init__(self) -> None:
        super().__init__()
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = Path(self.scratch.name)
        self.left = State.FREE
        self.held: Lease | Takeover | None = None
        self.token = 0

    def teardown(self) -> None:
        self.scratch.cleanup()

    @rule(unsafe_too=st.booleans())
    def acquire(self, unsafe_too: bool) -> None:
        try:
            got = Lease.acquire("bench", ttl_s=100.0, who="a test", folder=self.folder, unsafe_too=unsafe_too)
        except LeaseError:
            assert self.held is not None or (self.left == State.UNSAFE and not unsafe_too)
            return
        assert self.held is None
        assert got.token > self.token
        after = {State.FREE: State.HELD, State.UNSAFE: State.UNSAFE}
        assert (got.state, isinstance(got, Lease)) == (after.get(self.left, State.SAFING), self.left == State.FREE)
        self.held, self.left, self.token = got, got.state, got.token

    @precondition(lambda self: isinstance(self.held, Takeover))
    @rule()
    def confirm(self) -> None:
        self.held, self.left = self.held.confirmed_safe(), State.HELD

    @precondition(lambda self: self.held is not None)
    @rule()
    def mark_unsafe(self) -> None:
        self.held.mark_unsafe("a reason")
        self.left = State.UNSAFE

    @precondition(lambda self: self.held is not None)
    @rule(safe=st.booleans())
    def release(self, safe: bool) -> None:
        self.held.release(safe=safe)
        if safe or self.left != State.UNSAFE:
            self.left = State.FREE if safe else State.SAFING
        self.held = None

    @precondition(lambda self: self.held is not None)
    @rule()
    def sleep_too_long(self) -> None:
        """Time runs out for everybody: the holder may not write, and another one may take over."""
        self.held._words[Word.RENEWED] = 0
        self.held._until_ns = 0
        assert not self.held.still_mine()
        self.held = None

    @precondition(lambda self: self.held is not None)
    @rule()
    def renew(self) -> None:
        self.held.renew()

    @invariant()
    def says_what_it_is(self) -> None:
        assert status("bench", self.folder).state == self.left
        assert self.held is None or self.held.still_mine()


TestOneRig = OneRig.TestCase
TestOneRig.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)


def test_a_file_that_is_no_record_is_refused_by_name(tmp_path):
    (tmp_path / "bench.0000000001.lease").write_bytes(b"?")

    with pytest.raises(LeaseError, match=r"bench\.0000000001\.lease: is no lease record: has 1 bytes.*remove the file"):
        acquire(tmp_path)


def test_old_records_are_removed_and_the_newest_is_kept(tmp_path):
    for _ in range(20):
        held = acquire(tmp_path)
        held.release()

    assert len(list(tmp_path.iterdir())) == 8
    assert status("bench", tmp_path).token == held.token


def test_the_guard_of_each_write_costs_about_a_microsecond(tmp_path):
    with acquire(tmp_path) as held:
        watch = Stopwatch()
        for _ in range(100_000):
            held.still_mine()

        assert watch.elapsed_s / 100_000 < 10e-6  # ten times what it takes, for a loaded machine
        held.release()


@pytest.mark.parametrize(("name", "ttl_s"), [("../etc", 1.0), ("", 1.0), ("bench", 0.0), ("bench", float("nan"))])
def test_a_rig_name_that_is_no_file_and_a_time_that_never_ends_are_refused(tmp_path, name, ttl_s):
    with pytest.raises(LeaseError):
        Lease.acquire(name, ttl_s=ttl_s, who="a test", folder=tmp_path)


@given(st.text(max_size=500), st.text(max_size=500), st.integers(0, 2**64 - 1))
def test_a_record_reads_back_what_it_says_of_long_texts_the_beginning(who, why, token):
    holder = Holder(1, 2, 3, "boot")
    record = Record(token, State.UNSAFE, holder, 0, 1, 2, "user", "host", "since", who, why)
    content = record.encode()
    found = Record.decode(content)

    assert len(content) == 8192
    assert who.replace("\0", " ").startswith(found.who)
    assert why.replace("\0", " ").startswith(found.why)
    assert (found.token, found.state, found.holder, found.host) == (token, State.UNSAFE, holder, "host")


def test_a_record_of_before_a_lease_said_what_is_kept_is_read():
    holder = Holder(1, 2, 3, "boot")
    record = Record(7, State.SAFING, holder, 0, 1, 2, "user", "host", "since", "who", "why", harmless=True)
    content = record.encode()

    assert Record.decode(content[:1016] + content[-8:]) == record


@given(st.binary(max_size=2000))
def test_bytes_that_are_no_record_are_refused(content):
    with pytest.raises(ValueError, match=r"bytes|begins"):
        Record.decode(content)


@given(st.binary(max_size=16).filter(lambda name: b"\n" not in name), st.integers(0, 2**63))
def test_the_start_time_is_found_whatever_a_process_calls_itself(name, ticks):
    fields = [b"S", *(b"%d" % n for n in range(18)), b"%d" % ticks, b"9", b"9"]

    assert start_ticks(b"77 (" + name + b") " + b" ".join(fields)) == ticks
