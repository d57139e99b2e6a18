"""The register of persons who may grant hazardous actions, and the list of grants that were revoked.

.. code-block:: toml

    revocations = "revoked.txt"              # must exist: without it nobody knows what was revoked
    longest_min = 240                        # the longest grant

    [[person]]
    name = "Ada Marsh"
    key = "ssh-ed25519 AAAA..."              # the line of the .pub file
    may = ["fts.terminate", "pyro.fire"]
    revoked = 2026-03-01                     # left out while the key is good
"""

from __future__ import annotations

import datetime  # noqa: TC003  # pydantic reads the annotation when the class is made
import stat
import unicodedata
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, field_validator

from hil.safety.errors import AuthorityError
from hil.safety.keys import fingerprint, public_key
from hil.toml_lines import check, load_toml

if TYPE_CHECKING:
    from pathlib import Path

    from hil.safety.grant import Grant

_ID_SIZE = 64  # hexadecimal digits of a grant's id


class Person(BaseModel):
    """``[[person]]``: somebody who may grant."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: str = Field(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")
    key: str
    may: list[str] = Field(min_length=1)
    revoked: datetime.date | None = None

    @field_validator("key")
    @classmethod
    def _is_a_key(cls, text: str) -> str:
        public_key(text)
        return text

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return public_key(self.key)

    @property
    def fingerprint(self) -> str:
        """The key as ``ssh-keygen -l`` shows it."""
        return fingerprint(self.public)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    revocations: str = Field(min_length=1)
    longest_min: int = Field(default=240, ge=1)
    person: list[Person] = Field(min_length=1)


class Register:
    """Who may grant what, as a file says; the list of revocations is read anew for each question.

    Args:
        path: the file, ``authority.toml``.

    Raises:
        ConfigError: for a mistake in it, with file, line and key.
        AuthorityError: when everybody may write it, or a name or key stands there twice.
    """

    def __init__(self, path: Path) -> None:
        tables, lines = load_toml(path)
        found = check(_File, tables, path, lines)
        if path.stat().st_mode & stat.S_IWOTH:
            raise AuthorityError(f"{path}: everybody may write it, so it proves nothing; chmod o-w {path}")
        _demand_distinct(path, found.person)
        self.path = path
        self.longest_min = found.longest_min
        self.persons = tuple(found.person)
        self.revocations = path.parent / found.revocations

    def of(self, name: str) -> Person | None:
        """The person of a name; None when the register has none."""
        return next((person for person in self.persons if person.name == name), None)

    def of_key(self, public: bytes) -> Person:
        """The person of a key.

        Args:
            public: the public key, 32 bytes.

        Raises:
            AuthorityError: when the register does not know the key.
        """
        for person in self.persons:
            if person.public == public:
                return person
        raise AuthorityError(f"{self.path}: knows no key {fingerprint(public)}; have its person entered there")

    def revoked(self) -> dict[str, str]:
        """Of each grant that was revoked, by its id, when and why.

        Raises:
            AuthorityError: when the list cannot be read or has a line that names no grant.
        """
        try:
            lines = self.revocations.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise AuthorityError(
                f"{self.revocations}: cannot be read: {error.strerror}; nobody knows which grants were revoked. "
                "Where none was, make an empty file"
            ) from error
        found: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            grant_id, _, when = line.partition(" ")
            if line and (len(grant_id) != _ID_SIZE or not set(grant_id) <= set("0123456789abcdef")):
                raise AuthorityError(f"{self.revocations}:{number}: names no grant; a line is: id, time, reason")
            found.setdefault(grant_id, when)
        return found

    def revoke(self, grant: Grant, *, utc: str, reason: str) -> None:
        """Enter a grant in the list of revocations; from now on every check refuses it.

        Args:
            grant: the grant.
            utc: now, as :func:`hil.clock.utc_now` gives it.
            reason: why.

        Raises:
            AuthorityError: when the list cannot be written.
        """
        line = f"{grant.id} {utc} {' '.join(reason.split())}\n"
        try:
            with self.revocations.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise AuthorityError(
                f"{self.revocations}: cannot be written: {error.strerror}; check its rights"
            ) from error


def same_name(name: str) -> str:
    """What two names have in common that a reader takes for one.

    >>> same_name("Ada  MARSH") == same_name("Ada Marsh")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _demand_distinct(path: Path, persons: list[Person]) -> None:
    names: dict[str, str] = {}
    keys: dict[bytes, str] = {}
    for person in persons:
        if same_name(person.name) in names:
            raise AuthorityError(f"{path}: {person.name} stands there twice; one person has one key")
        if person.public in keys:
            raise AuthorityError(
                f"{path}: {keys[person.public]} and {person.name} have the same key {person.fingerprint}; "
                "two persons have two keys"
            )
        names[same_name(person.name)] = keys[person.public] = person.name
