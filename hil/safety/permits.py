"""The permits of one test: which hazardous actions it may do now.

A permit is asked for by name before each single action, and judged anew each time: by the register, by the list of
revocations, by the clock, and by the interlock that the grant names. It ends with the test. A bench's keeper and a
simulated rig use this same code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.clock import utc_now
from hil.errors import HilError
from hil.safety.authority import Authority
from hil.safety.errors import AuthorityError, NoGrantError
from hil.safety.register import Register

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hil.safety.authority import Permit
    from hil.safety.grant import Grant

_HOW = "`hil grant request`, `hil grant sign` by two persons, then --grant FILE (docs/authority.md)"


class Permits:
    """What a test was permitted.

    Args:
        rig: name of the rig.
        register: file of the persons who may grant, ``[safety].authority``; None when the rig file names none.
        why_open: why an interlock, by its name, does not read back now; "" when it does.
    """

    def __init__(self, rig: str, register: Path | None, why_open: Callable[[str], str]) -> None:
        self._rig = rig
        self._register = register
        self._why_open = why_open
        self._given: dict[str, Grant] = {}

    def demand(self, action: str, grants: Sequence[Grant]) -> Permit:
        """Permit one action now.

        Args:
            action: its name, for example ``fts.terminate``.
            grants: what the run was given; the first that holds counts.

        Raises:
            NoGrantError: when the run was given none.
            AuthorityError: with all that is wrong with every one of them.
        """
        self._given.pop(action, None)
        if not grants:
            raise NoGrantError(f"{action} on rig {self._rig} is not granted: no grant was given to this run: {_HOW}")
        reasons: list[str] = []
        for grant in grants:
            try:
                permit = self._judge(action, grant)
            except AuthorityError as refused:
                reasons.append(str(refused))
                continue
            self._given[action] = grant
            return permit
        raise AuthorityError(f"{' | '.join(dict.fromkeys(reasons))}. A new grant: {_HOW}")

    def why_not(self, action: str) -> str:
        """Why what needs this action must not happen now; "" when a permit of this test still holds."""
        grant = self._given.get(action)
        if grant is None:
            return f"{action} was not permitted in this test; it needs a grant, and rig.permit({action!r})"
        try:
            self._judge(action, grant)
        except HilError as refused:
            return str(refused)
        return ""

    def forget(self) -> None:
        """The test is over, and so is every permit."""
        self._given = {}

    def _judge(self, action: str, grant: Grant) -> Permit:
        """Judge one grant; with every reason, the interlock's among them.

        Raises:
            AuthorityError: when it does not hold.
        """
        reasons: list[str] = []
        permit = None
        try:
            permit = self._authority().check(grant, action, self._rig, utc_now())
        except HilError as refused:
            reasons.append(str(refused))
        opened = self._why_open(grant.interlock)
        if opened:
            reasons.append(f"the interlock of the grant does not read back: {opened}")
        if permit is None or reasons:
            raise AuthorityError("; ".join(reasons))
        return permit

    def _authority(self) -> Authority:
        if self._register is None:
            raise AuthorityError(f"rig {self._rig} knows nobody who may grant; name a register: [safety] authority")
        return Authority(Register(self._register))
