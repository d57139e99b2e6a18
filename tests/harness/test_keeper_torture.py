"""Keepers killed, stopped and left at random: never two connections to the instrument, and always safe in the end."""

from __future__ import annotations

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING

import numpy as np
from keeper_bench import SAFE, Client, Instrument

from hil.clock import Stopwatch
from hil.safety.errors import KeeperError
from hil.safety.launch import KeeperDoor, KeeperLink, exit_code_of, start_keeper
from hil.safety.plan import KeeperPlan, OutletPlan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CYCLES = int(os.environ.get("HIL_TORTURE_CYCLES", "1"))
SEED = 7
TTL_S = 0.5
STUCK_S = TTL_S + 20.0  # and two keepers that start on a loaded machine
ESTABLISHED = 1  # first byte of TCP_INFO


class Witness(Instrument):
    """An instrument that notes how many others were connected when somebody connected."""

    def __init__(self) -> None:
        self.others: list[int] = []
        self._witnessed: list[socket.socket] = []
        super().__init__()

    def _serve(self, link: socket.socket) -> None:
        states = [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] for each in self._open()]
        self.others.append(states.count(ESTABLISHED))
        self._witnessed.append(link)
        super()._serve(link)

    def _open(self) -> list[socket.socket]:
        return [each for each in self._witnessed if each.fileno() >= 0]


def plan_for(witness: Witness, folder: Path) -> KeeperPlan:
    driver = "hil.visa.keysight_n6700:KeysightN6700"
    outlet = OutletPlan(name="psu", driver=driver, resource=witness.resource, hazard=1, safe=SAFE)
    return KeeperPlan(
        rig="torture", outlets=[outlet], who="torture", lease_folder=str(folder),
        silence_s=60.0, deadline_s=60.0, hold_s=60.0, lease_s=TTL_S,
    )  # fmt: skip


def won(plan: KeeperPlan) -> KeeperDoor | None:
    """The keeper that was started; None when the rig is held."""
    try:
        return start_keeper(plan)
    except KeeperError:
        return None


def next_keeper(plan: KeeperPlan, pool: ThreadPoolExecutor) -> tuple[KeeperDoor, float]:
    """The one of two keepers that gets the rig, and how long it took until one did [s]."""
    watch = Stopwatch()
    while watch.elapsed_s < STUCK_S:
        doors = [door for door in pool.map(won, [plan, plan]) if door is not None]
        assert len(doors) < 2, "two keepers drive"
        if doors:
            return doors[0], watch.elapsed_s
    raise AssertionError(f"nobody gets the rig within {STUCK_S:g} s")


def ends() -> Iterator[str]:
    rng = np.random.default_rng(SEED)
    return chain(("kill", "stop"), (str(rng.choice(["kill", "stop", "leave"])) for _ in repeat(None)))


def test_keepers_that_end_somehow_are_followed_by_one_that_makes_safe_alone(tmp_path, capsys):
    witness, waits = Witness(), list[float]()
    plan = plan_for(witness, tmp_path / "lease")
    with ThreadPoolExecutor(2) as pool:
        door = start_keeper(plan)
        for end in islice(ends(), CYCLES):
            link = KeeperLink(door)
            link.begin("torture")
            with Client(int(door.doors["psu"].split("::")[2])) as test:
                test.say("OUTP ON,(@1)")
                assert test.ask("OUTP? (@1:4)") == "1,0,0,0"
                if end != "leave":
                    os.kill(door.pid, signal.SIGKILL if end == "kill" else signal.SIGSTOP)
                link.close()
            left, (door, waited_s) = door, next_keeper(plan, pool)
            waits.append(waited_s)
            assert not witness.on, f"the keeper after one that was ended by {end} did not make safe"
            assert exit_code_of(left) == {"leave": 0}.get(end, -signal.SIGKILL)
        KeeperLink(door).end()
    witness.close()
    assert max(witness.others) == 0, "two connections at the same time"
    with capsys.disabled():
        print(f" [{CYCLES} cycles, {len(witness.others)} connections, next keeper after {max(waits):.1f} s at most]")
