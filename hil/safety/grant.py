"""The grant of a hazardous action: a small document that two persons sign.

Its file has one form only, canonical JSON: a file that was changed in any byte is refused, not only one that says
something else. A signature covers everything the grant says and the name of who signs.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hil.safety.errors import AuthorityError
from hil.safety.keys import SIGNATURE_SIZE, fingerprint, verify

if TYPE_CHECKING:
    from pathlib import Path

    from hil.safety.keys import SigningKey

_FORMAT = "hil grant 1"
_NONCE_SIZE = 16  # bytes: two requests of the same words are two grants
_UTC = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"
_TEXT = Field(min_length=1, max_length=1000, pattern=r"\S")


@dataclass(frozen=True, slots=True)
class Signature:
    """One person's signature.

    Args:
        person: who says to have signed.
        key: fingerprint of the key.
        signature: in hexadecimal.
    """

    person: str
    key: str
    signature: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What is granted, and who signed.

    Args:
        rig: name of the rig.
        action: name of the action, for example ``fts.terminate``.
        begins_utc: the first second of its validity.
        ends_utc: the first second after it.
        reason: why it is needed.
        interlock: what must read back before the action, for example ``initiator_simulator``.
        nonce: makes each grant another one, in hexadecimal.
        signatures: of two persons, or of fewer until they have signed.
    """

    rig: str
    action: str
    begins_utc: str
    ends_utc: str
    reason: str
    interlock: str
    nonce: str
    signatures: tuple[Signature, ...] = ()

    @classmethod
    def request(
        cls, rig: str, action: str, *, begins: datetime, lasts: timedelta, reason: str, interlock: str
    ) -> Grant:
        """A grant that nobody has signed yet.

        Args:
            rig: name of the rig.
            action: name of the action.
            begins: when it becomes valid; seconds count, fractions do not.
            lasts: for how long.
            reason: why it is needed.
            interlock: what must read back before the action.

        Raises:
            AuthorityError: when a text is empty or too long, or it lasts less than a second.
        """
        first = begins.astimezone(UTC).replace(microsecond=0)
        if lasts < timedelta(seconds=1):
            raise AuthorityError(f"a grant of {lasts.total_seconds():g} s was asked for; it lasts a second at least")
        made = cls(rig, action, _text(first), _text(first + lasts), reason, interlock, secrets.token_hex(_NONCE_SIZE))
        return cls.decode(made.encode(), "the grant asked for")

    @classmethod
    def decode(cls, content: bytes, where: Path | str) -> Grant:
        """Read a grant.

        Args:
            content: the bytes of its file.
            where: the file, for messages.

        Raises:
            AuthorityError: when the bytes are not exactly those that :meth:`encode` makes.
        """
        try:
            said = _File.model_validate(json.loads(content)).grant
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            keys = ".".join(str(key) for key in first["loc"])
            raise AuthorityError(f"{where}: is no grant: {keys}: {first['msg']}; ask for it anew") from error
        except (ValueError, RecursionError) as error:
            raise AuthorityError(f"{where}: is no grant: {error}; ask for it anew: hil grant request") from error
        signatures = tuple(Signature(**each.model_dump()) for each in said.signatures)
        grant = cls(**said.model_dump(exclude={"signatures"}), signatures=signatures)
        if grant.encode() != content:
            raise AuthorityError(f"{where}: was altered: a grant's file has one form only; ask for it anew")
        if instant(grant.ends_utc) <= instant(grant.begins_utc):
            raise AuthorityError(f"{where}: ends at {grant.ends_utc}, before it begins at {grant.begins_utc}")
        return grant

    def encode(self) -> bytes:
        """The bytes of its file."""
        return _canonical({"format": _FORMAT, "grant": asdict(self)}) + b"\n"

    @property
    def id(self) -> str:
        """What it is known by: the hash of all it says, the signatures left out."""
        return hashlib.sha256(_canonical(asdict(replace(self, signatures=())))).hexdigest()

    @property
    def begins(self) -> datetime:
        """The first instant of its validity."""
        return datetime.fromisoformat(self.begins_utc)

    @property
    def ends(self) -> datetime:
        """The first instant after it."""
        return datetime.fromisoformat(self.ends_utc)

    def signed(self, person: str, key: SigningKey) -> Grant:
        """The same grant with one more signature.

        Args:
            person: the name of who signs, as in the register.
            key: that person's key.

        Raises:
            AuthorityError: when that person or that key has signed already.
        """
        mark = fingerprint(key.public)
        for each in self.signatures:
            if person == each.person or mark == each.key:
                raise AuthorityError(f"{each.person} signed already, with {each.key}; another person has to sign")
        made = Signature(person, mark, key.sign(self._signed_bytes(person)).hex())
        return replace(self, signatures=(*self.signatures, made))

    def is_signed_by(self, signature: Signature, public: bytes) -> bool:
        """Whether a signature is that of a key over this grant and the name given with it.

        Args:
            signature: one of the grant's.
            public: the person's public key, 32 bytes.

        Raises:
            ToolMissingError: when the package ``cryptography`` is not installed.
        """
        return verify(public, bytes.fromhex(signature.signature), self._signed_bytes(signature.person))

    def _signed_bytes(self, person: str) -> bytes:
        said = asdict(replace(self, signatures=()))
        return _canonical({"format": _FORMAT, "grant": said, "person": person})


def instant(utc: str) -> datetime:
    """A wall stamp, as :func:`hil.clock.utc_now` gives it, as an instant, UTC.

    Raises:
        AuthorityError: when it is none, or names no zone.
    """
    try:
        found = datetime.fromisoformat(utc)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise AuthorityError(f"{utc!r} is no time; write it as 2026-03-01T09:00:00Z") from error
    raise AuthorityError(f"{utc!r} names no time zone; write it as 2026-03-01T09:00:00Z")


class _Signed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    person: str = _TEXT
    key: str = _TEXT
    signature: str = Field(pattern=rf"^[0-9a-f]{{{2 * SIGNATURE_SIZE}}}$")


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    rig: str = _TEXT
    action: str = _TEXT
    begins_utc: str = Field(pattern=_UTC)
    ends_utc: str = Field(pattern=_UTC)
    reason: str = _TEXT
    interlock: str = _TEXT
    nonce: str = Field(pattern=rf"^[0-9a-f]{{{2 * _NONCE_SIZE}}}$")
    signatures: list[_Signed]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    format: str = Field(pattern=f"^{_FORMAT}$")
    grant: _Said


def _canonical(said: object) -> bytes:
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
