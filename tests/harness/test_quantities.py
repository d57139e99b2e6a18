"""Physical quantities and datagrams: what the plant and articles exchange beside volts."""

from __future__ import annotations

import pytest

from hil.clock import VirtualClock
from hil.errors import WiringError
from hil.faults import Fault
from hil.quantities import Latch
from hil.units import ms
from hil.wiring import Wiring


@pytest.fixture
def wiring() -> Wiring:
    return Wiring(VirtualClock())


def test_a_sink_reads_what_its_source_last_gave(wiring: Wiring) -> None:
    source = wiring.quantity_pin("servo.drive", 2)
    sink = wiring.quantity_pin("plant.gimbal", 2, (0.0, 0.0))
    wiring.net("gimbal", ["servo.drive", "plant.gimbal"])
    source.set(0.1, -0.2)
    assert sink.values == (0.1, -0.2)


def test_a_source_may_work_out_its_values_when_it_is_read(wiring: Wiring) -> None:
    read: list[int] = []
    source = wiring.quantity_pin("plant.rise", 1)
    sink = wiring.quantity_pin("switch.rise", 1, (0.0,))
    wiring.net("rise", ["plant.rise", "switch.rise"])
    source.give(lambda: (float(len(read)),))
    read.append(1)
    assert sink.values == (1.0,)


def test_a_sink_that_is_not_connected_takes_its_default(wiring: Wiring) -> None:
    sink = wiring.quantity_pin("plant.clamps", 1, (1.0,))
    assert sink.values == (1.0,)
    assert not sink.connected


def test_a_latch_reads_what_is_given_worked_out_and_standing(wiring: Wiring) -> None:
    wiring.quantity_pin("servo.drive", 1).set(0.5)
    wiring.quantity_pin("valve.opening", 1).give(lambda: (0.25,))
    sinks = [wiring.quantity_pin(f"plant.{name}", 1, (1.0,)) for name in ("gimbal", "vent", "clamps")]
    wiring.net("gimbal", ["servo.drive", "plant.gimbal"])
    wiring.net("vent", ["valve.opening", "plant.vent"])
    assert Latch(sinks).read() == [(0.5,), (0.25,), (1.0,)]


def test_a_quantity_net_has_one_source(wiring: Wiring) -> None:
    wiring.quantity_pin("a.out", 1)
    wiring.quantity_pin("b.out", 1)
    with pytest.raises(WiringError, match=r"one source; found a\.out, b\.out"):
        wiring.net("two", ["a.out", "b.out"])


def test_ends_of_different_width_do_not_fit(wiring: Wiring) -> None:
    wiring.quantity_pin("a.out", 2)
    wiring.quantity_pin("b.in", 3, (0.0, 0.0, 0.0))
    with pytest.raises(WiringError, match=r"b\.in takes 3 values, a\.out gives 2"):
        wiring.net("misfit", ["a.out", "b.in"])


def test_a_sink_gives_nothing(wiring: Wiring) -> None:
    sink = wiring.quantity_pin("b.in", 1, (0.0,))
    with pytest.raises(WiringError, match=r"takes and does not give, of 1 values; it was given \(1\.0,\)"):
        sink.set(1.0)


def test_volts_and_quantities_cannot_be_one_net(wiring: Wiring) -> None:
    wiring.pin("a.power")
    wiring.quantity_pin("b.in", 1, (0.0,))
    with pytest.raises(WiringError, match=r"a\.power is electrical, b\.in is a physical quantity"):
        wiring.net("mixed", ["a.power", "b.in"])


def test_a_datagram_arrives_everywhere_on_the_net_at_the_instant_it_was_sent() -> None:
    clock = VirtualClock()
    wiring = Wiring(clock)
    heard: list[tuple[str, bytes, int]] = []
    for name in ("range.track", "log.track"):
        wiring.datagram_pin(name).on(lambda payload, at, name=name: heard.append((name, payload, at)))
    sender = wiring.datagram_pin("radar.track")
    wiring.net("track", ["radar.track", "range.track", "log.track"])
    clock.sleep(3 * ms)
    sender.send(b"echo")
    clock.sleep(0)
    assert heard == [("range.track", b"echo", 3 * ms), ("log.track", b"echo", 3 * ms)]


def test_an_open_cable_carries_no_datagram_until_it_is_mended() -> None:
    clock = VirtualClock()
    wiring = Wiring(clock)
    heard: list[bytes] = []
    wiring.datagram_pin("range.track").on(lambda payload, _: heard.append(payload))
    sender = wiring.datagram_pin("radar.track")
    wiring.net("track", ["radar.track", "range.track"])
    undo = wiring.apply(Fault("radar.track", "open", 0))
    sender.send(b"lost")
    clock.sleep(1)
    undo()
    sender.send(b"heard")
    clock.sleep(1)
    assert heard == [b"heard"]


def test_a_payload_longer_than_a_datagram_is_refused(wiring: Wiring) -> None:
    with pytest.raises(WiringError, match="a datagram of 2000 bytes; the longest has 1472"):
        wiring.datagram_pin("radar.track").send(bytes(2000))


def test_who_listens_at_the_sender_taps_its_cable() -> None:
    clock = VirtualClock()
    wiring = Wiring(clock)
    heard: list[bytes] = []
    sender = wiring.datagram_pin("radar.track")
    sender.on(lambda payload, _: heard.append(payload))
    sender.send(b"echo")
    clock.sleep(0)
    assert heard == [b"echo"]
