"""The RTL file of an article: sources, clock and reset, and how its ports meet the board around it.

It is TOML, named by the rig file (``dut.NAME.rtl``). Everything that is a number of the article itself stands in
its as-built data; here stands what the design *is*.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hil.coverage.goals import CoverageTable
from hil.toml_lines import check, load_toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

PS_PER_NS = 1_000
_ROUNDING = 1e-9
_ROUNDING_PS = 1e-6  # a decimal fraction of a nanosecond is no binary one
_CLASS_PATH = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
_PORT = r"^[A-Za-z_]\w*$"

Port = Annotated[str, Field(pattern=_PORT)]
Path_ = Annotated[str, Field(pattern=_CLASS_PATH)]
Percent = Annotated[float, Field(ge=0.0, le=100.0)]


class RtlTable(BaseModel):
    """A closed table of an RTL file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ClockTable(RtlTable):
    """``[clock]``: the one clock that the exchange is tied to."""

    port: Port = Field(description="clock input of the top")
    period_ns: float = Field(gt=0.0, description="its period [ns]; a quarter of it must be whole picoseconds")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        quarter_ps = self.period_ns * PS_PER_NS / 4.0
        nearest_ps = max(round(quarter_ps), 1)
        if abs(quarter_ps - nearest_ps) > _ROUNDING_PS:
            fits_ns = nearest_ps * 4 / PS_PER_NS
            raise ValueError(
                f"a quarter of a period of {self.period_ns} ns is {quarter_ps:g} ps: the exchange instant is a quarter "
                f"period after the edge, on whole picoseconds; the nearest that fits is {fits_ns} ns"
            )
        return self

    @property
    def period_ps(self) -> int:
        """The period [ps]."""
        return round(self.period_ns * PS_PER_NS)


class ResetTable(RtlTable):
    """``[reset]``: the reset that power-up asserts."""

    port: Port = Field(description="reset input of the top")
    active: Literal["low", "high"] = Field(default="low", description="the level that resets")
    cycles: int = Field(default=16, ge=1, description="clock cycles for which power-up asserts it")


class DiscreteIn(RtlTable):
    """A discrete input: a pin of the rig above its threshold drives the port to 1."""

    kind: Literal["discrete_in"]
    port: Port
    ohms: float = Field(default=10e3, gt=0.0, description="input resistance [ohm]")
    threshold_v: float = Field(default=10.0, description="switching voltage [V]")


class DiscreteOut(RtlTable):
    """A discrete output: the port closes a high-side switch to the board's supply."""

    kind: Literal["discrete_out"]
    port: Port
    ohms: float = Field(default=0.1, gt=0.0, description="on-resistance of the switch [ohm]")
    leakage_a: float = Field(default=0.0, ge=0.0, description="current through the open switch [A]")


class Samples(RtlTable):
    """A sampled analogue or audio input: two's complement words with a strobe, at a fixed rate."""

    kind: Literal["samples"]
    port: Port
    valid: Port | None = Field(default=None, description="strobe input, one clock per sample")
    rate_hz: float = Field(gt=0.0, description="sample rate [Hz]; a whole number of clocks")
    lsb_per_v: float | None = Field(default=None, description="of an analogue pin: codes per volt; audio has none")
    ohms: float = Field(default=1e6, gt=0.0, description="input resistance of an analogue pin [ohm]")


class SpiAdc(RtlTable):
    """An SPI converter beside the FPGA, which is the master: mode 0, 16 clocks a frame, channel first, code last."""

    kind: Literal["spi_adc"]
    sclk: Port
    cs_n: Port
    mosi: Port
    miso: Port
    channels: list[str] = Field(min_length=1, max_length=16, description="name of the analogue pin of each channel")
    bits: int = Field(default=12, ge=8, le=12, description="resolution")
    full_scale_v: float = Field(default=5.0, gt=0.0, description="voltage of the highest code plus one [V]")
    ohms: float = Field(default=1e6, gt=0.0, description="input resistance of the pins [ohm]")


class CanBinding(RtlTable):
    """A CAN controller's two pins, behind a transceiver on one of the article's buses."""

    kind: Literal["can"]
    tx: Port
    rx: Port


class UartBinding(RtlTable):
    """An asynchronous serial line, 8 data bits, no parity, 1 stop bit; the board sees bytes."""

    kind: Literal["uart"]
    tx: Port | None = None
    rx: Port | None = None
    baud: float = Field(gt=0.0, description="bit rate [bit/s]")


class PwmOut(RtlTable):
    """A pulse-width modulated output: the board sees duty (0 to 1) and frequency [Hz], and its mean as a voltage."""

    kind: Literal["pwm_out"]
    port: Port
    window_us: float = Field(gt=0.0, description="time over which a line without edges is called steady [us]")
    volts: float = Field(default=5.0, description="mean voltage at full duty [V]")


Binding = Annotated[
    DiscreteIn | DiscreteOut | Samples | SpiAdc | CanBinding | UartBinding | PwmOut, Field(discriminator="kind")
]


class PortUse(NamedTuple):
    """A port that an RTL file names.

    Args:
        key: the key that names it.
        port: the port.
        direction: the way it must go, as seen by the design.
        width: how many bits it must have; None when that is left to the design.
    """

    key: str
    port: str
    direction: Literal["in", "out"]
    width: int | None


