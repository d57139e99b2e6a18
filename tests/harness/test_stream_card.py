"""The I/O card on the network: its messages, its clock, and what a lost connection does."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sim_world import ServedCard

from hil.clock import VirtualClock, WallClock
from hil.errors import InstrumentError
from hil.io import stream
from hil.io.card_clock import DRIFT_PPM, CardClock
from hil.io.stream_card import StreamCard
from hil.signal import HIGH, LOW, NotSeenError, Timeline
from hil.units import ms, s, us

if TYPE_CHECKING:
    from collections.abc import Iterator

_names = st.text(max_size=20)
_finite = st.floats(allow_nan=False, allow_infinity=False)
_ints = st.integers(-(10**20), 10**20)
messages = st.one_of(
    st.builds(stream.Hello, _ints, _names, st.lists(_names).map(tuple), _finite, _finite, _ints),
    st.builds(stream.Sample, _names, _names, st.booleans() | _finite, _ints),
    st.builds(stream.Done, _ints, _ints),
    st.builds(stream.Refused, _ints, _names),
    st.builds(stream.Time, _ints, _ints),
    st.builds(stream.Drive, _ints, _names, _finite),
    st.builds(stream.Release, _ints, _names),
    st.builds(stream.Pulse, _ints, st.dictionaries(_names, _finite), _ints),
    st.builds(stream.Switch, _ints, _names, st.booleans()),
    st.builds(stream.AskTime, _ints),
    st.builds(
        stream.World,
        _ints,
        _names,
        st.lists(_names).map(tuple),
        st.dictionaries(_names, _names),
        _finite,
        _ints,
        _ints,
    ),
    st.builds(stream.PutFault, _ints, _names, _names, st.dictionaries(_names, st.booleans() | _finite | _names)),
    st.builds(stream.Clear, _ints, _ints),
    st.builds(stream.Start, _ints),
    st.builds(stream.Renew, _ints),
    st.builds(stream.Late, _ints, _ints, _ints, _ints),
    st.builds(stream.AskLate, _ints),
    st.builds(stream.Watch, _ints, _names),
    st.builds(stream.Read, _ints, _names),
    st.builds(stream.ReadValue, _ints, _finite),
    st.builds(stream.Occurred, _names, _ints),
)


class Bench:
    """A test's side: a timeline on a wall clock, and the card."""

    def __init__(self, served: ServedCard, ports: tuple[str, ...] = ServedCard.PORTS) -> None:
        self.clock = WallClock()
        self.timeline = Timeline(self.clock)
        self.card = StreamCard("stand", served.server.address, timeline=self.timeline, ports=ports)


@pytest.fixture
def served() -> Iterator[ServedCard]:
    with ServedCard() as served:
        yield served


@pytest.fixture
def bench(served: ServedCard) -> Iterator[Bench]:
    bench = Bench(served)
    yield bench
    bench.card.close()


# -- messages ---------------------------------------------------------------------------------------------


@given(messages)
def test_a_message_is_the_same_after_the_line(message: stream.Message) -> None:
    line = stream.encode(message)
    assert line.endswith(b"\n")
    assert b"\n" not in line[:-1]
    assert stream.decode(line[:-1]) == message


@given(st.binary(max_size=60) | messages.map(lambda message: stream.encode(message)[:-1]), st.integers(0, 60))
def test_whatever_comes_is_a_message_or_refused(line: bytes, cut: int) -> None:
    with suppress(InstrumentError):
        stream.decode(line[:cut])


@given(messages, st.sampled_from([None, "text", 1.5, [], True, 10**400]), st.data())
def test_a_field_of_another_type_is_refused(message: stream.Message, wrong: object, data: st.DataObject) -> None:
    fields = json.loads(stream.encode(message))
    key = data.draw(st.sampled_from(sorted(fields.keys() - {"kind"})))
    if type(fields[key]) is type(wrong) or isinstance(fields[key], float | bool):
        return
    fields[key] = wrong
    with pytest.raises(InstrumentError, match="which is not"):
        stream.decode(json.dumps(fields).encode())


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(InstrumentError, match="did you mean drive"):
        stream.decode(b'{"kind":"drve","id":1}')


