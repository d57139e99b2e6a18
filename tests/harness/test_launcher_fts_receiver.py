"""The receiver model: decoding, latches, supply, signal strength, telemetry; driven at its connectors."""

from __future__ import annotations

import pytest
from fts_world import ARM, CHECK, LAUNCHER, OPTIONAL, OUTPUTS, TERMINATE, TONES_HZ, FtsWorld
from pydantic import ValidationError

from hil.can.database import Database
from hil.faults import Fault
from hil.nets import RfValue, Tone
from hil.units import ms, s, us

ARMED, TERMINATED = {"arm", "shutdown"}, {"arm", "shutdown", "terminate"}


# -- command logic --------------------------------------------------------------------------------------------


def test_arm_then_terminate_closes_and_latches_the_outputs():
    world = FtsWorld()
    world.burst(*ARM)
    assert world.on == ARMED
    world.burst(*TERMINATE)
    world.clock.sleep(10 * s)
    assert world.on == TERMINATED


@pytest.mark.parametrize("tones", [TERMINATE, OPTIONAL, CHECK, (1,), (1, 2, 5), ()])
def test_nothing_but_arm_closes_an_output_of_a_safe_receiver(tones):
    world = FtsWorld()
    world.burst(*tones)
    assert world.on == set()


def test_a_command_without_a_gap_to_the_one_before_is_decoded():
    world = FtsWorld()
    world.radiate(*ARM)
    world.clock.sleep(40 * ms)
    world.burst(*TERMINATE)
    assert world.on == TERMINATED


def test_a_tone_without_a_filter_disturbs_nothing():
    world = FtsWorld()
    world.burst(*ARM, 3)
    assert world.on == ARMED


def test_a_burst_shorter_than_filters_and_confirmation_does_nothing():
    world = FtsWorld()
    world.burst(*ARM, duration_ns=7500 * us)
    assert world.on == set()


def test_the_reset_line_opens_every_output():
    world = FtsWorld()
    world.burst(*ARM)
    world.reset_line.drive(28.0, 1.0)
    world.clock.sleep(5 * ms)
    assert world.on == set()
    world.reset_line.release()
    world.burst(*TERMINATE)
    assert world.on == set()


def test_the_command_path_works_with_the_processor_halted():
    world = FtsWorld()
    world.receiver.apply(Fault("fts_a", "cpu_halt"))
    frames = len(world.frames)
    world.burst(*ARM)
    world.clock.sleep(1 * s)
    assert world.on == ARMED
    assert len(world.frames) == frames


# -- receiver -------------------------------------------------------------------------------------------------


def response_ns(world: FtsWorld, level_dbm: float) -> int:
    began_ns = world.clock.now
    world.burst(*ARM, level_dbm=level_dbm)
    return next(at_ns for output, on, at_ns in world.edges if output == "arm" and on) - began_ns


def test_response_takes_integration_confirmation_and_the_output_driver():
    assert response_ns(FtsWorld(), -60.0) == pytest.approx((7.0 + 4.0 + 2.1) * ms, rel=1e-3)


def test_response_is_slower_at_a_weak_signal_and_a_low_supply():
    low = FtsWorld()
    low.power(24.0)
    assert response_ns(FtsWorld(), -115.0) > response_ns(FtsWorld(), -60.0) + 1 * ms
    assert response_ns(low, -60.0) == pytest.approx((7.0 + 4.0 + 2.1 * 28.0 / 24.0) * ms, rel=1e-3)


@pytest.mark.parametrize(("level_dbm", "arms"), [(-115.0, True), (-117.6, False)])
def test_threshold_is_as_built_within_its_scatter(level_dbm, arms):
    world = FtsWorld()
    for _ in range(20):
        world.burst(*ARM, level_dbm=level_dbm)
        assert (world.on == ARMED) is arms
        world.reset_line.drive(28.0, 1.0)
        world.clock.sleep(5 * ms)
        world.reset_line.release()


