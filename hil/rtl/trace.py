"""What went over an FPGA's ports, as a waveform (VCD) that any viewer opens; there also when its simulator crashed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CODE_FIRST, _CODES = 33, 94  # printable characters that stand for a signal in a VCD file


class PortTrace:
    """Changes of an FPGA's ports in rig time, in order of arrival.

    Args:
        article: what the scope is called.
    """

    def __init__(self, article: str) -> None:
        self.article = article
        self._changes: list[tuple[int, str, str]] = []

    def put(self, time_ns: int, signal: str, bits: str) -> None:
        """A port has these bits from a rig time [ns] on."""
        self._changes.append((time_ns, signal, bits))

    @property
    def empty(self) -> bool:
        """Whether nothing was recorded."""
        return not self._changes

    def vcd(self) -> str:
        """The waveform, in nanoseconds of rig time."""
        widths = {signal: len(bits) for _, signal, bits in self._changes}
        codes = {signal: _code(index) for index, signal in enumerate(widths)}
        lines = ["$timescale 1ns $end", f"$scope module {self.article} $end"]
        lines += [f"$var wire {width} {codes[signal]} {signal} $end" for signal, width in widths.items()]
        lines += ["$upscope $end", "$enddefinitions $end"]
        now = None
        for time_ns, signal, bits in sorted(self._changes, key=lambda change: change[0]):
            if time_ns != now:
                lines.append(f"#{time_ns}")
                now = time_ns
            value = bits.lower() if all(bit in "01XZxz" for bit in bits) else "x" * len(bits)
            lines.append(f"{value}{codes[signal]}" if len(bits) == 1 else f"b{value} {codes[signal]}")
        return "\n".join([*lines, ""])

    def write(self, path: Path) -> None:
        """Write the waveform to a file."""
        path.write_text(self.vcd(), encoding="ascii")


def _code(index: int) -> str:
    """The short name of the signal with this number.

    >>> _code(0), _code(94)
    ('!', '!!')
    """
    code = ""
    while True:
        code = chr(_CODE_FIRST + index % _CODES) + code
        index = index // _CODES - 1
        if index < 0:
            return code
