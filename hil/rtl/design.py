"""The RTL of one article of a rig: its file, its board, and the build of it, made when it is first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from hil.errors import ToolMissingError
from hil.rtl import tools
from hil.rtl.build import Variant, build, parameters_of
from hil.rtl.named import board_of
from hil.rtl.spec import load_spec

if TYPE_CHECKING:
    from pathlib import Path

    from hil.article import Article, AsBuilt
    from hil.rtl.build import Built
    from hil.rtl.spec import RtlSpec


class Design:
    """One RTL file on one rig.

    Args:
        path: the RTL file.
        simulator: which simulator the rig asks for; VHDL runs on GHDL.
        coverage: whether code coverage is wanted, which Verilator alone measures.
        waves: whether every signal is recorded.
        upsets: whether faults may be put into its registers.

    Raises:
        ConfigError: when the file, or the board it names, is wrong.
    """

    def __init__(
        self,
        path: Path,
        simulator: Literal["auto", "verilator", "icarus"],
        *,
        coverage: bool,
        waves: bool,
        upsets: bool,
    ) -> None:
        self.spec = load_spec(path)
        self._wanted: Literal["auto", "verilator", "icarus", "ghdl"] = (
            "ghdl" if self.spec.language == "vhdl" else simulator
        )
        self._coverage, self._waves, self._upsets = coverage, waves, upsets
        self._built: Built | None = None
        self.board = board_of(self.spec) or _board_of_bindings(self.spec)
        """The class of the board around it."""

    @property
    def simulator_name(self) -> str:
        """The simulator it will run on; the fastest one's name when none is there."""
        try:
            return tools.find(self._wanted, self.spec.language).name
        except ToolMissingError:
            return "ghdl" if self.spec.language == "vhdl" else "verilator"

    def built(self, as_built: AsBuilt) -> Built:
        """The design, built for the rig's simulator with the article's parameters; once.

        Raises:
            ToolMissingError: when the simulator is not there; says what to install.
            RtlError: when it does not build.
            ConfigError: when its parameters cannot be made.
        """
        if self._built is None:
            simulator = tools.find(self._wanted, self.spec.language)
            compiled = simulator.name == "verilator"
            variant = Variant(coverage=self._coverage and compiled, waves=self._waves, upsets=self._upsets and compiled)
            self._built = build(self.spec, simulator, variant, parameters_of(self.spec, as_built))
        return self._built


def _board_of_bindings(spec: RtlSpec) -> type[Article]:
    from hil.rtl.board import article_class

    return article_class(spec)