def test_a_reading_that_is_not_finite_is_no_message() -> None:
    with pytest.raises(ValueError, match="JSON"):
        stream.encode(stream.Sample("ai_x", "volts", float("nan"), 0))
    with pytest.raises(InstrumentError):
        stream.decode(b'{"kind":"sample","channel":"ai_x","quantity":"volts","value":NaN,"at_ns":0}')


# -- clocks -----------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 5 * ms), st.integers(0, 5 * ms)), min_size=1, max_size=40),
    st.integers(-(10**15), 10**15),
    st.integers(-DRIFT_PPM, DRIFT_PPM),
)
def test_a_converted_stamp_is_within_its_uncertainty(
    ways: list[tuple[int, int]], offset_ns: int, drift_ppm: int
) -> None:
    def card(rig_ns: int) -> int:
        return rig_ns + offset_ns + rig_ns * drift_ppm // 1_000_000

    clock, now = CardClock(), 0
    for there, back in ways:
        clock.learn(asked_ns=now, answered_ns=now + there + back, card_ns=card(now + there))
        now += there + back + 10 * ms
    true = now - 1 * ms
    assert abs(clock.rig_ns(card(true), now_ns=now) - true) <= clock.uncertainty_ns(now) + 1


def test_the_best_round_trip_counts_until_drift_has_eaten_it() -> None:
    clock = CardClock()
    clock.learn(asked_ns=0, answered_ns=100 * us, card_ns=0)
    clock.learn(asked_ns=1 * s, answered_ns=1 * s + 1 * ms, card_ns=1 * s)
    assert clock.uncertainty_ns(1 * s) < 200 * us
    assert clock.uncertainty_ns(20 * s) > 500 * us


# -- the card ---------------------------------------------------------------------------------------------


def test_an_edge_arrives_with_the_cards_own_stamp_in_rig_time(served: ServedCard, bench: Bench) -> None:
    stamps: list[int] = []
    begun = bench.clock.now
    served.clock.post(lambda: (stamps.append(served.clock.now), served.box["out"].drive(28.0, 0.15)))
    reading = bench.card.level("di_out").expect(HIGH, within=2 * s)
    assert begun - bench.card.accuracy.stamp_ns <= reading.at <= bench.clock.now


def test_stamps_of_two_clocks_agree_within_the_uncertainty(served: ServedCard, bench: Bench) -> None:
    seen: list[tuple[int, int]] = []

    def pulse() -> None:
        seen.append((served.clock.now, 0))
        served.box["out"].drive(28.0, 0.15)

    offset = served.clock._zero - bench.clock._zero  # both count the machine's monotonic clock
    served.clock.post(pulse)
    reading = bench.card.level("di_out").expect(HIGH, within=2 * s)
    assert abs(reading.at - (seen[0][0] + offset)) <= bench.card.accuracy.stamp_ns
    assert bench.card.accuracy.stamp_ns < 20 * ms


def test_what_was_driven_is_at_the_pin_when_the_call_returns(served: ServedCard, bench: Bench) -> None:
    bench.card.drive("ao_sense", 4.0)
    assert served.box["sense"].volts == pytest.approx(4.0, abs=0.01)
    last = bench.card.volts("ai_sense").last
    assert last is not None
    assert last.value == pytest.approx(4.0, abs=0.01)
    bench.card.release("ao_sense")
    assert served.box["sense"].volts == 0.0


def edges(served: ServedCard) -> list[tuple[bool, int]]:
    """Whether the sensor's pin is above 1 V, at each change of that, with the card's time [ns]."""
    found: list[tuple[bool, int]] = [(False, 0)]
    pin = served.box["sense"]

    def changed() -> None:
        if (pin.volts > 1.0) != found[-1][0]:
            found.append((pin.volts > 1.0, served.clock.now))

    served.do(lambda: pin.on_change(changed))
    return found


