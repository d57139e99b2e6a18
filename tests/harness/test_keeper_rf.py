"""A generator in the keeper: what it may play, where its RF may go, and that it is gone when the keeper is dead.

The keeper is a process of its own; generator, supply, RF channel and I/O card are simulated and served here, so that
what arrives at the receiver's connector is seen beside all of it.
"""

from __future__ import annotations

import os
import signal
import threading
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pyvisa
from sim_world import OnClock

from hil.clock import Stopwatch, VirtualClock
from hil.errors import HilError, InstrumentError
from hil.faults import Fault
from hil.io.sim_card import SimIoCard
from hil.noise import Streams
from hil.ports import Ports
from hil.rig.keeping import keeper_plan
from hil.rig.loader import load_rig
from hil.rig.waveforms import listed, loaded
from hil.safety.launch import KeeperLink, exit_code_of, start_keeper
from hil.safety.record import read_record
from hil.signal import Timeline
from hil.sim.card_server import CardServer
from hil.sim.scpi_port import ScpiServer
from hil.units import ms
from hil.visa.keysight_n5182b import KeysightN5182B
from hil.visa.keysight_n5182b_twin import KeysightN5182BTwin
from hil.visa.keysight_n6700 import KeysightN6700
from hil.visa.keysight_n6700_twin import KeysightN6700Twin
from hil.visa.library import SimVisaLibrary
from hil.visa.tones import Burst, sequence
from hil.wiring import Wiring
from hil_launcher.models.range_safety.rf_channel import ChannelAsBuilt, RfChannel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hil.nets import RfValue

CHANNEL = Path(__file__).parents[2] / "fixtures" / "hil_launcher" / "as_built" / "channel.toml"
CHECK = sequence(Burst(((7_500.0, 30e3),), 25 * ms))
FOREIGN = sequence(Burst(((8_460.0, 30e3),), 25 * ms))
WATCHDOG_S = 1.0
PATIENCE_S = 10.0
RIG = """
[rig]
name = "rf"
pace = "wall"
max_lateness_ms = 10000.0

[safety]
silence_s = 20.0
lease_s = 5.0

[instrument.psu]
driver = "hil.visa.keysight_n6700:KeysightN6700"
resource = "{psu}"
hazard = 1
safe = [
    {{ write = "OUTP OFF,(@1:4)", query = "OUTP? (@1:4)", expect = "0,0,0,0", within_ms = 500.0 }},
    {{ query = "MEAS:VOLT? (@1:4)", below_v = 1.0, within_ms = 500.0 }},
]
[instrument.psu.watchdog]
enable = "OUTP:PROT:WDOG:DEL 1;:OUTP:PROT:WDOG ON"
disable = "OUTP:PROT:WDOG OFF"
clear = "OUTP:PROT:CLE (@1:4)"
timeout_ms = 1000.0

[instrument.siggen]
driver = "hil.visa.keysight_n5182b:KeysightN5182B"
resource = "{siggen}"
hazard = 2
safe = [
    {{ write = "OUTP OFF", query = "OUTP?", expect = "0", within_ms = 500.0 }},
    {{ write = ":RAD:ARB OFF", query = ":RAD:ARB?", expect = "0", within_ms = 500.0 }},
    {{ write = ":FM:STAT OFF", query = ":FM:STAT?", expect = "0", within_ms = 500.0 }},
]
allow_modulation = ["AM", "PULM"]
sequences = ["waveforms.toml"]
interlock = {{ pin = "stand.di_rf_a", level = "high", path = "uplink_a" }}
cut_by = "psu"

[instrument.stand]
driver = "hil.io.stream_card:StreamCard"
resource = "{stand}"

[dut.channel]
serial = "1"
[dut.fts_a]
serial = "1"

[net.power_fts_a]
pins = ["psu.out1", "fts_a.power", "channel.hold_a"]
[net.rf_uplink]
pins = ["siggen.rf", "channel.air"]
[net.rf_feed_a]
pins = ["channel.feed_a", "fts_a.rf"]
[net.rf_mated_a]
pins = ["channel.mated_a", "stand.di_rf_a"]

[path.uplink_a]
from = "siggen.rf"
to = "fts_a.rf"
loss_db = 0.0
uncertainty_db = 0.3
date = 2026-01-12
"""


