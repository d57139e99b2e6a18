"""A network between a run and its supply that can be cut: two network namespaces and a cable.

Where namespaces cannot be made, a relay takes the cable's place; it swallows everything when it is stopped.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kill_bench import Supply

if TYPE_CHECKING:
    from typing import Self

_RELAY = str(Path(__file__).with_name("kill_relay.py"))
_HERE, _THERE = "10.77.0.1", "10.77.0.2"


def _ip(*words: str) -> bool:
    return subprocess.run(["ip", *words], check=False, capture_output=True).returncode == 0


class Network:
    """The supply, behind a network of its own."""

    def __init__(self) -> None:
        self._run, self._bench = f"hil_run_{os.getpid()}", f"hil_bench_{os.getpid()}"
        self.real = self._made()
        """Whether it is a network of the kernel; else it is a relay."""
        there: list[str] = ["ip", "netns", "exec", self._bench] if self.real else []
        self.within: list[str] = ["ip", "netns", "exec", self._run] if self.real else []
        self.supply = Supply(there)
        host = _THERE if self.real else "127.0.0.1"
        command = [*there, sys.executable, _RELAY, host, str(self.supply.port)]
        self._relay = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._relay.stdout is not None
        self.resource = f"TCPIP0::{host}::{int(self._relay.stdout.readline())}::SOCKET"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.supply.close()
        self._relay.kill()
        self._relay.wait()
        assert self._relay.stdout is not None
        self._relay.stdout.close()
        for name in (self._run, self._bench):
            _ip("netns", "del", name)

    def pull_the_cable(self) -> None:
        """Nothing arrives any more, nothing is said of it."""
        if self.real:
            assert _ip("-n", self._bench, "link", "set", "eth0", "down")
        else:
            os.kill(self._relay.pid, signal.SIGSTOP)

    def drop_everything(self) -> None:
        """Every packet is dropped on its way out; the interface stays up."""
        dropped = ["tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "8bit", "burst", "1", "latency", "1ms"]
        assert _ip("netns", "exec", self._run, *dropped)

    def unplug_the_adapter(self) -> None:
        """The network interface is gone from the computer."""
        assert _ip("-n", self._run, "link", "del", "eth0")

    def _made(self) -> bool:
        steps = [
            ("netns", "add", self._run),
            ("netns", "add", self._bench),
            ("-n", self._run, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", self._bench),
        ]
        for name, address in ((self._run, _HERE), (self._bench, _THERE)):
            steps += [("-n", name, "link", "set", "lo", "up"), ("-n", name, "link", "set", "eth0", "up")]
            steps.append(("-n", name, "address", "add", f"{address}/24", "dev", "eth0"))
        try:
            return all(_ip(*step) for step in steps)
        except OSError:
            return False
