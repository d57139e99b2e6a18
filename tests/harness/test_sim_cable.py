"""Nets with pins in two programs: what the cable between them carries, how exactly, and what a lost one leaves."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_world import OnClock

from hil.clock import WallClock
from hil.errors import ConfigError, WiringError
from hil.faults import Fault
from hil.io import cable_words as words
from hil.io.cable import Cable, Ends, connect, keep_apart, listening
from hil.io.cable_link import CableLink
from hil.nets import RfValue, Tone
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.sim.cable import CableServer
from hil.units import ms, s
from hil.wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_names = st.text(max_size=20)
_finite = st.floats(allow_nan=False, allow_infinity=False)
_ints = st.integers(-(10**20), 10**20)
_tones = st.lists(st.builds(Tone, _finite, _finite, _ints), max_size=3).map(tuple)
_plain_rf = st.builds(RfValue, _finite, _finite, _tones, st.none() | _finite)
_rf = st.builds(RfValue, _finite, _finite, _tones, st.none() | _finite, st.lists(_plain_rf, max_size=2).map(tuple))
messages = st.one_of(
    st.builds(words.Hello, _ints, _names, _names, _finite, _ints, _ints, st.dictionaries(_names, _names)),
    st.just(words.Plugged()),
    st.builds(words.Wire, _names, _finite, _finite, _ints),
    st.builds(words.Rf, _names, st.none() | _rf, _ints),
    st.builds(words.Datagram, _names, st.binary(max_size=20).map(bytes.hex), _ints),
    st.builds(words.Late, _ints, _ints),
    st.builds(words.Refused, _names),
)


class Program:
    """One program of a rig, with its share of the wiring."""

    def __init__(self, name: str, *others: str, clock: WallClock | None = None, wiring: Wiring | None = None) -> None:
        self.clock = clock or WallClock()
        self.wiring = wiring or Wiring(self.clock)
        self.name = name
        self.cables = {other: Cable(Ends(name, other, "bench"), self.clock) for other in others}

    def net(self, name: str, *pins: str, loss_db: dict[str, float] | None = None) -> None:
        """Join a net that every other program has pins on too."""
        far = connect(self.wiring, self.clock, name, pins, list(self.cables.values()))
        self.wiring.net(name, [*pins, *far], loss_db)
        keep_apart(self.wiring, far)

    def electrical(self, net: str, *pins: str) -> None:
        for pin in pins:
            self.wiring.pin(pin)
        self.net(net, *pins)


class Bench:
    """Programs in one thread; what one says on a cable the other hears when it is its turn."""

    def __init__(self, *programs: Program) -> None:
        self.programs = programs
        self.lines: list[tuple[Cable, bytes]] = []

    def plug(self) -> None:
        """Plug in every cable, and let everything settle."""
        named = {program.name: program for program in self.programs}
        for program in self.programs:
            for other, cable in program.cables.items():
                theirs = named[other].cables[program.name]
                cable.plug(lambda line, theirs=theirs: self.lines.append((theirs, line)))
        self.settle()

    def settle(self) -> None:
        """Deliver and run until nobody says anything any more."""
        while True:
            for program in self.programs:
                program.clock.sleep(0)
            if not self.lines:
                return
            lines, self.lines = self.lines, []
            for cable, line in lines:
                cable.receive(words.decode(line.rstrip(b"\n")))


def two() -> tuple[Program, Program]:
    return Program("test", "fts"), Program("fts", "test")


@given(messages)
def test_a_message_is_the_same_after_the_cable(word: words.Word) -> None:
    line = words.encode(word)
    assert line.endswith(b"\n")
    assert words.decode(line[:-1]) == word


@given(st.binary(max_size=60) | st.dictionaries(_names, _ints | _names).map(lambda given: json.dumps(given).encode()))
def test_a_line_that_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(WiringError, match="cable protocol: the line"):
        words.decode(line)


def test_a_value_that_is_not_finite_does_not_go_over_a_cable() -> None:
    with pytest.raises(WiringError, match="give finite values"):
        words.encode(words.Wire("power", float("inf"), 0.0, 0))


# -- electrical nets ------------------------------------------------------------------------------------------

_sources = st.lists(st.tuples(st.floats(-50.0, 50.0), st.floats(0.01, 1e4)), max_size=3)
_loads = st.lists(st.floats(0.1, 1e6), max_size=3)


def _furnish(wiring: Wiring, name: str, sources: list[tuple[float, float]], loads: list[float]) -> list[str]:
    """Pins with sources and loads, and one that only looks."""
    pins = [f"{name}.look"]
    wiring.pin(pins[0])
    for number, (volts, ohms) in enumerate(sources):
        pins.append(f"{name}.source{number}")
        wiring.pin(pins[-1]).drive(volts, ohms)
    for number, ohms in enumerate(loads):
        pins.append(f"{name}.load{number}")
        wiring.pin(pins[-1]).load(ohms)
    return pins


@settings(max_examples=60, deadline=None)
@given(_sources, _loads, _sources, _loads)
def test_a_shared_net_has_the_voltage_it_would_have_in_one_program(
    sources: list[tuple[float, float]],
    loads: list[float],
    far_sources: list[tuple[float, float]],
    far_loads: list[float],
) -> None:
    here, far = two()
    here.net("power", *_furnish(here.wiring, "a", sources, loads))
    far.net("power", *_furnish(far.wiring, "b", far_sources, far_loads))
    Bench(here, far).plug()

    alone = Wiring(WallClock())
    alone.net("power", [*_furnish(alone, "a", sources, loads), *_furnish(alone, "b", far_sources, far_loads)])
    volts = alone.pin("a.look").volts
    assert here.wiring.pin("a.look").volts == pytest.approx(volts, rel=1e-9, abs=1e-9)
    assert far.wiring.pin("b.look").volts == pytest.approx(volts, rel=1e-9, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.floats(1.0, 40.0), st.floats(0.1, 5.0), st.floats(0.5, 1e4))
def test_a_current_limit_holds_whatever_the_other_program_draws(volts: float, limit_a: float, ohms: float) -> None:
    here, far = two()
    here.electrical("power", "psu.out1")
    far.electrical("power", "fts_a.power")
    bench = Bench(here, far)
    bench.plug()
    here.wiring.pin("psu.out1").drive(volts, 0.01, limit_a)
    far.wiring.pin("fts_a.power").load(ohms)
    bench.settle()
    drawn_a = min(volts / (ohms + 0.01), limit_a)
    assert far.wiring.pin("fts_a.power").amps == pytest.approx(drawn_a, rel=1e-4)
    assert here.wiring.pin("psu.out1").in_limit is (drawn_a == limit_a)


def test_a_load_that_changes_without_voltage_is_known_when_the_voltage_comes() -> None:
    here, far = two()
    here.electrical("power", "psu.out1")
    far.electrical("power", "fts_a.power")
    bench = Bench(here, far)
    bench.plug()
    far.wiring.pin("fts_a.power").load(10.0)
    bench.settle()
    here.wiring.pin("psu.out1").drive(28.0, 4.0)
    assert here.wiring.pin("psu.out1").volts == pytest.approx(20.0)


def test_three_programs_on_one_net_count_each_once() -> None:
    here, left, right = (
        Program("test", "left", "right"),
        Program("left", "right", "test"),
        Program("right", "left", "test"),
    )
    here.electrical("power", "psu.out1")
    left.electrical("power", "a.power")
    right.electrical("power", "b.power")
    bench = Bench(here, left, right)
    bench.plug()
    here.wiring.pin("psu.out1").drive(30.0, 10.0)
    left.wiring.pin("a.power").load(10.0)
    right.wiring.pin("b.power").load(10.0)
    bench.settle()
    for pin in (here.wiring.pin("psu.out1"), left.wiring.pin("a.power"), right.wiring.pin("b.power")):
        assert pin.volts == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("target", "kind", "parameters", "volts"),
    [
        ("power", "short_to_ground", {"ohms": 1.0}, 28.0 / 3),
        ("power", "open", {}, 0.0),
        ("cable_fts.power", "open", {}, 0.0),
        ("cable_fts.power", "series_resistance", {"ohms": 4.0}, 28.0 / 7),
    ],
)
def test_a_fault_in_one_program_is_felt_in_the_other(
    target: str, kind: str, parameters: dict[str, float], volts: float
) -> None:
    here, far = two()
    here.electrical("power", "psu.out1")
    far.electrical("power", "fts_a.power")
    bench = Bench(here, far)
    bench.plug()
    here.wiring.pin("psu.out1").drive(28.0, 2.0 if kind.startswith("s") else 1.0)
    far.wiring.pin("fts_a.power").load(1e9 if kind == "short_to_ground" else 1.0)
    undo = here.wiring.apply(Fault(target, kind, parameters=parameters))
    bench.settle()
    assert far.wiring.pin("fts_a.power").volts == pytest.approx(volts, abs=1e-6)
    undo()
    bench.settle()
    assert far.wiring.pin("fts_a.power").volts > volts + 1.0


def test_a_source_that_follows_a_function_does_not_share_its_net() -> None:
    here, _ = two()
    here.electrical("pc_a", "sensor.pc_a")
    with pytest.raises(WiringError, match=r"sensor.pc_a follows a function, and cable_fts.pc_a waits for changes"):
        here.wiring.pin("sensor.pc_a").follow(lambda: 1.0, 100.0)


def test_a_contact_does_not_join_a_shared_net_with_another() -> None:
    here, _ = two()
    here.electrical("power", "psu.out1")
    contact = here.wiring.contact("psu.out1", "box.in", 0.1)
    contact.close()
    with pytest.raises(WiringError, match="net power is shared with another program, and a closed contact joins it"):
        here.clock.sleep(0)


def test_a_physical_quantity_is_refused_by_the_name_of_its_net() -> None:
    here, _ = two()
    here.wiring.quantity_pin("plant.track", 3)
    with pytest.raises(WiringError, match=r"net track: plant.track is a physical quantity.*program fts"):
        here.net("track", "plant.track")


# -- RF and datagrams -----------------------------------------------------------------------------------------


def rf_bench() -> tuple[Bench, Program, Program]:
    here, far = two()
    here.clock.sleep(20 * ms)
    far.clock = WallClock()
    far.wiring = Wiring(far.clock)
    far.cables = {"test": Cable(Ends("fts", "test", "bench"), far.clock)}
    here.wiring.rf_pin("siggen.rf")
    far.wiring.rf_pin("fts_a.rf")
    here.net("feed", "siggen.rf", loss_db={"siggen.rf": 2.0})
    far.net("feed", "fts_a.rf", loss_db={"fts_a.rf": 6.4})
    bench = Bench(here, far)
    bench.plug()
    return bench, here, far


def test_an_rf_value_arrives_with_the_loss_of_both_ends_taken_once() -> None:
    bench, here, far = rf_bench()
    weaker = RfValue(1e6, -80.0)
    here.wiring.rf_pin("siggen.rf").drive(RfValue(425e6, -50.0, noise_dbm=-100.0, interferers=(weaker,)))
    bench.settle()
    value = far.wiring.rf_pin("fts_a.rf").value
    assert value is not None
    assert (value.level_dbm, value.noise_dbm, value.interferers[0].level_dbm) == pytest.approx((-58.4, -108.4, -88.4))
    here.wiring.rf_pin("siggen.rf").drive(None)
    bench.settle()
    assert far.wiring.rf_pin("fts_a.rf").value is None


def test_a_tone_began_at_the_same_instant_on_both_clocks() -> None:
    bench, here, far = rf_bench()
    began_ns = here.clock.now
    here.wiring.rf_pin("siggen.rf").drive(RfValue(425e6, -50.0, (Tone(7.5e3, 30e3, began_ns),)))
    bench.settle()
    value = far.wiring.rf_pin("fts_a.rf").value
    assert value is not None
    ahead_ns = here.clock.elapsed - far.clock.elapsed
    assert ahead_ns >= 20 * ms
    assert began_ns - value.tones[0].start_ns == pytest.approx(ahead_ns, abs=5 * ms)  # of reading two clocks in turn


def test_a_datagram_arrives_once_with_the_time_it_was_sent_and_does_not_come_back() -> None:
    here, far = two()
    here.wiring.datagram_pin("tracker.out")
    far.wiring.datagram_pin("range.in")
    here.net("track", "tracker.out")
    far.net("track", "range.in")
    bench = Bench(here, far)
    bench.plug()
    heard: list[tuple[bytes, int]] = []
    echo: list[bytes] = []
    far.wiring.datagram_pin("range.in").on(lambda payload, at_ns: heard.append((payload, at_ns)))
    bench.settle()
    here.wiring.datagram_pin("cable_fts.track").on(lambda payload, _: echo.append(payload))
    here.wiring.datagram_pin("tracker.out").send(b"\x01\x02")
    bench.settle()
    assert [payload for payload, _ in heard] == [b"\x01\x02"]
    assert echo == [b"\x01\x02"]  # as it left, and no more
    assert heard[0][1] <= far.clock.now


# -- time -----------------------------------------------------------------------------------------------------


def test_a_change_that_comes_too_late_is_a_late_tick_in_both_programs() -> None:
    here, far = two()
    here.electrical("power", "psu.out1")
    far.electrical("power", "fts_a.power")
    bench = Bench(here, far)
    bench.plug()
    began_ns, far_began_ns = here.clock.now, far.clock.now
    here.wiring.pin("psu.out1").drive(28.0, 1.0)
    here.clock.sleep(20 * ms)  # the other program does not get to it meanwhile
    bench.settle()
    for program, since_ns in ((here, began_ns), (far, far_began_ns)):
        assert program.clock.lateness.worst_in(since_ns, program.clock.now) >= 20 * ms
    assert far.cables["test"].delays.worst_ns >= 20 * ms


# -- plugging in ------------------------------------------------------------------------------------------------


class Far(OnClock):
    """The other program, on its port."""

    def build(self) -> Callable[[], None]:
        self.said: list[str] = []
        self.program = Program("fts", "test", clock=self.clock, wiring=self.wiring)
        self.program.electrical("power", "fts_a.power")
        self.wiring.pin("fts_a.power").load(1e3)
        self.server = CableServer(self.program.cables, self.clock, say=self.said.append)
        return self.server.close


@pytest.fixture
def far() -> Iterator[Far]:
    with Far() as far:
        yield far


def plugged(far: Far, *, rig: str = "bench") -> tuple[Program, CableLink]:
    here = Program("test", "fts")
    here.cables = {"fts": Cable(Ends("test", "fts", rig), here.clock)}
    here.electrical("power", "psu.out1")
    here.wiring.pin("psu.out1").drive(28.0, 1.0)
    return here, CableLink(here.cables["fts"], far.server.address, here.clock)


def reads(far: Far, above: bool) -> bool:
    """Whether the voltage at the other program's pin gets above 20 V, or below, within a second."""
    clock = WallClock()
    return clock.wait(clock.now + s, lambda: (far.do(lambda: far.wiring.pin("fts_a.power").volts) > 20.0) is above)