class RfBench(OnClock):
    """Generator, supply, channel, card; what arrives at the receiver."""

    def build(self) -> Callable[[], None]:
        clock, wiring, streams = self.clock, self.wiring, Streams(1)
        psu = KeysightN6700Twin(name="psu", clock=clock, streams=streams, wiring=wiring, serial="P1")
        siggen = KeysightN5182BTwin(name="siggen", clock=clock, streams=streams, wiring=wiring, serial="G1")
        built = ChannelAsBuilt.model_validate(tomllib.loads(CHANNEL.read_text()))
        self.channel = RfChannel(clock, streams, Ports("channel", wiring), built)
        card = SimIoCard("stand", wiring, timeline=Timeline(clock), ports=("di_rf_a",), ohms={})
        receiver = wiring.rf_pin("fts_a.rf")
        wiring.net("power_fts_a", ["psu.out1", "channel.hold_a"])
        wiring.net("rf_uplink", ["siggen.rf", "channel.air"])
        wiring.net("rf_feed_a", ["channel.feed_a", "fts_a.rf"])
        wiring.net("rf_mated_a", ["channel.mated_a", "stand.di_rf_a"])
        self._receiver = receiver
        self.arrived: list[RfValue | None] = [None]
        self._changed = threading.Condition()
        receiver.on_change(self._arrives)
        siggen.memory.store("WFM1:OLD", bytes(240))  # somebody else has left it there
        self.psu, self.siggen, self.card = ScpiServer(psu), ScpiServer(siggen), CardServer(card, clock)
        return self._close

    def _close(self) -> None:
        for server in (self.psu, self.siggen, self.card):
            server.close()

    def _arrives(self) -> None:
        with self._changed:
            self.arrived.append(self._receiver.value)
            self._changed.notify_all()

    def await_rf(self, right: Callable[[RfValue | None], bool], within_s: float = PATIENCE_S) -> bool:
        """Wait for what arrives at the receiver's connector."""
        with self._changed:
            return self._changed.wait_for(lambda: right(self.arrived[-1]), within_s)

    @property
    def radiates(self) -> bool:
        """Whether the generator's output is on, whatever arrives."""
        return self.do(lambda: self.siggen.twin.panel.get(KeysightN5182B.rf_enabled))

    def fault(self, kind: str) -> None:
        """Put a fault on feed A of the channel; it stays until :meth:`mend`."""
        self.mending = self.do(lambda: self.channel.apply(Fault("channel", kind, parameters={"feed": 1})))

    def mend(self) -> None:
        """Take it away."""
        self.do(self.mending)


def waveforms_of(tones: object) -> dict[str, str]:
    """What a generator is loaded with to play this, from a simulated run."""
    clock, said = VirtualClock(), list[str]()
    library = SimVisaLibrary(clock)
    library.attach(
        "TCPIP0::g::inst0::INSTR",
        KeysightN5182BTwin(name="g", clock=clock, streams=Streams(1), wiring=Wiring(clock)),
    )
    siggen = KeysightN5182B.open(
        pyvisa.ResourceManager(library),
        "TCPIP0::g::inst0::INSTR",
        name="g",
        transcript=lambda direction, text: said.append(f"0 s {'->' if direction == 'write' else '<-'} {text}"),
    )
    siggen.play(tones)
    return loaded(said, KeysightN5182B)


