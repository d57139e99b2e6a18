"""A hazardous I/O card in the keeper: what passes the gate, and what stands on its pins however the test ends."""

from __future__ import annotations

import socket
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
from card_bench import OUTPUTS, WATCHDOG, KeptStand, Stand
from keeper_bench import PATIENCE_S, opening
from kill_bench import await_true

from hil.clock import WallClock
from hil.errors import InstrumentError
from hil.io import stream
from hil.io.gate import CardGate, OutputRule
from hil.io.kept_card import KeptCard
from hil.io.stream_card import StreamCard
from hil.safety.keeper import State
from hil.safety.kept_part import WORDS
from hil.safety.opening import channels_of
from hil.safety.operator_talk import say
from hil.safety.plan import SafeStepPlan
from hil.signal import HIGH, Timeline
from hil.units import ms, s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def stand() -> Iterator[Stand]:
    with Stand() as opened:
        yield opened


@pytest.fixture
def kept(tmp_path: Path, stand: Stand) -> Iterator[Callable[..., KeptStand]]:
    """``kept(...)`` opens a keeper of the stand; it is closed with the test."""
    with opening(KeptStand, tmp_path, stand) as opened:
        yield opened


def test_the_test_has_the_card_as_it_is_with_its_own_stamps(stand, kept):
    rig = kept()
    rig.begin()
    card = rig.card()
    assert card.accuracy.stamp_ns < 50 * ms
    card.switch("do_arm", on=True)
    card.level("di_arm").expect(HIGH, within=1 * s)
    card.drive("ao_heater", 4.0)
    card.volts("ai_heater").expect(above=3.9, within=1 * s)
    card.close()


def test_what_is_not_listed_or_beyond_its_bounds_never_reaches_a_pin(stand, kept):
    rig = kept()
    rig.begin()
    card = rig.card()
    with pytest.raises(InstrumentError, match=r"keeper: 6 V is refused: stand\.ao_heater may be driven to 5 V at most"):
        card.drive("ao_heater", 6.0)
    with socket.create_connection(("127.0.0.1", rig.outlet.port)) as second:  # one owner
        second.settimeout(PATIENCE_S)
        assert second.recv(1) == b""
    card.close()
    assert stand.volts("heater") == 0.0
    assert "may be driven to 5 V" in str(rig.recorded("refused")[0]["why"])


def by_hand(rig: KeptStand) -> Callable[[str, str], list[str]]:
    """Take the rig over; what says something to a part."""
    refusal, doors = rig.do(lambda: rig.keeper.take("Ada Marsh", "look at valve 3"))
    assert refusal == ""
    return partial(say, doors)


def test_an_operator_moves_listed_outputs_and_reads_channels_within_their_bounds_and_interlocks(stand, kept):
    rig = kept(interlocked=True)
    rig.begin()
    card = rig.card()
    operator = by_hand(rig)
    assert operator("stand", "do_lamp closed") == ["done"]
    stand.await_volts("lamp", above=20.0)
    assert operator("stand", "do_arm closed") == ["refused: interlock stand.di_key high reads low"]
    stand.do(lambda: stand.key.drive(28.0, 10.0))
    card.level("di_key").expect(HIGH, within=1 * s)
    assert operator("stand", "ao_heater 4 V") == ["done"]
    stand.await_volts("heater", above=3.9)
    assert operator("stand", "di_arm,ai_heater ?") == ["low,3.99625"]  # behind the channel's own resistance
    assert "may be driven to 5 V at most" in operator("stand", "ao_heater 6 V")[0]
    assert operator("stand", "watchdog off") == ["refused: only the keeper sets and feeds the watchdog"]
    assert "is no command of an I/O card; write one of do_NAME open" in operator("stand", "OUTP ON")[0]
    with pytest.raises(InstrumentError, match="keeper: an operator has the rig"):
        card.switch("do_lamp", on=False)
    rig.do(rig.keeper.hand_back)
    card.switch("do_lamp", on=False)
    stand.await_volts("lamp", below=1.0)
    card.close()
    assert [line["message"] for line in rig.recorded("said by hand")][:2] == ["do_lamp closed", "do_arm closed"]
    assert next(line["answer"] for line in rig.recorded("answered by hand")) == "done"


