"""What an article's FPGA runs on: the built design, the clock's source, seeds, budget, and the record of its ports."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hil.errors import RtlError
from hil.rtl.launch import WRITING_S, drivable
from hil.rtl.link import SILENCE_S
from hil.rtl.session import Session, Terms
from hil.rtl.wrapper import told_outputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator

    from hil.clock import Clock
    from hil.rtl.build import Built
    from hil.rtl.source import RtlSource
    from hil.rtl.spec import RtlSpec
    from hil.rtl.trace import PortTrace

_SEEDS = 2**31 - 2


@dataclass(frozen=True)
class HostParts:
    """What a host is made of: clock and source, the noise of power-up, wall-time limits [s], coverage, port record.

    ``budget_s`` is what all power-ups together may use; after ``silence_s`` without a sign of life one is called hung.

    ``covered`` takes the file with the coverage of one power-up when it is written; the file is removed afterwards.
    """

    clock: Clock
    source: RtlSource
    noise: Generator
    budget_s: float
    trace: PortTrace
    covered: Callable[[Path], None]
    silence_s: float = SILENCE_S


class FpgaHost:
    """Starts and stops the simulator of one article.

    Args:
        article: the article's name.
        built: its design, built to be served.
        parts: what it works with.
    """

    def __init__(self, article: str, built: Built, parts: HostParts) -> None:
        self.article = article
        self.built = built
        self._parts = parts
        self._coverage: dict[int, Path] = {}
        self._closers: list[Callable[[], None]] = []
        self.cycles = 0
        """Clock cycles simulated up to the last power-down."""
        self.busy_s = 0.0
        """Wall time that took [s]."""
        self.inside: dict[str, str] = {}
        """What ran it, as its simulator said from inside: simulator, hash of the running binary, Python, cocotb."""

    @property
    def spec(self) -> RtlSpec:
        """The article's RTL file."""
        return self.built.spec

    @property
    def inputs(self) -> list[str]:
        """The input ports that the board drives."""
        return drivable(self.built)

    @property
    def outputs(self) -> list[str]:
        """The output ports whose changes are told; the others are read by peripherals."""
        return [port.name for port in told_outputs(self.spec, self.built.top)]

    def on_close(self, fn: Callable[[], None]) -> None:
        """Call ``fn`` when the rig is closed."""
        self._closers.append(fn)

    def start(self) -> Session:
        """A fresh simulator, from power-up.

        Raises:
            RtlError: when it does not start.
        """
        parts = self._parts
        parts.source.admit(self.article, self.spec.lookahead_ns)
        seed = int(parts.noise.integers(1, _SEEDS))
        coverage = _scratch() if self.built.variant.coverage else None
        terms = Terms(
            seed=seed,
            budget_s=parts.budget_s,
            spent_s=self.busy_s,
            coverage_file=coverage,
            trace=parts.trace.put,
            silence_s=parts.silence_s,
        )
        session = Session(parts.clock, self.built, self.article, terms)
        if coverage is not None:
            self._coverage[id(session)] = coverage
        parts.source.add(session)
        self.inside = {name: str(session.hello[name]) for name in ("simulator", "binary_sha256", "python", "cocotb")}
        return session

    def stop(self, session: Session) -> None:
        """End a simulator; its coverage is handed on.

        Raises:
            DesignError: when the design complained while it ran.
            RtlError: when it should have left its coverage and did not.
        """
        self._parts.source.remove(session)
        self.cycles += session.cycles
        self.busy_s = session.busy_s
        whole = session.alive
        written = self._coverage.pop(id(session), None)
        try:
            session.close()
            if whole and written is not None and not written.stat().st_size:
                raise RtlError(
                    f"{self.article}: its simulator has not written its coverage within {WRITING_S:.0f} s of wall "
                    "time, and what the test covered is lost; is the disk full, or the machine overloaded?"
                )
        finally:
            if written is not None:
                if written.stat().st_size:
                    self._parts.covered(written)
                written.unlink()

    def close(self) -> None:
        """End whatever runs.

        Raises:
            RtlError: when the design complained while it ran.
        """
        for fn in self._closers:
            fn()


def _scratch() -> Path:
    """An empty file of this process's own."""
    number, name = tempfile.mkstemp(prefix="hil-coverage-")
    os.close(number)
    return Path(name)
