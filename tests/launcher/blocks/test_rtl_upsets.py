"""Upsets in the FPGA designs: what single flipped bits reach, and what they must not reach."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from hil.can.database import Database
from hil.errors import ToolMissingError
from hil.rtl import tools
from hil.rtl.block_run import as_built_of
from hil.rtl.build import Variant, build, parameters_of
from hil.rtl.solo import Input
from hil.rtl.spec import load_spec
from hil.rtl.upset_campaign import Play, upset_campaign
from hil.units import ms
from hil_launcher.models.engine.as_built import EngineAsBuilt
from hil_launcher.models.engine.bit_exact import EngineReference
from hil_launcher.models.engine.rtl_parameters import LSB_V
from hil_launcher.models.engine.states import Output

LAUNCHER = Path(__file__).parents[3] / "fixtures" / "hil_launcher"
FLIPS = 120  # drawn of all bits, in each play
CLOCK_NS, CYCLE_CLOCKS = 125, 256  # of the engine's core, whose major cycle is scaled for tests


@pytest.fixture
def campaign(record):
    """Runs a campaign on the fastest simulator there is, and lays its table beside the measurements."""

    def run(name, as_built, play, *, title, seed):
        spec = load_spec(LAUNCHER / "rtl" / f"{name}.toml")
        parameters = parameters_of(spec, as_built_of(spec, LAUNCHER / "as_built" / f"{as_built}.toml"))
        try:
            simulator = tools.find("auto")
        except ToolMissingError as missing:
            pytest.skip(f"NOT_RUN: there is no tool: {missing}")
        built = build(spec, simulator, Variant(upsets=simulator.name == "verilator"), parameters)
        found = upset_campaign(built, play, flips=FLIPS, seed=seed)
        columns, rows = found.table()
        record("table", title=f"{name}, {title}: {len(found.upsets)} of {found.bits} bits", columns=columns, rows=rows)
        return found

    return run


def judge(measure, record, found, *guarded):
    """Count the flips that reached an output that must be guarded, and name each."""
    reached = found.reached(*guarded)
    for upset in reached:
        record("note", text=str(upset))
    measure("rtl.upsets_at_guarded_outputs", len(reached), "1")


# -- receiver ---------------------------------------------------------------------------------------------------

RECEIVER = tomllib.loads((LAUNCHER / "as_built" / "fts_a.toml").read_text())
AMPLITUDE = 30.0 * RECEIVER["demodulator"]["audio_lsb_per_khz"]


def audio(at_ms, *tones):
    """What the demodulator gives from a time on: tones by number, 30 kHz each, and some noise."""
    said = [[RECEIVER["tones_hz"][str(tone)], AMPLITUDE] for tone in tones]
    return Input(round(at_ms * ms), "audio", json.dumps({"tones": said, "noise_lsb": 0.05 * AMPLITUDE}).encode())


GOOD = Input(0, "latch_good_i", 1)


@pytest.mark.requirement("FTS-R-32", "FTS-R-33")
@pytest.mark.parametrize(
    ("title", "inputs"),
    [
        ("noise alone", (GOOD, audio(0))),
        ("armed", (GOOD, audio(0), audio(5, *RECEIVER["commands"]["ARM"]["tones"]), audio(45))),
        ("TERMINATE before ARM", (GOOD, audio(0), audio(5, *RECEIVER["commands"]["TERMINATE"]["tones"]), audio(45))),
    ],
)
def test_no_single_upset_makes_terminate(campaign, measure, record, title, inputs):
    """Whatever bit of the receiver's logic flips, TERMINATE stays off, safe and armed."""
    found = campaign("fts_receiver", "fts_a", Play(60 * ms, inputs), title=title, seed=len(title))
    judge(measure, record, found, "terminate_o")


# -- engine -----------------------------------------------------------------------------------------------------


