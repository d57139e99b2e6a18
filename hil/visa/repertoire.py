"""What a generator may play: waveforms that were loaded in this session, each on the list of the rig file.

A generator keeps waveforms from before, and plays by name. A name says nothing: what was not loaded through the gate is
neither selected nor made part of a sequence, and the player is not started on a selection that somebody else made.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from hil.visa.scpi.parser import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from hil.visa.scpi.parser import Token


class Repertoire:
    """The waveforms of one generator, by the names under which they were loaded.

    Args:
        listed: SHA-256 of every waveform that may be loaded, of its block or of the message where it has none,
            hexadecimal; None allows any.
    """

    def __init__(self, listed: Collection[str] | None = None) -> None:
        self._listed = listed
        self._loaded: set[str] = set()
        self._selected = ""

    def forget(self) -> None:
        """Another session begins: nothing is known of what the generator holds."""
        self._loaded.clear()
        self._selected = ""

    def has_loaded(self, name: str) -> None:
        """A message that loads a waveform has passed."""
        self._loaded.add(_same_name(name))

    def has_selected(self, name: str) -> None:
        """A message that selects a waveform has passed."""
        self._selected = name

    # -- rulings ------------------------------------------------------------------------------------------

    def why_not_load(self, header: str, message: bytes, tokens: Sequence[Token]) -> str:
        """Why a message must not load a waveform; "" when it may.

        Args:
            header: the message's header, for the text.
            message: all of it.
            tokens: its parameters; the first names what is loaded, further names are those of its parts.
        """
        blocks = [token.text for token in tokens if token.kind is Kind.BLOCK]
        digest = hashlib.sha256(blocks[0].encode("latin-1") if blocks else message).hexdigest()
        if self._listed is not None and digest not in self._listed:
            return f"{header} loads a waveform that is not listed (sha256 {digest})"
        if not tokens or tokens[0].kind is not Kind.STRING:
            return f"{header} does not say under which name it loads a waveform"
        parts = (token.text for token in tokens[1:] if token.kind is Kind.STRING)
        return next((f"{header}: {_NOT_LOADED.format(part)}" for part in parts if not self._holds(part)), "")

    def why_not_select(self, name: str) -> str:
        """Why a waveform must not be selected; "" when it may."""
        return "" if self._holds(name) else _NOT_LOADED.format(name)

    def why_not_start(self) -> str:
        """Why the player must not be started; "" when it may."""
        return "" if self._selected else "no waveform was selected in this session; select one that was loaded in it"

    def _holds(self, name: str) -> bool:
        return _same_name(name) in self._loaded


_NOT_LOADED = "{!r} was not loaded in this session: nobody knows what the generator has under that name; load it first"


def _same_name(name: str) -> str:
    """A name as it is compared: the folder in capitals, and ``SEQ1`` is ``SEQ``."""
    folder, colon, file = name.partition(":")
    return f"{folder.upper().replace('SEQ1', 'SEQ')}{colon}{file}"
