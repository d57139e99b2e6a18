"""Signals inside a design by hierarchical name: read, deposited, forced, released; every write is read back."""

from __future__ import annotations

import re
from functools import reduce
from typing import Any

from cocotb.handle import Force, Immediate, Release

_PART = re.compile(r"^(?P<name>\w+)(?P<indices>(?:\[\d+\])*)$")


class Registers:
    """Signals of a design by name below its top; a name with a leading slash is the wrapper's own.

    Args:
        top: cocotb's handle of the wrapper, or of a VHDL entity.
        wrapped: whether the design is the wrapper's instance ``dut``.
    """

    def __init__(self, top: Any, *, wrapped: bool) -> None:
        self._top = top
        self._wrapped = wrapped
        self._known: dict[str, Any] = {}

    def find(self, name: str) -> Any:
        """The handle of a signal, looked up once.

        Raises:
            LookupError: when there is no such signal.
            ValueError: when the name is not one.
        """
        if name not in self._known:
            base = self._top if name.startswith("/") or not self._wrapped else self._top.dut
            try:
                self._known[name] = reduce(self._inner, name.removeprefix("/").split("."), base)
            except (AttributeError, IndexError, TypeError) as problem:
                raise LookupError(
                    f"there is no signal {name} below the top to be reached; check the name (Verilator opens only "
                    f"the registers that [upsets] of the RTL file lists): {problem}"
                ) from problem
        return self._known[name]

    @staticmethod
    def _inner(handle: Any, part: str) -> Any:
        match = _PART.match(part)
        if match is None:
            raise ValueError(f"{part!r} is no name in a hierarchy; write inst.signal or inst.memory[3]")
        handle = getattr(handle, match["name"])
        for index in re.findall(r"\d+", match["indices"]):
            handle = handle[int(index)]
        return handle

    def peek(self, name: str) -> str:
        """Its bits as text of 0, 1, X and Z, the highest first."""
        return str(self.find(name).value)

    def write(self, how: str, name: str, bits: str) -> None:
        """Write it once ("deposit"), hold it at a value ("force"), or let go of it ("release").

        Args:
            how: which of the three.
            name: the signal.
            bits: its bits, the highest first; of a release none.
        """
        handle = self.find(name)
        if how == "release":
            handle.set(Release())
        else:
            handle.set((Force if how == "force" else Immediate)(int(bits, 2)))
