"""The I/O card: channels on pins, by prefix."""

from __future__ import annotations

import pytest

from hil.clock import VirtualClock
from hil.errors import InstrumentError
from hil.io.sim_card import SimIoCard
from hil.signal import HIGH, Timeline
from hil.units import ms
from hil.wiring import Wiring


class Bench:
    """A box with an output on a load, and a sensor input, both wired to a card."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.timeline = Timeline(self.clock)
        self.wiring = Wiring(self.clock)
        for pin in ("box.out", "box.sense", "box.marker"):
            self.wiring.pin(pin)
        ports = ["load_out", "di_out", "ci_out", "ao_sense", "ai_sense", "dl_marker", "do_key"]
        self.card = SimIoCard("stand", self.wiring, timeline=self.timeline, ports=ports, ohms={"load_out": 5.0})
        self.wiring.net("out", ["box.out", "stand.load_out", "stand.di_out", "stand.ci_out"])
        self.wiring.net("sense", ["box.sense", "stand.ao_sense", "stand.ai_sense"])
        self.wiring.net("marker", ["box.marker", "stand.dl_marker"])


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_edge_is_seen_at_the_instant_it_happens(bench: Bench) -> None:
    bench.clock.at(7 * ms, lambda: bench.wiring.pin("box.out").drive(28.0, 0.15))
    assert bench.card.level("di_out").expect(HIGH, within=100 * ms).at == 7 * ms


def test_a_low_voltage_input_switches_between_the_levels_of_a_3_3_v_line(bench: Bench) -> None:
    bench.wiring.pin("box.marker").drive(1.6, 50.0)
    assert not bench.card.level("dl_marker").seen(HIGH, within=1 * ms)
    bench.wiring.pin("box.marker").drive(3.3, 50.0)
    assert bench.card.level("dl_marker").seen(HIGH, within=1 * ms)


def test_a_load_has_voltage_and_current(bench: Bench) -> None:
    bench.wiring.pin("box.out").drive(28.0, 0.6)
    amps = bench.card.amps("load_out").expect(above=4.0, within=1 * ms)
    assert amps.value == pytest.approx(5.0, abs=1e-3)
    assert bench.card.volts("load_out").expect(above=4.0, within=1 * ms).value == pytest.approx(25.0, abs=2e-3)


def test_a_clamp_sees_the_current_of_the_whole_net(bench: Bench) -> None:
    bench.wiring.pin("box.out").drive(28.0, 0.6)
    assert bench.card.amps("ci_out").expect(above=4.0, within=1 * ms).value == pytest.approx(5.0, abs=1e-3)


def test_an_analog_output_overrides_a_sensor_and_lets_go_again(bench: Bench) -> None:
    bench.wiring.pin("box.sense").drive(1.0, 10e3)
    bench.card.drive("ao_sense", 4.0)
    assert bench.card.volts("ai_sense").expect(above=3.0, within=1 * ms).value == pytest.approx(4.0, abs=2e-3)
    bench.card.release("ao_sense")
    assert bench.card.volts("ai_sense").expect(below=3.0, within=1 * ms).value == pytest.approx(1.0, abs=2e-3)


def test_a_pulse_lasts_exactly_as_long_as_asked(bench: Bench) -> None:
    bench.clock.sleep(3 * ms)
    assert bench.card.drive_for({"ao_sense": 4.0}, 12_345_678, bench.clock) == 3 * ms
    times, _ = bench.card.volts("ai_sense").samples()
    assert list(times)[1:] == [3 * ms, 3 * ms + 12_345_678]


def test_a_discrete_output_closes_to_28_v_and_opens_again(bench: Bench) -> None:
    key = bench.wiring.pin("box.key")
    key.load(10e3)
    bench.wiring.net("key", ["box.key", "stand.do_key"])
    bench.card.switch("do_key", True)
    assert key.volts == pytest.approx(28.0, abs=0.01)
    bench.card.switch("do_key", False)
    assert key.volts == 0.0


def test_only_an_output_can_be_driven(bench: Bench) -> None:
    with pytest.raises(InstrumentError, match=r"stand\.ai_sense is a channel of kind ai_, not ao_"):
        bench.card.drive("ai_sense", 1.0)
    with pytest.raises(InstrumentError, match=r"stand\.ao_sense is a channel of kind ao_, not do_"):
        bench.card.switch("ao_sense", True)


def test_driving_moves_the_mark(bench: Bench) -> None:
    bench.clock.sleep(3 * ms)
    bench.card.drive("ao_sense", 4.0)
    assert bench.timeline.mark_ns == 3 * ms


def test_a_voltage_beyond_the_range_is_refused_not_clipped(bench: Bench) -> None:
    with pytest.raises(InstrumentError, match=r"stand\.ao_sense: 12\.0 V is beyond its range of \+-10\.0 V"):
        bench.card.drive("ao_sense", 12.0)
    assert bench.wiring.pin("box.sense").volts == 0.0


def test_a_channel_is_asked_for_what_it_observes_only(bench: Bench) -> None:
    with pytest.raises(InstrumentError, match=r"stand\.di_out observes level, not amps"):
        bench.card.amps("di_out")


def test_an_unknown_channel_names_the_nearest(bench: Bench) -> None:
    with pytest.raises(InstrumentError, match="no channel di_uot; did you mean di_out"):
        bench.card.level("di_uot")


def test_a_port_without_a_known_prefix_is_refused(bench: Bench) -> None:
    with pytest.raises(InstrumentError, match="must begin with one of ao_, do_, "):
        SimIoCard("card", bench.wiring, timeline=bench.timeline, ports=["xx_1"], ohms={})


def test_a_load_needs_its_resistance(bench: Bench) -> None:
    with pytest.raises(InstrumentError, match=r"card\.load_x is a load without resistance"):
        SimIoCard("card", bench.wiring, timeline=bench.timeline, ports=["load_x"], ohms={})
