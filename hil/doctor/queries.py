"""Asking an instrument without changing it: queries alone go out, and what a command would set is asked instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hil.errors import InstrumentError
from hil.units import s
from hil.visa.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil.visa.door import Identity

_CHANNELS = re.compile(r"\(@[^)]*\)")
_ACTING = re.compile(r"\*(TST|CAL|RST|RCL|TRG|WAI)\?|:?(CAL|INIT|READ|FETC|TEST|DIAG)[A-Z]*(:|\?)", re.IGNORECASE)
"""Queries that make many instruments do something: self-test, self-calibration, a triggered measurement."""


def is_query(message: str) -> bool:
    """Whether every part of a message is a query that only reads.

    >>> is_query("OUTP? (@1:4)"), is_query("OUTP OFF;:OUTP?"), is_query("*TST?")
    (True, False, False)
    """
    parts = [part.strip() for part in message.split(";")]
    return all(part.split(maxsplit=1)[0].endswith("?") and not _ACTING.match(part) for part in parts if part) and any(
        parts
    )


def query_forms(message: str) -> list[str]:
    """The queries that read back what a message of commands sets; none for common commands, which set nothing.

    >>> query_forms("OUTP:PROT:WDOG:DEL 2;:OUTP:PROT:WDOG ON,(@1)")
    ['OUTP:PROT:WDOG:DEL?', 'OUTP:PROT:WDOG? (@1)']
    >>> query_forms("OUTP:PROT:WDOG:DEL 2;STAT ON")
    ['OUTP:PROT:WDOG:DEL?', 'OUTP:PROT:WDOG:STAT?']
    """
    return [query for query in _query_forms(message) if is_query(query)]


def _query_forms(message: str) -> Iterator[str]:
    path = ""
    for part in filter(None, (part.strip() for part in message.split(";"))):
        header, _, rest = part.partition(" ")
        if header.startswith("*"):
            continue
        full = header.removeprefix(":") if header.startswith(":") or not path else f"{path}:{header}"
        path = full.rpartition(":")[0]
        channels = _CHANNELS.search(rest)
        yield f"{full.removesuffix('?')}?{' ' + channels[0] if channels else ''}"


class Inquirer:
    """A connection to one instrument over which queries go and nothing else; a context manager.

    Args:
        resource: VISA resource.
        name: what the rig calls it.

    Raises:
        InstrumentError: when it cannot be opened, or does not answer ``*IDN?``.
    """

    def __init__(self, resource: str, name: str) -> None:
        self._name = name
        self._upstream = Upstream.open(resource, name)

    @property
    def identity(self) -> Identity:
        """What it answered to ``*IDN?``."""
        return self._upstream.identity

    def ask(self, text: str, within_ns: int) -> str | None:
        """Ask; None when no answer came within the time [ns].

        Raises:
            InstrumentError: for what is no query, or when the connection is lost.
        """
        if not is_query(text):
            raise InstrumentError(
                f"{self._name}: {text!r} is no query that only reads; nothing was sent. Give the rig file one"
            )
        self._upstream.send(text.encode("latin-1"))
        found = self._upstream.receive(within_ns / s, (), _never)
        return None if found is None else found.decode("latin-1")

    def send(self, text: str) -> None:
        """Send no command.

        Raises:
            InstrumentError: always.
        """
        raise InstrumentError(f"{self._name}: {text!r} is a command; nothing was sent")

    def __enter__(self) -> Inquirer:
        return self

    def __exit__(self, *_: object) -> None:
        self._upstream.close()


def _never() -> bool:
    return False
