"""Upsets in the FPGA designs: what single flipped bits reach, and what they must not reach."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from hil.can.database import Database
from hil.rtl import tools
from hil.rtl.analysis.solo import Input
from hil.rtl.analysis.upset_campaign import Play, upset_campaign
from hil.rtl.build import Variant, build
from hil.units import ms
from hil_launcher.models.engine.as_built import EngineAsBuilt
from hil_launcher.models.engine.bit_exact import EngineReference
from hil_launcher.models.engine.rtl_parameters import LSB_V
from hil_launcher.models.engine.states import Output

LAUNCHER = Path(__file__).parents[3] / "fixtures" / "hil_launcher"
FLIPS = 120  # drawn of all bits, in each play
CLOCK_NS, CYCLE_CLOCKS = 125, 256  # of the engine's core, whose major cycle is scaled for tests


@pytest.fixture
def campaign(record, tool, design_named):
    """Runs a campaign on the fastest simulator there is, and lays its table beside the measurements.

    It says what the outputs must have shown undisturbed: a stimulus that reaches nothing would let every flip pass.
    """

    def run(name, play, shown, *, title, **asked):
        spec, parameters = design_named(name)
        simulator = tool(tools.find, "auto")
        built = build(spec, simulator, Variant(upsets=simulator.name == "verilator"), parameters)
        found = upset_campaign(built, play, **asked)
        columns, rows = found.table()
        record("table", title=f"{name}, {title}: {len(found.upsets)} of {found.bits} bits", columns=columns, rows=rows)
        assert found.undisturbed > 0
        assert found.unknown == ()
        assert {output: found.shown[output] for output in shown} == shown
        assert found.count("unknown") == 0
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
LATCHES = [
    *(f"u_logic.u_latch.copy_{copy}_q" for copy in "abc"),
    "u_logic.confirmed_q",
    "u_logic.held_q",
    "u_logic.latch_good_q",
]
SAFE_NS, ARMED_NS = 20 * ms, 46 * ms  # the latches' supply is seen; ARM is accepted, and its tones are gone


def audio(at_ms, *tones):
    """What the demodulator gives from a time on: tones by number, 30 kHz each, and some noise."""
    said = [[RECEIVER["tones_hz"][str(tone)], AMPLITUDE] for tone in tones]
    return Input(round(at_ms * ms), "audio", json.dumps({"tones": said, "noise_lsb": 0.05 * AMPLITUDE}).encode())


def tones_of(command):
    """The tones of a command, by number."""
    return RECEIVER["commands"][command]["tones"]


def bits_of(command):
    """How the output that tells the tones shows those of a command: the lowest tone in bit 0."""
    numbers = sorted(int(number) for number in RECEIVER["tones_hz"])
    return "".join("01"[number in tones_of(command)] for number in reversed(numbers))


GOOD = Input(0, "latch_good_i", 1)
OFF = {"arm_o": ("0",), "terminate_o": ("0",)}
NOISE = Play(60 * ms, (GOOD, audio(0, *tones_of("ARM")[:1]), audio(8)))  # a tone at first shows that it hears
ARMED = Play(60 * ms, (GOOD, audio(0), audio(5, *tones_of("ARM")), audio(45)))
TOO_EARLY = Play(60 * ms, (GOOD, audio(0), audio(5, *tones_of("TERMINATE")), audio(45)))
SILENT = {**OFF, "tones_o": ("0000", "0001", "0000")}
ARMS = {"arm_o": ("0", "1"), "terminate_o": ("0",)}


@pytest.mark.requirement("FTS-R-32", "FTS-R-33")
@pytest.mark.parametrize(
    ("title", "play", "shown"),
    [("noise alone", NOISE, SILENT), ("armed", ARMED, ARMS), ("TERMINATE before ARM", TOO_EARLY, OFF)],
    ids=["noise", "armed", "early"],
)
def test_no_single_upset_makes_terminate(campaign, measure, record, title, play, shown):
    """Whatever bit of the receiver's logic flips, TERMINATE stays off, safe and armed."""
    found = campaign("fts_receiver", play, shown, title=title, flips=FLIPS, seed=len(title))
    if play is TOO_EARLY:
        assert bits_of("TERMINATE") in found.shown["tones_o"]
    judge(measure, record, found, "terminate_o")


@pytest.mark.requirement("FTS-R-32", "FTS-R-33")
@pytest.mark.parametrize(
    ("title", "play", "shown", "since_ns"),
    [
        ("safe", NOISE, SILENT, SAFE_NS),
        ("armed", ARMED, ARMS, ARMED_NS),
        ("safe, with the tones of TERMINATE", TOO_EARLY, OFF, SAFE_NS),
    ],
    ids=["safe", "armed", "early"],
)
def test_no_bit_of_the_latches_makes_terminate(campaign, measure, record, title, play, shown, since_ns):
    """Each bit of the latches and of what leads to them, none left out, safe and armed: TERMINATE stays off."""
    found = campaign(
        "fts_receiver", play, shown, title=f"{title}, every bit of the latches", registers=LATCHES, since_ns=since_ns
    )
    assert len(found.upsets) == found.bits > len(LATCHES)
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
SPEAKS = "can_a_tx_valid_o"


def test_no_upset_of_one_copy_opens_a_valve(campaign, measure, record):
    """In stand-by, whatever bit of one of the three copies flips, no valve opens and nothing is lit."""
    hand = Hand()
    hand.cycles(30)
    assert not any(hand.told.values())
    shown = dict.fromkeys(GUARDED, ("0",))
    found = campaign("engine_core", hand.play(), shown, title="stand-by", flips=FLIPS, seed=1)
    assert "1" in found.shown[SPEAKS]
    judge(measure, record, found, *GUARDED)


def test_no_upset_of_one_copy_shuts_down(campaign, measure, record):
    """From the start command to mainstage, whatever bit of one of the three copies flips, the sequence goes on."""
    hand = Hand()
    hand.cycles(15)
    hand.cycles(110, command="START")
    assert hand.told[Output.MAIN_OX]
    assert hand.told[Output.MAIN_FUEL]
    shown = {"main_ox_o": ("0", "1"), "main_fuel_o": ("0", "1"), "igniter_o": ("0", "1", "0")}
    found = campaign("engine_core", hand.play(), shown, title="start", flips=FLIPS, seed=2)
    judge(measure, record, found, *GUARDED)