def test_a_pulse_lasts_exactly_as_long_as_asked_at_the_pin(served: ServedCard, bench: Bench) -> None:
    seen = edges(served)
    sent_ns = bench.clock.now
    began_ns = bench.card.drive_for({"ao_sense": 4.0}, 12_345_678, bench.clock)

    assert [level for level, _ in seen] == [False, True, False]
    assert seen[2][1] - seen[1][1] == 12_345_678
    assert sent_ns - bench.card.accuracy.stamp_ns <= began_ns <= bench.clock.now - 12_345_678
    assert began_ns <= bench.timeline.mark_ns <= bench.clock.now


def test_a_pulse_ends_though_its_client_has_gone(served: ServedCard, bench: Bench) -> None:
    seen = edges(served)
    with socket.create_connection(("127.0.0.1", served.server.port)) as link:
        link.sendall(stream.encode(stream.Pulse(1, {"ao_sense": 4.0}, 50 * ms)))
        bench.card.volts("ai_sense").expect(above=1.0, within=2 * s)
    bench.card.volts("ai_sense").expect(below=1.0, within=2 * s, since=bench.clock.now)
    assert seen[2][1] - seen[1][1] == 50 * ms


def test_a_channel_that_was_driven_meanwhile_keeps_that_and_the_pulse_is_refused(served: ServedCard) -> None:
    with socket.create_connection(("127.0.0.1", served.server.port), timeout=5.0) as link:
        link.sendall(stream.encode(stream.Pulse(1, {"ao_sense": 4.0}, 20 * ms)))
        link.sendall(stream.encode(stream.Drive(2, "ao_sense", 2.0)))
        said = (stream.decode(line) for line in link.makefile("rb"))
        answers = [next(each for each in said if isinstance(each, stream.Done | stream.Refused)) for _ in range(2)]
    assert [(type(answer), answer.id) for answer in answers] == [(stream.Done, 2), (stream.Refused, 1)]
    assert "another command acted on ao_sense" in answers[1].why
    assert served.box["sense"].volts == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize(("volts", "for_ns"), [(4.0, 0), (4.0, -1), (11.0, 1 * ms)])
def test_a_pulse_of_nothing_or_beyond_the_range_is_refused(
    served: ServedCard, bench: Bench, volts: float, for_ns: int
) -> None:
    with pytest.raises(InstrumentError, match=r"refused at tcp.* (1 ns at least|beyond its range)"):
        bench.card.drive_for({"ao_sense": volts}, for_ns, bench.clock)
    assert served.box["sense"].volts == 0.0


def test_a_key_is_switched(served: ServedCard, bench: Bench) -> None:
    bench.card.switch("do_key", True)
    assert served.box["key"].volts == pytest.approx(28.0, abs=0.01)


def test_a_card_that_was_not_fed_is_off_and_energises_nothing_until_its_watchdog_is_set_anew(
    served: ServedCard, bench: Bench
) -> None:
    card = bench.card
    card.switch("do_key", True)
    card._said.command(lambda number: stream.Guard(number, 50), "its watchdog")
    bench.clock.wait(bench.clock.now + 2 * s, lambda: served.box["key"].volts < 1.0)
    for energise in (
        lambda: card.switch("do_key", True),
        lambda: card.drive("ao_sense", 1.0),
        lambda: card.drive_for({"ao_sense": 1.0}, 1 * ms, bench.clock),
    ):
        with pytest.raises(InstrumentError, match="its watchdog was not fed for 50 ms and took every output off"):
            energise()
    assert [served.box[pin].volts for pin in ("key", "sense")] == [0.0, 0.0]
    card._said.command(lambda number: stream.Guard(number, 0), "its watchdog")
    card.switch("do_key", True)
    assert served.box["key"].volts > 20.0


def test_a_voltage_beyond_the_range_is_refused_and_nothing_is_driven(served: ServedCard, bench: Bench) -> None:
    with pytest.raises(InstrumentError, match=r"refused at tcp.* beyond its range"):
        bench.card.drive("ao_sense", 11.0)
    assert served.box["sense"].volts == 0.0


def test_a_stimulus_moves_the_mark_to_its_start(bench: Bench) -> None:
    before = bench.clock.now
    bench.card.drive("ao_sense", 1.0)
    assert before <= bench.timeline.mark_ns <= bench.clock.now


