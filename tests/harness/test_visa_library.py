"""The VISA library on the rig clock: sessions, time-outs, service requests, the name "@hil"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pyvisa
from pyvisa.constants import BufferOperation, EventMechanism, EventType, ResourceAttribute, StatusCode

from hil.clock import VirtualClock
from hil.errors import ClockError, DeadlockError, InstrumentError
from hil.faults import Fault
from hil.noise import Streams
from hil.units import ms, s
from hil.visa.keysight_n6700_twin import KeysightN6700Twin
from hil.visa.library import SimVisaLibrary
from hil.wiring import Wiring

if TYPE_CHECKING:
    from pyvisa.resources import MessageBasedResource

ADDRESS = "TCPIP0::psu::5025::SOCKET"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def twin(clock: VirtualClock) -> KeysightN6700Twin:
    return KeysightN6700Twin(name="psu", clock=clock, streams=Streams(1), wiring=Wiring(clock))


@pytest.fixture
def library(clock: VirtualClock, twin: KeysightN6700Twin) -> SimVisaLibrary:
    library = SimVisaLibrary(clock)
    library.attach(ADDRESS, twin)
    return library


@pytest.fixture
def psu(library: SimVisaLibrary) -> MessageBasedResource:
    return pyvisa.ResourceManager(library).open_resource(
        ADDRESS, read_termination="\n", write_termination="\n", timeout=2000
    )


def test_a_query_costs_rig_time_only(clock: VirtualClock, psu: MessageBasedResource) -> None:
    assert psu.query("*IDN?") == "Keysight Technologies,N6702C,MY00000001,E.02.07.3189"
    assert clock.now == 1 * ms


@pytest.mark.parametrize("timeout_ms", [1, 25, 2000])
def test_a_query_without_an_answer_ends_exactly_at_its_time_out(
    clock: VirtualClock, psu: MessageBasedResource, timeout_ms: int
) -> None:
    psu.timeout = timeout_ms
    with pytest.raises(pyvisa.VisaIOError, match="VI_ERROR_TMO"):
        psu.query("*CLS")
    assert clock.now == timeout_ms * ms


def test_reading_before_asking_is_unterminated(psu: MessageBasedResource) -> None:
    with pytest.raises(pyvisa.VisaIOError, match="VI_ERROR_TMO"):
        psu.read()
    assert psu.query("SYST:ERR?") == '-420,"Query UNTERMINATED"'


def test_an_answer_at_the_deadline_still_counts(clock: VirtualClock, psu: MessageBasedResource) -> None:
    psu.timeout = 1
    assert psu.query("*STB?") == "0"
    assert clock.now == 1 * ms


def test_an_answer_that_came_too_late_is_read_next(psu: MessageBasedResource) -> None:
    psu.timeout = 20
    with pytest.raises(pyvisa.VisaIOError, match="VI_ERROR_TMO"):
        psu.query("MEAS:VOLT? (@1)")
    assert abs(float(psu.read())) < 0.01


def test_an_endless_wait_for_nothing_is_a_deadlock(psu: MessageBasedResource) -> None:
    psu.timeout = None
    with pytest.raises(DeadlockError, match="an answer of TCPIP0::psu::5025::SOCKET"):
        psu.query("*CLS")


def test_an_answer_can_be_read_in_pieces(psu: MessageBasedResource) -> None:
    psu.write("*IDN?")
    assert psu.read_bytes(8) == b"Keysight"
    assert psu.read().startswith(" Technologies,")


def test_reading_stops_at_the_termination_character(psu: MessageBasedResource) -> None:
    psu.write("*IDN?")
    assert psu.read(termination=",") == "Keysight Technologies"
    assert psu.last_status == StatusCode.success_termination_character_read


def test_a_message_written_in_two_parts_without_end_is_one(psu: MessageBasedResource) -> None:
    psu.send_end = False
    psu.write_raw(b"*ID")
    psu.write_raw(b"N?\n")
    assert psu.read().startswith("Keysight")


def test_the_world_goes_on_while_a_query_waits(clock: VirtualClock, psu: MessageBasedResource) -> None:
    ticks: list[int] = []
    clock.every(10 * ms, lambda: ticks.append(clock.now))
    psu.query("MEAS:VOLT? (@1)")
    assert ticks == [0, 10 * ms, 20 * ms]


def test_a_query_in_a_callback_is_refused(clock: VirtualClock, psu: MessageBasedResource) -> None:
    clock.at(1 * s, lambda: psu.query("*IDN?"))
    with pytest.raises(ClockError, match="callback may not wait"):
        clock.sleep(2 * s)


def test_resources_are_listed_by_pattern(library: SimVisaLibrary, twin: KeysightN6700Twin) -> None:
    library.attach("USB0::10893::2::MY1::INSTR", twin)
    manager = pyvisa.ResourceManager(library)
    assert manager.list_resources() == ("USB0::10893::2::MY1::0::INSTR",)
    assert manager.list_resources("?*::SOCKET") == (ADDRESS,)


def test_another_spelling_of_the_address_is_the_same_instrument(library: SimVisaLibrary) -> None:
    opened = pyvisa.ResourceManager(library).open_resource("TCPIP::psu::5025::SOCKET")
    assert opened.resource_name == ADDRESS


def test_an_unknown_address_is_not_found(library: SimVisaLibrary) -> None:
    with pytest.raises(pyvisa.VisaIOError, match="VI_ERROR_RSRC_NFOUND"):
        pyvisa.ResourceManager(library).open_resource("TCPIP::nobody::INSTR")


def test_what_is_no_resource_name_is_refused(library: SimVisaLibrary) -> None:
    with pytest.raises(pyvisa.VisaIOError, match="VI_ERROR_INV_RSRC_NAME"):
        pyvisa.ResourceManager(library).open_resource("the supply")


def test_an_address_is_given_once(library: SimVisaLibrary, twin: KeysightN6700Twin) -> None:
    with pytest.raises(InstrumentError, match="taken already"):
        library.attach("TCPIP::psu::5025::SOCKET", twin)


def test_an_address_must_be_a_resource_name(library: SimVisaLibrary, twin: KeysightN6700Twin) -> None:
    with pytest.raises(InstrumentError, match="'the supply' is not a VISA resource name"):
        library.attach("the supply", twin)


def test_a_closed_session_is_invalid(library: SimVisaLibrary, psu: MessageBasedResource) -> None:
    session = psu.session
    psu.close()
    with pytest.raises(pyvisa.VisaIOError, match="VI_ERROR_INV_OBJECT"):
        library.read(session, 1)


def test_device_clear_drops_the_answer(psu: MessageBasedResource) -> None:
    psu.write("*IDN?")
    psu.clear()
    assert psu.query("*STB?") == "0"


def test_flushing_the_receive_buffer_drops_the_answer(clock: VirtualClock, psu: MessageBasedResource) -> None:
    psu.write("*IDN?")
    clock.sleep(2 * ms)
    psu.flush(BufferOperation.discard_receive_buffer)
    assert psu.query("SYST:ERR?") == '+0,"No error"'


def test_the_interface_trigger_is_trg(psu: MessageBasedResource) -> None:
    psu.assert_trigger()
    assert psu.query("SYST:ERR?").startswith("-211")


def test_a_serial_poll_reads_the_status_byte_at_once(clock: VirtualClock, psu: MessageBasedResource) -> None:
    psu.write("*IDN?")
    clock.sleep(1 * ms)
    assert (psu.read_stb(), clock.now) == (16, 1 * ms)


def test_a_service_request_is_waited_for_in_rig_time(clock: VirtualClock, psu: MessageBasedResource) -> None:
    psu.enable_event(EventType.service_request, EventMechanism.queue)
    psu.write("*ESE 1;*SRE 32")
    psu.write("OUTP:DEL:RISE 1,(@1);:OUTP ON,(@1);*OPC")
    assert not psu.wait_on_event(EventType.service_request, 5_000).timed_out
    assert 1.035 * s <= clock.now <= 1.055 * s
    assert psu.read_stb() & 64


def test_a_service_request_that_does_not_come_times_out(clock: VirtualClock, psu: MessageBasedResource) -> None:
    psu.enable_event(EventType.service_request, EventMechanism.queue)
    with pytest.raises(pyvisa.VisaIOError, match="VI_ERROR_TMO"):
        psu.wait_on_event(EventType.service_request, 300)
    assert clock.now == 300 * ms


def test_a_frozen_instrument_answers_no_serial_poll(
    clock: VirtualClock, psu: MessageBasedResource, twin: KeysightN6700Twin
) -> None:
    twin.apply(Fault("psu", "frozen"))
    with pytest.raises(pyvisa.VisaIOError, match="VI_ERROR_TMO"):
        psu.read_stb()
    assert clock.now == 2_000 * ms


def test_only_the_service_request_queue_is_there(psu: MessageBasedResource) -> None:
    with pytest.raises(pyvisa.VisaIOError, match="VI_ERROR_NSUP_OPER"):
        psu.enable_event(EventType.trig, EventMechanism.queue)
    with pytest.raises(pyvisa.VisaIOError, match="VI_ERROR_NENABLED"):
        psu.wait_on_event(EventType.service_request, 300)


def test_an_attribute_no_simulated_session_has_is_not_supported(psu: MessageBasedResource) -> None:
    with pytest.raises(pyvisa.VisaIOError, match="VI_ERROR_NSUP_ATTR"):
        psu.get_visa_attribute(ResourceAttribute.tcpip_keepalive)
    with pytest.raises(pyvisa.VisaIOError, match="VI_ERROR_NSUP_ATTR"):
        psu.set_visa_attribute(ResourceAttribute.tcpip_keepalive, True)


def test_a_frozen_instrument_takes_writes_and_answers_nothing(
    clock: VirtualClock, psu: MessageBasedResource, twin: KeysightN6700Twin
) -> None:
    thaw = twin.apply(Fault("psu", "frozen"))
    psu.write("VOLT 5,(@1)")
    with pytest.raises(pyvisa.VisaIOError, match="VI_ERROR_TMO"):
        psu.query("VOLT? (@1)")
    assert clock.now == 2_000 * ms
    thaw()
    assert float(psu.query("VOLT? (@1)")) == 0.0


def test_two_rigs_have_two_libraries(library: SimVisaLibrary) -> None:
    other = SimVisaLibrary(VirtualClock())
    assert pyvisa.ResourceManager(other) is not pyvisa.ResourceManager(library)
    assert pyvisa.ResourceManager(other).list_resources("?*") == ()


def test_the_name_hil_reaches_the_open_rig(library: SimVisaLibrary) -> None:
    with library.registered():
        foreign = pyvisa.ResourceManager("@hil").open_resource(ADDRESS, read_termination="\n")
        assert foreign.query("*IDN?").startswith("Keysight")


def test_the_name_hil_works_from_the_environment(library: SimVisaLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYVISA_LIBRARY", "@hil")
    with library.registered():
        assert pyvisa.ResourceManager().list_resources("?*") == (ADDRESS,)


def test_without_a_rig_the_name_hil_says_so(library: SimVisaLibrary) -> None:
    with library.registered():
        pass
    with pytest.raises(InstrumentError, match="no simulated rig is open"):
        pyvisa.ResourceManager("@hil")


def test_what_a_foreign_driver_keeps_dies_with_the_rig(library: SimVisaLibrary) -> None:
    with library.registered():
        foreign = pyvisa.ResourceManager("@hil").open_resource(ADDRESS)
    with pytest.raises(pyvisa.VisaIOError, match="VI_ERROR_INV_OBJECT"):
        foreign.write("OUTP ON,(@1)")


def test_a_foreign_manager_closes_no_session_of_the_rig(library: SimVisaLibrary, psu: MessageBasedResource) -> None:
    with library.registered():
        pyvisa.ResourceManager("@hil").close()
    assert psu.query("*STB?") == "0"


def test_only_one_rig_owns_the_name(library: SimVisaLibrary) -> None:
    with (
        library.registered(),
        pytest.raises(InstrumentError, match="another open rig"),
        SimVisaLibrary(VirtualClock()).registered(),
    ):
        pass