def test_scatter_makes_some_tries_at_the_threshold_work():
    world, worked = FtsWorld(), 0
    for _ in range(50):
        world.burst(*ARM, level_dbm=-116.3)
        worked += world.on == ARMED
        world.reset_line.drive(28.0, 1.0)
        world.clock.sleep(5 * ms)
        world.reset_line.release()
    assert 10 < worked < 40


def test_noise_in_the_band_raises_the_threshold():
    world = FtsWorld()
    world.burst(*ARM, level_dbm=-110.0, noise_dbm=-112.0)
    assert world.on == set()
    world.burst(*ARM, level_dbm=-100.0, noise_dbm=-112.0)
    assert world.on == ARMED


@pytest.mark.parametrize(("offset_hz", "arms"), [(45e3, True), (150e3, False)])
def test_the_carrier_may_be_off_by_the_bandwidth(offset_hz, arms):
    world = FtsWorld()
    world.burst(*ARM, carrier_hz=425e6 + offset_hz)
    assert (world.on == ARMED) is arms


@pytest.mark.parametrize(("interferer_db", "arms"), [(-0.97, True), (-0.3, False)])
def test_a_signal_captures_the_receiver_against_a_weaker_one(interferer_db, arms):
    world = FtsWorld()
    world.burst(*ARM, interferers=(RfValue(425e6, -90.0 + interferer_db),))
    assert (world.on == ARMED) is arms


def test_too_little_deviation_is_no_tone():
    world = FtsWorld()
    world.burst(*ARM, tones=tuple(Tone(TONES_HZ[number], 9.5e3, 0) for number in ARM))
    assert world.on == set()


def test_an_overdriven_front_end_hears_nothing():
    world = FtsWorld(overload_dbm=0.0)
    world.burst(*ARM, level_dbm=1.0)
    assert world.on == set()
    world.burst(*ARM, level_dbm=-1.0)
    assert world.on == ARMED


# -- supply ---------------------------------------------------------------------------------------------------


def test_it_is_deaf_until_warm_and_then_hears_what_is_there():
    world = FtsWorld(cold=True)
    world.radiate(*ARM)
    world.power()
    world.clock.sleep(320 * ms)
    assert world.on == set()
    world.clock.sleep(20 * ms)
    assert world.on == ARMED


@pytest.mark.parametrize(
    ("changes", "after"),
    [({}, ARMED), ({"hold_up_ms": 40.0}, set()), ({"latch_hold_up_ms": 20.0}, set())],
    ids=["as built", "short hold-up", "short latch hold-up"],
)
def test_a_50_ms_dropout_leaves_the_latches_if_hold_up_allows(changes, after):
    world = FtsWorld(**changes)
    world.burst(*ARM)
    world.power(0.0)
    world.clock.sleep(50 * ms)
    assert world.on == set()
    world.power()
    world.clock.sleep(10 * ms)
    assert world.on == after


def test_without_supply_for_long_it_forgets_and_falls_silent():
    world = FtsWorld()
    world.burst(*ARM)
    world.power(0.0)
    world.clock.sleep(200 * ms)
    frames = len(world.frames)
    world.clock.sleep(1 * s)
    assert len(world.frames) == frames
    world.power()
    world.clock.sleep(1 * s)
    assert world.on == set()
    assert len(world.frames) > frames


def test_the_loads_behind_its_outputs_are_drawn_from_its_supply():
    world = FtsWorld()
    assert -world.supply.amps == pytest.approx(0.19, abs=0.01)
    world.burst(*ARM)
    world.burst(*TERMINATE)
    loads_a = 28.0 / 100.31 + 28.0 / 18.12 + 28.0 / 200.33
    assert -world.supply.amps == pytest.approx(0.19 + loads_a, abs=0.02)


def test_its_loads_come_to_rest_on_a_supply_in_current_limit():
    world = FtsWorld(idle_a=0.6)
    world.supply.drive(36.0, 0.01, 2.78)
    world.burst(*ARM)
    world.burst(*TERMINATE)
    assert world.supply.in_limit
    loads_a = sum(world.wiring.pin(f"load.{output}").amps for output in OUTPUTS)
    assert loads_a + 0.6 * world.supply.volts / 28.0 == pytest.approx(2.78, abs=0.02)


