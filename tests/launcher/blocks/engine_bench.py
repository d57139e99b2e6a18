"""A bench for the core of the engine controller's FPGA: stimulus, an engine that answers, and the reference model.

It works in the middle of clocks: inputs change and outputs are read at falling edges.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import cocotb
from cocotb.triggers import FallingEdge, First, Timer
from cocotb.utils import get_sim_time

from hil.can.database import Database
from hil.noise import Streams
from hil.rtl.cover import cover
from hil_launcher.models.engine.as_built import EngineAsBuilt
from hil_launcher.models.engine.bit_exact import EngineReference
from hil_launcher.models.engine.rtl_parameters import LSB_V
from hil_launcher.models.engine.states import Output, State

if TYPE_CHECKING:
    from hil.can.frame import Frame

LAUNCHER = Path(__file__).parents[3] / "fixtures" / "hil_launcher"
PERIOD_NS = 125
CLOCKS = tomllib.loads((LAUNCHER / "rtl" / "engine_core.toml").read_text())["scaled"]["CYCLE_CLOCKS"]["value"]
"""Clocks of the scaled major cycle."""
CONVERTED = CLOCKS - 40
"""Clock of the cycle at which the bench gives new codes: the last report is made by then."""
JUDGED = CLOCKS - 2
"""Clock in which a major cycle is judged: what comes in it, or later, counts for the next."""
BANKS = ("u_timer", "u_watch", "u_pc", "u_temperature", "u_speed", "u_redlines", "u_sequence")
"""The triplicated registers."""
OUTPUTS = {Output.MAIN_OX: "main_ox_o", Output.MAIN_FUEL: "main_fuel_o", Output.IGNITER: "igniter_o"}
DATABASE = Database.load(LAUNCHER / "launcher.dbc")
_ENDED = (State.SHUTDOWN, State.SAFE)
_BUSES = {("can_a",): "A", ("can_b",): "B"}


@dataclass
class Engine:
    """Valves, chamber and sensors that follow the told outputs a share of the way in each major cycle."""

    as_built: EngineAsBuilt
    ox: float = 0.0
    fuel: float = 0.0
    heat: float = 0.0
    stuck: set[str] = field(default_factory=set)
    sensors_v: dict[int, float] = field(default_factory=dict)
    """Sensors that say something of their own, by channel [V]."""
    apart_v: dict[int, float] = field(default_factory=dict)
    """Sensors that say something else than the others, by channel: how much more [V]."""
    quantities: dict[str, float] = field(default_factory=dict)
    """Quantities forced to a value: pc [MPa], hot [K], fast [rpm]."""

    def step(self, told: dict[Output, bool]) -> None:
        """One major cycle passes."""
        self.ox = self._travel("ox", self.ox, told[Output.MAIN_OX])
        self.fuel = self._travel("fuel", self.fuel, told[Output.MAIN_FUEL])
        burns = min(self.ox, self.fuel) > 0.5 and "flame" not in self.stuck
        self.heat += 0.15 * (float(burns) - self.heat)

    def _travel(self, name: str, at: float, told: bool) -> float:
        return at if name in self.stuck else min(max(at + (0.15 if told else -0.15), 0.0), 1.0)

    def codes(self, rng) -> list[int]:
        """What the converter gives now, with some noise."""
        scale, redline = self.as_built.scale, self.as_built.redline
        rated = {
            "pc": 0.5 * (redline.pc_low_mpa + redline.pc_high_mpa),
            "hot": 0.8 * redline.turbine_temperature_high_k,
            "fast": 0.8 * redline.pump_speed_high_rpm,
        }
        per_v = {"pc": scale.pc_mpa_per_v, "hot": scale.turbine_temperature_k_per_v, "fast": scale.pump_speed_rpm_per_v}
        volts = [
            scale.zero_v + self.quantities.get(name, rated[name] * self.heat) / per_v[name]
            for name in per_v
            for _ in range(3)
        ]
        volts += [scale.zero_v + scale.position_span_v * position for position in (self.ox, self.fuel)]
        for channel in range(9):
            volts[channel] = self.sensors_v.get(channel, volts[channel] + self.apart_v.get(channel, 0.0))
            volts[channel] += rng.normal(0.0, 2e-3)
        return [min(max(round(volt / LSB_V), 0), 4095) for volt in volts]


class Bench:
    """The core, its reference and everything between.

    Args:
        dut: cocotb's handle of the wrapper.
        as_built: file of the controller's as-built data.
        seed: of the stimulus.
        prefix: whose controller it is.
    """

    def __init__(self, dut, as_built: Path, seed: int, prefix: str = "ENG1") -> None:
        self.dut = dut
        self.as_built = EngineAsBuilt.model_validate(tomllib.loads(as_built.read_text()))
        self.rng = Streams(seed).stream("engine_core", "stimulus")
        self.prefix = prefix
        self.beats = {"can_a", "can_b"}
        self.lines = {"a": False, "b": False}
        self.interrupted = False
        self.ready = {"a": True, "b": True}
        self.upsets = 0
        """Flips of a register in each major cycle."""
        self.planned: list[tuple[str, str, int]] = []
        """Flips to be made first: register, copy, bit; random ones follow."""
        self._tasks = []

    # -- one run -------------------------------------------------------------------------------------------

    async def reset(self) -> None:
        """Start over, core and reference; ends at the first clock of a major cycle."""
        self.reference = EngineReference(self.as_built, DATABASE, self.prefix)
        self.engine = Engine(self.as_built)
        self.told = dict.fromkeys(Output, False)
        self.state = State.CHECKOUT
        self.cycles = 0
        self.expected = []
        self.sent = {"a": [], "b": []}
        self.senders = {
            (bus, name): DATABASE.sender(name)
            for bus in ("can_a", "can_b")
            for name in ("FC_HEARTBEAT", f"{self.prefix}_COMMAND")
        }
        for task in self._tasks:
            task.cancel()
        dut = self.dut
        await FallingEdge(dut.clk)
        dut.rst_n.value = 0
        dut.engine_i.value = int(self.prefix[3:])
        for name in ("can_a_rx_valid_i", "can_b_rx_valid_i", "can_a_tx_ready_i", "can_b_tx_ready_i", "codes_i"):
            getattr(dut, name).value = 0
        await self.clocks(4)
        self._began_ps = round(get_sim_time("ps"))
        dut.rst_n.value = 1
        self._tasks = [
            cocotb.start_soon(self._take("a")),
            cocotb.start_soon(self._take("b")),
            cocotb.start_soon(self._watch()),
        ]

    @staticmethod
    async def clocks(count: int) -> None:
        """Let clocks pass."""
        if count:
            await Timer(count * PERIOD_NS, "ns")

    async def cycle(self, *frames: tuple[str, Frame]) -> None:
        """One major cycle: heartbeats, frames given here at random clocks, a conversion, a judgement, a check."""
        self.engine.step(self.told)
        codes = self.engine.codes(self.rng)
        coming = [*frames, *self.heartbeats()]
        clocks = sorted(int(clock) for clock in self.rng.choice(range(4, CLOCKS - 1, 3), len(coming), replace=False))
        await self.judged(codes, [(clock, *each) for clock, each in zip(clocks, coming, strict=True)])

    async def judged(self, codes: list[int], frames: list[tuple[int, str, Frame]]) -> None:
        """One major cycle with these codes and these frames, each at its clock (in order) on its bus."""
        now = 0
        late: list[tuple[str, Frame]] = []
        plan = [(CONVERTED, "codes"), *((clock, (bus, frame)) for clock, bus, frame in frames)]
        plan += [(int(clock), "upset") for clock in self.rng.choice(CLOCKS - 2, self.upsets, replace=False)]
        for clock, what in sorted(plan, key=lambda each: each[0]):
            await self.clocks(max(clock - now, 0))
            now = max(clock, now)
            if what == "codes":
                self._convert(codes)
            elif what == "upset":
                await self._upset()
                now += 1
            else:
                late += [what] if now >= JUDGED else []
                await self._hear(*what, late=now >= JUDGED)
                now += 1
        await self.clocks(CLOCKS - now)
        self._check(codes)
        for bus, frame in late:
            self.reference.receive(bus, frame)

    def _convert(self, codes: list[int]) -> None:
        """The converter and the discrete inputs say something new."""
        self.dut.codes_i.value = sum(code << 12 * channel for channel, code in enumerate(codes))
        self.dut.fts_shutdown_a_i.value = int(self.lines["a"])
        self.dut.fts_shutdown_b_i.value = int(self.lines["b"])
        self.dut.interrupted_i.value = int(self.interrupted)

    def _check(self, codes: list[int]) -> None:
        """The cycle is over: compare what it told with the reference, and all messages up to the last cycle."""
        self.cycles += 1
        where = f"cycle {self.cycles}, state {self.state}"
        for bus, sent in self.sent.items():
            if self.ready[bus]:
                assert sent == self.expected, f"{where}: bus {bus}: {sent[-3:]} instead of {self.expected[-3:]}"
        judged = self.reference.cycle(
            codes, line_a=self.lines["a"], line_b=self.lines["b"], interrupted=self.interrupted
        )
        told = {output: bool(int(getattr(self.dut, port).value)) for output, port in OUTPUTS.items()}
        assert told == judged.told, f"{where}: told {told} instead of {judged.told}"
        self.told = told
        self.expected += [(frame.arbitration_id, frame.data) for frame in judged.frames]
        self._cover(judged.state, judged.cause)

    def _cover(self, state: State, cause: str) -> None:
        cover("engine.state", state)
        if state is not self.state:
            cover("engine.transition", f"{self.state}>{state}")
        if state in _ENDED and self.state not in _ENDED:
            cover("engine.abort", self.state, cause)
        self.state = state

    # -- buses ---------------------------------------------------------------------------------------------

    def frame(self, bus: str, message: str, **signals: str) -> Frame:
        """The next frame of a sender on a bus."""
        return self.senders[bus, message].frame(signals)

    def command(self, command: str, *buses: str) -> list[tuple[str, Frame]]:
        """A command on some buses, both unless given."""
        cover("engine.command_on", command, _BUSES.get(buses, "both"))
        return [
            (bus, self.frame(bus, f"{self.prefix}_COMMAND", COMMAND=command)) for bus in buses or ("can_a", "can_b")
        ]

    def heartbeats(self) -> list[tuple[str, Frame]]:
        """Those of the flight computer in this major cycle."""
        if self.cycles % 5:
            return []
        return [(bus, self.frame(bus, "FC_HEARTBEAT", PHASE="PAD")) for bus in sorted(self.beats)]

    async def _hear(self, bus: str, frame: Frame, *, late: bool) -> None:
        """A frame comes in, for one clock."""
        data = int.from_bytes(frame.data.ljust(8, b"\0"), "big")
        for name, value in (("valid", 1), ("id", frame.arbitration_id), ("dlc", frame.dlc), ("data", data)):
            getattr(self.dut, f"{bus}_rx_{name}_i").value = value
        if not late:
            self.reference.receive(bus, frame)
        await self.clocks(1)
        getattr(self.dut, f"{bus}_rx_valid_i").value = 0

    async def _take(self, bus: str) -> None:
        """Take frames from the core, each after some clocks, as a bus that is busy would."""
        port = f"can_{bus}_tx"
        valid, taken = getattr(self.dut, f"{port}_valid_o"), getattr(self.dut, f"{port}_ready_i")
        while True:
            await self.clocks(1)
            if not int(valid.value):
                await valid.value_change
                await self._to_falling_edge()
            if not self.ready[bus]:
                await self.clocks(CLOCKS // 4)
                continue
            await self.clocks(int(self.rng.integers(1, 20)))
            length = int(getattr(self.dut, f"{port}_dlc_o").value)
            data = int(getattr(self.dut, f"{port}_data_o").value).to_bytes(8, "big")
            self.sent[bus].append((int(getattr(self.dut, f"{port}_id_o").value), data[:length]))
            taken.value = 1
            await self.clocks(1)
            taken.value = 0

    async def _to_falling_edge(self) -> None:
        since_ps = (round(get_sim_time("ps")) - self._began_ps) % (PERIOD_NS * 1000)
        if since_ps:
            await Timer(PERIOD_NS * 1000 - since_ps, "ps")

    async def _watch(self) -> None:
        """Outputs change at the end of a major cycle's last clock but one, and at no other time."""
        judged_ps = (CLOCKS - 2) * PERIOD_NS * 1000 + PERIOD_NS * 500
        outputs = [getattr(self.dut, port) for port in OUTPUTS.values()]
        while True:
            await First(*(output.value_change for output in outputs))
            at_ps = (round(get_sim_time("ps")) - self._began_ps) % (CLOCKS * PERIOD_NS * 1000)
            assert at_ps == judged_ps, f"an output changed {at_ps} ps into the major cycle"

    # -- upsets --------------------------------------------------------------------------------------------

    async def _upset(self) -> None:
        """Flip one bit of one copy of a register: it is told, no output moves, and it is gone with the next clock."""
        bank, copy, bit = self.planned.pop() if self.planned else self._any_bit()
        register = self.bank(bank, copy)
        before = self._outputs()
        register.value = int(register.value) ^ 1 << bit
        await Timer(1, "ns")
        where = f"{bank}.u_{copy} bit {bit} in cycle {self.cycles}, state {self.state}"
        assert int(self.dut.odd_o.value) == 1 << "abc".index(copy), f"{where}: not told"
        assert self._outputs() == before, f"{where}: reached an output"
        await Timer(PERIOD_NS - 1, "ns")
        assert int(self.dut.odd_o.value) == 0, f"{where}: not corrected"

    def _any_bit(self) -> tuple[str, str, int]:
        bank, copy = str(self.rng.choice(BANKS)), str(self.rng.choice(["a", "b", "c"]))
        return bank, copy, int(self.rng.integers(len(self.bank(bank, copy))))

    def bank(self, name: str, copy: str):
        """One copy of a triplicated register."""
        return getattr(getattr(self.dut.dut, name), f"u_{copy}").bank_q

    def _outputs(self) -> list[int]:
        return [int(getattr(self.dut, port).value) for port in OUTPUTS.values()]
