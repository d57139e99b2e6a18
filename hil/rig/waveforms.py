"""The list of waveforms that may be loaded into a generator: what radiates with modulation is a hazard.

A list is made from a run on a simulated rig, whose transcripts hold the hash of every block that was loaded.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from hil.toml_lines import check, load_toml
from hil.visa.scpi.tree import short_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hil.visa.driver import Driver

_SENT = re.compile(r"\S+ \S+ -> (?P<text>.*)")
_BLOCK = re.compile(r"(?P<header>.*)#\d+<sha256 (?P<digest>[0-9a-f]{64})>")


class WaveformList(BaseModel):
    """``[waveform]``: the SHA-256 of each message that loads one, and what it is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    waveform: dict[str, str] = Field(description="what it is, by the SHA-256 of the message that loads it")


def load_waveforms(path: Path) -> Mapping[str, str]:
    """The listed waveforms: what each is, by SHA-256.

    Raises:
        ConfigError: when the file cannot be read, or says something else.
    """
    tree, lines = load_toml(path)
    return check(WaveformList, tree, path.as_posix(), lines).waveform


def allowed_waveforms(files: Sequence[Path] | None) -> list[str] | None:
    """The SHA-256 of every waveform that some files list; None without any, which allows all.

    Raises:
        ConfigError: when a file cannot be read, or says something else.
    """
    return None if files is None else sorted({digest for path in files for digest in load_waveforms(path)})


def loaded(transcript: Iterable[str], driver: type[Driver]) -> dict[str, str]:
    """Every waveform that a transcript shows to have been loaded: what it is, by SHA-256.

    Args:
        transcript: the lines of a ``scpi/NAME.log``.
        driver: the instrument's driver, which knows the commands that load.
    """
    headers = tuple(short_header(header) for header in driver.loads)
    found: dict[str, str] = {}
    for line in transcript:
        sent = _SENT.fullmatch(line.rstrip("\n"))
        if sent is None:
            continue
        block = _BLOCK.fullmatch(sent["text"])
        if block is not None:
            found[block["digest"]] = block["header"]
        elif sent["text"].startswith(headers):
            found[hashlib.sha256(sent["text"].encode("latin-1")).hexdigest()] = sent["text"]
    return found


def listed(waveforms: Mapping[str, str]) -> str:
    """A list as TOML."""
    rows = (f"{digest} = {json.dumps(what)}" for digest, what in sorted(waveforms.items()))
    return "\n".join(["# the waveforms that may be loaded: SHA-256 and what it is", "[waveform]", *rows, ""])