def test_open_outputs_leak_and_closed_ones_have_their_resistance():
    world = FtsWorld()
    assert world.wiring.pin("load.terminate").amps == pytest.approx(2e-4, rel=0.01)
    world.burst(*ARM)
    drop_v = world.supply.volts - world.wiring.pin("load.arm").volts
    assert drop_v == pytest.approx(0.31 * world.wiring.pin("load.arm").amps, rel=0.01)


def test_switches_that_nothing_holds_open_close_while_the_supply_comes_up():
    world = FtsWorld(cold=True, outputs_float_below_v=8.0)
    for volts, closed in ((1.0, False), (5.0, True), (9.0, False), (28.0, False), (5.0, False)):
        world.power(volts)
        world.clock.sleep(1 * ms)
        assert (world.wiring.pin("load.terminate").volts > 0.5 * volts) is closed
    world.clock.sleep(200 * ms)
    world.power(4.0)
    world.clock.sleep(1 * ms)
    assert world.wiring.pin("load.terminate").volts > 3.0


# -- signal strength and telemetry ----------------------------------------------------------------------------


def sst_v(world: FtsWorld, level_dbm: float) -> float:
    world.radiate(level_dbm=level_dbm)
    world.clock.sleep(300 * ms)
    return world.wiring.pin("fts_a.sst").volts


def test_signal_strength_rises_with_level_and_saturates():
    world = FtsWorld()
    volts = [sst_v(world, level_dbm) for level_dbm in range(-120, -20, 5)]
    assert volts == sorted(volts)
    assert volts[-1] < 4.82
    assert volts[-1] - volts[-2] < 0.3 * (volts[5] - volts[4])


def test_signal_strength_follows_with_its_lag():
    world = FtsWorld()
    final_v = sst_v(world, -70.0)
    start_v = sst_v(world, -110.0)
    world.radiate(level_dbm=-70.0)
    world.clock.sleep(14 * ms)
    assert start_v < world.wiring.pin("fts_a.sst").volts < start_v + 0.7 * (final_v - start_v)
    world.clock.sleep(80 * ms)
    assert world.wiring.pin("fts_a.sst").volts == pytest.approx(final_v, abs=0.02)


def test_it_reports_its_state_on_both_buses():
    world = FtsWorld()
    world.burst(*ARM)
    world.radiate(*CHECK)
    world.clock.sleep(100 * ms)
    report = world.reports()[-1]
    assert (report["STATE"], report["SHUTDOWN"], report["CHECK"], report["TONES"]) == ("ARMED", 1, 1, 0b1000)
    assert report["SUPPLY"] == pytest.approx(28.0, abs=0.05)
    assert world.wires["bus_b"].stats.frames == len(world.frames)
    assert [state["STATE"] for state in world.reports()[:3]] == ["WARM_UP"] * 3


def test_the_status_frame_is_the_one_of_the_table():
    # byte 0: state 2, shutdown bit 2, counter 0; tones 1 and 5 from bit 8; 2.5 V / 2 mV from bit 28; 28 V / 12.5 mV
    # from bit 40; CRC-8 J1850 over F0 11 and the bytes before
    database = Database.load(LAUNCHER / "launcher.dbc")
    signals = {"STATE": "ARMED", "SHUTDOWN": 1, "CHECK": 0, "TONES": 0b10001, "SST": 2.5, "SUPPLY": 28.0}
    frame = database.encode("FTS_A_STATUS", signals)
    assert (frame.arbitration_id, frame.data.hex()) == (0x120, "061100204ec00879")


def test_an_output_it_does_not_have_is_refused_in_its_as_built_data():
    with pytest.raises(ValidationError, match="destruct"):
        FtsWorld(commands={"ARM": {"tones": [1, 5], "closes": ["destruct"], "needs": []}})
