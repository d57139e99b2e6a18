"""The test's side of the keeper: starts it, tells it what the test does, and asks whether the rig is safe."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hil.safety.death_notice import DeathNotice
from hil.safety.errors import AuthorityError, KeeperError, NoGrantError, UnsafeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hil.safety.plan import KeeperPlan

_BEGIN_S = 30.0  # how long a keeper may take to open its instruments and to make the rig safe
_PLACE_S = 90.0  # how long it may take to give a place at a coordinator of labgrid back
_ANSWER_S = 30.0  # how long the answer of a keeper may take that did not say


@dataclass(frozen=True)
class KeeperDoor:
    """Where a keeper is reached."""

    control: str
    pid: int
    doors: Mapping[str, str] = field(default_factory=dict[str, str])
    """Where every hazardous instrument, I/O card and bus is reached, by name."""
    answer_s: float = _ANSWER_S
    """How long its answer may take: the longest safe sequence, and some more [s]."""
    leaving_s: float = 0.0
    """How long it may take to give the rig back, after its last answer [s]."""

    def dump(self) -> str:
        """As text, for a worker of the same run."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> KeeperDoor:
        """From :meth:`dump`."""
        return cls(**json.loads(text))


def start_keeper(plan: KeeperPlan) -> KeeperDoor:
    """Start a keeper in a session of its own, and wait until the rig is confirmed safe.

    Raises:
        KeeperError: when it could not begin: the rig is held by somebody else, an instrument does not answer.
        UnsafeError: when the rig could not be confirmed safe.
    """
    child, told = _started(plan)
    if "control" not in told:
        child.wait(_BEGIN_S + leaving_s(plan))
        raise _refusal(plan, told)
    _CHILDREN[told["pid"]] = child
    return KeeperDoor(told["control"], told["pid"], told["doors"], told["answer_s"], told["leaving_s"])


def leaving_s(plan: KeeperPlan) -> float:
    """How long a keeper may take to give a rig back once it is safe [s]."""
    return 0.0 if plan.lab is None else _PLACE_S


def run_safe_only(plan: KeeperPlan) -> None:
    """Have a rig made safe, and nothing else.

    Raises:
        KeeperError: when the keeper could not begin.
        UnsafeError: when the rig could not be confirmed safe.
    """
    child, told = _started(plan)
    if child.wait(_BEGIN_S + leaving_s(plan)) != 0:
        raise _refusal(plan, told)


def _started(plan: KeeperPlan) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """The keeper's process, and the first thing it said."""
    if plan.record is not None:
        Path(plan.record).parent.mkdir(parents=True, exist_ok=True)
    log = subprocess.DEVNULL if plan.record is None else Path(plan.record).with_suffix(".log").open("ab")
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "hil.safety.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    finally:
        if not isinstance(log, int):
            log.close()
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(plan.model_dump_json().encode())
    child.stdin.close()
    line = child.stdout.readline()
    child.stdout.close()
    return child, json.loads(line) if line else {}


def _refusal(plan: KeeperPlan, told: Mapping[str, Any]) -> KeeperError | UnsafeError:
    why = str(told.get("error", f"the keeper of {plan.rig} ended before it said anything"))
    return UnsafeError(why) if told.get("unsafe") else KeeperError(why)


_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}
"""The keepers this process started, so that their exit code can be asked."""


def exit_code_of(door: KeeperDoor, within_s: float = _BEGIN_S) -> int | None:
    """How a keeper that this process started has ended; None when it runs on, or another process started it."""
    child = _CHILDREN.get(door.pid)
    if child is None:
        return None
    try:
        return child.wait(within_s)
    except subprocess.TimeoutExpired:
        return None