def test_a_lost_cable_leaves_pins_open_and_whoever_waits_is_told(far: Far) -> None:
    here, link = plugged(far)
    assert reads(far, above=True)
    far.server.drop()
    with pytest.raises(WiringError, match=r"program fts at tcp://.* was lost at .*; power are open there"):
        here.clock.sleep(2 * s)
    assert here.wiring.pin("psu.out1").amps == pytest.approx(0.0, abs=1e-6)
    assert reads(far, above=False)
    link.close()


def test_a_cable_that_was_pulled_can_be_plugged_in_again(far: Far) -> None:
    for _ in range(2):
        _, link = plugged(far)
        assert reads(far, above=True)
        link.close()
        assert reads(far, above=False)
    assert far.program.cables["test"].count_plugged == 2


def test_a_second_program_of_the_same_name_is_refused(far: Far) -> None:
    _, first = plugged(far)
    with pytest.raises(WiringError, match=r"refused there: program test wants to plug in .* it is plugged in already"):
        plugged(far)
    assert any("it is plugged in already" in line for line in far.said)
    assert reads(far, above=True)
    first.close()


def test_programs_on_different_rig_files_do_not_join(far: Far) -> None:
    with pytest.raises(WiringError, match="rig: wanted 'other', found 'bench'; start both programs on the same rig"):
        plugged(far, rig="other")