def test_an_operator_s_connection_ends_when_the_card_is_made_safe(stand, kept):
    rig = kept()
    rig.begin()
    operator = by_hand(rig)
    assert operator("stand", "ao_heater 4 V") == ["done"]
    rig.do(lambda: rig.keeper.trip("a defect"))
    stand.await_volts("heater", below=0.5)
    with pytest.raises(InstrumentError):
        operator("stand", "ao_heater 4 V")


def test_what_an_operator_says_ends_with_the_order_to_make_safe_though_nobody_has_taken_the_card_back(stand, kept):
    rig = kept()
    rig.begin()
    host, port = rig.outlet.lend().removeprefix(WORDS).split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as operator:
        operator.sendall(b"ao_heater 4 V\n")
        assert operator.recv(100) == b"done\n"
        rig.do(lambda: rig.keeper.make_safe("the test is over"))
        assert operator.recv(100) == b""
    stand.await_volts("heater", below=0.5)


def test_an_answer_to_an_operator_who_has_gone_is_not_told_to_the_next_connection(stand, kept):
    rig = kept()
    rig.begin()
    host, port = rig.outlet.lend().removeprefix(WORDS).split(":")
    may_answer = threading.Event()
    stand.clock.post(lambda: may_answer.wait(PATIENCE_S))  # the card is slow
    for words in ("di_arm ?", "ao_heater 4 V"):
        operator = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
        operator.sendall(f"{words}\n".encode())
        assert await_true(lambda said=words: said in [line["message"] for line in rig.recorded("said by hand")])
        if words.endswith("?"):
            operator.close()
    may_answer.set()
    assert operator.recv(100) == b"done\n"
    operator.close()


def test_an_operator_moves_nothing_of_a_rig_that_was_taken_over(stand, kept):
    rig = kept()
    rig.begin()
    operator = by_hand(rig)
    told = rig.do(lambda: rig.lease.release() or operator("stand", "ao_heater 4 V"))
    assert told == ["refused: stand: the lease is not this keeper's any more; nothing was sent"]
    assert stand.volts("heater") == 0.0


def test_the_output_that_retriggers_the_hardware_timer_is_the_keepers_alone(stand, kept):
    rig = kept(reserved=["do_timer"], outputs={**OUTPUTS, "do_*": OUTPUTS["do_l*"]})
    rig.begin()
    card = StreamCard("stand", rig.outlet.door, timeline=Timeline(WallClock()), ports=["do_timer"])
    with pytest.raises(InstrumentError, match=r"stand\.do_timer is moved by the keeper alone"):
        card.switch("do_timer", on=True)
    rig.outlet.pulse("do_timer", on=True)
    stand.await_volts("timer", above=20.0)
    rig.outlet.pulse("do_timer", on=False)
    stand.await_volts("timer", below=1.0)
    card.close()


def test_nothing_is_energised_before_a_test_has_begun(stand, kept):
    rig = kept()
    rig.await_state(State.SAFE)
    card = rig.card()
    card.switch("do_lamp", on=True)  # energises nothing
    with pytest.raises(InstrumentError, match="keeper: no test has begun"):
        card.switch("do_arm", on=True)
    card.close()
    assert stand.volts("arm") == 0.0
    assert stand.volts("lamp") > 20.0


def test_the_interlock_on_the_same_card_is_read_by_its_one_owner(stand, kept):
    rig = kept(interlocked=True)
    rig.begin()
    card = rig.card()
    with pytest.raises(InstrumentError, match=r"interlock stand\.di_key high reads low"):
        card.switch("do_arm", on=True)
    stand.do(lambda: stand.key.drive(28.0, 1.0))
    card.level("di_key").expect(HIGH, within=1 * s)
    card.switch("do_arm", on=True)
    assert stand.do(lambda: stand.server._tcp.connections) == 1
    stand.do(stand.key.release)
    stand.await_volts("arm", below=1.0)
    rig.await_state(State.SAFE)
    assert "di_key high reads low" in str(rig.recorded("tripped")[0]["why"])
    with pytest.raises(InstrumentError, match="was lost"):
        card.switch("do_lamp", on=True)
    card.close()


