"""The kill matrix: however a run ends, the supply is off afterwards, or the run says UNSAFE and keeps the lease.

What is asserted is the voltage at the load, seen beside the instrument's SCPI; the exit code; what the lease says; and
that no process is left. ``HIL_KILL_ROUNDS=20`` repeats it, ``HIL_KILL_TIMES=file`` collects the times.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kill_bench import PATIENCE_S, SILENCE_S, WATCHDOG_S, Bench, Supply, await_true
from kill_network import Network

from hil.safety.lease_record import State

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

ROUNDS = int(os.environ.get("HIL_KILL_ROUNDS", "1"))
SENT_MS = 500.0
"""From the end to the command that makes safe [ms], on a machine that runs other tests; docs/kill-matrix.md says what
an idle one reaches."""
OFF_S = 2.0
DESCRIBES_S = 8.0
"""pytest first describes where it was interrupted, and then puts the rig back; a loaded machine takes its time [s]."""
UNSAFE, INCOMPLETE, ERROR, FAIL, INTERRUPTED = 14, 12, 13, 1, 2
_QUALIFY = (sys.executable, "-m", "hil.cli", "qualify")
_QUALIFY_SOON = """
import sys
from pathlib import Path
from hil.campaign.qualify import qualify
options = ["-p", "hil.pytest_plugin", "-p", "no:cacheprovider", "-p", "no:faulthandler"]
done = qualify([sys.argv[1], *options], sys.argv[2], root=Path.cwd(), folder=Path(sys.argv[3]), grace_s=0.3)
sys.exit(done.code)
"""

pytestmark = pytest.mark.parametrize("round_", range(ROUNDS))


@pytest.fixture(scope="module")
def the_supply() -> Iterator[Supply]:
    supply = Supply()
    yield supply
    supply.close()


@pytest.fixture
def supply(the_supply: Supply) -> Iterator[Supply]:
    yield the_supply
    the_supply.tell("clear")


@pytest.fixture
def bench(tmp_path: Path, supply: Supply, request: pytest.FixtureRequest, round_: int) -> Iterator[Bench]:
    with bench_on(tmp_path, supply, request.node.originalname, round_) as opened:
        yield opened


@contextmanager
def bench_on(
    folder: Path, supply: Supply, kind: str, round_: int, resource: str = "", within: tuple[str, ...] = ()
) -> Generator[Bench]:
    """A bench; its times are kept when the test has passed."""
    opened = Bench(folder, supply, resource, within)
    try:
        yield opened
        note(kind, round_, opened)
    finally:
        opened.close()


def note(kind: str, round_: int, bench: Bench) -> None:
    """Keep the times of one end."""
    off_ms = (bench.supply.sides[-1][0] - bench.killed_ns) / 1e6
    times = bench.times_ms() | ({"end to off": off_ms} if bench.supply.sides[-1][1] == "below" else {})
    print(f"{kind}: " + ", ".join(f"{name} {value:.1f} ms" for name, value in times.items()))
    if file := os.environ.get("HIL_KILL_TIMES"):
        line = {"kind": kind, "round": round_, "lease": bench.lease.name, "times_ms": times}
        with Path(file).open("a") as out:
            out.write(json.dumps(line) + "\n")


def assert_made_safe(bench: Bench, *, code: int, sent_ms: float = SENT_MS) -> None:
    """Off, confirmed, the lease free, the exit code right, nothing left over."""
    bench.supply.await_side("below", since_ns=bench.killed_ns, within_s=sent_ms / 1000.0 + OFF_S)
    found = bench.await_exit()
    bench.await_keeper()
    assert found == code, bench.output
    assert bench.times_ms()["end to sent"] <= sent_ms
    assert bench.record[-1]["state"] == "SAFE-CONFIRMED"
    assert bench.lease is State.FREE
    assert not bench.supply.is_on
    assert bench.left_over() == []


def assert_unsafe(bench: Bench, *, code: int = UNSAFE, keeper_ends: bool = True) -> None:
    """The run says UNSAFE, and the lease is kept."""
    found = bench.await_exit()
    if keeper_ends:
        bench.await_keeper()
        assert bench.lease is State.UNSAFE
        assert bench.left_over() == []
    assert found == code, bench.output
    assert "UNSAFE" in bench.output
    assert bench.lease is not State.FREE


def assert_silence_is_noticed(bench: Bench) -> None:
    """A world that runs because an instrument does not answer is no progress of the test."""
    assert bench.times_ms()["end to sent"] <= HANG_MS


def assert_watchdog_acts(bench: Bench) -> None:
    """The instrument switches off by itself."""
    off_ns = bench.supply.await_side("below", since_ns=bench.killed_ns, within_s=2.0 * WATCHDOG_S + OFF_S)
    assert off_ns - bench.killed_ns < (WATCHDOG_S + OFF_S) * 1e9


def assert_made_safe_by_hand(bench: Bench) -> None:
    """``hil safe`` confirms that it is safe, and frees the rig."""
    assert bench.make_safe_by_hand() == 0
    assert bench.lease is State.FREE
    assert not bench.supply.is_on


# -- the test ends by itself ------------------------------------------------------------------------------------


def test_assertion_fails(bench: Bench) -> None:
    bench.start("test_assertion_fails")
    bench.go_to_its_end()
    assert_made_safe(bench, code=FAIL, sent_ms=2000.0)


def test_setup_raises_after_energising(bench: Bench) -> None:
    bench.start("test_setup_raises")
    bench.go_to_its_end()
    assert_made_safe(bench, code=ERROR, sent_ms=2000.0)


def test_segfault(bench: Bench) -> None:
    bench.start("test_segfault")
    bench.go_to_its_end()
    assert_made_safe(bench, code=-signal.SIGSEGV)


def test_exit_without_goodbye_is_incomplete(bench: Bench) -> None:
    bench.start("test_os_exit", command=_QUALIFY)
    bench.go_to_its_end()
    assert_made_safe(bench, code=INCOMPLETE)


# -- signals ----------------------------------------------------------------------------------------------------


def test_interrupt_once(bench: Bench) -> None:
    bench.allow_silence(DESCRIBES_S)
    bench.start("test_waits")
    bench.go()
    bench.kill(bench.pid, signal.SIGINT)
    assert_made_safe(bench, code=INTERRUPTED, sent_ms=DESCRIBES_S * 1000.0)


def test_interrupt_twice(bench: Bench) -> None:
    bench.allow_silence(DESCRIBES_S)
    bench.start("test_waits")
    bench.go()
    bench.kill(bench.pid, signal.SIGINT)
    os.kill(bench.pid, signal.SIGINT)
    assert_made_safe(bench, code=INTERRUPTED, sent_ms=DESCRIBES_S * 1000.0)


def test_terminate(bench: Bench) -> None:
    bench.start("test_waits")
    bench.go()
    bench.kill(bench.pid, signal.SIGTERM)
    assert_made_safe(bench, code=-signal.SIGTERM)


def test_hang_up(bench: Bench) -> None:
    bench.start("test_measures")
    bench.go()
    bench.kill(bench.pid, signal.SIGHUP)
    assert_made_safe(bench, code=-signal.SIGHUP)


def test_kill(bench: Bench) -> None:
    bench.start("test_measures")
    bench.go()
    bench.kill(bench.pid, signal.SIGKILL)
    assert_made_safe(bench, code=-signal.SIGKILL)


def test_kill_of_the_process_group(bench: Bench) -> None:
    bench.start("test_waits")
    bench.go()
    bench.kill(-os.getpgid(bench.pid), signal.SIGKILL)
    assert_made_safe(bench, code=-signal.SIGKILL)


def test_kill_under_qualify_is_incomplete(bench: Bench) -> None:
    bench.start("test_waits", command=_QUALIFY)
    bench.go()
    bench.kill(bench.pid, signal.SIGKILL)
    assert_made_safe(bench, code=INCOMPLETE)
    assert "INCOMPLETE" in bench.output


def test_kill_of_the_controller_of_xdist(bench: Bench) -> None:
    bench.start("test_waits", options=["-p", "xdist.plugin", "-n", "1"])
    bench.go()
    bench.kill(bench.child.pid, signal.SIGKILL)
    bench.supply.await_side("below", since_ns=bench.killed_ns, within_s=OFF_S)
    bench.await_gone([bench.pid])
    assert_made_safe(bench, code=-signal.SIGKILL)


def test_kill_of_a_worker_of_xdist(bench: Bench) -> None:
    bench.start("test_waits", options=["-p", "xdist.plugin", "-n", "1", "--max-worker-restart=0"])
    bench.go()
    bench.kill(bench.pid, signal.SIGKILL)
    assert_made_safe(bench, code=INCOMPLETE)


def test_kill_while_the_host_is_loaded(bench: Bench) -> None:
    bench.start("test_measures")
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        bench.go()
        bench.kill(bench.pid, signal.SIGKILL)
        assert_made_safe(bench, code=-signal.SIGKILL, sent_ms=2000.0)
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


# -- hangs ------------------------------------------------------------------------------------------------------

HANG_MS = SILENCE_S * 1000.0 + SENT_MS


def test_blocking_read(bench: Bench) -> None:
    bench.start_through(_QUALIFY_SOON, "test_blocking_read")
    bench.go_to_its_end()
    assert_made_safe(bench, code=INCOMPLETE, sent_ms=HANG_MS)


def test_interpreter_held_for_ever_is_ended_by_qualify(bench: Bench) -> None:
    bench.start_through(_QUALIFY_SOON, "test_holds_the_interpreter")
    bench.go_to_its_end()
    assert_made_safe(bench, code=INCOMPLETE, sent_ms=HANG_MS)


def test_stopped_process_is_ended_by_qualify(bench: Bench) -> None:
    bench.start_through(_QUALIFY_SOON, "test_waits")
    bench.go()
    bench.kill(bench.pid, signal.SIGSTOP)
    assert_made_safe(bench, code=INCOMPLETE, sent_ms=HANG_MS)


# -- the instrument ---------------------------------------------------------------------------------------------


def test_frozen_supply(bench: Bench, supply: Supply) -> None:
    bench.start("test_measures")
    supply.tell("fault frozen")
    bench.go()
    bench.kill(bench.pid, signal.SIGKILL)
    assert_unsafe_after_kill(bench)


def test_frozen_supply_fails_the_run(bench: Bench, supply: Supply) -> None:
    bench.start("test_measures")
    supply.tell("fault frozen")
    bench.ends_now()
    bench.go()
    assert_unsafe(bench)
    assert_silence_is_noticed(bench)


def test_supply_that_acknowledges_off_and_stays_on(bench: Bench, supply: Supply) -> None:
    bench.start("test_assertion_fails")
    supply.tell("fault stays_on")
    bench.go_to_its_end()
    assert_unsafe(bench)
    assert supply.is_on
    assert bench.make_safe_by_hand() == UNSAFE
    supply.tell("clear")
    assert_made_safe_by_hand(bench)


def test_refused_port(bench: Bench, supply: Supply) -> None:
    bench.start("test_measures")
    bench.go()
    bench.ends_now()
    supply.tell("fault refused")
    assert_unsafe(bench)
    assert_watchdog_acts(bench)


def test_dropped_connection_is_made_anew(bench: Bench, supply: Supply) -> None:
    bench.start("test_measures")
    bench.go()
    bench.ends_now()
    supply.tell("fault dropped")
    assert_made_safe(bench, code=ERROR, sent_ms=2000.0)


# -- the network ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["pull_the_cable", "drop_everything", "unplug_the_adapter"])
def test_network(tmp_path: Path, how: str, round_: int, capsys: pytest.CaptureFixture[str]) -> None:
    with Network() as network:
        if not network.real:
            if how != "pull_the_cable":
                pytest.skip("NOT_RUN: no network namespaces here; a relay that swallows everything was cut instead")
            print("no network namespaces here: a relay that swallows everything")
        within = tuple(network.within)
        with bench_on(tmp_path, network.supply, how, round_, network.resource, within) as bench:
            bench.start("test_measures")
            bench.go()
            bench.ends_now()
            cut: Callable[[], None] = getattr(network, how)
            cut()
            assert_unsafe(bench)
            assert_silence_is_noticed(bench)
            assert_watchdog_acts(bench)


# -- the disk ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[None]:
    folder = tmp_path / "run"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("NOT_RUN: no small file system can be mounted here; run as root")
    yield
    subprocess.run(["umount", str(folder)], check=True)


def test_disk_full(small_disk: None, bench: Bench) -> None:
    bench.start("test_disk_full")
    bench.go_to_its_end()
    bench.supply.await_side("below", since_ns=bench.killed_ns, within_s=2.0 + OFF_S)
    assert bench.await_exit() == ERROR, bench.output
    bench.await_gone(bench.left_over())
    assert bench.lease is State.FREE
    assert not bench.supply.is_on


# -- the keeper itself ------------------------------------------------------------------------------------------


def test_keeper_killed(bench: Bench) -> None:
    bench.start("test_measures")
    bench.go()
    bench.kill(bench.keeper, signal.SIGKILL)
    assert_watchdog_acts(bench)
    assert_unsafe(bench, keeper_ends=False)
    assert_made_safe_by_hand(bench)


def test_keeper_stopped(bench: Bench) -> None:
    bench.start_through(_QUALIFY_SOON, "test_waits")
    bench.go()
    bench.kill(bench.keeper, signal.SIGSTOP)
    assert_watchdog_acts(bench)
    os.kill(bench.pid, signal.SIGINT)
    assert_unsafe(bench, keeper_ends=False)
    os.kill(bench.keeper, signal.SIGCONT)
    bench.await_keeper()
    assert bench.lease is State.FREE  # it went on, made the rig safe, and proved it


def test_both_killed(bench: Bench) -> None:
    bench.start("test_waits")
    bench.go()
    bench.kill(bench.keeper, signal.SIGKILL)
    os.kill(bench.pid, signal.SIGKILL)
    assert_watchdog_acts(bench)
    assert bench.await_exit() == -signal.SIGKILL
    assert bench.lease is State.HELD
    assert re.search(r"gone[\s\S]*hazardous: psu at TCPIP0::", bench.rig_status()[1])
    assert_made_safe_by_hand(bench)


def test_both_killed_under_qualify_is_unsafe(bench: Bench) -> None:
    bench.start("test_waits", command=_QUALIFY)
    bench.go()
    bench.kill(bench.keeper, signal.SIGKILL)
    os.kill(bench.pid, signal.SIGKILL)
    assert_watchdog_acts(bench)
    assert_unsafe(bench, keeper_ends=False)


def assert_unsafe_after_kill(bench: Bench) -> None:
    """The test is gone and cannot say it; the lease and ``hil rig status`` do."""
    assert bench.await_exit() == -signal.SIGKILL
    bench.await_keeper()
    assert bench.lease is State.UNSAFE
    assert bench.rig_status()[0] == UNSAFE
    assert await_true(lambda: bench.left_over() == [], PATIENCE_S)