class KeeperLink:
    """A connection to a keeper.

    Args:
        door: where it is reached.
        joins: whether the end of this process without a goodbye makes the rig safe.

    Raises:
        KeeperError: when it is not there.
    """

    def __init__(self, door: KeeperDoor, *, joins: bool = True) -> None:
        self.door = door
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(door.answer_s)
        self._received = b""
        self._asked = 0
        self._silent = ""
        self._by = ""
        self._taken: list[Mapping[str, object]] = []
        try:
            self._socket.connect(door.control)
        except OSError as problem:
            raise KeeperError(
                f"the keeper (process {door.pid}) is not there: {problem}; the rig may be live"
            ) from problem
        self._notice = DeathNotice.hold() if joins else None
        if joins:
            self._join()

    def progress(self) -> None:
        """The test makes progress; costs a few microseconds and never fails."""
        with suppress(OSError):  # a keeper that is gone is found by the next call that asks something
            self._socket.send(b'{"do": "progress"}\n', socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def begin(self, test: str, deadline_s: float | None = None) -> None:
        """A test begins.

        Args:
            test: its name.
            deadline_s: what it may take [s]; what the rig file says unless given.

        Raises:
            KeeperError: when the keeper does not allow it.
        """
        told = self._ask(do="begin", test=test, deadline_s=deadline_s)
        if not told.get("ok"):
            raise KeeperError(f"the keeper does not let {test} begin: {told.get('why')}")

    def enter(self, phase: str) -> None:
        """The articles are in another phase.

        Raises:
            KeeperError: when the keeper is gone.
        """
        self._ask(do="phase", phase=phase)

    def hold(self, why: str, most_s: float | None = None) -> None:
        """Declare a hold: the test will stand still, and may.

        Args:
            why: what for, for the record.
            most_s: how long at most [s]; as long as the rig file allows unless given.

        Raises:
            KeeperError: when the keeper does not allow it, or is gone.
        """
        told = self._ask(do="hold", why=why, most_s=most_s)
        if not told.get("ok"):
            raise KeeperError(f"the keeper does not hold the test: {told.get('why')}")

    def resume(self) -> None:
        """The hold is over.

        Raises:
            KeeperError: when the keeper is gone.
        """
        self._ask(do="resume")

    @property
    def operator(self) -> str:
        """Who has taken the rig over from the test; "" when nobody has."""
        try:
            while b"\n" in self._received or select.select([self._socket], [], [], 0.0)[0]:
                self._hear(self._told())
        except (OSError, ValueError, KeeperError):  # what is asked next says that the keeper is gone
            self._by = ""
        return self._by

    def take_overs(self) -> list[Mapping[str, object]]:
        """Who has taken the rig over since this was asked last (``by``), and what for (``why``)."""
        _ = self.operator
        found, self._taken = self._taken, []
        return found

    def permit(self, action: str, grants: Sequence[bytes]) -> tuple[int, Mapping[str, object]]:
        """Have a hazardous action permitted now; the keeper judges the grants itself.

        Args:
            action: its name.
            grants: what the run was given, as in their files.

        Returns:
            Which of the grants holds, and what the keeper's record says of it.

        Raises:
            AuthorityError: with all that is wrong; :class:`NoGrantError` when the run was given none.
            KeeperError: when the keeper is gone.
        """
        told = self._ask(do="permit", action=action, grants=[grant.decode("ascii") for grant in grants])
        if not told.get("ok"):
            raise (AuthorityError if grants else NoGrantError)(str(told.get("why")))
        return cast("int", told["grant"]), cast("Mapping[str, object]", told["permit"])

    def why_not_energise(self, outlet: str) -> str:
        """Why a part may not energise anything now; "" when it may. What decides is asked again when it does.

        Raises:
            KeeperError: when the keeper is gone.
        """
        told = self._ask(do="may", outlet=outlet)
        return "" if told.get("ok") else str(told.get("why"))

    def make_safe(self, *, at_once: bool = False) -> None:
        """The test is over: have the rig made safe; an operator who has it hands it back before.

        Args:
            at_once: whoever has it.

        Raises:
            UnsafeError: when it is not confirmed.
        """
        self._demand_safe(self._ask(do="safe", at_once=at_once))

    def leave(self) -> None:
        """This process takes no further part."""
        self._ask(do="leave")
        self.close()

    def end(self) -> list[str]:
        """The run is over: have the rig made safe for the last time, and end the keeper.

        Returns:
            What was left on, and why it may be.

        Raises:
            UnsafeError: when it is not confirmed safe.
        """
        told = self._ask(do="end")
        self.close()
        self._demand_safe(told)
        kept = told.get("kept_on")
        return [str(name) for name in cast("list[object]", kept)] if isinstance(kept, list) else []

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
        if self._notice is not None:
            self._notice.give_back()

    def _join(self) -> None:
        """Take part in the run; the notice of this process's death goes with the first byte, where there is one."""
        if self._notice is not None:
            with suppress(OSError):  # the question finds that the keeper is gone
                socket.send_fds(self._socket, [b"\n"], [self._notice.descriptor])
            self._notice.close()
        self._ask(do="join")

    @staticmethod
    def _demand_safe(told: Mapping[str, object]) -> None:
        if not told.get("ok"):
            raise UnsafeError(
                f"UNSAFE: {told.get('why') or told.get('state')}; stay clear, cut the supplies by hand, then run "
                "`hil safe` with the rig file"
            )

    def _ask(self, **message: object) -> Mapping[str, object]:
        if self._silent:
            raise KeeperError(self._silent)
        self._asked += 1
        try:
            self._socket.sendall(json.dumps({**message, "number": self._asked}).encode() + b"\n")
            while True:
                told = self._told()
                self._hear(told)
                if told.get("to") == self._asked:  # an earlier question that was broken off is answered late
                    return told
        except OSError as problem:
            self._silent = f"the keeper (process {self.door.pid}) does not answer: {problem}; the rig may be live"
            raise KeeperError(self._silent) from problem

    def _hear(self, told: Mapping[str, object]) -> None:
        """Take in what was not asked: an operator takes the rig over, during which answers may take as long."""
        if told.get("news") == "taken":
            self._by = str(told["by"])
            self._taken.append(told)
            self._socket.settimeout(self.door.answer_s + cast("float", told["most_s"]))
        elif told.get("news") == "back":
            self._by = ""
            self._socket.settimeout(self.door.answer_s)

    def _told(self) -> Mapping[str, object]:
        """The next thing the keeper says."""
        while b"\n" not in self._received:
            data = self._socket.recv(1 << 16)
            if not data:
                raise KeeperError("the keeper ended: it made the rig safe on its own, or it died; its record says")
            self._received += data
        line, self._received = self._received.split(b"\n", 1)
        return cast("Mapping[str, object]", json.loads(line))
