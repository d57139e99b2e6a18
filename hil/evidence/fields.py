"""Fields of one document, read with their type checked; a message names file, line and field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from hil.errors import EvidenceError
from hil.limits import Verdict

if TYPE_CHECKING:
    from hil.evidence.documents import Document, Json


@dataclass(frozen=True, slots=True)
class Fields:
    """One document and where it stands.

    Args:
        document: the document.
        where: file and line, or the call that makes it.
        remedy: what to do about a field that has no sense.
    """

    document: Document
    where: str
    remedy: str = "`hil verify` tells what was edited"

    def text(self, key: str, default: str | None = None) -> str:
        """A text; without a default it must be there.

        Raises:
            EvidenceError: when it is something else.
        """
        value = self.document.get(key, default)
        return value if isinstance(value, str) else self.refuse(key, "a text")

    def integer(self, key: str, default: int | None = None) -> int:
        """An integer; without a default it must be there.

        Raises:
            EvidenceError: when it is something else.
        """
        value = self.document.get(key, default)
        return value if isinstance(value, int) and not isinstance(value, bool) else self.refuse(key, "an integer")

    def optional_integer(self, key: str) -> int | None:
        """An integer, or None when it is null or not there.

        Raises:
            EvidenceError: when it is something else.
        """
        return None if self.document.get(key) is None else self.integer(key)

    def number(self, key: str) -> float | None:
        """A number, or None when it is null or not there.

        Raises:
            EvidenceError: when it is something else.
        """
        value = self.document.get(key)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        return self.refuse(key, "a number")

    def numbers(self, key: str, length: int) -> list[float | None]:
        """A list of that many numbers or nulls; nulls when it is null or not there.

        Raises:
            EvidenceError: when it is something else.
        """
        value = self.document.get(key)
        if value is None:
            return [None] * length
        if not isinstance(value, list) or len(value) != length:
            return self.refuse(key, f"a list of {length}")
        return [Fields({key: item}, self.where, self.remedy).number(key) for item in value]

    def flag(self, key: str) -> bool:
        """A bool; False when it is not there.

        Raises:
            EvidenceError: when it is something else.
        """
        value = self.document.get(key, False)
        return value if isinstance(value, bool) else self.refuse(key, "true or false")

    def scalar(self, key: str) -> float | int | bool | str | None:
        """A number, text or bool, or None when it is null or not there.

        Raises:
            EvidenceError: when it is a list or a mapping.
        """
        value = self.document.get(key)
        return self.refuse(key, "one value") if isinstance(value, list | dict) else value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty when it is null or not there.

        Raises:
            EvidenceError: when it is something else.
        """
        value = self.document.get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            return self.refuse(key, "a list of texts")
        return tuple(Fields({key: item}, self.where, self.remedy).text(key) for item in value)

    def tables(self, key: str) -> list[Fields]:
        """A list of mappings; empty when it is null or not there.

        Raises:
            EvidenceError: when it is something else.
        """
        value = self.document.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            return self.refuse(key, "a list of mappings")
        found = [Fields(item, f"{self.where}: {key}", self.remedy) for item in value if isinstance(item, dict)]
        return found if len(found) == len(value) else self.refuse(key, "a list of mappings")

    def table(self, key: str) -> Fields:
        """A mapping; empty when it is null or not there.

        Raises:
            EvidenceError: when it is something else.
        """
        value = self.document.get(key)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            return self.refuse(key, "a mapping")
        return Fields(value, f"{self.where}: {key}", self.remedy)

    def verdict(self, key: str) -> Verdict:
        """A verdict.

        Raises:
            EvidenceError: when it is none of the known ones.
        """
        text = self.text(key)
        try:
            return Verdict(text)
        except ValueError:
            return self.refuse(key, f"one of {', '.join(Verdict)}")

    def rest(self, *known: str) -> dict[str, Json]:
        """Every field but the known ones and those of the chain."""
        return {key: value for key, value in self.document.items() if key not in (*known, "doc", "prev")}

    def refuse(self, key: str, wanted: str) -> NoReturn:
        """Refuse a field.

        Args:
            key: the field.
            wanted: what it should be.

        Raises:
            EvidenceError: always.
        """
        raise EvidenceError(f"{self.where}: {key} is {self.document.get(key)!r}, not {wanted}; {self.remedy}")
