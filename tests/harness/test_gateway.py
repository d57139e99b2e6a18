"""A hazardous bus in the keeper: what goes out on the far bus, and what is sent there however the test ends."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import can
import pytest
from gateway_bench import DATABASE, SAFE, SHUT, KeptGateway, TestSide
from hypothesis import given
from hypothesis import strategies as st
from keeper_bench import PATIENCE_S, opening
from kill_bench import await_true

from hil.can import step_words
from hil.can.database import Database
from hil.can.error_message import CONTROLLER
from hil.can.frame import Frame
from hil.can.gate import CanGate
from hil.can.socketcand_words import Words, frame_word, sent_frame
from hil.clock import WallClock
from hil.errors import BusError
from hil.safety.keeper import State
from hil.safety.operator_talk import say
from hil.units import s, us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Callable[..., KeptGateway]]:
    """``kept(...)`` opens a keeper of a bus; it is closed with the test."""
    with opening(KeptGateway, tmp_path) as opened:
        yield opened


@pytest.fixture
def side() -> Iterator[Callable[[KeptGateway], TestSide]]:
    """``side(rig)`` opens the bus as a test does; it is closed with the test."""
    opened: list[TestSide] = []
    yield lambda rig: opened.append(TestSide(rig)) or opened[-1]
    for made in opened:
        made.bus.close()


def valves(rig: KeptGateway) -> list[object]:
    return [values.get("Valve") for values in rig.engine.heard]


def test_frames_pass_both_ways_with_the_stamp_of_who_took_them(kept, side):
    rig = kept()
    rig.begin()
    test = side(rig)
    heard: list[tuple[int, Frame]] = []
    test.bus.subscribe(lambda frame: heard.append((test.clock.now, frame)), ["EngineStatus"])
    test.valve(1)
    assert test.clock.wait(test.clock.now + 5 * s, lambda: bool(heard))
    at_ns, frame = heard[0]
    assert DATABASE.decode(frame)["State"] == "MAINSTAGE"
    assert test.link.stamper.refused == 0
    assert test.link.stamper.uncertainty_ns >= 1 * us
    assert frame.at_ns < at_ns  # it is as old as it is, not as late as it came
    assert valves(rig) == [0, 0, 1]


def test_a_message_that_is_not_listed_never_reaches_the_bus(kept, side):
    rig = kept()
    rig.begin()
    test = side(rig)
    test.bus.send("Ground", {"Wind": 3.0})
    test.bus.send_raw(Frame(0x123, b"\1"))
    test.valve(0)
    rig.engine.await_heard(lambda heard: len(heard) == 3)
    assert valves(rig) == [0, 0, 0]  # the keeper's own two first, then the test's
    whys = [str(line["why"]) for line in rig.recorded("refused")]
    assert whys[0].startswith("Ground is not on the list of what may be sent on bus bus_a")
    assert whys[1].startswith("123#01 is not on the list")


def test_what_energises_waits_for_a_test_and_its_interlock(kept, side):
    rig = kept()
    rig.await_state(State.SAFE)
    test = side(rig)
    test.valve(1)
    assert test.await_told(lambda: len(rig.recorded("refused")) == 1)
    rig.begin()
    rig.open = "interlock stand.di_key high reads low"
    test.valve(1)
    assert test.await_told(lambda: len(rig.recorded("refused")) == 2)
    rig.open = ""
    test.valve(0)
    rig.engine.await_heard(lambda heard: len(heard) == 3)
    assert valves(rig) == [0, 0, 0]
    whys = [str(line["why"]) for line in rig.recorded("refused")]
    assert whys == ["no test has begun; the rig is SAFE-CONFIRMED", "interlock stand.di_key high reads low"]


def test_an_interlock_that_opens_shuts_the_valve_with_the_counter_going_on(kept, side):
    rig = kept()
    rig.begin()
    test = side(rig)
    for _ in range(3):
        test.valve(1)
    rig.engine.await_heard(lambda heard: len(heard) == 5)
    rig.open = "interlock stand.di_key high reads low"
    rig.engine.await_heard(lambda heard: heard[-1]["Valve"] == 0)
    assert rig.await_state(State.SAFE, State.UNSAFE) is State.SAFE
    last, safe = rig.engine.heard[-2:]
    assert safe["Count"] == DATABASE.protection("ValveCommand").counter.after(last["Count"])
    assert rig.recorded("step")[-1]["answer"] == "OFF"
    assert test.await_told(lambda: "ended the connection" in test.link.trouble)
    with pytest.raises(
        BusError, match="the server has ended the connection"
    ):  # nothing but the safe sequence passes any more
        test.valve(1)
    assert valves(rig)[-1] == 0


def test_an_engine_that_runs_on_whatever_it_is_told_is_unsafe(kept, side):
    rig = kept(silence_s=0.2, safe=[SAFE[0].model_copy(update={"within_ms": 200})])
    rig.begin()
    test = side(rig)
    rig.engine.stuck = True
    test.valve(1)  # and the test stands still
    rig.await_state(State.UNSAFE)
    assert "'EngineStatus.State' was to read 'OFF' within 200 ms; found 'MAINSTAGE'" in rig.keeper.trouble


def test_a_controller_that_is_bus_off_while_something_is_energised_trips(kept, side):
    rig = kept()
    rig.begin()
    test = side(rig)
    test.valve(1)
    rig.engine.await_heard(lambda heard: len(heard) == 3)
    rig.engine.bus.send(can.Message(arbitration_id=0x040, is_error_frame=True, dlc=8, data=bytes(8)))
    rig.engine.await_heard(lambda heard: heard[-1]["Valve"] == 0)
    rig.await_state(State.SAFE)
    assert "bus-off while something is energised" in str(rig.recorded("tripped")[0]["why"])


def test_nothing_of_the_test_goes_out_while_an_operator_has_the_rig(kept, side):
    rig = kept()
    rig.begin()
    test = side(rig)
    rig.outlet.lend()
    test.valve(0)
    assert test.await_told(lambda: len(rig.recorded("refused")) == 1)
    rig.outlet.take_back()
    test.valve(0)
    rig.engine.await_heard(lambda heard: len(heard) == 3)
    assert rig.recorded("refused")[0]["why"] == "an operator has the rig"


def test_an_operator_sends_listed_messages_by_name_and_reads_what_came_last(kept):
    rig = kept()
    rig.begin()
    refusal, doors = rig.do(lambda: rig.keeper.take("Ada Marsh", "look at valve 3"))
    assert refusal == ""
    assert say(doors, "bus_a", "ValveCommand Valve=1 Position=0") == ["sent"]
    rig.engine.await_heard(lambda heard: heard[-1]["Valve"] == 1)
    assert await_true(lambda: say(doors, "bus_a", "EngineStatus.State ?")[0].startswith("State=MAINSTAGE, "))
    assert "ChamberPressure=0 " in say(doors, "bus_a", "EngineStatus ?")[0]
    assert "EngineStatus has no signal Stat; it has Alive, State" in say(doors, "bus_a", "EngineStatus.Stat ?")[0]
    assert "no frame of ValveCommand has come in" in say(doors, "bus_a", "ValveCommand ?")[0]
    assert say(doors, "bus_a", "EngineStatus State=OFF")[0].startswith("refused: ")
    assert valves(rig).count(1) == 1
    rig.do(lambda: rig.keeper.trip("a defect"))  # the operator energised, which is undone as a test's is
    rig.engine.await_heard(lambda heard: heard[-1]["Valve"] == 0)
    assert [line["message"] for line in rig.recorded("said by hand")][:2] == [
        "ValveCommand Valve=1 Position=0",
        "EngineStatus.State ?",
    ]


def test_interlocks_count_for_an_operator_on_a_bus_too(kept):
    rig = kept()
    rig.begin()
    rig.open = "interlock key reads low"
    _, doors = rig.do(lambda: rig.keeper.take("Ada Marsh", "look at valve 3"))
    assert say(doors, "bus_a", "ValveCommand Valve=1 Position=0") == ["refused: interlock key reads low"]
    assert 1 not in valves(rig)


def test_a_keeper_that_knows_no_counter_sends_two_so_that_one_is_no_repetition(kept):
    rig = kept()
    rig.await_state(State.SAFE)
    assert [values["Count"] for values in rig.engine.heard] == [0, 1]
    rig.do(lambda: rig.keeper.trip("a second time"))
    rig.engine.await_heard(lambda heard: len(heard) == 3)
    assert rig.engine.heard[-1]["Count"] == 2  # now it knows


STATUS = {"ChamberPressure": 0.0, "Temperature": 0, "Speed": 0}


@pytest.mark.parametrize(
    ("on", "off"),
    [
        (
            DATABASE.encode("ValveCommand", {"Valve": 1, "Position": 0.0}, 5),
            DATABASE.encode("ValveCommand", {"Valve": 0, "Position": 0.0}, 5),
        ),
        (
            DATABASE.encode("EngineStatus", {"State": "MAINSTAGE", **STATUS}, 5),
            DATABASE.encode("EngineStatus", {"State": "OFF", "Crc": 0, **STATUS}, 6),
        ),
    ],
    ids=["repeated counter", "wrong CRC"],
)
def test_what_the_article_will_not_believe_switches_nothing_off(kept, side, on, off):
    energising = {"ValveCommand": {"Valve": [1]}, "EngineStatus": {"State": ["MAINSTAGE"]}}
    rig = kept(send=["Valve*", "EngineStatus"], energising=energising)
    rig.begin()
    test = side(rig)
    test.bus.send_raw(on)
    test.bus.send_raw(off)
    rig.engine.await_heard(lambda heard: len(heard) == 4)
    rig.open = "interlock stand.di_key high reads low"
    rig.engine.await_heard(lambda heard: len(heard) == 5)
    assert rig.await_state(State.SAFE, State.UNSAFE) is State.SAFE
    assert "di_key high reads low" in str(rig.recorded("tripped")[0]["why"])
    if on.arbitration_id == 512:
        assert rig.engine.heard[-1]["Count"] == 6  # after the one that was believed


def test_a_frame_that_switches_off_and_is_believed_ends_the_watch_on_the_interlock(kept, side):
    rig = kept()
    rig.begin()
    test = side(rig)
    test.valve(1)
    rig.engine.await_heard(lambda heard: len(heard) == 3)
    assert rig.keeper._energised
    test.valve(0)
    assert test.await_told(lambda: not rig.keeper._energised)


class Unplugged:
    """A bus of python-can whose adapter is not there any more."""

    def recv(self, *_: object) -> None:
        raise can.CanOperationError("no such device")

    def send(self, *_: object, timeout: float) -> None:
        raise can.CanOperationError(f"no such device within {timeout} s")

    def shutdown(self) -> None:
        raise can.CanOperationError("no such device to close")


def test_a_bus_that_is_lost_trips_and_the_safe_sequence_opens_it_anew(kept, side):
    rig = kept()
    rig.begin()
    test = side(rig)
    test.valve(1)
    rig.engine.await_heard(lambda heard: len(heard) == 3)
    before, rig.outlet._bus._bus = rig.outlet._bus._bus, Unplugged()
    rig.engine.await_heard(lambda heard: heard[-1]["Valve"] == 0)
    assert rig.await_state(State.SAFE, State.UNSAFE) is State.SAFE
    assert "cannot be read: no such device" in str(rig.recorded("tripped")[0]["why"])
    assert "no such device" in str(rig.recorded("reopening")[0]["why"])
    before.shutdown()


class Defective(Unplugged):
    """A bus of python-can that raises what nobody expects."""

    def send(self, *_: object, timeout: float) -> None:
        raise RuntimeError(f"no one has thought of this within {timeout} s")


def test_a_defect_ends_neither_the_thread_nor_the_order_that_met_it(kept, side):
    rig = kept()
    rig.begin()
    test = side(rig)
    before, broken = rig.outlet._bus._bus, Defective()
    broken.recv = before.recv
    rig.outlet._bus._bus = broken
    test.valve(0)
    rig.await_state(State.UNSAFE)
    assert "bus_a is lost: a defect in the harness: RuntimeError: no one" in str(rig.recorded("tripped")[0]["why"])
    assert str(rig.recorded("step")[-1]["trouble"]).startswith("a defect in the harness: RuntimeError")
    rig.outlet._bus._bus = before
    assert rig.outlet._thread.is_alive()


MISSING = {
    "a remote frame": can.Message(arbitration_id=0x55, is_extended_id=False, is_remote_frame=True),
    "an overrun of the controller": can.Message(arbitration_id=CONTROLLER, is_error_frame=True, data=[0, 1]),
}


@pytest.mark.parametrize("missing", MISSING.values(), ids=MISSING)
def test_the_test_is_told_how_many_frames_the_keeper_lost_while_it_listened(kept, side, missing):
    rig = kept()
    rig.begin()
    rig.engine.bus.send(missing)
    assert await_true(lambda: rig.outlet._bus.lost == 1)  # nobody listens yet
    test = side(rig)
    assert test.bus.stats.lost == 0
    for _ in range(3):
        rig.engine.bus.send(missing)
    assert test.await_told(lambda: test.bus.stats.lost == 3)
    assert test.bus.stats.state == "error-active"
    rig.engine.say("OFF")
    assert test.await_told(lambda: test.bus.stats.received == 1)
    assert test.bus.stats.lost == 3


def test_a_status_of_before_proves_nothing(kept):
    rig = kept(safe=[SAFE[0].model_copy(update={"write": "Ground Wind=0", "within_ms": 200})])
    rig.await_state(State.UNSAFE)
    assert "found no answer" in rig.keeper.trouble


def test_a_second_client_is_sent_away_and_one_that_speaks_something_else_too(kept):
    rig = kept()
    rig.await_state(State.SAFE)
    clock = WallClock()
    first = rig.link(clock)
    with socket.create_connection(("127.0.0.1", rig.outlet.port)) as second:
        second.settimeout(PATIENCE_S)
        assert second.recv(1) == b""
    first.raw._tcp_send("< echo >")
    assert clock.wait(clock.now + 5 * s, lambda: "ended the connection" in first.trouble)
    first.shutdown()


# -- words ----------------------------------------------------------------------------------------------------

standard = st.tuples(st.integers(0, 0x7FF), st.binary(max_size=8))
extended = st.tuples(st.integers(0, 0x1FFFFFFF), st.binary(max_size=8), st.just(True))
frames = st.one_of(standard, extended).map(lambda fields: Frame(*fields))


@given(frames, st.integers(0, 2 * 10**18))
def test_python_can_reads_the_frame_that_was_received(frame, unix_ns):
    from can.interfaces.socketcand.socketcand import convert_ascii_message_to_can_message as read

    found = read(frame_word(frame, unix_ns).decode())
    assert Frame(found.arbitration_id, bytes(found.data), found.is_extended_id) == frame
    assert 0 <= unix_ns - found.timestamp * 1e9 <= 1_000 + 256


@given(st.lists(frames, max_size=4), st.integers(1, 40))
def test_what_python_can_asks_to_be_sent_is_the_frame_however_the_network_cuts_it(sent, size):
    from can.interfaces.socketcand.socketcand import convert_can_message_to_ascii_message as write

    text = "".join(
        write(can.Message(arbitration_id=frame.arbitration_id, data=frame.data, is_extended_id=frame.extended))
        for frame in sent
    ).encode()
    words = Words()
    found = [word for start in range(0, len(text), size) for word in words.feed(text[start : start + size])]
    assert [sent_frame(word) for word in found] == sent


@pytest.mark.parametrize(
    "word", ["send 123 2 1", "send 123 0 1", "send 800 0 ", "send 1234 0 ", "send 123 9 " + "1 " * 9]
)
def test_what_is_no_data_frame_is_none(word):
    with pytest.raises(BusError):
        sent_frame(word)


# -- the gate -------------------------------------------------------------------------------------------------


def test_the_gate_reads_values_and_not_counters():
    gate = CanGate("bus_a", DATABASE, ["ValveCommand", "Ground"], {"ValveCommand": {"Valve": [1]}, "Ground": {}})
    shut = DATABASE.encode("ValveCommand", {"Valve": 0, "Position": 0.0, "Count": 77})
    assert gate.rule(shut) == ("", "ValveCommand", False)
    assert gate.rule(DATABASE.encode("ValveCommand", {"Valve": 1, "Position": 0.0})) == ("", "ValveCommand", True)
    assert gate.rule(DATABASE.encode("Ground", {"Wind": 0.0})) == ("", "Ground", True)
    assert "cannot be read as ValveCommand" in gate.rule(Frame(512, b"\0")).refusal
    assert "not on the list" in gate.rule(Frame(512, remote=True)).refusal
    with pytest.raises(BusError, match=r"energising\.EngineStatus may not be sent at all"):
        CanGate("bus_a", DATABASE, ["Ground"], {"EngineStatus": {}})
    with pytest.raises(BusError, match="has no value 'ON'"):
        CanGate("bus_a", DATABASE, ["EngineStatus"], {"EngineStatus": {"State": ["ON"]}})


def test_the_gate_compares_what_is_in_the_frame_and_not_rounded_products():
    gate = CanGate("bus_a", DATABASE, ["ValveCommand", "EngineStatus"], {
        "ValveCommand": {"Position": [0.3, -7]}, "EngineStatus": {"State": ["IGNITION"]},
    })  # fmt: skip

    def energises(position: float) -> bool:
        return gate.rule(DATABASE.encode("ValveCommand", {"Valve": 0, "Position": position})).energises

    assert [energises(position) for position in (0.2, 0.3, 0.4, -7.0)] == [False, True, False, True]
    status = {"State": "IGNITION", "ChamberPressure": 0.0, "Temperature": 0, "Speed": 0}
    assert gate.rule(DATABASE.encode("EngineStatus", status)).energises


@pytest.mark.parametrize(
    ("signal", "value", "why"),
    [
        (
            "Position",
            0.25,
            r"ValveCommand\.Position = 0\.25 cannot be sent: it has steps of 0\.1; .* 0\.2$",
        ),
        ("Valve", 256, r"ValveCommand\.Valve = 256 cannot be sent: its 8 bits reach from 0 to 255"),
        ("Valve", float("nan"), r"ValveCommand\.Valve = nan cannot be sent"),
    ],
)
def test_a_value_that_no_frame_can_carry_is_refused_when_the_gate_is_made(signal, value, why):
    with pytest.raises(BusError, match=why):
        CanGate("bus_a", DATABASE, ["ValveCommand"], {"ValveCommand": {signal: [value]}})


def test_a_signal_that_is_multiplexed_out_of_a_frame_does_not_energise(tmp_path):
    path = tmp_path / "mux.dbc"
    path.write_text(
        'VERSION ""\n\nBU_: A B\n\nBO_ 256 Valves: 2 A\n SG_ Which M : 0|8@1+ (1,0) [0|1] "" B\n'
        ' SG_ Fire m0 : 8|8@1+ (1,0) [0|1] "" B\n SG_ Lamp m1 : 8|8@1+ (1,0) [0|1] "" B\n'
    )
    gate = CanGate("bus_a", Database.load(path), ["Valves"], {"Valves": {"Fire": [1]}})
    assert gate.rule(Frame(256, b"\0\1")).energises
    assert gate.rule(Frame(256, b"\1\1")) == ("", "Valves", False)


@pytest.mark.parametrize("wrong", ["", "A B", "A B=", "A B=1 B=2", "A.B C=1", "A ==1"])
def test_what_is_nearly_a_frame_is_none(wrong):
    with pytest.raises(BusError, match="write MESSAGE"):
        step_words.command(wrong)
    assert step_words.command(SHUT)[1] == {"Valve": 0.0, "Position": 0.0}
