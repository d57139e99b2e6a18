"""Keepers in the test's own process, on instruments that say what a test tells them to say."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from sim_world import OnClock

from hil.safety.keeper import Keeper, State
from hil.safety.lease import Lease
from hil.safety.outlet import Outlet
from hil.safety.plan import KeeperPlan, OutletPlan, SafeStepPlan, WatchdogPlan
from hil.safety.record import KeeperRecord, read_record
from hil.visa.gate import Gate
from hil.visa.keysight_n6700 import KeysightN6700
from hil.visa.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

Opened = TypeVar("Opened", bound="OnClock")

PATIENCE_S = 10.0
OFF = "OUTP OFF,(@1:4)"
IDENTITY = "Keysight Technologies,N6702C,S1,E.02"
SAFE = [
    SafeStepPlan(write=OFF, query="OUTP? (@1:4)", expect="0,0,0,0", within_ms=100),
    SafeStepPlan(query="MEAS:VOLT? (@1:4)", below_v=1.0, within_ms=100),
]


class Instrument:
    """A supply on a socket. ``answers`` overrides what it says; None says nothing, bytes are sent as they are."""

    def __init__(self) -> None:
        self.on = False
        self.heard: list[str] = []
        self.answers: dict[str, str | bytes | None] = {}
        self.changed = threading.Condition()
        self.slow = threading.Event()
        """While it is clear, nothing is answered."""
        self.slow.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.links: list[socket.socket] = []
        self.resource = f"TCPIP0::127.0.0.1::{self._listener.getsockname()[1]}::SOCKET"
        threading.Thread(target=self._run, daemon=True).start()

    def await_heard(self, message: str) -> None:
        """Wait until it was sent a message."""
        with self.changed:
            assert self.changed.wait_for(lambda: message in self.heard, PATIENCE_S), self.heard

    def say(self, text: bytes) -> None:
        """Say something that nobody asked for."""
        self.links[-1].sendall(text)

    def hang_up(self) -> None:
        """End all connections; new ones are taken."""
        for link in self.links:
            with suppress(OSError):  # the keeper has closed it
                link.shutdown(socket.SHUT_RDWR)
        self.links.clear()

    def close(self) -> None:
        self.slow.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def _run(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.links.append(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with suppress(OSError), link, link.makefile("rb") as lines:
            for line in lines:
                message = line.decode("latin-1").strip()
                with self.changed:
                    self.heard.append(message)
                    self.changed.notify_all()
                answer = self._answer(message)
                self.slow.wait(PATIENCE_S)
                if answer is not None:
                    link.sendall(answer if isinstance(answer, bytes) else answer.encode() + b"\n")

    def _answer(self, message: str) -> str | bytes | None:
        if message in self.answers:
            return self.answers[message]
        match message.partition(" ")[0]:
            case "OUTP":
                self.on = "ON" in message
                return None
            case "*IDN?":
                return IDENTITY
            case "OUTP?":
                return "1,0,0,0" if self.on else "0,0,0,0"
            case "MEAS:VOLT?":
                return "28.0,0.0,0.0,0.0" if self.on else "0.0,0.0,0.0,0.0"
            case "SYST:ERR?":
                return '+0,"No error"'
            case _:
                return "7" if message.endswith("?") or "? " in message else None


def outlet_plan(name: str = "psu", **fields: Any) -> OutletPlan:
    """What a rig file says of an instrument."""
    given: dict[str, Any] = {"driver": "-", "resource": "-", "hazard": 1, "safe": SAFE}
    return OutletPlan(name=name, **(given | fields))


def gate_of(name: str = "psu") -> Gate:
    """The gate of a supply."""
    return Gate(name, KeysightN6700, {"voltage_max_v": 36.0})


WATCHDOG = WatchdogPlan(enable="WDOG ON", disable="WDOG OFF", clear="CLE", timeout_ms=200.0)


class KeeperHere(OnClock):
    """A keeper in this process; what it keeps is its subclass's matter.

    Args:
        folder: of its record and lease.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def open_keeper(self, plan: KeeperPlan, why_not: Callable[[str], str]) -> None:
        """Make the keeper, on the clock; ``why_not`` says why an output must stay off."""
        lease = Lease.acquire(plan.rig, ttl_s=plan.lease_s, who=plan.who, folder=self.folder / "lease")
        assert isinstance(lease, Lease)
        self.lease = lease
        self.record = KeeperRecord(self.folder / "keeper.jsonl")
        self.keeper = Keeper(plan, self.clock, lease, self.record, why_not)

    def await_state(self, *states: State) -> State:
        """Wait until the rig is known to be in one of these states."""
        found: list[State] = []
        reached = threading.Event()

        def look() -> None:
            if self.keeper.state in states and not found:
                found.append(self.keeper.state)
                reached.set()

        event = self.do(lambda: self.clock.every(1_000_000, look))
        assert reached.wait(PATIENCE_S), f"{self.keeper.state}, {self.keeper.trouble}"
        self.do(event.cancel)
        return found[0]

    def begin(self, test: str = "test", deadline_s: float | None = None) -> str:
        """Begin a test once the rig is safe; why it may not."""
        self.await_state(State.SAFE)
        return self.do(lambda: self.keeper.begin(test, deadline_s))

    def recorded(self, what: str) -> list[dict[str, object]]:
        """The lines of a kind in the record, with what was noted until now."""
        self.do(lambda: None)
        return [line for line in read_record(self.folder / "keeper.jsonl") if line["what"] == what]