_USES: Mapping[str, Mapping[str, tuple[Literal["in", "out"], int | None]]] = {
    "discrete_in": {"port": ("in", 1)},
    "discrete_out": {"port": ("out", 1)},
    "samples": {"port": ("in", None), "valid": ("in", 1)},
    "spi_adc": {"sclk": ("out", 1), "cs_n": ("out", 1), "mosi": ("out", 1), "miso": ("in", 1)},
    "can": {"tx": ("out", 1), "rx": ("in", 1)},
    "uart": {"tx": ("out", 1), "rx": ("in", 1)},
    "pwm_out": {"port": ("out", 1)},
}


class UpsetsTable(RtlTable):
    """``[upsets]``: what a single-event upset may hit, by hierarchical name below the top."""

    registers: list[str] = Field(default_factory=list[str])


class UnresetTable(RtlTable):
    """``[power_up.unreset."NAME"]``: why a register has no reset, and who agreed."""

    justification: str = Field(min_length=1, pattern=r"\S", description="why what it comes up with does no harm")
    approver: str = Field(min_length=1, pattern=r"\S", description="who agreed")


class PowerUpTable(RtlTable):
    """``[power_up]``: registers without reset that are meant to be so, each with its justification and approver."""

    unreset: dict[str, UnresetTable] = Field(default_factory=dict)


class ScaledTable(RtlTable):
    """A parameter that simulation gives another value than the hardware has: a deviation, recorded as such."""

    value: int
    hardware: int
    reason: str


class RtlSpec(RtlTable):
    """A whole RTL file, checked."""

    top: Port = Field(description="top module or entity")
    sources: list[str] = Field(min_length=1, description="HDL files beside this one, in order of compilation")
    language: Literal["verilog", "vhdl"] = "verilog"
    board: Path_ | None = Field(default=None, description="what surrounds the FPGA, an Article; bindings alone if none")
    parameters: Path_ | None = Field(default=None, description="function: as-built data -> parameters of the top")
    lookahead_us: float = Field(
        default=0.0, ge=0.0, description="inputs act this much later, a delay of the board [us]"
    )
    clock: ClockTable
    reset: ResetTable
    bind: dict[Port, Binding] = Field(default_factory=dict)
    scaled: dict[Port, ScaledTable] = Field(default_factory=dict)
    upsets: UpsetsTable = UpsetsTable()
    coverage: CoverageTable = CoverageTable()
    power_up: PowerUpTable = PowerUpTable()

    file: Path = Field(default=Path(), exclude=True)
    """Where it was read."""

    @model_validator(mode="after")
    def _whole_samples(self) -> Self:
        for name, bind in self.bind.items():
            if bind.kind == "samples":
                clocks = 1e12 / bind.rate_hz / self.clock.period_ps
                whole = max(round(clocks), 1)
                if abs(clocks - whole) > _ROUNDING * whole:
                    fits_hz = 1e12 / (whole * self.clock.period_ps)
                    raise ValueError(
                        f"bind.{name}: at {bind.rate_hz:g} Hz a sample takes {clocks:g} clocks of "
                        f"{self.clock.period_ns} ns, no whole number; the nearest rate that fits is {fits_hz:.10g} Hz"
                    )
        return self

    @property
    def uses(self) -> Iterator[PortUse]:
        """Every port that the file names, with the key that names it, the way it must go, and its width if fixed."""
        yield PortUse("clock.port", self.clock.port, "in", 1)
        yield PortUse("reset.port", self.reset.port, "in", 1)
        for name, bind in self.bind.items():
            for key, (direction, width) in _USES[bind.kind].items():
                port = getattr(bind, key)
                if port is not None:
                    yield PortUse(f"bind.{name}.{key}", port, direction, width)

    @property
    def name(self) -> str:
        """What the design is called: the name of its file."""
        return self.file.stem

    @property
    def source_files(self) -> tuple[Path, ...]:
        """The HDL files, in order."""
        return tuple((self.file.parent / source).resolve() for source in self.sources)

    @property
    def bit_ports(self) -> frozenset[str]:
        """Outputs that a peripheral reads bit by bit: the host is told of frames, words and duties alone."""
        named = (
            getattr(bind, key)
            for bind in self.bind.values()
            if bind.kind not in ("discrete_in", "discrete_out")
            for key, (direction, _) in _USES[bind.kind].items()
            if direction == "out"
        )
        return frozenset(port for port in named if port is not None)

    @property
    def lookahead_ns(self) -> int:
        """How much later inputs act [ns]."""
        return round(self.lookahead_us * PS_PER_NS)


def load_spec(path: Path | str) -> RtlSpec:
    """Read an RTL file.

    Raises:
        ConfigError: when it cannot be read, says something unknown or impossible, or names a source that is not
            there; with file, line, key and remedy.
    """
    path = Path(path)
    data, lines = load_toml(path)
    spec = check(RtlSpec, {**data, "file": path}, path, lines)
    for index, source in enumerate(spec.source_files):
        if not source.is_file():
            from hil.errors import ConfigError

            raise ConfigError(
                f"{path}:{lines.of('sources', index)}: sources: there is no file {spec.sources[index]}; a source is "
                f"named relative to {path.name}"
            )
    return spec