def test_pins_are_low_and_read_back_when_the_test_makes_no_progress(stand, kept):
    rig = kept(silence_s=0.2)
    rig.begin()
    card = rig.card()
    card.switch("do_arm", on=True)
    card.drive("ao_heater", 4.0)  # and the test stands still
    stand.await_volts("arm", below=1.0)
    assert rig.await_state(State.SAFE, State.UNSAFE) is State.SAFE
    assert stand.volts("heater") == 0.0
    steps = rig.recorded("step")[-2:]
    assert [(step["step"], step["answer"]) for step in steps] == [("do_arm open", "low"), ("ao_heater released", "0")]
    card.close()


def test_a_pin_that_stays_high_is_unsafe_and_named(stand, kept):
    rig = kept(silence_s=0.2)
    rig.begin()
    stand.do(lambda: stand.wiring.pin("box.arm").drive(28.0, 0.1))  # a welded relay behind the card
    rig.await_state(State.UNSAFE)
    assert "'di_arm' was to read 'low' within 300 ms; found 'high'" in rig.keeper.trouble
    assert rig.recorded("step")[-1]["answer"] == "0"  # the other step was done all the same


def test_the_safe_sequence_has_a_connection_of_its_own_when_the_network_breaks(stand, kept):
    rig = kept()
    rig.begin()
    card = rig.card()
    card.switch("do_arm", on=True)
    stand.do(stand.server.drop)
    stand.await_volts("arm", below=1.0)
    assert rig.await_state(State.SAFE, State.UNSAFE) is State.SAFE
    assert rig.recorded("reopening")
    card.close()


def test_a_card_that_is_gone_is_an_error_of_every_step_and_no_defect(stand, kept):
    reading = SafeStepPlan(query="di_arm", expect="low", within_ms=50)
    rig = kept(safe=[SafeStepPlan(write="do_arm open", query="di_arm", expect="low", within_ms=300), reading, reading])
    rig.begin()
    stand.do(stand.server.close)
    rig.await_state(State.UNSAFE)
    steps = rig.recorded("step")[-3:]
    assert [step["step"] for step in steps] == ["do_arm open", "di_arm", "di_arm"]
    assert all(step["trouble"] for step in steps)
    assert "a defect in" not in str(rig.recorded("tripped") + steps)
    assert "is closed; it could not be made anew" in str(steps[-1]["trouble"])


def test_the_cards_watchdog_opens_its_outputs_when_the_keeper_stands_still(stand, kept):
    rig = kept(watchdog=WATCHDOG)
    rig.begin()
    card = rig.card()
    card.switch("do_arm", on=True)
    with pytest.raises(InstrumentError, match="only the keeper sets and feeds the watchdog"):
        card._said.command(lambda number: stream.Guard(number, 0), "the watchdog off")
    assert card.level("di_arm").stays(HIGH, for_=500 * ms)  # fed
    rig.outlet._tend = lambda: PATIENCE_S
    stand.await_volts("arm", below=1.0)
    assert not rig.recorded("tripped")
    card.close()


def test_in_a_phase_of_hold_and_call_the_card_stays_as_it_is_and_its_watchdog_lets_it(stand, kept):
    rig = kept(watchdog=WATCHDOG, safe_in={"pressurised": []})
    rig.begin()
    card = rig.card()
    card.switch("do_arm", on=True)
    rig.do(lambda: rig.keeper.enter("pressurised"))
    rig.do(lambda: rig.keeper.trip("somebody is gone"))
    rig.await_state(State.UNSAFE)
    assert "left as it is, as the rig file says for phase pressurised" in rig.keeper.trouble
    held = threading.Event()
    stand.do(lambda: stand.clock.at(stand.clock.now + 400 * ms, held.set))  # longer than the watchdog's time
    assert held.wait(PATIENCE_S)
    assert stand.volts("arm") > 20.0
    card.close()


def test_a_watchdog_that_the_card_refuses_is_unsafe(stand, kept):
    rig = kept(watchdog=WATCHDOG.model_copy(update={"enable": "ao_heater 99 V"}))  # for a card that has none
    rig.await_state(State.UNSAFE)
    assert "its watchdog is not running: 'ao_heater 99 V': stand.ao_heater: 99.0 V is beyond" in rig.keeper.trouble


