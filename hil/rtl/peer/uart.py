"""An asynchronous serial line: start bit, 8 data bits with the lowest first, stop bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cocotb
from cocotb.triggers import Event, Timer
from cocotb.utils import get_sim_time

from hil.rtl.peer.levels import level

if TYPE_CHECKING:
    from collections.abc import Callable


class Uart:
    """See :class:`hil.rtl.peer.server.Peripheral`; commands and events are bytes on the line.

    A byte whose stop bit is not there is told as an empty event: a framing error.
    """

    def __init__(self, top: Any, binding: dict[str, Any], post: Callable[[bytes], None], period_ps: int) -> None:
        self._period_ps = period_ps
        self._tx = getattr(top, binding["tx"]) if binding["tx"] else None
        self._rx = getattr(top, binding["rx"]) if binding["rx"] else None
        self._bit_ps = round(1e12 / binding["baud"])
        self._post = post
        self._queue = bytearray()
        self._filled = Event()

    def start(self) -> None:
        """Listen to one line, rest the other."""
        if self._tx is not None:
            cocotb.start_soon(self._listen(self._tx))
        if self._rx is not None:
            self._rx.value = 1
            cocotb.start_soon(self._speak(self._rx))

    def command(self, payload: bytes) -> None:
        """Bytes to send to the FPGA, behind those that still wait."""
        self._queue += payload
        self._filled.set()

    async def _listen(self, line: Any) -> None:
        while True:
            await line.falling_edge
            await Timer(self._bit_ps // 2, "ps")
            if level(line):
                continue
            byte = 0
            for bit in range(8):
                await Timer(self._bit_ps, "ps")
                byte |= level(line) << bit
            await Timer(self._bit_ps, "ps")
            self._post(bytes([byte]) if level(line) else b"")

    async def _speak(self, line: Any) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            due_ps = begun_ps = round(get_sim_time("ps"))
            while self._queue:
                frame = 1 << 9 | self._queue.pop(0) << 1
                for bit in range(10):
                    line.value = frame >> bit & 1
                    due_ps += self._bit_ps
                    await self._instant_after(due_ps, begun_ps)

    async def _instant_after(self, due_ps: int, begun_ps: int) -> None:
        """Wait for the first exchange instant that is not before a time; the command came at one."""
        periods = -(-(due_ps - begun_ps) // self._period_ps)
        at_ps = begun_ps + periods * self._period_ps
        await Timer(at_ps - round(get_sim_time("ps")), "ps")
