"""Real-time scheduling: asked for in a process of its own, where it is given and where it is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

ASK = """
import gc, json, os, resource, sys, threading
import hil.realtime as realtime
{before}
asked = realtime.request({arguments})
def other(): found.append(os.sched_getscheduler(0))
found = []
thread = threading.Thread(target=other); thread.start(); thread.join()
status = open("/proc/self/status").read()
locked = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmLck:"))
print(json.dumps({{
    "granted": {{grant.what: grant.granted for grant in asked.grants}}, "lines": asked.lines(),
    "complete": asked.complete, "policy": os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK,
    "priority": os.sched_getparam(0).sched_priority, "thread": found[0], "locked_kb": locked,
    "cpus": sorted(os.sched_getaffinity(0)), "frozen": gc.get_freeze_count(),
    "collects": gc.isenabled(), "switch_s": sys.getswitchinterval(),
}}))
"""
NOBODY = """
resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
resource.setrlimit(resource.RLIMIT_MEMLOCK, (1 << 20, 1 << 20))
if os.getuid() == 0:
    os.setuid(65534)
"""


def ask(arguments: str = "", before: str = "") -> dict:
    """What a process of its own gets."""
    code = ASK.format(arguments=arguments, before=before)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def plain() -> dict:
    return ask(f"70, cpus={{{min(os.sched_getaffinity(0))}}}")


@pytest.fixture(scope="module")
def refused() -> dict:
    return ask(before=NOBODY)


def test_what_is_reported_as_given_is_what_the_host_has_set(plain: dict) -> None:
    assert (plain["policy"] == os.SCHED_FIFO) == plain["granted"]["scheduling class"]
    assert plain["priority"] == (70 if plain["granted"]["scheduling class"] else 0)
    assert (plain["locked_kb"] > 0) == plain["granted"]["memory lock"]
    assert plain["cpus"] == [min(os.sched_getaffinity(0))]
    assert plain["complete"] == all(plain["granted"].values())


def test_garbage_waits_and_threads_switch_sooner_whatever_the_host_permits(refused: dict) -> None:
    assert refused["frozen"] > 1_000
    assert not refused["collects"]
    assert refused["switch_s"] == pytest.approx(1e-4)


def test_another_thread_is_scheduled_as_ever(plain: dict) -> None:
    assert plain["thread"] == os.SCHED_OTHER


def test_without_permission_nothing_is_an_error_and_every_refusal_names_its_remedy(refused: dict) -> None:
    assert not refused["complete"]
    assert refused["policy"] == os.SCHED_OTHER
    assert refused["locked_kb"] == 0
    lines = "\n".join(refused["lines"])
    assert "scheduling class: no SCHED_FIFO 80: EPERM; this user may have priorities up to 0; as root write" in lines
    assert "'@realtime - rtprio 80' into /etc/security/limits.d/hil.conf" in lines
    assert (
        "memory lock: no mlockall: the limit is 1048576 bytes; as root write '@realtime - memlock unlimited'" in lines
    )


def test_a_priority_or_processor_that_is_none_is_refused_in_words() -> None:
    found = ask("0, lock_memory=False, cpus={4096}")
    assert found["lines"][0] == "scheduling class: no SCHED_FIFO 0: priorities are 1 to 99"
    assert found["lines"][1].startswith("processors: no only 4096: this process may use ")
    assert "memory lock" not in found["granted"]
