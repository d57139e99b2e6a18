"""The windows in which a test looked, for the measurement that is made of what it saw."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hil.clock import VirtualClock
from hil.looks import Looks
from hil.signal import HIGH, Signal, Timeline
from hil.units import ms

SPANS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)))


@given(SPANS)
def test_every_instant_of_a_look_is_in_a_window_and_no_other(spans: list[tuple[int, int]]) -> None:
    looks = Looks()
    for begin, end in spans:
        looks.add(begin, end)
    found = {at for window in looks.windows for at in range(window.begin_ns, window.end_ns + 1)}
    assert found == {at for begin, end in spans for at in range(begin, end + 1)}


def test_measurements_in_a_row_answer_for_the_same_looks_and_the_next_look_begins_anew() -> None:
    looks = Looks()
    looks.add(1, 2)
    looks.take()
    assert looks.windows == ((1, 2),)
    looks.add(5, 6)
    assert looks.windows == ((5, 6),)


def test_a_measurement_whose_window_begins_later_leaves_the_earlier_looks_to_the_next() -> None:
    looks = Looks()
    looks.add(1, 2)
    looks.add(5, 6)
    looks.take(4)
    looks.add(8, 9)
    assert looks.windows == ((1, 2), (5, 6), (8, 9))
    looks.take(1)
    looks.add(10, 11)
    assert looks.windows == ((10, 11),)


def test_a_look_of_a_test_is_from_its_mark_to_the_end_of_the_wait() -> None:
    clock = VirtualClock()
    timeline = Timeline(clock)
    pin: Signal[bool] = Signal("fts_a.arm", "", timeline, held=True)
    for _ in range(2):
        clock.sleep(10 * ms)
        timeline.stimulus("a command")
        clock.sleep(1 * ms)
        assert not pin.seen(HIGH, within=2 * ms)
        clock.sleep(5 * ms)
    timeline.arrived()
    pin.history(35 * ms)
    assert timeline.looks.windows == ((10 * ms, 13 * ms), (28 * ms, 36 * ms))
