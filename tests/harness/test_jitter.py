"""--bench-jitter: latencies of a bench in virtual time; what is seen and judged does not depend on them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import pyvisa
from hypothesis import given
from hypothesis import strategies as st
from suite import Suite
from test_determinism import recorded, start

from hil.can.bus import SimBus
from hil.can.frame import Frame
from hil.can.wire import CanWire
from hil.io.sim_card import SimIoCard
from hil.jitter import FRAME, OPERATOR, SAMPLE, Draws, Jitter, LateChannel, Latency, UnhurriedClock
from hil.noise import Streams
from hil.signal import HIGH, LOW, Condition, Monitor, NotSeenError, Signal, Timeline
from hil.units import ms, s
from hil.visa.keysight_n6700_twin import KeysightN6700Twin
from hil.visa.library import SimVisaLibrary
from hil.wiring import Wiring

if TYPE_CHECKING:
    from pathlib import Path

LATE = 50 * ms
SOME = [  # each asks for pins, telemetry, instruments and frames
    "tests/launcher/test_engine_redlines.py::test_redline_needs_its_number_of_consecutive_samples[pc_low]",
    "tests/launcher/test_engine_cutoff.py::test_termination_cuts_the_engine_off_with_its_cpu_halted[fts_a]",
    "tests/launcher/test_fts_logic.py::test_reset_unlatches_everything[fts_b]",
    "tests/launcher/test_fts_power.py::test_a_dropout_changes_no_state[fts_a]",
]


# -- the draws and the channel --------------------------------------------------------------------------------------


def test_a_draw_is_nothing_the_usual_or_the_worst() -> None:
    draws = Draws(OPERATOR, Streams(1).stream("test", "latency"))
    drawn = [draws.next_ns() for _ in range(1000)]
    assert drawn.count(0) > 250
    assert drawn.count(OPERATOR.worst_ns) > 250
    assert sum(OPERATOR.usual_ns // 2 <= each <= 2 * OPERATOR.usual_ns for each in drawn) > 250


def test_the_same_seed_gives_the_same_latencies_and_another_label_others() -> None:
    def first(label: str) -> list[int]:
        costs, clock = [], UnhurriedClock()
        cost = Jitter(clock, Streams(1), label).cost_of("test", OPERATOR)
        for _ in range(20):
            cost()
            costs.append(clock.now)
        return costs

    assert first("1") == first("1") != first("2")


@given(
    gaps=st.lists(st.integers(0, 30 * ms), max_size=60),
    latency=st.sampled_from([FRAME, SAMPLE, Latency(1, 1), Latency(10, 100 * ms)]),
    seed=st.integers(0, 1000),
)
def test_nothing_arrives_out_of_order_nor_before_its_time_nor_beyond_the_worst(
    gaps: list[int], latency: Latency, seed: int
) -> None:
    clock = UnhurriedClock()
    channel = LateChannel(clock, Draws(latency, Streams(seed).stream("bus_a", "latency")))
    arrived: list[tuple[int, int, int]] = []

    def happen(number: int) -> None:
        sent_ns = clock.now
        channel.post(lambda: arrived.append((number, sent_ns, clock.now)))

    at_ns = 0
    for number, gap_ns in enumerate(gaps):
        at_ns += gap_ns
        clock.at(at_ns, lambda number=number: happen(number))
    clock.sleep(at_ns + latency.worst_ns)
    assert [number for number, _, _ in arrived] == list(range(len(gaps)))
    assert all(sent_ns <= at_ns <= sent_ns + latency.worst_ns for _, sent_ns, at_ns in arrived)


def test_what_happens_together_arrives_together() -> None:
    clock, arrived = UnhurriedClock(), []
    channel = LateChannel(clock, Draws(FRAME, Streams(1).stream("bus_a", "latency")))
    for instant in range(0, 1000 * ms, 10 * ms):
        for _ in range(2):
            clock.at(instant, lambda: channel.post(lambda: arrived.append(clock.now)))
    clock.sleep(2 * s)
    assert arrived[::2] == arrived[1::2]
    assert len(arrived) == 200


def test_a_listener_that_fails_holds_up_nobody_behind_it() -> None:
    clock, heard = UnhurriedClock(), []
    channel = late(clock)
    clock.at(1 * ms, lambda: channel.post(lambda: 1 // 0))
    clock.at(2 * ms, lambda: channel.post(lambda: heard.append(clock.now)))
    with pytest.raises(ZeroDivisionError):
        clock.sleep(1 * s)
    clock.sleep(1 * s)
    assert heard == [1 * ms + LATE]


def test_a_call_costs_nothing_in_an_event_callback() -> None:
    clock = UnhurriedClock()
    clock.at(5 * ms, lambda: clock.cost(100 * ms))
    clock.cost(10 * ms)
    assert clock.now == 10 * ms


# -- frames, messages, samples --------------------------------------------------------------------------------------


def late(clock: UnhurriedClock) -> LateChannel:
    """A channel on which everything is late by the same."""

    class Always(Draws):
        def next_ns(self) -> int:
            return LATE

    return LateChannel(clock, Always(FRAME, Streams(1).stream("", "")))


def test_a_frame_is_late_for_the_tester_alone_and_keeps_the_stamp_of_its_end() -> None:
    clock = UnhurriedClock()
    wire = CanWire(clock, "bus_a", 500_000, Streams(1).stream("bus_a", "wire"))
    sender, article = wire.attach("sender"), wire.attach("article")
    there: list[int] = []
    article.on_frame(lambda _: there.append(clock.now))
    with SimBus("bus_a", late=late(clock)) as bus:
        heard: list[tuple[int, int]] = []
        bus.listen(lambda frame: heard.append((frame.at_ns, clock.now)))
        sender.send(Frame(0x123, bytes(8)))
        message = bus.recv(1.0)
        assert heard == [(there[0], there[0] + LATE)]
        assert message is not None
        assert message.timestamp == there[0] / 1e9
    wire.close()


def test_a_message_costs_rig_time_on_its_way_there_and_back_and_its_time_out_does_not_shrink() -> None:
    clock = UnhurriedClock()
    library = SimVisaLibrary(clock, lambda: clock.cost(100 * ms))
    twin = KeysightN6700Twin(name="psu", clock=clock, streams=Streams(1), wiring=Wiring(clock))
    library.attach("TCPIP0::psu::5025::SOCKET", twin)
    psu = pyvisa.ResourceManager(library).open_resource(
        "TCPIP0::psu::5025::SOCKET", read_termination="\n", write_termination="\n", timeout=5
    )
    assert psu.query("*IDN?").startswith("Keysight")
    assert clock.now == 200 * ms  # the answer, 1 ms, is ready long before it is read
    with pytest.raises(pyvisa.VisaIOError, match="VI_ERROR_TMO"):
        psu.query("*CLS")
    assert clock.now == 405 * ms


def test_a_sample_of_the_card_is_late_with_the_stamp_of_its_edge() -> None:
    clock = UnhurriedClock()
    wiring, timeline = Wiring(clock), Timeline(clock)
    out = wiring.pin("box.out")
    card = SimIoCard("stand", wiring, timeline=timeline, ports=["di_out"], ohms={}, late=late(clock))
    wiring.net("out", ["box.out", "stand.di_out"])
    clock.at(7 * ms, lambda: out.drive(28.0, 1.0))
    clock.at(9 * ms, out.release)  # over before it is known to have begun
    assert card.level("di_out").expect(HIGH, within=100 * ms).at == 7 * ms
    assert clock.now == 7 * ms + LATE
    assert card.level("di_out").expect(LOW, within=100 * ms, since=8 * ms).at == 9 * ms


# -- the grammar ----------------------------------------------------------------------------------------------------


class Bench:
    """A pin and a reading whose samples arrive later than they are produced, by the most there is."""

    def __init__(self) -> None:
        self.clock = UnhurriedClock()
        self.timeline = Timeline(self.clock)
        self.timeline.transport_ns = LATE
        self.pin: Signal[bool] = Signal("fts_a.arm", "", self.timeline, held=True)
        self.pin.put(LOW)
        self.pc: Signal[float] = Signal("engine.pc", "bar", self.timeline)

    def produces(self, signal: Signal[bool] | Signal[float], *samples: tuple[int, float]) -> None:
        for at_ns, value in samples:
            self.clock.at(at_ns + LATE, lambda at_ns=at_ns, value=value: signal.put(value, at_ns))


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("name", ["pin", "pc"])
def test_what_happened_in_time_counts_although_it_arrives_after_the_time(bench: Bench, name: str) -> None:
    signal = getattr(bench, name)
    bench.produces(signal, (99 * ms, True))
    assert signal.expect(True, within=100 * ms).at == 99 * ms


@pytest.mark.parametrize("name", ["pin", "pc"])
def test_what_happened_after_the_time_does_not_count(bench: Bench, name: str) -> None:
    signal = getattr(bench, name)
    bench.produces(signal, (101 * ms, True))
    with pytest.raises(NotSeenError):
        signal.expect(True, within=100 * ms)


def test_a_level_that_was_gone_at_the_mark_does_not_pass_because_its_end_is_on_its_way(bench: Bench) -> None:
    bench.produces(bench.pin, (10 * ms, HIGH), (90 * ms, LOW))
    bench.clock.sleep(100 * ms)
    bench.timeline.stimulus("TERMINATE")
    assert bench.pin.last is not None
    assert bench.pin.last.value is HIGH  # as far as the test's program knows
    assert not bench.pin.seen(HIGH, within=20 * ms)


def test_a_level_from_before_that_arrives_in_it_does_not_break_stays(bench: Bench) -> None:
    bench.produces(bench.pin, (80 * ms, HIGH), (90 * ms, LOW))
    bench.clock.sleep(100 * ms)
    assert bench.pin.stays(LOW, for_=300 * ms)


def test_the_level_that_it_had_at_the_beginning_breaks_stays_although_it_arrives_in_it(bench: Bench) -> None:
    bench.produces(bench.pin, (90 * ms, HIGH), (110 * ms, LOW))
    bench.clock.sleep(100 * ms)
    assert not bench.pin.stays(LOW, for_=300 * ms)


def test_where_nothing_is_said_of_transport_a_level_from_before_counts_when_it_arrives(bench: Bench) -> None:
    bench.timeline.transport_ns = 0
    bench.produces(bench.pin, (90 * ms, HIGH))
    bench.clock.sleep(100 * ms)
    assert not bench.pin.stays(LOW, for_=300 * ms)


@pytest.mark.parametrize(("at_ns", "held"), [(299 * ms, False), (301 * ms, True)])
def test_stays_judges_what_was_produced_in_its_time_and_nothing_else(bench: Bench, at_ns: int, held: bool) -> None:
    bench.produces(bench.pin, (at_ns, HIGH))
    assert bench.pin.stays(LOW, for_=300 * ms) is held


def test_a_watch_that_ended_still_takes_what_was_on_its_way(bench: Bench) -> None:
    watch = Monitor(bench.pin, Condition(LOW), bench.timeline)
    bench.produces(bench.pin, (95 * ms, HIGH))
    bench.clock.sleep(100 * ms)
    assert not watch.close()
    assert watch.violation is not None
    assert watch.violation.at == 95 * ms


def test_once_everything_has_arrived_the_newest_sample_is_that_of_the_call(bench: Bench) -> None:
    bench.produces(bench.pin, (95 * ms, HIGH))
    bench.clock.sleep(100 * ms)
    bench.timeline.arrived()
    assert bench.pin.last is not None
    assert (bench.pin.last.value, bench.clock.now) == (HIGH, 150 * ms)


def test_a_stimulus_costs_its_time_before_its_mark(bench: Bench) -> None:
    bench.timeline.before_call = lambda: bench.clock.cost(200 * ms)
    bench.timeline.stimulus("ARM")
    assert bench.timeline.mark_ns == bench.clock.now == 200 * ms
    bench.timeline.happens("a planned fault")
    assert bench.timeline.mark_ns == 200 * ms


# -- runs -----------------------------------------------------------------------------------------------------------

EMPTY = "def test_a(rig, measure):\n    measure('box.volts', 28.0, 'V')\n"


def test_a_run_says_everywhere_that_latencies_were_drawn_and_with_which_seed(tmp_path: Path) -> None:
    ran = Suite(tmp_path, EMPTY).run("--bench-jitter=7")
    assert "DEVELOPMENT RUN, qualifies nothing: --bench-jitter=7" in ran.text
    starts = [document for document in ran.documents if document["doc"] == "start"]
    assert [document["development"] for document in starts] == [["--bench-jitter=7"]] * 2
    assert "--bench-jitter=7" in json.dumps(json.loads((ran.folder / "identity.json").read_text()))


@pytest.mark.parametrize(
    ("rig", "arguments", "message"),
    [
        ('[rig]\nname = "empty"\npace = "wall"\n', ["--bench-jitter"], "draws latencies in virtual time"),
        ('[rig]\nname = "empty"\n', ["--bench-jitter", "test_box.py"], "write --bench-jitter=SEED"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, rig: str, arguments: list[str], message: str) -> None:
    ran = Suite(tmp_path, EMPTY, rig=rig).run(*arguments)
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert message in ran.text


@pytest.mark.parametrize("seed", [1, 2])
def test_verdicts_of_the_launcher_are_the_same_whatever_the_latencies(tmp_path: Path, seed: int) -> None:
    run = start(tmp_path / "run", f"--bench-jitter={seed}", tests=SOME)
    text, _ = run.communicate()
    assert (run.returncode, f"{len(SOME)} passed" in text) == (0, True), text


def test_a_run_with_latencies_repeats_bit_for_bit(tmp_path: Path) -> None:
    runs = [start(tmp_path / name, "--bench-jitter=3", tests=SOME[2:3]) for name in ("first", "second")]
    first, second = (recorded(tmp_path / name, run) for name, run in zip(("first", "second"), runs, strict=True))
    assert first == second