class Kept:
    """A test that began on that bench, under a keeper, with its supply on."""

    def __init__(self, bench: RfBench, folder: Path) -> None:
        self.bench = bench
        self.record = folder / "keeper.jsonl"
        (folder / "waveforms.toml").write_text(listed(waveforms_of(CHECK)))
        (folder / "rig.toml").write_text(
            RIG.format(psu=bench.psu.resource, siggen=bench.siggen.resource, stand=bench.card.address)
        )
        plan = keeper_plan(load_rig(folder / "rig.toml"), who="a test", record=self.record)
        self.door = start_keeper(plan.model_copy(update={"lease_folder": str(folder / "lease")}))
        self.link = KeeperLink(self.door)
        self.link.begin("a test")
        manager = pyvisa.ResourceManager("@py")
        self.siggen = KeysightN5182B.open(manager, self.door.doors["siggen"], name="siggen")
        self.psu = KeysightN6700.open(manager, self.door.doors["psu"], name="psu")
        output = self.psu.output(1)
        output.voltage_v, output.current_limit_a = 28.0, 1.0
        output.on()

    def radiate(self) -> None:
        """RF arrives at the receiver."""
        self.siggen.frequency_hz, self.siggen.level_dbm = 421e6, -60.0
        self.siggen.rf_on()
        assert self.bench.await_rf(lambda value: value is not None)

    def tripped(self) -> str:
        """Why the keeper has made the rig safe."""
        return next(str(line["why"]) for line in read_record(self.record) if line["what"] == "tripped")

    def close(self) -> None:
        with suppress(HilError):
            self.link.end()
        self.link.close()
        for driver in (self.siggen, self.psu):
            driver.close()
        exit_code_of(self.door)


@pytest.fixture(scope="module")
def bench() -> Iterator[RfBench]:
    with RfBench() as made:
        yield made


@pytest.fixture
def kept(bench: RfBench, tmp_path: Path) -> Iterator[Kept]:
    made = Kept(bench, tmp_path)
    yield made
    made.close()


def test_what_is_listed_and_was_loaded_in_this_run_is_played_and_nothing_else(kept: Kept, bench: RfBench) -> None:
    kept.radiate()
    kept.siggen.play(CHECK)
    assert bench.await_rf(lambda value: value is not None and bool(value.tones))
    with pytest.raises(InstrumentError, match=r"MEM:DATA loads a waveform that is not listed"):
        kept.siggen.play(FOREIGN)
    with pytest.raises(InstrumentError, match=r"'WFM1:OLD' was not loaded in this session"):
        kept.siggen.arb_waveform = "WFM1:OLD"
    with pytest.raises(InstrumentError, match="FM is not allowed here"):
        kept.siggen.fm_enabled = True
    assert {round(tone.frequency_hz) for value in bench.arrived if value for tone in value.tones} == {7500}


def test_rf_needs_a_path_that_reads_back_and_ends_when_it_opens(kept: Kept, bench: RfBench) -> None:
    bench.fault("path_open")
    with pytest.raises(InstrumentError, match=r"interlock stand\.di_rf_a high reads low"):
        kept.siggen.rf_on()
    bench.mend()
    kept.siggen.write("*CLS")
    kept.radiate()
    bench.fault("path_open")
    bench.mend()  # it was open for a moment
    assert exit_code_of(kept.door) == 0
    assert not bench.radiates
    assert kept.tripped().startswith("interlock stand.di_rf_a high")


def test_rf_ends_when_the_card_that_reads_its_interlock_is_lost(kept: Kept, bench: RfBench) -> None:
    kept.radiate()
    bench.do(bench.card.drop)
    assert bench.await_rf(lambda value: value is None)
    assert kept.tripped().startswith("interlock stand.di_rf_a high cannot be read")


def test_when_the_keeper_is_killed_the_supplys_watchdog_takes_the_rf_away(kept: Kept, bench: RfBench) -> None:
    kept.radiate()
    watch = Stopwatch()
    os.kill(kept.door.pid, signal.SIGKILL)
    assert bench.await_rf(lambda value: value is None, within_s=2.0 * WATCHDOG_S + PATIENCE_S)
    assert watch.elapsed_s > 0.5 * WATCHDOG_S  # nobody else has done it
    assert bench.radiates  # the generator itself has not stopped