def test_what_is_no_message_of_a_cable_is_unplugged(far: Far) -> None:
    host, _, port = far.server.address.removeprefix("tcp://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5.0) as link:
        link.sendall(b"*IDN?\n")
        with suppress(ConnectionError):
            assert b"is no JSON" in link.recv(1000)
    assert any("is no JSON" in line for line in far.said)


def test_a_program_that_is_not_there_is_named() -> None:
    here = Program("test", "fts")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(WiringError, match="Start `hil sim --program fts` first"):
            CableLink(here.cables["fts"], f"tcp://127.0.0.1:{free.getsockname()[1]}", here.clock)


# -- rig file ---------------------------------------------------------------------------------------------------

RIG = """
[rig]
name = "shared"
pace = "wall"
worlds = { sim = "tcp://127.0.0.1:0" }

[instrument.psu]
driver = "hil.visa.keysight_n6700:KeysightN6700"
model = "hil.visa.keysight_n6700_twin:KeysightN6700Twin"

[instrument.stand]
driver = "hil.io.stream_card:StreamCard"
model = "hil.io.sim_card:SimIoCard"
resource = "tcp://127.0.0.1:0"
process = "sim"

[net.power]
pins = ["psu.out1", "stand.ai_out1"]
"""


def test_a_shared_net_without_an_address_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "shared.toml"
    file.write_text(RIG)
    with pytest.raises(
        ConfigError, match=r"shared.toml:17: net.power has pins in the programs sim and test; say where"
    ):
        open_rig(Blueprint.of(load_rig(file)), program="sim")


@pytest.mark.parametrize(("one", "other", "listens"), [("test", "zoo", "zoo"), ("zoo", "test", "zoo"), ("b", "a", "a")])
def test_the_test_never_listens_for_a_cable(one: str, other: str, listens: str) -> None:
    assert listening(one, other) == listens
