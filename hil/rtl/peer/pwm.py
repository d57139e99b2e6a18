"""A pulse-width modulated output, measured: duty and frequency of each period, or a steady level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cocotb
from cocotb.triggers import First, Timer
from cocotb.utils import get_sim_time

from hil.rtl.peer.levels import level
from hil.rtl.peer_words import PWM

if TYPE_CHECKING:
    from collections.abc import Callable


class PwmOut:
    """See :class:`hil.rtl.peer.server.Peripheral`; events are :data:`hil.rtl.peer_words.PWM`, when they change."""

    def __init__(self, top: Any, binding: dict[str, Any], post: Callable[[bytes], None], period_ps: int) -> None:
        del period_ps
        self._port = getattr(top, binding["port"])
        self._window_ps = round(binding["window_us"] * 1e6)
        self._post = post
        self._told = b""

    def start(self) -> None:
        """Measure from the first edge on."""
        cocotb.start_soon(self._run())

    def command(self, payload: bytes) -> None:
        """It takes none.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"a PWM output takes no command; it was given {payload!r}")

    async def _run(self) -> None:
        rose_ps = fell_ps = None
        while True:
            edge = self._port.value_change
            fired = await First(edge, Timer(self._window_ps, "ps"))
            now_ps = round(get_sim_time("ps"))
            if fired is not edge:
                rose_ps = fell_ps = None
                if self._port.value.is_resolvable:  # it may be in its reset still
                    self._tell(float(level(self._port)), 0.0)
            elif level(self._port):
                if rose_ps is not None and fell_ps is not None:
                    period_ps = now_ps - rose_ps
                    self._tell((fell_ps - rose_ps) / period_ps, 1e12 / period_ps)
                rose_ps, fell_ps = now_ps, None
            else:
                fell_ps = now_ps

    def _tell(self, duty: float, frequency_hz: float) -> None:
        told = PWM.pack(duty, frequency_hz)
        if told != self._told:
            self._told = told
            self._post(told)
