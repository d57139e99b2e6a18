"""Authority to arm: a hazardous action happens only under a valid grant of two different persons.

A caller asks again for each single action: a grant ends, and may be revoked while a test runs. The same question is
asked on the simulated rig.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from hil.errors import InterlockError
from hil.safety.errors import AuthorityError
from hil.safety.grant import instant

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hil.safety.grant import Grant, Signature
    from hil.safety.register import Register

_PERSONS = 2


@dataclass(frozen=True, slots=True)
class Identity:
    """One of those who granted.

    Args:
        name: as in the register.
        key: fingerprint of the key that signed.
    """

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Permit:
    """A grant that was found valid, for one action at one moment; :meth:`document` goes into the evidence.

    Args:
        grant: the grant.
        persons: those who signed it.
        checked_utc: when it was found valid.
    """

    grant: Grant
    persons: tuple[Identity, ...]
    checked_utc: str

    @classmethod
    def of(cls, grant: Grant, document: Mapping[str, object]) -> Permit:
        """The permit that :meth:`document` was made from.

        Args:
            grant: its grant.
            document: what was said of it.
        """
        persons = cast("list[dict[str, str]]", document["persons"])
        identities = tuple(Identity(person["name"], person["key"]) for person in persons)
        return cls(grant, identities, str(document["checked_utc"]))

    def demand_interlock(self, *, reads_back: bool) -> None:
        """The last question before the action.

        Args:
            reads_back: whether the interlock that the grant names was read back just now.

        Raises:
            InterlockError: when it was not.
        """
        if not reads_back:
            raise InterlockError(
                f"{self.grant.action} on rig {self.grant.rig} is granted, but the interlock {self.grant.interlock} "
                "does not read back; connect it and turn the key switch"
            )

    def document(self) -> dict[str, object]:
        """What the evidence says of it: the action, both identities, the time of validity."""
        grant = self.grant
        return {
            "grant": grant.id,
            "rig": grant.rig,
            "action": grant.action,
            "begins_utc": grant.begins_utc,
            "ends_utc": grant.ends_utc,
            "reason": grant.reason,
            "interlock": grant.interlock,
            "persons": [{"name": person.name, "key": person.key} for person in self.persons],
            "checked_utc": self.checked_utc,
        }


class Authority:
    """Judges grants by a register.

    Args:
        register: who may grant what.
    """

    def __init__(self, register: Register) -> None:
        self._register = register

    def check(self, grant: Grant, action: str, rig: str, now_utc: str) -> Permit:
        """Permit one action now, or refuse it with every reason.

        Args:
            grant: the grant.
            action: the action that is about to happen.
            rig: name of the rig where it is.
            now_utc: the time, as :func:`hil.clock.utc_now` gives it.

        Raises:
            AuthorityError: with all that is wrong.
            ToolMissingError: when the package ``cryptography`` is not installed.
        """
        now = instant(now_utc)
        reasons = [*self._scope(grant, action, rig), *self._time(grant, now), *self._revocation(grant)]
        persons: list[Identity] = []
        for signature in grant.signatures:
            wrong = self._signature(grant, signature, now)
            reasons += wrong
            if not wrong:
                persons.append(Identity(signature.person, signature.key))
        reasons += _number(grant, persons)
        if reasons:
            raise AuthorityError(f"{action} on rig {rig} is not granted: {'; '.join(reasons)}")
        return Permit(grant, tuple(persons), now_utc)

    def _scope(self, grant: Grant, action: str, rig: str) -> list[str]:
        reasons = [f"the grant is for rig {grant.rig}"] if grant.rig != rig else []
        return reasons + ([f"the grant is for {grant.action}"] if grant.action != action else [])

    def _time(self, grant: Grant, now: datetime) -> list[str]:
        reasons: list[str] = []
        longest = timedelta(minutes=self._register.longest_min)
        if grant.ends - grant.begins > longest:
            lasts_min = (grant.ends - grant.begins).total_seconds() / 60
            reasons.append(f"it lasts {lasts_min:g} min, the register allows {self._register.longest_min} min")
        if now < grant.begins:
            reasons.append(f"it is not valid before {grant.begins_utc}")
        if now >= grant.ends:
            reasons.append(f"it expired at {grant.ends_utc}")
        return reasons

    def _revocation(self, grant: Grant) -> list[str]:
        try:
            revoked = self._register.revoked()
        except AuthorityError as error:
            return [str(error)]
        return [f"it was revoked: {revoked[grant.id]}"] if grant.id in revoked else []

    def _signature(self, grant: Grant, signature: Signature, now: datetime) -> list[str]:
        person = self._register.of(signature.person)
        if person is None:
            return [f"the register knows no {signature.person}"]
        if person.fingerprint != signature.key:
            return [f"{person.name} is said to have signed with {signature.key}, the register has {person.fingerprint}"]
        if not grant.is_signed_by(signature, person.public):
            return [f"the signature of {person.name} does not fit: the grant or the signature was altered"]
        reasons: list[str] = []
        if person.revoked is not None and now.date() >= person.revoked:
            reasons.append(f"the key of {person.name} was revoked on {person.revoked}")
        if grant.action not in person.may:
            reasons.append(f"{person.name} may not grant {grant.action}, only {', '.join(person.may)}")
        return reasons


def _number(grant: Grant, persons: list[Identity]) -> list[str]:
    """Whether enough different persons signed; names and keys are distinct in the register."""
    names = [signature.person for signature in grant.signatures]
    reasons = [f"{name} signed {names.count(name)} times" for name in sorted(set(names)) if names.count(name) > 1]
    different = len(set(persons))
    if different < _PERSONS:
        reasons.append(f"{different} of {_PERSONS} different persons signed it rightly")
    return reasons
