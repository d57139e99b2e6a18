"""What a keeper decides: when a rig is made safe, how, and what it says of it."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from keeper_bench import OFF, PATIENCE_S, WATCHDOG, Client, Kept, opening

from hil.clock import Stopwatch
from hil.safety.keeper import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

HOLD: dict[str, object] = {"safe_in": {"pressurised": []}}


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Callable[..., Kept]]:
    """``kept(...)`` opens a keeper; it is closed with the test."""
    with opening(Kept, tmp_path) as opened:
        yield opened


def on(rig: Kept, outlet: str = "psu") -> None:
    """Switch an output on, as a test does."""
    with rig.connect(outlet) as client:
        client.say("OUTP ON,(@1)")
        rig.instruments[outlet].await_heard("OUTP ON,(@1)")


# -- the course of a run ----------------------------------------------------------------------------------------


def test_a_rig_is_made_safe_before_anything_is_used(kept: Callable[..., Kept]) -> None:
    rig = kept()
    rig.await_state(State.SAFE)
    assert OFF in rig.psu.heard


def test_nothing_is_energised_before_a_test_has_begun(kept: Callable[..., Kept]) -> None:
    rig = kept()
    rig.await_state(State.SAFE)
    with rig.connect() as client:
        client.say("OUTP ON,(@1)")
        assert "no test has begun" in client.ask("SYST:ERR?")
    assert not rig.psu.on


def test_the_end_of_a_test_makes_safe_and_the_next_may_begin(kept: Callable[..., Kept]) -> None:
    rig = kept()
    for test in ("one", "two"):
        assert rig.begin(test) == ""
        on(rig)
        assert rig.end_test()
        assert not rig.psu.on


def test_two_tests_at_the_same_time_are_refused(kept: Callable[..., Kept]) -> None:
    rig = kept()
    assert rig.begin("one") == ""
    assert "IN USE" in rig.do(lambda: rig.keeper.begin("two", None))


# -- what trips it ----------------------------------------------------------------------------------------------


def test_silence_makes_safe(kept: Callable[..., Kept]) -> None:
    rig = kept(silence_s=0.2)
    rig.begin()
    on(rig)
    rig.await_state(State.SAFE)
    assert not rig.psu.on
    assert "no progress for 0.2 s" in str(rig.recorded("tripped")[0]["why"])


def test_traffic_is_progress(kept: Callable[..., Kept]) -> None:
    rig = kept(silence_s=0.3)
    rig.begin()
    watch = Stopwatch()
    with rig.connect() as client:
        while watch.elapsed_s < 0.6:
            assert client.ask("VOLT? (@1)") == "7"
    assert rig.keeper.state is State.IN_USE


def test_a_test_over_its_deadline_is_ended_however_busy_it_is(kept: Callable[..., Kept]) -> None:
    rig = kept()
    rig.begin(deadline_s=0.2)
    with rig.connect() as client, suppress(OSError):
        while client.ask("VOLT? (@1)"):
            pass
    rig.await_state(State.SAFE)
    assert "over its deadline" in str(rig.recorded("tripped")[0]["why"])


def test_a_phase_has_a_deadline_of_its_own_from_when_it_was_entered(kept: Callable[..., Kept]) -> None:
    rig = kept(phase_deadline_s={"armed": 0.1})
    rig.begin()
    rig.do(lambda: rig.keeper.enter("armed"))
    rig.await_state(State.SAFE)
    assert rig.recorded("tripped")[0]["why"] == "test is over its deadline of 0.1 s in phase armed"


def test_a_deadline_longer_than_the_rig_file_allows_is_refused(kept: Callable[..., Kept]) -> None:
    rig = kept(deadline_s=1.0, deadline_max_s=90.0)
    assert "the rig file allows 90 s" in rig.begin(deadline_s=91.0)
    assert rig.begin(deadline_s=90.0) == ""
    assert rig.recorded("begin")[0]["deadline_s"] == 90.0


def test_a_lost_instrument_makes_the_others_safe(kept: Callable[..., Kept]) -> None:
    rig = kept(outlets={"psu": {"watchdog": WATCHDOG}, "load": {}})
    rig.begin()
    on(rig, "load")
    rig.psu.close()
    assert rig.await_state(State.UNSAFE) is State.UNSAFE
    assert not rig.instruments["load"].on
    assert "psu" in rig.keeper.trouble


def test_an_interlock_that_opens_makes_safe(kept: Callable[..., Kept]) -> None:
    opened = threading.Event()
    rig = kept(why_not=lambda _: "the door is open" if opened.is_set() else "")
    rig.begin()
    on(rig)
    opened.set()
    rig.await_state(State.SAFE)
    assert rig.recorded("tripped")[0]["why"] == "the door is open"
    assert not rig.psu.on


def test_an_interlock_that_is_open_keeps_an_output_off_and_a_test_running(kept: Callable[..., Kept]) -> None:
    rig = kept(why_not=lambda _: "the door is open")
    rig.begin()
    with rig.connect() as client:
        client.say("OUTP ON,(@1)")
        assert "the door is open" in client.ask("SYST:ERR?")
    assert rig.keeper.state is State.IN_USE
    assert not rig.psu.on


# -- what it says -----------------------------------------------------------------------------------------------


def test_an_output_that_stays_on_is_unsafe_and_names_what_it_read(kept: Callable[..., Kept]) -> None:
    rig = kept()
    rig.begin()
    rig.psu.answers["MEAS:VOLT? (@1:4)"] = "28.0,0.0,0.0,0.0"
    assert not rig.end_test()
    assert rig.keeper.state is State.UNSAFE
    assert "found '28.0,0.0,0.0,0.0'" in rig.keeper.trouble
    assert rig.keeper.over


def test_an_instrument_that_hangs_does_not_keep_another_from_being_made_safe(kept: Callable[..., Kept]) -> None:
    rig = kept(outlets={"psu": {}, "load": {}})
    rig.begin()
    on(rig, "load")
    rig.psu.slow.clear()
    watch = Stopwatch()
    assert not rig.end_test()
    assert watch.elapsed_s < PATIENCE_S / 2
    assert not rig.instruments["load"].on


def test_times_of_each_step_are_recorded_from_the_detection_on(kept: Callable[..., Kept]) -> None:
    rig = kept()
    rig.begin()
    rig.end_test()
    off, measured = rig.recorded("step")[-2:]
    assert 0 <= int(str(off["detected_to_sent_ns"])) < 1_000_000_000
    assert int(str(off["acknowledged_ns"])) > 0
    assert int(str(measured["discharged_ns"])) > 0


# -- phases, holds, what stays on -------------------------------------------------------------------------------


def test_each_phase_has_its_own_sequence(kept: Callable[..., Kept]) -> None:
    steps = [{"write": "OUTP OFF,(@2)", "query": "OUTP? (@2)", "expect": "0,0,0,0"}]
    rig = kept(outlets={"psu": {"safe_in": {"pressurised": steps}}})
    rig.begin()
    rig.do(lambda: rig.keeper.enter("pressurised"))
    rig.psu.heard.clear()
    assert rig.end_test()
    assert "OUTP OFF,(@2)" in rig.psu.heard
    assert OFF not in rig.psu.heard


def test_the_phase_ends_with_the_test(kept: Callable[..., Kept]) -> None:
    steps = [{"write": "OUTP OFF,(@2)", "query": "OUTP? (@2)", "expect": "0,0,0,0"}]
    rig = kept(outlets={"psu": {"safe_in": {"pressurised": steps}}})
    rig.begin()
    rig.do(lambda: rig.keeper.enter("pressurised"))
    rig.end_test()
    rig.psu.heard.clear()
    rig.begin()
    rig.end_test()
    assert OFF in rig.psu.heard


def test_hold_and_call_leaves_the_output_as_it_is_and_is_never_called_safe(kept: Callable[..., Kept]) -> None:
    rig = kept(outlets={"psu": HOLD | {"watchdog": WATCHDOG}})
    rig.begin()
    rig.do(lambda: rig.keeper.enter("pressurised"))
    on(rig)
    assert not rig.end_test()
    assert rig.psu.on
    assert rig.keeper.state is State.UNSAFE
    assert "left as it is, as the rig file says for phase pressurised" in rig.keeper.trouble
    rig.psu.await_heard("WDOG OFF")


def test_what_is_kept_on_is_named_with_a_safe_state(kept: Callable[..., Kept]) -> None:
    rig = kept(outlets={"psu": {"keep_on": ["out4: the heater of the battery"]}})
    rig.begin()
    assert rig.end_test()
    assert rig.keeper.kept == ["psu: out4: the heater of the battery"]
    assert rig.recorded("state")[-1]["kept_on"] == ["psu: out4: the heater of the battery"]


def test_a_declared_hold_lets_a_debugger_stand_still(kept: Callable[..., Kept]) -> None:
    rig = kept(silence_s=0.1, deadline_s=0.4)
    rig.begin()
    on(rig)
    rig.do(lambda: rig.keeper.hold("a debugger", 60.0))
    threading.Event().wait(0.6)
    assert rig.keeper.state is State.IN_USE
    rig.do(rig.keeper.resume)
    assert rig.keeper.state is State.IN_USE
    rig.await_state(State.SAFE)
    assert "no progress" in str(rig.recorded("tripped")[0]["why"])


def test_a_hold_is_not_for_ever(kept: Callable[..., Kept]) -> None:
    rig = kept(hold_s=0.1)
    rig.begin()
    on(rig)
    rig.do(lambda: rig.keeper.hold("a debugger", None))
    rig.await_state(State.SAFE)
    assert "the declared hold is over and nobody resumed: a debugger" in str(rig.recorded("tripped")[0]["why"])


def test_a_hold_longer_than_the_rig_file_allows_is_refused(kept: Callable[..., Kept]) -> None:
    rig = kept(hold_s=10.0)
    rig.begin()
    assert "the rig file allows 10 s" in rig.do(lambda: rig.keeper.hold("a debugger", 60.0))


def test_nothing_is_held_while_no_test_runs(kept: Callable[..., Kept]) -> None:
    rig = kept()
    rig.await_state(State.SAFE)
    assert "no test runs that could be held" in rig.do(lambda: rig.keeper.hold("a debugger", None))


# -- an operator ------------------------------------------------------------------------------------------------


def take(rig: Kept) -> Client:
    """Take the rig over."""
    refusal, doors = rig.do(lambda: rig.keeper.take("Ada Marsh", "look at valve 3"))
    assert refusal == ""
    return Client(int(doors["psu"].split("::")[2]))


def test_an_instrument_listens_to_the_operator_and_then_to_the_test_again(kept: Callable[..., Kept]) -> None:
    rig = kept()
    rig.begin()
    with rig.connect() as test, take(rig) as operator:
        operator.say("VOLT 5,(@1)")
        test.say("VOLT 7,(@1)")
        assert operator.ask("VOLT? (@1)") == "7"
        assert "VOLT 7,(@1)" not in rig.psu.heard
        rig.do(rig.keeper.hand_back)
        rig.psu.await_heard("VOLT 7,(@1)")
        assert operator.hear() == ""
    said = [line["message"] for line in rig.recorded("said by hand")]
    assert said == ["VOLT 5,(@1)", "VOLT? (@1)"]
    assert rig.recorded("taken over by hand")[0]["by"] == "Ada Marsh"


def test_limits_count_for_an_operator_too(kept: Callable[..., Kept]) -> None:
    rig = kept()
    rig.begin()
    with take(rig) as operator:
        operator.say("VOLT 40,(@1)")
        assert "36" in operator.ask("SYST:ERR?")
    assert "VOLT 40,(@1)" not in rig.psu.heard


def test_a_test_that_ends_meanwhile_waits_for_the_operator(kept: Callable[..., Kept]) -> None:
    rig = kept(silence_s=0.1)
    rig.begin()
    on(rig)
    told = list[bool]()
    with take(rig):
        rig.do(lambda: rig.keeper.end_test(told.append))
        threading.Event().wait(0.2)
        assert rig.psu.on
        rig.do(rig.keeper.hand_back)
        rig.await_state(State.SAFE)
    assert told == [True]


def test_an_interrupt_waits_for_no_operator(kept: Callable[..., Kept]) -> None:
    rig = kept()
    rig.begin()
    on(rig)
    with take(rig) as operator:
        rig.do(lambda: rig.keeper.end_test(lambda _: None, at_once=True))
        rig.await_state(State.SAFE)
        assert operator.hear() == ""
    assert not rig.psu.on
    assert "made safe" in str(rig.recorded("by hand until here")[0]["how"])


def test_an_operator_who_does_not_hand_back_in_time_trips(kept: Callable[..., Kept]) -> None:
    rig = kept(hold_s=0.1)
    rig.begin()
    on(rig)
    with take(rig):
        rig.await_state(State.SAFE)
    assert "Ada Marsh had the rig" in str(rig.recorded("tripped")[0]["why"])
    assert not rig.psu.on


def test_one_operator_at_a_time_and_only_while_a_test_runs(kept: Callable[..., Kept]) -> None:
    rig = kept()
    rig.await_state(State.SAFE)
    assert "no test runs" in rig.do(lambda: rig.keeper.take("Bo Lind", "-"))[0]
    rig.begin()
    with take(rig):
        assert "Ada Marsh has it (look at valve 3)" in rig.do(lambda: rig.keeper.take("Bo Lind", "-"))[0]


def test_a_watchdog_is_fed_while_the_test_makes_progress(kept: Callable[..., Kept]) -> None:
    rig = kept(outlets={"psu": {"watchdog": WATCHDOG}})
    rig.begin()
    rig.psu.heard.clear()
    rig.psu.await_heard("*STB?")


def trip_with_a_defect(rig: Kept) -> None:
    with pytest.raises(RuntimeError):
        rig.keeper.trip("a test")


def test_a_defect_while_the_rig_is_made_safe_leaves_no_output_on(kept: Callable[..., Kept]) -> None:
    def defect(news: Mapping[str, object]) -> None:
        raise RuntimeError(news)

    rig = kept(silence_s=60.0)
    rig.begin()
    with take(rig) as operator:
        operator.say("OUTP ON,(@1)")
        rig.psu.await_heard("OUTP ON,(@1)")
        rig.keeper.by_hand.news = defect
        rig.psu.heard.clear()
        rig.do(lambda: trip_with_a_defect(rig))
        rig.psu.await_heard(OFF)
    rig.await_state(State.SAFE)


def test_a_trip_after_a_defect_that_ended_making_safe_makes_safe_again(kept: Callable[..., Kept]) -> None:
    rig = kept(silence_s=60.0)
    rig.begin()
    on(rig)
    renew = rig.lease.renew

    def defect() -> None:
        rig.lease.renew = renew
        raise RuntimeError

    rig.lease.renew = defect
    rig.do(lambda: trip_with_a_defect(rig))
    rig.do(lambda: rig.keeper.trip("a defect in the keeper"))
    assert rig.await_state(State.SAFE) is State.SAFE
    assert not rig.psu.on


# -- the lease --------------------------------------------------------------------------------------------------


def test_a_keeper_whose_rig_was_taken_over_writes_nothing_more(kept: Callable[..., Kept]) -> None:
    rig = kept(lease_s=0.3)
    rig.begin()
    on(rig)
    rig.psu.heard.clear()
    rig.do(rig.lease.release)
    rig.await_state(State.UNSAFE)
    assert OFF not in rig.psu.heard
    assert rig.recorded("lease lost")


def test_a_keeper_whose_place_another_machine_acquired_writes_nothing_more(kept: Callable[..., Kept]) -> None:
    rig = kept()
    rig.begin()
    on(rig)
    rig.psu.heard.clear()
    rig.do(lambda: rig.keeper.place_taken("there/ada", "place bench was taken; there/ada has it"))
    rig.await_state(State.UNSAFE)
    assert OFF not in rig.psu.heard
    assert not rig.keeper.may_write()
    assert "there/ada has it" in str(rig.recorded("lease lost"))


def test_a_keeper_whose_place_was_released_and_not_acquired_makes_safe(kept: Callable[..., Kept]) -> None:
    rig = kept()
    rig.begin()
    on(rig)
    rig.do(lambda: rig.keeper.place_taken("", "place bench was taken; nobody has it"))
    assert rig.await_state(State.SAFE, State.UNSAFE) is State.SAFE
    assert not rig.psu.on
    assert "nobody has it" in str(rig.recorded("tripped"))


def test_a_keeper_that_stood_still_for_long_still_makes_safe(kept: Callable[..., Kept]) -> None:
    rig = kept(lease_s=0.2, silence_s=0.2)
    rig.begin()
    on(rig)
    rig.do(lambda: threading.Event().wait(0.5))
    assert rig.await_state(State.SAFE, State.UNSAFE) is State.SAFE
    assert not rig.psu.on
