"""Kinds of values in a rig file, each checked as it is read, and what all its tables have in common."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

EvidenceClass = Literal["sim", "rtl", "hardware"]

UNIT_SUFFIXES = {
    "a": "A", "bar": "bar", "bps": "bit/s", "db": "dB", "dbm": "dBm", "deg": "degree", "degc": "degree Celsius",
    "hz": "Hz", "khz": "kHz", "kg": "kg", "k": "K", "kbps": "kbit/s", "m": "m", "mbps": "Mbit/s", "mhz": "MHz",
    "ms": "ms", "mv": "mV", "ma": "mA", "n": "N", "ns": "ns", "ohm": "ohm", "pa": "Pa", "pct": "percent",
    "rad": "rad", "s": "s", "us": "us", "v": "V", "w": "W",
}  # fmt: skip
"""The last word of a key that carries a number, and the unit it stands for."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PIN = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_CLASS_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def _named(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("a name is a lower-case letter followed by lower-case letters, digits and underscores")
    return value


def _pin(value: str) -> str:
    if not _PIN.fullmatch(value):
        raise ValueError('a pin is written "node.port", for example "psu.out1"')
    return value


def _class_path(value: str) -> str:
    if not _CLASS_PATH.fullmatch(value):
        raise ValueError('a class is named "module:Class", for example "hil.io.card:IoCard"')
    return value


def _unit_suffixed(values: dict[str, float]) -> dict[str, float]:
    for key in values:
        if key.rpartition("_")[2] not in UNIT_SUFFIXES or "_" not in key:
            raise ValueError(f"{key} carries no unit; end the key in one, for example {key}_v or {key}_dbm")
    return values


Name = Annotated[str, AfterValidator(_named)]
PinName = Annotated[str, AfterValidator(_pin)]
ClassPath = Annotated[str, AfterValidator(_class_path)]
UnitSuffixed = Annotated[dict[str, Annotated[float, Field(allow_inf_nan=False)]], AfterValidator(_unit_suffixed)]
Text = Annotated[str, Field(min_length=1)]
Phase = Literal["unpowered", "powered", "pressurised", "flashing", "armed"]
"""What state the articles are in, as far as it matters for what is safe."""
SIMULATED_WIRE = "hil"
"""The python-can interface of a simulated wire."""
HERE = "test"
"""The program in which the test itself runs."""
TIMER = "timer"
"""What stands for the hardware timer of ``[safety]`` among the instruments that cut others off."""


class Table(BaseModel):
    """One table of a rig file: closed, strict, unchangeable once read."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
