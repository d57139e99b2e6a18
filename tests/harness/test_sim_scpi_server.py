"""Simulated instruments on TCP, talked to by pyvisa with pyvisa-py as real ones are."""

from __future__ import annotations

import signal
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import pyvisa
from hypothesis import given, settings
from hypothesis import strategies as st
from pymeasure.instruments.keysight import KeysightE36312A
from sim_world import Program, Served, open_socket

from hil.clock import Stopwatch
from hil.errors import HilError, InstrumentError
from hil.faults import Fault
from hil.units import ms
from hil.visa.door import open_manager
from hil.visa.keysight_n6700 import KeysightN6700

if TYPE_CHECKING:
    from collections.abc import Iterator


_FUZZED = Served(factor=100.0)


@pytest.fixture(scope="module", autouse=True)
def fuzzed() -> Iterator[None]:
    """One instrument for all that a property test sends."""
    with _FUZZED:
        yield


@pytest.fixture
def manager() -> Iterator[pyvisa.ResourceManager]:
    manager = pyvisa.ResourceManager("@py")
    yield manager
    manager.close()


@pytest.fixture
def supply() -> Iterator[Served]:
    with Served(factor=10.0) as served:
        yield served


def _put(served: Served, kind: str, **parameters: float) -> None:
    served.do(lambda: served.server.apply(Fault("psu", kind, parameters=parameters)))


def test_identity_is_answered_over_tcp(supply: Served, manager: pyvisa.ResourceManager) -> None:
    psu = open_socket(manager, supply.server.resource)
    assert psu.query("*IDN?") == "Keysight Technologies,N6702C,S1,E.02.07.3189"


def test_the_driver_of_the_bench_powers_a_load(supply: Served) -> None:
    manager = open_manager("@py")
    driver = KeysightN6700.open(manager, supply.server.resource, name="psu", serial="S1")
    driver.write("CURR 1,(@1)")
    driver.write("VOLT 28,(@1)")
    driver.write("OUTP ON,(@1)")
    assert driver.query("*OPC?") == "1"
    assert supply.do(lambda: supply.loads.volts("out1")) == pytest.approx(28.0, abs=0.05)
    driver.close()
    manager.close()


def test_a_pymeasure_driver_reads_the_supply_back(supply: Served) -> None:
    psu = KeysightE36312A(supply.server.resource, visa_library="@py", read_termination="\n", write_termination="\n")
    psu.ch_1.voltage_setpoint = 5.0
    psu.ch_1.current_limit = 1.0
    psu.ch_1.output_enabled = True
    assert psu.ask("*OPC?").strip() == "1"
    assert psu.ch_1.voltage == pytest.approx(5.0, abs=0.05)
    assert psu.check_errors() == []
    psu.shutdown()
    psu.adapter.close()


def test_a_message_in_pieces_is_executed_when_its_line_feed_comes(supply: Served) -> None:
    with supply.connect() as link:
        for piece in (b"*I", b"DN", b"?\n*OPC", b"?\n"):
            link.sendall(piece)
        answer = link.makefile("rb")
        assert answer.readline().startswith(b"Keysight")
        assert answer.readline() == b"1\n"


def test_a_block_may_contain_line_feeds(supply: Served) -> None:
    with supply.connect() as link:
        link.sendall(b"VOLT #15ab\ncd\nSYST:ERR?\n")
        assert link.makefile("rb").readline().startswith(b"-1")  # one wrong parameter
        link.sendall(b"SYST:ERR?\n")
        assert link.makefile("rb").readline().startswith(b"+0")  # and not a message more


def test_every_client_gets_the_answers_to_its_own_queries(supply: Served) -> None:
    wrong: list[str] = []

    def ask(number: int) -> None:
        with supply.connect() as link:
            answers = link.makefile("rb")
            link.sendall(b"".join(b"*ESE %d;*OPC?;*ESE %d;*ESE?\n" % (number, number) for _ in range(50)))
            for _ in range(50):
                answer = answers.readline().decode().strip()
                if answer.rpartition(";")[2].lstrip("+") != str(number):
                    wrong.append(answer)

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(1, 5)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert wrong == []


def test_a_second_client_is_sent_away_by_an_instrument_with_one_session(manager: pyvisa.ResourceManager) -> None:
    with Served(clients="one", factor=10.0) as served:
        first = open_socket(manager, served.server.resource)
        assert first.query("*OPC?") == "1"
        with served.connect() as second:
            assert second.recv(1) == b""
        assert first.query("*OPC?") == "1"


def test_the_next_client_is_taken_when_the_one_session_has_ended() -> None:
    with Served(clients="one", factor=10.0) as served:
        for _ in range(3):
            link = served.connect()
            link.sendall(b"*OPC?\n")
            assert link.recv(16) == b"1\n"
            link.shutdown(socket.SHUT_RDWR)
            assert link.recv(1) == b""
            link.close()
            served.do(lambda: None)


