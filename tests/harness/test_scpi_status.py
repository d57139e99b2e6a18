"""IEEE 488.2 status reporting and message exchange, one behaviour a test."""

from __future__ import annotations

import pytest

from hil.clock import VirtualClock
from hil.units import ms, us
from hil.visa.scpi.common import add_common, add_status
from hil.visa.scpi.engine import OUTPUT_QUEUE_BYTES, Engine, Later
from hil.visa.scpi.errors import ScpiError
from hil.visa.scpi.tree import Command


class Box:
    """An instrument with the mandatory commands, an overlapped one and a slow one."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.engine = Engine(self.clock, latency_ns=100 * us)
        add_common(self.engine, lambda: "Maker,Box,1,0")
        add_status(self.engine, 2, listed=True)
        self.engine.tree.add(Command("MOVE", (), self._move))
        self.engine.tree.add(Command("SLOW?", (), lambda: Later(5 * ms, lambda: "done")))
        self.engine.tree.add(Command("HUGE?", (), lambda: "x" * OUTPUT_QUEUE_BYTES))
        self.engine.tree.add(Command("BREAK", (), self._break))

    def _move(self) -> None:
        self.engine.begin()
        self.clock.at(self.clock.now + 50 * ms, self.engine.finish)

    def _break(self) -> None:
        raise ScpiError(-300, "bearing")

    def send(self, message: str) -> None:
        self.engine.receive(message.encode() + b"\n")

    def ask(self, message: str, within: int = ms) -> str | None:
        self.send(message)
        if not self.clock.wait(self.clock.now + within, lambda: bool(self.engine.answer)):
            return None
        self.clock.wait(self.engine.ready_ns)
        return self.engine.take(1 << 21)[0].decode().rstrip()


@pytest.fixture
def box() -> Box:
    box = Box()
    box.ask("*ESR?")
    return box


def test_power_on_is_the_first_standard_event() -> None:
    assert Box().ask("*ESR?") == "128"


def test_reading_the_standard_events_clears_them(box: Box) -> None:
    box.send("NONSENSE")
    assert [box.ask("*ESR?"), box.ask("*ESR?")] == ["32", "0"]


@pytest.mark.parametrize(("message", "event"), [("NONSENSE", "32"), ("*TRG", "16"), ("BREAK", "8"), ("HUGE?", "4")])
def test_each_class_of_error_has_its_standard_event(box: Box, message: str, event: str) -> None:
    box.ask(message)
    assert box.ask("*ESR?") == event


def test_the_error_queue_gives_the_oldest_first_and_ends_in_no_error(box: Box) -> None:
    box.send("NONSENSE")
    box.send("*TRG")
    answers = [box.ask("SYST:ERR?") for _ in range(3)]
    assert answers == ['-113,"Undefined header;NONSENSE"', '-211,"Trigger ignored"', '+0,"No error"']


def test_a_full_error_queue_ends_in_queue_overflow(box: Box) -> None:
    for _ in range(25):
        box.send("NONSENSE")
    box.clock.sleep(100 * ms)
    assert box.ask("SYST:ERR:COUN?") == "20"
    assert [box.ask("SYST:ERR?") for _ in range(20)][-1] == '-350,"Queue overflow"'


def test_cls_clears_events_and_errors_but_no_enables(box: Box) -> None:
    box.send("*ESE 60;*SRE 32;NONSENSE")
    box.send("*CLS")
    assert box.ask("*ESR?;*ESE?;*SRE?;SYST:ERR:COUN?") == "0;60;32;0"


def test_the_event_summary_follows_the_enable(box: Box) -> None:
    box.send("NONSENSE")
    assert box.ask("*STB?") == "4"
    box.send("*ESE 32")
    assert box.ask("*STB?") == "36"


def test_master_summary_needs_the_service_enable(box: Box) -> None:
    box.send("*ESE 32;*SRE 32;NONSENSE")
    assert box.ask("*STB?") == "100"


def test_bit_6_of_the_service_enable_cannot_be_set(box: Box) -> None:
    box.send("*SRE 255")
    assert box.ask("*SRE?") == "191"


def test_a_serial_poll_clears_the_request_but_not_the_reason(box: Box) -> None:
    box.send("*ESE 32;*SRE 32;NONSENSE")
    assert [box.engine.status.serial_poll(), box.engine.status.serial_poll()] == [100, 36]


def test_message_available_follows_the_output_queue(box: Box) -> None:
    box.send("*IDN?")
    assert box.engine.status.serial_poll() & 16 == 0, "not ready yet"
    box.clock.sleep(ms)
    assert box.engine.status.serial_poll() & 16 == 16
    box.engine.take(100)
    assert box.engine.status.serial_poll() & 16 == 0


def test_message_available_requests_service_when_it_is_enabled(box: Box) -> None:
    box.send("*SRE 16")
    box.clock.sleep(ms)
    box.send("*IDN?")
    assert box.clock.wait(box.clock.now + ms, lambda: box.engine.status.service_requested)


def test_a_new_message_interrupts_an_unread_answer(box: Box) -> None:
    box.ask("*ESR?")
    box.send("*IDN?")
    box.clock.sleep(ms)
    assert box.ask("*STB?") == "4"
    assert box.ask("SYST:ERR?") == '-410,"Query INTERRUPTED"'


def test_reading_nothing_is_unterminated(box: Box) -> None:
    box.engine.unterminated()
    assert box.ask("SYST:ERR?") == '-420,"Query UNTERMINATED"'


def test_an_answer_too_long_for_the_output_queue_is_a_deadlock(box: Box) -> None:
    assert box.ask("HUGE?") is None
    assert str(box.ask("SYST:ERR?")).startswith('-430,"Query DEADLOCKED')


def test_no_query_may_follow_an_indefinite_answer(box: Box) -> None:
    assert box.ask("*IDN?;*STB?") == "Maker,Box,1,0"
    assert str(box.ask("SYST:ERR?")).startswith("-440")


def test_opc_is_set_when_the_overlapped_command_ends(box: Box) -> None:
    box.send("MOVE;*OPC")
    box.clock.sleep(49 * ms)
    assert box.ask("*ESR?", within=200 * us) == "0"
    box.clock.sleep(2 * ms)
    assert box.ask("*ESR?") == "1"


def test_opc_query_answers_when_the_overlapped_command_ends(box: Box) -> None:
    start = box.clock.now
    assert box.ask("MOVE;*OPC?", within=100 * ms) == "1"
    assert box.clock.now - start == 50 * ms + 100 * us


def test_wai_holds_back_what_comes_after_it(box: Box) -> None:
    start = box.clock.now
    assert box.ask("MOVE;*WAI;*STB?", within=100 * ms) == "0"
    assert box.clock.now - start == 50 * ms + 100 * us


def test_cls_forgets_a_waiting_opc(box: Box) -> None:
    box.send("MOVE;*OPC")
    box.send("*CLS")
    box.clock.sleep(60 * ms)
    assert box.ask("*ESR?") == "0"


def test_a_slow_query_answers_after_its_own_time_and_the_latency(box: Box) -> None:
    start = box.clock.now
    assert box.ask("SLOW?;*STB?", within=10 * ms) == "done;0"
    assert box.clock.now - start == 5 * ms + 100 * us


def test_messages_are_executed_one_latency_after_the_other(box: Box) -> None:
    start = box.clock.now
    for _ in range(3):
        box.send("*CLS")
    assert box.ask("*STB?") == "0"
    assert box.clock.now - start == 4 * 100 * us


def test_device_clear_forgets_the_answer_and_what_is_queued(box: Box) -> None:
    box.send("*IDN?")
    box.send("*ESE 60")
    box.engine.clear()
    assert box.ask("*ESE?") == "0"


def test_condition_becomes_event_through_the_transition_filters(box: Box) -> None:
    group = box.engine.status.operation[1]
    group.set_condition(1)
    box.send("STAT:OPER:PTR 0,(@2);NTR 1,(@2)")
    assert box.ask("STAT:OPER? (@1,2);:STAT:OPER:COND? (@2)") == "0,1;1"
    group.set_condition(0)
    assert [box.ask("STAT:OPER? (@2)"), box.ask("STAT:OPER? (@2)")] == ["1", "0"]


def test_an_enabled_event_of_any_channel_is_summed_up_in_the_status_byte(box: Box) -> None:
    box.send("STAT:QUES:ENAB 1,(@2)")
    box.clock.sleep(ms)
    box.engine.status.questionable[1].set_condition(1)
    assert box.ask("*STB?") == "8"


def test_preset_enables_nothing_and_passes_rising_conditions(box: Box) -> None:
    box.send("STAT:OPER:ENAB 5,(@1:2);PTR 0,(@1:2);NTR 3,(@1:2)")
    box.send("STAT:PRES")
    assert box.ask("STAT:OPER:ENAB? (@1,2);PTR? (@2);NTR? (@2)") == "0,0;32767;0"


@pytest.mark.parametrize(
    ("query", "answer"), [("*OPT?", "0"), ("*TST?", "0"), ("SYST:VERS?", "1999.0"), ("*OPC?", "1"), ("*RST;*ESE?", "0")]
)
def test_the_mandatory_queries_answer(box: Box, query: str, answer: str) -> None:
    assert box.ask(query) == answer


def test_a_command_gives_no_answer(box: Box) -> None:
    assert box.ask("*RST;*CLS;STAT:PRES") is None
