"""One instrument in the keeper, over a real socket: one owner, refusals in the error queue, the safe sequence first."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from keeper_bench import IDENTITY, OFF, PATIENCE_S, WATCHDOG, Client, Instrument, gate_of, outlet_plan

from hil.clock import Stopwatch, boot_ns
from hil.safety.kept import SafeOrder
from hil.safety.outlet import Outlet
from hil.safety.plan import SafeStepPlan
from hil.visa.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

VOLTS = "VOLT? (@1)"


class Desk:
    """What an outlet asks of the keeper, answered by the test."""

    def __init__(self) -> None:
        self.makes_progress = True
        self.holds_the_lease = True
        self.why_not = ""
        self.notes: list[str] = []
        self.lost_outlets: list[str] = []
        self.was_lost = threading.Event()
        self.was_noted = threading.Event()

    def touched(self) -> None:
        pass

    def progressing(self) -> bool:
        return self.makes_progress

    def may_write(self) -> bool:
        return self.holds_the_lease

    def why_not_energise(self, outlet: str) -> str:
        del outlet
        return self.why_not

    def note(self, what: str, **fields: object) -> None:
        del fields
        self.notes.append(what)
        self.was_noted.set()

    def lost(self, outlet: str, why: str) -> None:
        del outlet
        self.lost_outlets.append(why)
        self.was_lost.set()

    def now(self) -> int:
        return boot_ns()


@pytest.fixture
def instrument() -> Iterator[Instrument]:
    made = Instrument()
    yield made
    made.close()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def outlet(instrument: Instrument, desk: Desk) -> Iterator[Outlet]:
    with serving(instrument, desk) as made:
        yield made


@contextmanager
def serving(instrument: Instrument, desk: Desk, **plan: Any) -> Generator[Outlet]:
    made = Outlet(outlet_plan(**plan), gate_of(), Upstream.open(instrument.resource, "psu"), desk)
    made.start()
    yield made
    made.order(None)
    assert made.join(PATIENCE_S)


@pytest.fixture
def client(outlet: Outlet) -> Iterator[Client]:
    with Client(outlet.port) as opened:
        yield opened


def made_safe(outlet: Outlet, *, last: bool = False) -> SafeOrder:
    """Order the safe sequence and wait for its end."""
    done = threading.Event()
    order = SafeOrder(outlet.plan.safe, last, lambda *_: done.set())
    outlet.order(order)
    assert done.wait(PATIENCE_S)
    return order


def test_what_the_test_asks_is_answered(client: Client) -> None:
    assert client.ask(VOLTS) == "7"


def test_an_instrument_has_one_owner(outlet: Outlet, client: Client) -> None:
    assert client.ask(VOLTS) == "7"
    with Client(outlet.port) as other:
        assert other.hear() == ""
    assert client.ask(VOLTS) == "7"


def test_the_next_owner_is_let_in_when_the_last_has_gone(outlet: Outlet) -> None:
    for _ in range(20):
        with Client(outlet.port) as client:
            assert client.ask(VOLTS) == "7"


def test_what_is_refused_stands_in_the_error_queue_before_what_the_instrument_says(
    instrument: Instrument, client: Client
) -> None:
    client.say("*RST", "VOLT 40,(@1)", "VOLT 3,(@1);:OUTP ON,(@1)")
    assert [client.ask("SYST:ERR?")[:4] for _ in range(4)] == ["-203", "-203", "-203", '+0,"']
    assert not {"*RST", "VOLT 40,(@1)"} & set(instrument.heard)
    assert not instrument.on


def test_an_output_that_may_not_be_switched_on_stays_off(instrument: Instrument, desk: Desk, client: Client) -> None:
    desk.why_not = "the key is out"
    client.say("OUTP ON,(@1)")
    assert "the key is out" in client.ask("SYST:ERR?")
    assert not instrument.on


def test_a_query_that_was_broken_off_does_not_answer_the_next(instrument: Instrument, client: Client) -> None:
    instrument.answers[VOLTS] = None
    client.say(VOLTS)
    instrument.await_heard(VOLTS)
    instrument.answers["*IDN?"] = b"7\n" + IDENTITY.encode() + b"\n"  # the late answer comes before its own
    client.say("MEAS:VOLT? (@1)")
    assert client.hear() == "0.0,0.0,0.0,0.0"


def test_the_safe_sequence_does_not_wait_for_an_answer_to_the_test(
    instrument: Instrument, outlet: Outlet, client: Client
) -> None:
    client.say("OUTP ON,(@1)", VOLTS)
    instrument.answers[VOLTS] = None
    instrument.await_heard(VOLTS)
    watch = Stopwatch()
    order = made_safe(outlet)
    assert order.trouble == ""
    assert watch.elapsed_s < 1.0
    assert not instrument.on


def test_a_test_that_reads_no_answers_does_not_delay_the_safe_sequence(instrument: Instrument, desk: Desk) -> None:
    instrument.answers[VOLTS] = b"x" * (8 << 20) + b"\n"
    patient = [SafeStepPlan(write=OFF, query="OUTP? (@1:4)", expect="0,0,0,0", within_ms=PATIENCE_S * 1000.0)]
    with serving(instrument, desk, safe=patient) as outlet, Client(outlet.port) as client:
        client.say(VOLTS)
        instrument.await_heard(VOLTS)
        assert made_safe(outlet).trouble == ""


def test_what_the_test_said_before_the_order_switches_nothing_on_after_it(
    instrument: Instrument, outlet: Outlet, client: Client
) -> None:
    assert client.ask(VOLTS) == "7"
    instrument.slow.clear()
    done = threading.Event()
    outlet.order(SafeOrder(outlet.plan.safe, last=False, done=lambda *_: done.set()))
    instrument.await_heard(OFF)
    client.say("OUTP ON,(@1)")
    instrument.slow.set()
    assert done.wait(PATIENCE_S)
    assert client.ask(VOLTS) == "7"
    assert "OUTP ON,(@1)" not in instrument.heard


def test_after_the_last_order_nobody_is_let_in(instrument: Instrument, outlet: Outlet, client: Client) -> None:
    port = outlet.port
    assert made_safe(outlet, last=True).trouble == ""
    assert client.hear() == ""
    with pytest.raises(ConnectionRefusedError):
        Client(port)


def test_a_stale_holder_writes_nothing(instrument: Instrument, desk: Desk, outlet: Outlet) -> None:
    desk.holds_the_lease = False
    order = made_safe(outlet)
    assert "the lease is not this keeper's any more" in order.trouble
    assert OFF not in instrument.heard


def test_nothing_but_the_safe_sequence_goes_out_once_progress_has_stopped(
    instrument: Instrument, desk: Desk, client: Client
) -> None:
    desk.makes_progress = False
    client.say("VOLT 5,(@1)")
    assert desk.was_noted.wait(PATIENCE_S)
    desk.makes_progress = True
    assert "is being made safe" in client.ask("SYST:ERR?")
    assert "VOLT 5,(@1)" not in instrument.heard


def test_a_connection_that_was_lost_is_made_anew_for_the_safe_sequence(
    instrument: Instrument, desk: Desk, outlet: Outlet
) -> None:
    instrument.hang_up()
    order = made_safe(outlet)
    assert order.trouble == ""
    assert "reopening" in desk.notes
    assert OFF in instrument.heard


def test_an_instrument_that_freezes_is_not_called_safe(instrument: Instrument, outlet: Outlet, client: Client) -> None:
    client.say("OUTP ON,(@1)")
    instrument.await_heard("OUTP ON,(@1)")
    instrument.slow.clear()
    assert "no answer" in made_safe(outlet).trouble


def test_a_defect_in_what_the_test_says_ends_its_connection_and_not_the_safe_sequence(
    instrument: Instrument, desk: Desk, outlet: Outlet, client: Client
) -> None:
    def touched() -> None:
        raise RuntimeError

    desk.touched = touched
    client.say("OUTP ON,(@1)")
    assert client.hear() == ""
    assert desk.was_lost.wait(PATIENCE_S)
    assert "a defect in the harness: RuntimeError: " in desk.lost_outlets[0]
    assert made_safe(outlet).trouble == ""
    assert OFF in instrument.heard


def test_a_defect_in_the_safe_sequence_is_told_and_the_next_order_is_obeyed(desk: Desk, outlet: Outlet) -> None:
    calls = iter((RuntimeError(),))

    def now() -> int:
        for problem in calls:
            raise problem
        return 0

    desk.now = now
    told = [result.trouble for result in made_safe(outlet).results]
    assert told == ["a defect in the harness: RuntimeError: ", ""]
    assert made_safe(outlet).trouble == ""


def test_a_defect_after_the_steps_is_told_and_the_order_is_answered(instrument: Instrument, desk: Desk) -> None:
    asked = iter((None, None, None, RuntimeError("of the watchdog")))  # off, its state, its voltage, the watchdog

    def may_write() -> bool:
        problem = next(asked, None)
        if problem is not None:
            raise problem
        return True

    with serving(instrument, desk, watchdog=WATCHDOG) as outlet:
        desk.may_write = may_write
        told = [result.trouble for result in made_safe(outlet).results]
    assert told == ["", "", "a defect in the harness: RuntimeError: of the watchdog"]


def test_a_keeper_that_lost_its_lease_sends_nothing_of_the_safe_sequence(
    instrument: Instrument, desk: Desk, outlet: Outlet
) -> None:
    instrument.heard.clear()
    desk.holds_the_lease = False
    assert "the lease is not this keeper's any more; nothing was sent" in made_safe(outlet).trouble
    assert instrument.heard == []


def test_the_watchdog_starts_when_all_is_off_and_stops_after_the_last_time(instrument: Instrument, desk: Desk) -> None:
    with serving(instrument, desk, watchdog=WATCHDOG) as outlet:
        assert made_safe(outlet).trouble == ""
        assert made_safe(outlet, last=True).trouble == ""
    sent = [message for message in instrument.heard if message in (OFF, "CLE", "WDOG ON", "WDOG OFF")]
    assert sent == [OFF, "CLE", "WDOG ON", OFF, "WDOG OFF"]


def test_a_watchdog_that_the_instrument_refuses_is_trouble(instrument: Instrument, desk: Desk) -> None:
    instrument.answers["SYST:ERR?"] = '-113,"Undefined header"'
    with serving(instrument, desk, watchdog=WATCHDOG) as outlet:
        assert """after 'WDOG ON'""" in made_safe(outlet).trouble


def test_a_watchdog_is_set_again_over_a_new_connection(instrument: Instrument, desk: Desk) -> None:
    with serving(instrument, desk, watchdog=WATCHDOG) as outlet:
        assert made_safe(outlet).trouble == ""
        assert made_safe(outlet).trouble == ""
        assert instrument.heard.count("WDOG ON") == 1
        instrument.hang_up()
        assert made_safe(outlet).trouble == ""
    assert instrument.heard.count("WDOG ON") == 2


def test_an_instrument_that_does_not_answer_what_feeds_its_watchdog_is_lost(instrument: Instrument, desk: Desk) -> None:
    instrument.answers["*STB?"] = None
    with serving(instrument, desk, watchdog=WATCHDOG):
        assert desk.was_lost.wait(PATIENCE_S)
    assert "*STB? was not answered" in desk.lost_outlets[0]


def test_an_outlet_without_a_watchdog_sleeps_while_nobody_says_anything(outlet: Outlet) -> None:
    thread = next(each for each in threading.enumerate() if each.name == f"kept {outlet.plan.name}")
    spent = Path(f"/proc/self/task/{thread.native_id}/schedstat")
    never = threading.Event()
    never.wait(1.1)  # longer than an idle outlet sleeps at a time
    before_ns = int(spent.read_text().split()[0])
    never.wait(0.2)
    assert int(spent.read_text().split()[0]) - before_ns < 10_000_000