class Hand:
    """What a bench gives to the engine's core: codes and frames, by the reference that knows what it will tell."""

    def __init__(self) -> None:
        self.as_built = EngineAsBuilt.model_validate(tomllib.loads((LAUNCHER / "as_built" / "engine.toml").read_text()))
        database = Database.load(LAUNCHER / "launcher.dbc")
        self.reference = EngineReference(self.as_built, database, "ENG1")
        self.beat, self.command = (database.sender(name) for name in ("FC_HEARTBEAT", "ENG1_COMMAND"))
        self.inputs = [Input(0, port, 1) for port in ("engine_i", "can_a_tx_ready_i", "can_b_tx_ready_i")]
        self.told = dict.fromkeys(Output, False)
        self.ox = self.fuel = self.heat = 0.0
        self.done = 0

    def cycles(self, count, *, command=""):
        """Major cycles, the first with a command."""
        for number in range(count):
            begin = self.done * CYCLE_CLOCKS
            frames = [] if self.done % 5 else [self.beat.frame({"PHASE": "PAD"})]
            frames += [self.command.frame({"COMMAND": command})] if command and not number else []
            for place, frame in enumerate(frames):
                self._hear(begin + 20 + 20 * place, frame)
            self._step()
            codes = self._codes()
            self._give(
                begin + CYCLE_CLOCKS - 40, "codes_i", sum(code << 12 * channel for channel, code in enumerate(codes))
            )
            self.told = self.reference.cycle(codes, line_a=False, line_b=False, interrupted=False).told
            self.done += 1

    def play(self):
        """All of it."""
        return Play(self.done * CYCLE_CLOCKS * CLOCK_NS, tuple(self.inputs))

    def _give(self, clock, port, value):
        self.inputs.append(Input(clock * CLOCK_NS, port, value))

    def _hear(self, clock, frame):
        data = int.from_bytes(frame.data.ljust(8, b"\0"), "big")
        for bus in ("can_a", "can_b"):
            for name, value in (("valid", 1), ("id", frame.arbitration_id), ("dlc", frame.dlc), ("data", data)):
                self._give(clock, f"{bus}_rx_{name}_i", value)
            self.reference.receive(bus, frame)
        for bus in ("can_a", "can_b"):
            self._give(clock + 1, f"{bus}_rx_valid_i", 0)

    def _step(self):
        """Valves travel a share of their way in each cycle, and the chamber heats when both are open."""
        self.ox = min(max(self.ox + (0.15 if self.told[Output.MAIN_OX] else -0.15), 0.0), 1.0)
        self.fuel = min(max(self.fuel + (0.15 if self.told[Output.MAIN_FUEL] else -0.15), 0.0), 1.0)
        self.heat += 0.15 * ((min(self.ox, self.fuel) > 0.5) - self.heat)

    def _codes(self):
        scale, redline = self.as_built.scale, self.as_built.redline
        volts = [
            scale.zero_v + self.heat * rated / per_v
            for rated, per_v in (
                (0.5 * (redline.pc_low_mpa + redline.pc_high_mpa), scale.pc_mpa_per_v),
                (0.8 * redline.turbine_temperature_high_k, scale.turbine_temperature_k_per_v),
                (0.8 * redline.pump_speed_high_rpm, scale.pump_speed_rpm_per_v),
            )
            for _ in range(3)
        ]
        volts += [scale.zero_v + scale.position_span_v * at for at in (self.ox, self.fuel)]
        return [round(volt / LSB_V) for volt in volts]


GUARDED = ("main_ox_o", "main_fuel_o", "igniter_o")


def test_no_upset_of_one_copy_opens_a_valve(campaign, measure, record):
    """In stand-by, whatever bit of one of the three copies flips, no valve opens and nothing is lit."""
    hand = Hand()
    hand.cycles(30)
    assert not any(hand.told.values())
    judge(measure, record, campaign("engine_core", "engine", hand.play(), title="stand-by", seed=1), *GUARDED)


def test_no_upset_of_one_copy_shuts_down(campaign, measure, record):
    """From the start command to mainstage, whatever bit of one of the three copies flips, the sequence goes on."""
    hand = Hand()
    hand.cycles(15)
    hand.cycles(110, command="START")
    assert hand.told[Output.MAIN_OX]
    assert hand.told[Output.MAIN_FUEL]
    found = campaign("engine_core", "engine", hand.play(), title="start", seed=2)
    assert found.undisturbed > 4
    judge(measure, record, found, *GUARDED)