def test_a_command_is_executed_although_its_client_has_gone(supply: Served) -> None:
    with supply.connect() as link:
        link.sendall(b"VOLT 3,(@2);:OUTP ON,(@2);*OPC?\n")
    with supply.connect() as link:
        link.sendall(b"OUTP? (@2)\n")
        assert link.recv(16).strip() in (b"1", b"+1")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=30).filter(lambda line: b"#" not in line), max_size=4))
def test_nothing_a_client_sends_stops_the_instrument(lines: list[bytes]) -> None:
    served = _FUZZED
    with served.connect() as link:
        link.sendall(b"\n".join(lines) + b"\n")
    with served.connect() as link:
        link.sendall(b"*CLS\n*IDN?\n")
        assert link.makefile("rb").readline().startswith(b"Keysight")


def test_the_latency_of_a_message_is_rig_time() -> None:
    served = Served(latency_ns=200 * ms, factor=10.0)
    with served, served.connect() as link:
        watch = Stopwatch()
        link.sendall(b"*OPC?\n")
        assert link.recv(16) == b"1\n"
        assert watch.elapsed_s >= 0.020


def test_a_frozen_instrument_takes_everything_and_answers_nothing(
    supply: Served, manager: pyvisa.ResourceManager
) -> None:
    psu = open_socket(manager, supply.server.resource, timeout_ms=50)
    _put(supply, "frozen")
    psu.write("OUTP OFF,(@1)")
    with pytest.raises(pyvisa.errors.VisaIOError):
        psu.query("*IDN?")


def test_an_output_that_stays_on_is_reported_off(supply: Served, manager: pyvisa.ResourceManager) -> None:
    psu = open_socket(manager, supply.server.resource)
    psu.write("CURR 1,(@1);:VOLT 28,(@1);:OUTP ON,(@1)")
    assert psu.query("*OPC?") == "1"
    _put(supply, "stays_on", output=1)
    assert float(psu.query("OUTP OFF,(@1);*OPC?;:OUTP? (@1)").rpartition(";")[2]) == 0
    assert supply.do(lambda: supply.loads.volts("out1")) == pytest.approx(28.0, abs=0.05)


def test_a_refused_connection_is_an_error_at_the_first_question(supply: Served) -> None:
    _put(supply, "refused")
    manager = open_manager("@py")
    with pytest.raises(InstrumentError):
        KeysightN6700.open(manager, supply.server.resource, name="psu", serial="S1")
    manager.close()


def test_a_port_that_refused_listens_again_on_the_same_number(supply: Served) -> None:
    undo = supply.do(lambda: supply.server.apply(Fault("psu", "refused")))
    with pytest.raises(ConnectionRefusedError):
        supply.connect()
    supply.do(undo)
    with supply.connect() as link:
        link.sendall(b"*OPC?\n")
        assert link.recv(16) == b"1\n"


def test_a_dropped_connection_ends_and_a_new_one_is_taken(supply: Served) -> None:
    with supply.connect() as link:
        link.sendall(b"*OPC?\n")
        assert link.recv(16) == b"1\n"
        _put(supply, "dropped")
        with suppress(ConnectionResetError):
            assert link.recv(1) == b""
    with supply.connect() as link:
        link.sendall(b"*OPC?\n")
        assert link.recv(16) == b"1\n"


def test_a_port_that_is_taken_is_an_error_that_names_it(supply: Served) -> None:
    from hil.sim.scpi_port import ScpiServer

    with pytest.raises(HilError, match=f":{supply.server.port} cannot be opened"):
        ScpiServer(supply.twin, port=supply.server.port)


def test_the_program_shows_the_load_whatever_its_scpi_says(manager: pyvisa.ResourceManager) -> None:
    with Program("--pace", "10") as program:
        psu = open_socket(manager, program.resource)
        psu.write("CURR 1,(@1);:VOLT 28,(@1);:OUTP ON,(@1)")
        assert psu.query("*OPC?") == "1"
        assert float(program.ask("volts out1").split()[2]) == pytest.approx(28.0, abs=0.05)
        assert program.ask("fault stays_on output=1") == "fault stays_on"
        assert float(psu.query("OUTP OFF,(@1);*OPC?;:OUTP? (@1)").rpartition(";")[2]) == 0
        assert float(program.ask("amps out1").split()[2]) == pytest.approx(0.28, abs=0.01)
        assert program.ask("watch out1 1.0") == "watch out1 above"
        assert program.line() == "watch out1 1.0"
        assert program.ask("clear") == "watch out1 below" or program.line() == "watch out1 below"
        assert program.ask("volts out9").startswith("error there is no electrical output out9")


def test_the_program_ends_in_order_on_sigterm() -> None:
    with Program() as program:
        program.child.send_signal(signal.SIGTERM)
        assert program.child.wait(10.0) == 0


def test_the_program_ends_when_nobody_holds_its_control_line() -> None:
    with Program() as program:
        assert program.child.stdin is not None
        program.child.stdin.close()
        assert program.child.wait(10.0) == 0
        program.child.stdin = None
