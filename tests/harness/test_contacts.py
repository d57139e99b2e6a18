"""Contacts between nets: Kirchhoff over several nodes, current limits, following sources, wire faults, no residue."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.clock import VirtualClock
from hil.contacts import POLL_NS, Contact
from hil.errors import WiringError
from hil.faults import Fault
from hil.units import ms
from hil.wiring import Wiring

OHMS = st.floats(0.1, 1e5)


class Chain:
    """Nets in a row, a contact between each and the next: ``n0.pin`` - ``n1.pin`` - ..."""

    def __init__(self, count: int, ohms: float = 0.1) -> None:
        self.clock = VirtualClock()
        self.wiring = Wiring(self.clock)
        self.pins = [self.wiring.pin(f"n{index}.pin") for index in range(count)]
        for index in range(count):
            self.wiring.pin(f"n{index}.contact")
            self.wiring.net(f"net{index}", [f"n{index}.pin", f"n{index}.contact"])
        self.contacts: list[Contact] = [
            self.wiring.contact(f"n{index}.contact", f"n{index + 1}.contact", ohms) for index in range(count - 1)
        ]


@given(st.floats(-50.0, 50.0), OHMS, OHMS, OHMS)
def test_two_nets_are_a_voltage_divider(volts, source_ohm, contact_ohm, load_ohm):
    chain = Chain(2, contact_ohm)
    chain.pins[0].drive(volts, source_ohm)
    chain.pins[1].load(load_ohm)
    chain.contacts[0].close()

    expected = volts * load_ohm / (source_ohm + contact_ohm + load_ohm)
    assert chain.pins[1].volts == pytest.approx(expected, rel=1e-3, abs=1e-6)


@given(st.lists(st.tuples(st.floats(-30.0, 30.0), OHMS), min_size=2, max_size=6), st.floats(0.05, 10.0))
def test_the_currents_into_the_pins_of_an_island_add_up_to_nothing(sources, contact_ohm):
    chain = Chain(len(sources), contact_ohm)
    for pin, (volts, ohms) in zip(chain.pins, sources, strict=True):
        pin.drive(volts, ohms)
    for contact in chain.contacts:
        contact.close()

    for index, pin in enumerate(chain.pins):
        assert pin.amps + chain.wiring.pin(f"n{index}.contact").amps == pytest.approx(0.0, abs=1e-6)
    assert sum(pin.amps for pin in chain.pins) == pytest.approx(0.0, abs=1e-6)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=20))
def test_open_contacts_leave_nothing_behind(moves):
    chain, untouched = Chain(6), Chain(6)
    for each in (chain, untouched):
        for index, pin in enumerate(each.pins):
            pin.drive(float(index), 10.0)
            pin.load(100.0)
    for index, closed in moves:
        (chain.contacts[index].close if closed else chain.contacts[index].open)()
    for contact in chain.contacts:
        contact.open()

    assert [pin.volts for pin in chain.pins] == [pin.volts for pin in untouched.pins]


def test_a_supply_that_feeds_a_short_through_a_contact_goes_into_its_current_limit():
    chain = Chain(2)
    chain.pins[0].drive(28.0, 0.01, limit_a=2.0)
    chain.pins[1].load(0.1)
    chain.contacts[0].close()

    assert chain.pins[0].in_limit
    assert chain.pins[1].amps == pytest.approx(2.0, rel=1e-6)


def test_who_watches_a_pin_is_told_when_a_contact_moves():
    chain = Chain(2)
    told: list[float] = []
    chain.pins[1].on_change(lambda: told.append(chain.pins[1].volts))
    chain.pins[0].drive(5.0, 1.0)
    chain.contacts[0].close()
    chain.clock.sleep(1)
    chain.contacts[0].open()
    chain.clock.sleep(1)

    assert told == [pytest.approx(5.0), 0.0]


def test_a_following_source_is_read_through_a_contact_without_an_event():
    chain = Chain(2, 10.0)
    volts = [1.0]
    chain.pins[0].follow(lambda: volts[0], 90.0)
    chain.pins[1].load(100.0)
    chain.contacts[0].close()
    volts[0] = 4.0

    assert chain.pins[1].read() == pytest.approx(2.0)
    assert chain.pins[0].read() == pytest.approx(4.0 * 110 / 200)


def test_two_following_sources_that_a_contact_joins_share_the_voltage():
    chain = Chain(2, 1e-3)
    volts = [1.0, 3.0]
    chain.pins[0].follow(lambda: volts[0], 100.0)
    chain.pins[1].follow(lambda: volts[1], 100.0)
    chain.contacts[0].close()
    assert chain.pins[0].read() == pytest.approx(2.0, abs=1e-4)

    volts[:] = [5.0, 3.0]
    assert chain.pins[1].read() == pytest.approx(4.0, abs=1e-4)


def test_who_watches_a_net_joined_with_a_following_source_is_told_within_a_millisecond():
    chain = Chain(2)
    volts, told = [1.0], list[float]()
    chain.pins[0].follow(lambda: volts[0], 1.0)
    chain.pins[1].load(1e6)
    chain.pins[1].on_change(lambda: told.append(chain.pins[1].volts))
    chain.contacts[0].close()
    chain.clock.sleep(5 * ms)
    volts[0] = 2.0
    chain.clock.sleep(POLL_NS)
    chain.contacts[0].open()
    chain.clock.sleep(5 * ms)

    assert told == [pytest.approx(1.0, rel=1e-4), pytest.approx(2.0, rel=1e-4), 0.0]


def test_an_open_wire_at_a_pin_of_a_contact_takes_it_out_of_the_path():
    chain = Chain(2)
    chain.pins[0].drive(5.0, 1.0)
    chain.pins[1].load(1e3)
    chain.contacts[0].close()
    undo = chain.wiring.apply(Fault("n0.contact", "open"))
    assert chain.pins[1].volts == pytest.approx(0.0, abs=1e-6)

    undo()
    assert chain.pins[1].volts == pytest.approx(5.0, abs=0.01)


def test_a_short_on_one_net_pulls_down_what_is_joined_with_it():
    chain = Chain(3)
    chain.pins[0].drive(5.0, 10.0)
    for contact in chain.contacts:
        contact.close()
    chain.wiring.apply(Fault("net2", "short_to_ground", parameters={"ohms": 0.05}))

    assert chain.pins[0].volts == pytest.approx(5.0 * 0.25 / 10.25, rel=1e-6)


def test_two_contacts_side_by_side_halve_the_resistance():
    chain = Chain(2, 10.0)
    chain.pins[0].drive(4.0, 1e-3)
    chain.pins[1].load(10.0)
    second = chain.wiring.contact("n0.contact", "n1.contact", 10.0)
    chain.contacts[0].close()
    second.close()

    assert chain.pins[1].volts == pytest.approx(4.0 * 10 / 15, rel=1e-3)


@pytest.mark.parametrize(
    ("pins", "ohms", "why"),
    [(("a.x", "b.x"), 0.0, "a contact of 0.0 ohm from a.x to b.x"), (("a.x", "a.x"), 1.0, "from a.x to itself")],
)
def test_a_contact_that_is_not_physical_is_refused(pins, ohms, why):
    with pytest.raises(WiringError, match=why):
        Chain(2).wiring.contact(*pins, ohms)
