"""Levels that a peripheral reads from the design: an unknown one is neither 0 nor 1."""

from __future__ import annotations

from typing import Any

from hil.errors import UnknownLevelError


def level(port: Any) -> int:
    """The level of a port of one bit.

    Raises:
        UnknownLevelError: when it is X or Z.
    """
    bits = str(port.value)
    if bits not in ("0", "1"):
        raise UnknownLevelError(f"output {port._name} is {bits}: an unknown level is neither 0 nor 1")  # noqa: SLF001  # cocotb's own name of a handle
    return int(bits)
