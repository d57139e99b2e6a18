"""The hash chain: every line holds the hash of the line before it.

A segment (one attempt of one test) starts from :data:`GENESIS`, so that it can be written before anybody knows
what will stand before it. In the run's ``events.jsonl`` a ``link`` document precedes it, which names the hash of
the segment's last line and is itself chained to everything before. The document after the segment is chained to that
link, so that the head of the run binds every line of every segment.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

GENESIS = "0" * 64
"""What the first document of a chain gives as the hash before it."""


def line_hash(line: bytes) -> str:
    """SHA-256 of one line with its newline, hexadecimal."""
    return hashlib.sha256(line).hexdigest()


def file_hash(path: Path, offset: int = 0, size: int | None = None) -> str:
    """SHA-256 of a file or of a byte range of it, hexadecimal.

    Args:
        path: the file.
        offset: first byte.
        size: number of bytes; None reads to the end.

    Raises:
        OSError: when it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(offset)
        while block := file.read(1 << 20 if size is None else min(1 << 20, size)):
            digest.update(block)
            if size is not None:
                size -= len(block)
    return digest.hexdigest()
