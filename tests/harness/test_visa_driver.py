"""What holds for every driver: identity, refusals, limits, error queue, stimulus and transcript."""

from __future__ import annotations

import socket

import pytest
import pyvisa

from hil.clock import VirtualClock
from hil.errors import ConfigError, HilError, InstrumentError
from hil.faults import Fault
from hil.noise import Streams
from hil.visa.declare import describe
from hil.visa.door import open_manager, send_at_once
from hil.visa.driver import ErrorPolicy
from hil.visa.keysight_n5182b import KeysightN5182B
from hil.visa.keysight_n6700 import KeysightN6700, Output
from hil.visa.keysight_n6700_twin import KeysightN6700Twin
from hil.visa.library import SimVisaLibrary
from hil.wiring import Wiring

ADDRESS = "TCPIP0::psu::5025::SOCKET"


class Bench:
    """A simulated supply, what was said to it, and what was announced."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.twin = KeysightN6700Twin(name="psu", clock=self.clock, streams=Streams(1), wiring=Wiring(self.clock))
        library = SimVisaLibrary(self.clock)
        library.attach(ADDRESS, self.twin)
        self.manager = pyvisa.ResourceManager(library)
        self.said: list[tuple[str, str]] = []
        self.order: list[str] = []
        self.stimuli: list[tuple[str, object]] = []

    def open(self, **keys: str) -> KeysightN6700:
        return KeysightN6700.open(
            self.manager,
            ADDRESS,
            name="psu",
            stimulus=self._stimulus,
            transcript=self._transcript,
            **keys,
        )

    def _stimulus(self, what: str, value: object) -> None:
        self.stimuli.append((what, value))
        self.order.append(what)

    def _transcript(self, direction: str, text: str) -> None:
        self.said.append((direction, text))
        self.order.append(text)

    @property
    def written(self) -> list[str]:
        return [text for direction, text in self.said if direction == "write"]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_opening_begins_with_the_identity(bench: Bench) -> None:
    with bench.open() as psu:
        assert psu.identity.model == "N6702C"
    assert bench.said[:2] == [("write", "*IDN?"), ("read", "Keysight Technologies,N6702C,MY00000001,E.02.07.3189")]


def test_the_right_serial_is_accepted(bench: Bench) -> None:
    assert bench.open(serial="MY00000001").identity.serial == "MY00000001"


def test_a_wrong_serial_is_refused(bench: Bench) -> None:
    with pytest.raises(
        InstrumentError, match=r"asked for .* serial MY7, found .* serial MY00000001 .*correct resource"
    ):
        bench.open(serial="MY7")


def test_a_wrong_model_is_refused(bench: Bench) -> None:
    bench.twin.apply(Fault("psu", "wrong_identity", parameters={"model": "E36312A"}))
    with pytest.raises(InstrumentError, match=r"psu at TCPIP0::psu.*asked for a Keysight .*N6702C.*found.* E36312A"):
        bench.open()


def test_the_driver_of_another_instrument_is_refused_and_its_session_closed(bench: Bench) -> None:
    with pytest.raises(InstrumentError, match="asked for a Keysight Technologies N5182B"):
        KeysightN5182B.open(bench.manager, ADDRESS, name="siggen")
    assert bench.manager.list_opened_resources() == []


def test_nothing_but_the_identity_is_sent_to_a_wrong_instrument(bench: Bench) -> None:
    with pytest.raises(InstrumentError):
        bench.open(serial="MY7")
    assert bench.written == ["*IDN?"]


def test_what_does_not_identify_itself_in_four_fields_is_refused(bench: Bench) -> None:
    bench.twin.serial = "1,2,3"
    with pytest.raises(InstrumentError, match=r"\*IDN\? was answered '.*1,2,3.*', which is not maker, model, serial"):
        bench.open()


@pytest.mark.parametrize("maker", ["Rohde&Schwarz", ""])
def test_a_wrong_maker_is_refused(bench: Bench, maker: str) -> None:
    bench.twin.manufacturer = maker
    with pytest.raises(InstrumentError, match="asked for a Keysight Technologies N6700C"):
        bench.open()


def test_a_maker_is_known_by_its_first_word(bench: Bench) -> None:
    bench.twin.manufacturer = "Agilent"
    assert bench.open().identity.manufacturer == "Agilent"


def test_an_instrument_that_does_not_answer_is_refused_after_its_time_out(bench: Bench) -> None:
    bench.twin.apply(Fault("psu", "frozen"))
    with pytest.raises(InstrumentError, match=r"'\*IDN\?': no answer within 2000 ms; is it switched on"):
        bench.open()
    assert bench.clock.now == 2_000_000_000


def test_an_address_where_nothing_is_is_named(bench: Bench) -> None:
    with pytest.raises(InstrumentError, match="psu: TCPIP::gone::INSTR cannot be opened: VI_ERROR_RSRC_NFOUND"):
        KeysightN6700.open(bench.manager, "TCPIP::gone::INSTR", name="psu")


def test_a_backend_that_is_not_installed_is_named() -> None:
    with pytest.raises(InstrumentError, match="'@nothing' cannot be loaded"):
        open_manager("@nothing")


def test_a_real_address_that_nobody_listens_on_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(InstrumentError, match=f"psu.* TCPIP0::127.0.0.1::{port}::SOCKET"):
        KeysightN6700.open(open_manager("@py"), f"TCPIP0::127.0.0.1::{port}::SOCKET", name="psu")


def test_a_real_connection_sends_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"TCPIP0::127.0.0.1::{server.getsockname()[1]}::SOCKET"
        with open_manager("@py").open_resource(address) as resource:
            assert send_at_once(resource)
            interface = resource.visalib.sessions[resource.session].interface
            assert interface.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_misspelt_attribute_is_refused_with_the_nearest(bench: Bench) -> None:
    output = bench.open().output(1)
    with pytest.raises(AttributeError, match="did you mean current_limit_a"):
        output.curent_limit_a = 2.0  # type: ignore[attr-defined]


def test_a_measurement_cannot_be_assigned(bench: Bench) -> None:
    with pytest.raises(AttributeError, match="measured"):
        bench.open().output(1).measured_voltage_v = 5.0


@pytest.mark.parametrize("volts", [-0.1, 51.1, float("nan"), float("inf"), True])
def test_a_value_outside_the_range_is_refused_before_writing(bench: Bench, volts: float) -> None:
    output = bench.open().output(1)
    sent = len(bench.said)
    with pytest.raises(InstrumentError, match=r"psu\.out1\.voltage_v = .* V is refused: .*0 to 51 V; nothing was"):
        output.voltage_v = volts
    assert (len(bench.said), bench.stimuli) == (sent, [])


def test_a_limit_of_the_rig_file_is_enforced_above_the_driver(bench: Bench) -> None:
    psu = bench.open()
    psu.impose_limits({"voltage_max_v": 32.0, "voltage_min_v": 1.0})
    psu.output(1).voltage_v = 32.0
    for volts in (32.01, 0.5):
        with pytest.raises(InstrumentError, match=f"{volts:g} V is refused: the rig file limits voltage_v"):
            psu.output(1).voltage_v = volts


def test_a_limit_holds_for_lists_as_well(bench: Bench) -> None:
    psu = bench.open()
    psu.impose_limits({"voltage_max_v": 32.0})
    with pytest.raises(InstrumentError, match=r"list_voltage_v = 40 V is refused: the rig file limits"):
        psu.output(2).list_voltage_v = (28.0, 40.0)


def test_a_limit_can_hold_for_one_output(bench: Bench) -> None:
    psu = bench.open()
    psu.impose_limits({"out2_current_limit_max_a": 1.5})
    psu.output(1).current_limit_a = 5.0
    with pytest.raises(InstrumentError, match="out2_current_limit_a"):
        psu.output(2).current_limit_a = 5.0


def test_a_limit_never_gets_wider_again(bench: Bench) -> None:
    psu = bench.open()
    psu.impose_limits({"voltage_v": 10.0})
    psu.impose_limits({"max_voltage_v": 40.0})
    with pytest.raises(InstrumentError, match="limits voltage_v"):
        psu.output(1).voltage_v = 20.0


def test_a_limit_of_an_unknown_quantity_is_an_error(bench: Bench) -> None:
    with pytest.raises(ConfigError, match=r"psu: limits\.voltge_max_v: did you mean voltage_v"):
        bench.open().impose_limits({"voltge_max_v": 32.0})


def test_a_stimulus_is_announced_before_it_is_sent(bench: Bench) -> None:
    bench.open().output(1).voltage_v = 28.0
    assert bench.order[-4:] == ["psu.out1.voltage_v", "VOLT 28,(@1)", "SYST:ERR?", '+0,"No error"']


def test_every_message_is_in_the_transcript(bench: Bench) -> None:
    output = bench.open().output(1)
    bench.said.clear()
    output.voltage_v = 28.0
    assert output.voltage_v == 28.0
    assert bench.said == [
        ("write", "VOLT 28,(@1)"),
        ("write", "SYST:ERR?"),
        ("read", '+0,"No error"'),
        ("write", "VOLT? (@1)"),
        ("read", "+2.800000E+01"),
    ]


def test_an_error_of_the_instrument_names_command_number_and_text(bench: Bench) -> None:
    with pytest.raises(InstrumentError, match=r'answered -113,"Undefined header;FOO" to FOO 1'):
        bench.open().write("FOO 1")


def test_a_group_reads_the_error_queue_once(bench: Bench) -> None:
    psu = bench.open()
    bench.said.clear()
    with psu.group():
        psu.output(1).voltage_v = 5.0
        psu.output(2).voltage_v = 6.0
    assert bench.written == ["VOLT 5,(@1)", "VOLT 6,(@2)", "SYST:ERR?"]


def test_an_error_in_a_group_names_the_whole_group(bench: Bench) -> None:
    psu = bench.open()

    def two_writes() -> None:
        with psu.group():
            psu.write("FOO")
            psu.output(1).voltage_v = 5.0

    with pytest.raises(InstrumentError, match=r"-113.* to FOO; VOLT 5,\(@1\)"):
        two_writes()


def test_an_error_before_a_refusal_in_a_group_is_a_note_and_blames_nobody_later(bench: Bench) -> None:
    psu = bench.open()

    def refused() -> None:
        with psu.group():
            psu.write("FOO")
            psu.output(1).voltage_v = 999.0

    with pytest.raises(InstrumentError, match="999") as refusal:
        refused()
    assert refusal.value.__notes__ == ['psu reported -113,"Undefined header;FOO" after FOO']
    assert psu.errors() == []


def test_the_error_queue_can_be_read_on_request_only(bench: Bench) -> None:
    psu = bench.open()
    psu.error_policy = ErrorPolicy.ON_REQUEST
    psu.write("FOO")
    assert psu.errors() == ['-113,"Undefined header;FOO"']


def test_what_cannot_be_sent_is_an_error_that_names_the_command(bench: Bench) -> None:
    psu = bench.open()
    psu.close()
    with pytest.raises(InstrumentError, match=r"psu at TCPIP0::psu::5025::SOCKET: 'MEM:DATA #13': Invalid session"):
        psu.write_block("MEM:DATA ", b"abc")


def test_an_answer_that_cannot_be_read_is_an_error(bench: Bench) -> None:
    psu = bench.open()
    with pytest.raises(
        InstrumentError, match=r"psu\.out1\.enabled: 'OUTP\? \(@1,2\)' was answered '0,0', which is not ON"
    ):
        psu.query_value(Output.enabled, "(@1,2)", "psu.out1")


def test_declarations_are_the_documentation() -> None:
    table = describe(KeysightN6700)
    assert "| `watchdog_delay_s` | `OUTPut:PROTection:WDOG:DELay` | s | 1 to 3600 | 60 |" in table


def test_an_unknown_fault_names_the_known_ones(bench: Bench) -> None:
    with pytest.raises(Exception, match=r"psu \(N6702C\) has no fault 'frozn'; did you mean frozen"):
        bench.twin.apply(Fault("psu", "frozn"))


def test_a_fault_of_an_instrument_with_a_misspelt_parameter_is_refused(bench: Bench) -> None:
    with pytest.raises(HilError, match="'wrong_identity' on psu has no parameter modell; did you mean model"):
        bench.twin.apply(Fault("psu", "wrong_identity", parameters={"modell": "E36312A"}))


def test_a_query_that_something_else_broke_off_does_not_spoil_the_next_command(bench: Bench) -> None:
    def broken_article() -> None:
        raise ArithmeticError("an article went wrong")

    psu = bench.open()
    bench.clock.at(bench.clock.now + 100_000, broken_article)
    with pytest.raises(ArithmeticError):
        psu.query("VOLT? (@1)")

    psu.outputs[1].enabled = False  # what makes safe

    assert psu.errors() == []
    assert any("device clear" in text for text in bench.written)
