"""An SPI converter beside the FPGA: the FPGA asks for a channel and clocks the code out.

Mode 0: the master's bits are taken at rising edges, ours change at falling ones. A frame is 16 clocks within chip
select: the first four master bits are the channel, the converter answers with the code in the last ``bits``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cocotb
from cocotb.triggers import Timer

from hil.rtl.peer.levels import level

if TYPE_CHECKING:
    from collections.abc import Callable

_FRAME = 16
_CHANNEL_BITS = 4


class SpiAdc:
    """See :class:`hil.rtl.peer.server.Peripheral`; a command is the codes of all channels, two bytes each."""

    def __init__(self, top: Any, binding: dict[str, Any], post: Callable[[bytes], None], period_ps: int) -> None:
        del post
        self._hold_ps = period_ps // 4  # inputs of the FPGA change at exchange instants alone
        self._sclk, self._cs_n = getattr(top, binding["sclk"]), getattr(top, binding["cs_n"])
        self._mosi, self._miso = getattr(top, binding["mosi"]), getattr(top, binding["miso"])
        self._codes = [0] * len(binding["channels"])
        self._bits = int(binding["bits"])

    def start(self) -> None:
        """Wait for the first frame."""
        cocotb.start_soon(self._run())

    def command(self, payload: bytes) -> None:
        """The codes from now on; a conversion that has begun keeps its own."""
        self._codes = [
            int.from_bytes(payload[2 * index : 2 * index + 2], "little") for index in range(len(self._codes))
        ]

    async def _run(self) -> None:
        await self._cs_n.falling_edge
        while True:
            frame = cocotb.start_soon(self._frame())
            await self._cs_n.falling_edge
            frame.cancel()  # if it is still there, the FPGA broke it off

    async def _frame(self) -> None:
        channel = 0
        for _ in range(_CHANNEL_BITS):
            await self._sclk.rising_edge
            channel = channel << 1 | level(self._mosi)
        code = self._codes[channel] if channel < len(self._codes) else 0
        for clock in range(_CHANNEL_BITS, _FRAME):
            await self._sclk.falling_edge
            await Timer(self._hold_ps, "ps")
            place = _FRAME - 1 - clock
            self._miso.value = code >> place & 1 if place < self._bits else 0