def test_a_level_that_does_not_come_is_not_seen(bench: Bench) -> None:
    with pytest.raises(NotSeenError, match=r"seen last: LOW"):
        bench.card.level("di_out").expect(HIGH, within=20 * ms)
    assert bench.card.level("di_out").stays(LOW, for_=20 * ms)


def test_a_channel_the_card_does_not_have_is_named_at_opening(served: ServedCard) -> None:
    with pytest.raises(InstrumentError, match="has no channel di_oot; did you mean di_out"):
        Bench(served, ("di_oot",))


def test_another_kind_of_channel_is_refused_here(bench: Bench) -> None:
    with pytest.raises(InstrumentError, match="is a channel of kind ai_, not ao_"):
        bench.card.drive("ai_sense", 1.0)
    with pytest.raises(InstrumentError, match="observes volts, not level"):
        bench.card.level("ai_sense")


# -- a connection that is lost ----------------------------------------------------------------------------


def test_a_lost_connection_is_an_error_that_says_what_was_seen_last(served: ServedCard, bench: Bench) -> None:
    level = bench.card.level("di_out")
    served.do(served.server.drop)
    bench.clock.wait(bench.clock.now + 2 * s, lambda: bool(bench.card._said.lost))
    for use in (lambda: bench.card.level("di_out"), lambda: bench.card.switch("do_key", True)):
        with pytest.raises(InstrumentError, match=r"stand: the connection to tcp://127.* was lost at"):
            use()
    with pytest.raises(InstrumentError, match=r"stand\.di_out was last seen LOW at"):
        level.expect(LOW, within=1 * s)
    assert level.samples()[1] == [False]


def test_a_wait_that_watches_a_channel_ends_when_the_connection_is_lost(served: ServedCard, bench: Bench) -> None:
    level = bench.card.level("di_out")
    served.do(served.server.drop)
    with pytest.raises(InstrumentError, match="was lost at"):
        level.stays(LOW, for_=10 * s)


class Speaker:
    """A server that says fixed lines to its first client, then listens."""

    def __init__(self, said: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._said = said
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._thread.join(10.0)
        self._listener.close()

    def _run(self) -> None:
        link, _ = self._listener.accept()
        with link:
            link.sendall(self._said)
            while link.recv(4096):
                pass


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (stream.encode(stream.Hello(99, "old", (), 0.0, 0.0, 0)), "speaks version 99"),
        (b"220 mail.example.org ESMTP\n", "is no JSON"),
        (stream.encode(stream.Time(5, 0)), "question 5, which was not asked"),
        (stream.encode(stream.AskTime(5)), "which is not for it to say"),
    ],
)
def test_whoever_is_no_card_is_refused_in_words(said: bytes, why: str) -> None:
    speaker = Speaker(said)
    with pytest.raises(InstrumentError, match=why):
        StreamCard("stand", speaker.address, timeline=Timeline(WallClock()), ports=())
    speaker.close()


@pytest.mark.parametrize("address", ["127.0.0.1:5030", "tcp://127.0.0.1", "tcp://127.0.0.1:x", "udp://127.0.0.1:1"])
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(InstrumentError, match="not of the form tcp://host:port"):
        StreamCard("stand", address, timeline=Timeline(WallClock()), ports=())


def test_nobody_at_the_address_is_an_error_that_names_it(served: ServedCard) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(InstrumentError, match=f"{address} does not answer"):
        StreamCard("stand", address, timeline=Timeline(WallClock()), ports=())


def test_a_virtual_clock_cannot_reach_a_network() -> None:
    with pytest.raises(InstrumentError, match="set the rig's pace"):
        StreamCard("stand", "tcp://127.0.0.1:1", timeline=Timeline(VirtualClock()), ports=())


def test_a_client_that_speaks_something_else_is_sent_away(served: ServedCard) -> None:
    with socket.create_connection(("127.0.0.1", served.server.port), timeout=5.0) as link:
        link.sendall(b"GET / HTTP/1.1\n\n")
        answers = link.makefile("rb").readlines()
    assert stream.decode(answers[0]).card == "stand"