def test_a_card_that_refuses_what_feeds_its_watchdog_is_lost_and_made_safe(stand, kept):
    rig = kept(watchdog=WATCHDOG.model_copy(update={"feed": "ao_heater 99 V", "timeout_ms": 200.0}))
    rig.begin()
    assert rig.await_state(State.SAFE, State.UNSAFE) is State.SAFE
    why = "stand is lost: 'ao_heater 99 V', which feeds its watchdog, was refused: stand.ao_heater: 99.0 V is beyond"
    assert str(rig.recorded("tripped")[0]["why"]).startswith(why)


def test_a_card_that_refuses_a_pulse_of_the_hardware_timer_is_lost_and_made_safe(stand, kept):
    rig = kept(reserved=["do_timer"])
    rig.begin()
    rig.outlet.pulse("do_gone", on=True)
    assert rig.await_state(State.SAFE, State.UNSAFE) is State.SAFE
    assert "do_gone closed, which retriggers the timer, was refused" in str(rig.recorded("tripped")[0]["why"])


def test_a_channel_that_the_card_does_not_have_is_found_when_it_is_opened(stand, tmp_path):
    step = SafeStepPlan(write="do_arm open", query="di_arn", expect="low")
    rig = KeptStand(tmp_path, stand, safe=[step])
    card = KeptCard("stand", stand.server.address)
    with pytest.raises(InstrumentError, match=r"no channel di_arn; did you mean di_arm"):
        card.require(channels_of(rig.plan))
    card.close()


def test_the_gate_knows_which_level_energises():
    gate = CardGate(
        "stand", {"do_vent": OutputRule("low"), "ao_*": OutputRule("high", quiet_v=1.0), "ao_x": OutputRule()}
    )
    assert gate.rule(stream.Switch(1, "do_vent", False)).energises
    assert not gate.rule(stream.Switch(1, "do_vent", True)).energises
    assert gate.rule(stream.Drive(1, "ao_a", -1.5)).energises
    assert not gate.rule(stream.Drive(1, "ao_a", 1.0)).energises
    assert not gate.rule(stream.Drive(1, "ao_x", 9.0)).energises
    assert "did you mean do_vent" in gate.rule(stream.Switch(1, "do_vend", True)).refusal
    gate.passed(stream.Drive(1, "ao_a", 5.0))
    assert gate.rule(stream.Release(1, "ao_a")).quiets
    gate.passed(stream.Drive(1, "ao_b", 5.0))
    assert not gate.rule(stream.Release(1, "ao_a")).quiets


def test_a_pulse_passes_the_gate_when_every_channel_of_it_may_be_driven_and_none_energises():
    gate = CardGate("stand", {"ao_sense": OutputRule(max_v=5.0), "ao_heater": OutputRule("high", quiet_v=1.0)})
    assert gate.rule(stream.Pulse(1, {"ao_sense": 4.0, "ao_heater": 0.5}, 10 * ms)) == ("", False, False)
    assert "may be driven to 5 V at most" in gate.rule(stream.Pulse(1, {"ao_sense": 6.0}, 10 * ms)).refusal
    assert "ao_other is not on the list" in gate.rule(stream.Pulse(1, {"ao_other": 0.0}, 10 * ms)).refusal
    assert "ao_heater energises at 4 V; drive and" in gate.rule(stream.Pulse(1, {"ao_heater": 4.0}, 10 * ms)).refusal


@pytest.mark.parametrize(
    ("move", "why"),
    [
        (stream.Switch(1, "ao_heater", False), "stand.ao_heater cannot be switched: only a channel do_... can"),
        (stream.Drive(1, "do_arm", 0.0), "stand.do_arm cannot be driven or released: only a channel ao_... can"),
        (stream.Release(1, "do_arm"), "stand.do_arm cannot be driven or released: only a channel ao_... can"),
        (stream.Pulse(1, {"do_arm": 0.0}, 1 * ms), "stand.do_arm cannot be driven or released"),
    ],
)
def test_a_message_of_the_wrong_kind_for_its_channel_is_refused(move, why):
    gate = CardGate("stand", {"ao_heater": OutputRule("high"), "do_arm": OutputRule("high")})
    gate.passed(stream.Switch(1, "do_arm", True))
    ruling = gate.rule(move)
    assert ruling.refusal.startswith(why)
    assert not ruling.quiets
