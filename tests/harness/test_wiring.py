"""Pins and nets: Kirchhoff's law, loads, wire faults, RF path loss."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.clock import VirtualClock
from hil.errors import HilError, WiringError
from hil.faults import Fault, FaultInjector
from hil.nets import RfValue, Tone
from hil.units import ms
from hil.wiring import Wiring


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def wiring(clock: VirtualClock) -> Wiring:
    """A 28 V supply of 0.1 ohm on a load of 9.9 ohm."""
    wiring = Wiring(clock)
    wiring.pin("psu.out1").drive(28.0, 0.1)
    wiring.pin("box.power").load(9.9)
    wiring.net("power", ["psu.out1", "box.power"])
    return wiring


def test_a_load_draws_current_through_the_source_resistance(wiring: Wiring) -> None:
    load = wiring.pin("box.power")
    assert (load.volts, load.amps) == (pytest.approx(27.72), pytest.approx(2.8))
    assert wiring.pin("psu.out1").amps == pytest.approx(-2.8)


def test_a_supply_in_current_limit_is_a_current_source(wiring: Wiring) -> None:
    wiring.pin("psu.out1").drive(28.0, 0.1, limit_a=1.0)
    assert wiring.pin("box.power").amps == pytest.approx(1.0)
    assert wiring.pin("box.power").volts == pytest.approx(9.9)
    assert wiring.pin("psu.out1").in_limit


def test_a_supply_leaves_its_current_limit_when_the_load_goes(wiring: Wiring) -> None:
    wiring.pin("psu.out1").drive(28.0, 0.1, limit_a=1.0)
    wiring.pin("box.power").load(1e6)
    assert wiring.pin("box.power").volts == pytest.approx(28.0, abs=1e-3)
    assert not wiring.pin("psu.out1").in_limit


@given(
    st.lists(st.tuples(st.floats(0, 40), st.floats(0.01, 1e5)), min_size=1, max_size=4),
    st.lists(st.floats(0.1, 1e6), min_size=1, max_size=4),
)
def test_the_currents_at_a_node_sum_to_zero(sources: list[tuple[float, float]], loads: list[float]) -> None:
    wiring = Wiring(VirtualClock())
    for index, (volts, ohms) in enumerate(sources):
        wiring.pin(f"source.out{index}").drive(volts, ohms)
    for index, ohms in enumerate(loads):
        wiring.pin(f"load.in{index}").load(ohms)
    names = [f"source.out{i}" for i in range(len(sources))] + [f"load.in{i}" for i in range(len(loads))]
    wiring.net("node", names)
    currents = [wiring.pin(name).amps for name in names]
    assert sum(currents) == pytest.approx(0.0, abs=1e-6 * max(1.0, max(map(abs, currents))))


def test_a_floating_input_reads_nothing(wiring: Wiring) -> None:
    assert wiring.pin("box.spare").volts == 0.0


def test_an_open_wire_takes_the_pin_off_the_net(wiring: Wiring, clock: VirtualClock) -> None:
    undo = wiring.apply(Fault("box.power", "open"))
    assert wiring.pin("box.power").volts == 0.0
    assert wiring.pin("psu.out1").volts == pytest.approx(28.0, abs=1e-3)
    undo()
    assert wiring.pin("box.power").volts == pytest.approx(27.72)


def test_a_short_to_ground_pulls_the_net_down(wiring: Wiring) -> None:
    undo = wiring.apply(Fault("power", "short_to_ground", parameters={"ohms": 0.05}))
    assert wiring.pin("box.power").volts < 10.0
    undo()
    assert wiring.pin("box.power").volts == pytest.approx(27.72)


def test_a_short_to_supply_pulls_a_sensor_up(wiring: Wiring) -> None:
    wiring.pin("sensor.out").drive(2.0, 10e3)
    wiring.pin("box.in").load(1e6)
    wiring.net("sense", ["sensor.out", "box.in"])
    wiring.apply(Fault("sense", "short_to_supply", parameters={"volts": 28.0}))
    assert wiring.pin("box.in").volts == pytest.approx(28.0, abs=0.01)


def test_series_resistance_drops_voltage_under_load(wiring: Wiring) -> None:
    wiring.apply(Fault("box.power", "series_resistance", parameters={"ohms": 4.0}))
    assert wiring.pin("box.power").volts == pytest.approx(28.0 * 9.9 / 14.0)


def test_the_wire_of_a_pin_has_a_resistance_of_its_own_from_the_start(wiring: Wiring) -> None:
    wiring.pin("box.power").wire(4.0)
    assert wiring.pin("box.power").volts == pytest.approx(28.0 * 9.9 / 14.0)
    with pytest.raises(WiringError, match=r"box\.power: a wire of -1\.0 ohm is not physical"):
        wiring.pin("box.power").wire(-1.0)


def test_a_change_is_told_once_at_the_same_instant(wiring: Wiring, clock: VirtualClock) -> None:
    told: list[tuple[int, float]] = []
    pin = wiring.pin("box.power")
    pin.on_change(lambda: told.append((clock.now, pin.volts)))
    clock.sleep(5 * ms)
    wiring.pin("psu.out1").drive(10.0, 0.1)
    wiring.pin("psu.out1").drive(20.0, 0.1)
    clock.sleep(1)
    assert told == [(5 * ms, pytest.approx(19.8))]


def test_a_fault_has_an_onset_and_an_end(wiring: Wiring, clock: VirtualClock) -> None:
    stimuli: list[tuple[int, object]] = []
    injector = FaultInjector(clock, lambda _, detail: stimuli.append((clock.now, detail)))
    injector.register("power", wiring)
    injector.inject(Fault("power", "open", onset_ns=10 * ms, until_ns=60 * ms))
    volts = []
    for instant in (9 * ms, 10 * ms, 59 * ms, 60 * ms):
        clock.wait(instant)
        volts.append(round(wiring.pin("box.power").volts))
    assert volts == [28, 0, 0, 28]
    assert stimuli == [(10 * ms, "power: open"), (60 * ms, "power: open ends")]


def test_a_fault_in_a_block_ends_with_the_block(wiring: Wiring, clock: VirtualClock) -> None:
    injector = FaultInjector(clock, lambda *_: None)
    injector.register("power", wiring)
    with injector.inject(Fault("power", "open")) as injection:
        assert injection.present
    assert wiring.pin("box.power").volts == pytest.approx(27.72)


def test_a_block_that_ends_before_its_fault_begins_has_tested_nothing(wiring: Wiring, clock: VirtualClock) -> None:
    injector = FaultInjector(clock, lambda *_: None)
    injector.register("power", wiring)
    with (
        pytest.raises(HilError, match=r"'open' on power was to begin at 0\.010000000 s, and its block ended before"),
        injector.inject(Fault("power", "open", onset_ns=10 * ms)),
    ):
        clock.sleep(9 * ms)
    clock.sleep(9 * ms)
    assert wiring.pin("box.power").volts == pytest.approx(27.72)


def test_a_fault_on_an_unknown_part_names_the_nearest(clock: VirtualClock, wiring: Wiring) -> None:
    injector = FaultInjector(clock, lambda *_: None)
    injector.register("power", wiring)
    with pytest.raises(HilError, match="no part of the rig is called powr; did you mean power"):
        injector.inject(Fault("powr", "open"))


def test_an_unknown_kind_of_fault_names_the_nearest(wiring: Wiring) -> None:
    with pytest.raises(WiringError, match=r"no fault 'short_to_gnd'.*did you mean short_to_ground"):
        wiring.apply(Fault("power", "short_to_gnd"))


def test_a_fault_without_its_number_says_which(wiring: Wiring) -> None:
    with pytest.raises(HilError, match="'series_resistance' on power needs a number ohms="):
        wiring.apply(Fault("power", "series_resistance"))


@pytest.mark.parametrize(
    ("target", "kind", "parameters", "why"),
    [
        ("power", "short_to_ground", {"ohm": 1.0}, "on power has no parameter ohm; did you mean ohms"),
        ("box.power", "open", {"ohms": 1.0}, "on box.power has no parameter ohms"),
        ("power", "short_to_ground", {"ohms": 0.0}, "ohms=0.0 is not physical; give a finite number of at least 1e-06"),
        ("power", "series_resistance", {"ohms": -1.0}, "ohms=-1.0 is not physical; give a finite number of at least 0"),
        ("power", "short_to_supply", {"volts": math.nan}, "volts=nan is not physical; give a finite number"),
        ("power", "short_to_supply", {"ohms": 1.0}, "needs a number volts=; given: ohms=1.0"),
    ],
)
def test_a_fault_with_a_wrong_parameter_is_refused_and_changes_nothing(
    wiring: Wiring, target: str, kind: str, parameters: dict[str, float], why: str
) -> None:
    with pytest.raises(HilError, match=why):
        wiring.apply(Fault(target, kind, parameters=parameters))
    assert wiring.pin("box.power").volts == pytest.approx(27.72)


def test_a_fault_in_the_past_is_refused(wiring: Wiring, clock: VirtualClock) -> None:
    injector = FaultInjector(clock, lambda *_: None)
    injector.register("power", wiring)
    clock.sleep(10 * ms)
    with pytest.raises(HilError, match=r"begins at 0\.005000000 s, which has passed \(now 0\.010000000 s\)"):
        injector.inject(Fault("power", "open", onset_ns=5 * ms))
    with pytest.raises(HilError, match=r"ends at 0\.010000000 s, which is not after its onset"):
        injector.inject(Fault("power", "open", until_ns=10 * ms))


@pytest.mark.parametrize("times", [{"onset_ns": 0.5}, {"until_ns": 1.5}])
def test_a_fault_at_a_float_time_is_refused_with_the_way_to_write_it(times: dict[str, float]) -> None:
    with pytest.raises(HilError, match=r"_ns=\d\.5 is a float; .* 500 \* ms"):
        Fault("power", "open", **times)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("volts", "ohms", "limit_a", "why"),
    [
        (28.0, 0.0, None, "a source of 28.0 V behind 0.0 ohm is not physical"),
        (math.inf, 1.0, None, "a source of inf V"),
        (28.0, 1.0, -1.0, "a current limit of -1.0 A is not physical"),
    ],
)
def test_a_source_that_cannot_be_is_refused(
    wiring: Wiring, volts: float, ohms: float, limit_a: float | None, why: str
) -> None:
    with pytest.raises(WiringError, match=why):
        wiring.pin("psu.out1").drive(volts, ohms, limit_a)
    with pytest.raises(WiringError, match=r"a load of 0\.0 ohm is not physical"):
        wiring.pin("box.power").load(0.0)


def test_a_pin_has_one_net(wiring: Wiring) -> None:
    wiring.pin("other.pin").load(1.0)
    with pytest.raises(WiringError, match=r"psu\.out1 is on net power already"):
        wiring.net("second", ["psu.out1", "other.pin"])


def test_an_unknown_pin_names_the_nearest(wiring: Wiring) -> None:
    with pytest.raises(WiringError, match=r"no pin box\.powr; did you mean box\.power\?"):
        wiring.net("second", ["box.powr"])


@pytest.fixture
def cable(clock: VirtualClock) -> Wiring:
    """A generator on two receivers with 20 dB and 21.5 dB of loss."""
    wiring = Wiring(clock)
    for name in ("siggen.rf", "fts_a.rf", "fts_b.rf"):
        wiring.rf_pin(name)
    wiring.net("uplink", ["siggen.rf", "fts_a.rf", "fts_b.rf"], {"fts_a.rf": 20.0, "fts_b.rf": 21.5})
    return wiring


def test_each_receiver_sees_the_level_less_its_path_loss(cable: Wiring) -> None:
    cable.rf_pin("siggen.rf").drive(RfValue(421e6, -80.0, (Tone(7500.0, 30e3, 0),)))
    levels = [cable.rf_pin(name).value.level_dbm for name in ("fts_a.rf", "fts_b.rf")]
    assert levels == [pytest.approx(-100.0), pytest.approx(-101.5)]


def test_the_weaker_of_two_signals_is_the_interferer(clock: VirtualClock) -> None:
    wiring = Wiring(clock)
    for name in ("g1.rf", "g2.rf", "fts.rf"):
        wiring.rf_pin(name)
    wiring.net("air", ["g1.rf", "g2.rf", "fts.rf"])
    wiring.rf_pin("g1.rf").drive(RfValue(421e6, -80.0))
    wiring.rf_pin("g2.rf").drive(RfValue(421e6, -70.0))
    value = wiring.rf_pin("fts.rf").value
    assert (value.level_dbm, value.interferers[0].level_dbm) == (-70.0, -80.0)


def test_noise_and_interferers_lose_as_much_on_the_way(cable: Wiring) -> None:
    cable.rf_pin("siggen.rf").drive(RfValue(421e6, -80.0, noise_dbm=-90.0, interferers=(RfValue(425e6, -85.0),)))
    found = cable.rf_pin("fts_a.rf").value
    assert found == RfValue(421e6, -100.0, noise_dbm=-110.0, interferers=(RfValue(425e6, -105.0),))


def test_an_attenuation_below_nothing_is_refused(cable: Wiring) -> None:
    with pytest.raises(HilError, match=r"loss_db=-3\.0 is not physical; give a finite number of at least 0"):
        cable.apply(Fault("uplink", "attenuation", parameters={"loss_db": -3.0}))


def test_an_open_rf_path_is_silence(cable: Wiring) -> None:
    cable.rf_pin("siggen.rf").drive(RfValue(421e6, -80.0))
    undo = cable.apply(Fault("fts_a.rf", "open"))
    assert cable.rf_pin("fts_a.rf").value is None
    assert cable.rf_pin("fts_b.rf").value is not None
    undo()
    assert cable.rf_pin("fts_a.rf").value is not None


def test_an_attenuation_on_the_net_is_seen_by_every_receiver(cable: Wiring) -> None:
    cable.rf_pin("siggen.rf").drive(RfValue(421e6, -80.0))
    cable.apply(Fault("uplink", "attenuation", parameters={"loss_db": 12.0}))
    levels = [cable.rf_pin(name).value.level_dbm for name in ("fts_a.rf", "fts_b.rf")]
    assert levels == [pytest.approx(-112.0), pytest.approx(-113.5)]


def test_rf_and_power_cannot_be_one_net(cable: Wiring) -> None:
    cable.pin("box.power").load(1.0)
    cable.rf_pin("g3.rf")
    with pytest.raises(WiringError, match=r"g3\.rf is RF, box\.power is electrical"):
        cable.net("wrong", ["g3.rf", "box.power"])


# -- sources that follow a function -------------------------------------------------------------------------------


def test_a_following_source_is_read_when_somebody_reads(wiring_of_sensor: tuple[Wiring, list[float]]) -> None:
    wiring, volts = wiring_of_sensor
    volts[0] = 3.0
    assert wiring.pin("box.sensor").read() == pytest.approx(3.0 * 9e3 / 10e3)


def test_a_following_source_gives_way_to_a_stronger_one_as_physics_has_it(
    wiring_of_sensor: tuple[Wiring, list[float]],
) -> None:
    wiring, volts = wiring_of_sensor
    wiring.pin("stand.ao").drive(1.0, 1.0)
    volts[0] = 5.0
    expected_v = (5.0 / 1e3 + 1.0 / 1.0) / (1 / 1e3 + 1 / 9e3 + 1 / 1.0)
    assert wiring.pin("box.sensor").read() == pytest.approx(expected_v, rel=1e-6)


def test_an_open_wire_takes_a_following_source_away(wiring_of_sensor: tuple[Wiring, list[float]]) -> None:
    wiring, volts = wiring_of_sensor
    volts[0] = 5.0
    wiring.apply(Fault("engine.sensor", "open", 0))
    assert wiring.pin("box.sensor").read() == pytest.approx(0.0, abs=1e-3)


def test_nobody_may_wait_for_changes_of_a_following_source(wiring_of_sensor: tuple[Wiring, list[float]]) -> None:
    wiring, _ = wiring_of_sensor
    with pytest.raises(WiringError, match=r"engine\.sensor follows a function, and box\.sensor waits for changes"):
        wiring.pin("box.sensor").on_change(lambda: None)


@pytest.fixture
def wiring_of_sensor() -> tuple[Wiring, list[float]]:
    wiring = Wiring(VirtualClock())
    volts = [0.0]
    wiring.pin("box.sensor").load(9e3)
    wiring.pin("stand.ao")
    wiring.pin("engine.sensor").follow(lambda: volts[0], 1e3)
    wiring.net("sensor", ["engine.sensor", "box.sensor", "stand.ao"])
    return wiring, volts


def test_a_rig_that_is_stripped_keeps_instruments_as_they_are_and_takes_new_articles(
    wiring: Wiring, clock: VirtualClock
) -> None:
    supply, old = wiring.pin("psu.out1"), wiring.pin("box.power")
    felt: list[float] = []
    old.on_change(lambda: felt.append(old.volts))
    wiring.strip({"box"})
    clock.sleep(0)
    assert felt == [0.0]  # its plug was pulled
    assert wiring.pin("psu.out1") is supply
    assert supply.volts == pytest.approx(28.0, abs=1e-3)
    assert wiring.targets == ["psu.out1"]
    wiring.pin("box.power").load(2.7)
    wiring.net("power", ["psu.out1", "box.power"])
    assert supply.amps == pytest.approx(-10.0)
    assert old.amps == 0.0


def test_contacts_between_instruments_join_the_new_nets_of_a_rig_that_was_stripped(wiring: Wiring) -> None:
    wiring.contact("psu.out1", "matrix.row", 0.1).close()
    wiring.strip({"box"})
    wiring.pin("box.other").load(9.8)
    wiring.net("row", ["matrix.row", "box.other"])
    assert wiring.pin("matrix.row").volts == pytest.approx(27.44, rel=1e-3)