@contextmanager
def opening(kind: Callable[..., Opened], *first: object) -> Iterator[Callable[..., Opened]]:
    """What opens such things with more arguments; all are closed at the end."""
    with ExitStack() as closing:
        yield lambda *args, **fields: closing.enter_context(kind(*first, *args, **fields))


class Kept(KeeperHere):
    """A keeper in this process.

    Args:
        folder: of its record and lease.
        instruments: what it keeps, by name.
        outlets: more of what the rig file says of each.
        limits: of the plan.
    """

    def __init__(
        self,
        folder: Path,
        *,
        outlets: dict[str, dict[str, Any]] | None = None,
        why_not: Callable[[str], str] = lambda _: "",
        **limits: Any,
    ) -> None:
        super().__init__(folder)
        self.instruments = {name: Instrument() for name in (outlets or {"psu": {}})}
        self._fields = outlets or {"psu": {}}
        self._why_not = why_not
        most = {"silence_s": 5.0, "deadline_s": 60.0, "deadline_max_s": 60.0, "hold_s": 60.0, "hold_sum_s": 60.0}
        self._limits: dict[str, Any] = {**most, "lease_s": 5.0, **limits}

    def build(self) -> Callable[[], None]:
        plans = [outlet_plan(name, **fields) for name, fields in self._fields.items()]
        plan = KeeperPlan(rig="kept", outlets=plans, who="a test", **self._limits)
        self.open_keeper(plan, self._why_not)
        self.outlets = {
            made.name: Outlet(
                made, gate_of(made.name), Upstream.open(self.instruments[made.name].resource, made.name), self.keeper
            )
            for made in plans
        }
        self.keeper.serve(self.outlets)
        return self._end

    def _end(self) -> None:
        for outlet in self.outlets.values():
            outlet.order(None)
        for outlet in self.outlets.values():
            outlet.join(PATIENCE_S)
        self.record.close()
        for instrument in self.instruments.values():
            instrument.close()

    @property
    def psu(self) -> Instrument:
        """The first instrument."""
        return next(iter(self.instruments.values()))

    def end_test(self) -> bool:
        """End the test; whether the rig is confirmed safe."""
        told, done = list[bool](), threading.Event()
        self.do(lambda: self.keeper.end_test(lambda safe: (told.append(safe), done.set())))
        assert done.wait(PATIENCE_S)
        return told[0]

    def connect(self, outlet: str = "psu") -> Client:
        """A test's connection to an outlet."""
        return Client(self.outlets[outlet].port)


class Client:
    """A test's connection to a port of the keeper."""

    def __init__(self, port: int) -> None:
        self._link = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._lines = self._link.makefile("rb")

    def say(self, *messages: str) -> None:
        self._link.sendall("".join(f"{message}\n" for message in messages).encode())

    def ask(self, message: str) -> str:
        self.say(message)
        return self.hear()

    def hear(self) -> str:
        """One line; "" when the keeper has hung up."""
        try:
            return self._lines.readline().decode().rstrip("\n")
        except ConnectionResetError:
            return ""

    def close(self) -> None:
        self._lines.close()
        self._link.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
