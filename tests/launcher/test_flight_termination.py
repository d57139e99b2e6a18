"""Termination of the launcher: receivers to nine engines, the link to a tumbling vehicle, the range's other rules.

Engines burn on the pad, held down, where no flight is needed. A range without a vehicle sees a flight in the small.
"""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from hil.signal import HIGH, LOW
from hil.units import ms, s
from hil_launcher.clients.ascent import ENGINES
from hil_launcher.clients.dispersed_flight import LEFT_OUT, DispersedFlight
from hil_launcher.fixtures import PATHS

RECEIVERS = ("fts_a", "fts_b")
CONTROLLERS = {"engine": 6.0, "engine_2": 17.0, "engine_5": 17.0, "engine_8": 17.0}  # an engine of each supply [A]
ENGINE_COMMANDS = range(0x110, 0x119)  # identifiers of ENG1_COMMAND to ENG9_COMMAND, typed from the ICD
START = 1  # and their command START, in the low bits of the first byte
INLAND_DEG = 120.0  # azimuth of a launch over land
DIRECTIONS = 60  # of the sphere around the vehicle, evenly spread


@pytest.fixture
def firing(hand_flight, cold_pad, command_uplink):
    """All nine engines at full thrust, held down by the clamps; the receivers still without supply."""
    command_uplink.sense_simulators()
    hand_flight.power_engines()
    hand_flight.start_engines()
    return hand_flight


@pytest.fixture
def burning(profile):
    """An engine that gives less than this has stopped [N]."""
    return profile.value("flight.sign_of_thrust", "N")


@pytest.fixture
def listening(stand, rig, profile):
    """Switch these receivers on and let them warm up."""

    def switch_on(*names):
        for name in names:
            stand.power_on(name)
        rig.clock.sleep(round(profile.value("fts.warm_up_time", "ms") * ms))

    return switch_on


# -- from the receivers to nine engines --------------------------------------------------------------------------------


@pytest.mark.requirement("FTS-R-40", "FTS-R-44", "ENG-R-12")
@pytest.mark.measures("engine.fts_command_to_driver_off", "fts.inadvertent_outputs")
@pytest.mark.parametrize("acting", [("fts_a",), ("fts_b",), RECEIVERS], ids=["A only", "B only", "both"])
def test_either_receiver_alone_shuts_all_nine_engines_down(
    firing, cold_pad, listening, command_uplink, receivers, engines, icd, burning, guaranteed_dbm, measure, acting
):
    """ARM at the guaranteed level, one receiver without supply: the other one closes every valve of every engine."""
    listening(*acting)
    armed = command_uplink.send("ARM", level_dbm=guaranteed_dbm)
    off = cold_pad.valve_current_a.expect(below=icd.off_a, within=200 * ms, since=armed.at)
    measure("engine.fts_command_to_driver_off", (off.at - armed.at) / ms, "ms")

    for engine in engines.values():
        engine.abort_cause.expect("FTS", within=100 * ms)
    firing.rig.clock.sleep(1 * s)
    assert firing.pushing(burning) == set()
    silent = [receiver for receiver in receivers if receiver.name not in acting]
    measure("fts.inadvertent_outputs", sum(receiver.outputs_since(armed.at) for receiver in silent), "1")


@pytest.mark.requirement("FTS-R-32")
@pytest.mark.measures("fts.inadvertent_outputs")
def test_terminate_without_arm_leaves_nine_engines_running(
    firing, listening, command_uplink, receivers, burning, strong_dbm, measure
):
    """TERMINATE three times over, at a strong level, and no ARM: no output of either receiver, every engine burns."""
    listening(*RECEIVERS)
    begun_ns = firing.rig.clock.now
    command_uplink.send_sequence(["TERMINATE"] * 3, level_dbm=strong_dbm)
    firing.rig.clock.sleep(300 * ms)
    measure("fts.inadvertent_outputs", sum(receiver.outputs_since(begun_ns) for receiver in receivers), "1")
    assert firing.pushing(burning) == set(ENGINES)


@pytest.mark.requirement("ENG-R-12", "FTS-R-11")
def test_nothing_brings_an_engine_back_while_the_receivers_are_latched(
    firing, cold_pad, listening, command_uplink, engines, stand, profile, icd, burning, guaranteed_dbm, always
):
    """Neither a dropout of the receivers, nor a restart of every controller, nor RESET and START."""
    listening(*RECEIVERS)
    command_uplink.send("ARM", level_dbm=guaranteed_dbm)
    cold_pad.valve_current_a.expect(below=icd.off_a, within=200 * ms)
    always(cold_pad.valve_current_a, below=icd.off_a)

    for receiver in RECEIVERS:
        stand.dropout(receiver, round(profile.value("fts.dropout_time", "ms") * ms))
    for supply in CONTROLLERS:
        stand.power_off(supply)
    firing.rig.clock.sleep(200 * ms)
    for supply, limit_a in CONTROLLERS.items():
        stand.power_on(supply, limit_a=limit_a)
    firing.rig.clock.sleep(500 * ms)
    for command in ("reset", "start"):
        for engine in engines.values():
            getattr(engine, command)()
        firing.rig.clock.sleep(100 * ms)
    firing.rig.clock.sleep(1 * s)
    assert firing.pushing(burning) == set()


@pytest.mark.requirement("FTS-R-11", "FTS-R-44", "AV-R-33")
@pytest.mark.measures("fts.dropout", "fts.armed_after_dropout", "range.starts_after_cut")
def test_cut_in_flight_is_for_good(ascent, pad, receivers, stand, icd, profile, always, measure, rig):
    """The flight computer lives, both receivers lose their supply for 50 ms: latches hold, no START, no thrust."""
    sent = []
    for bus in rig.buses.values():
        bus.subscribe(sent.append)
    ascent.fly_to(4 * s)
    pad.uplink.send_sequence(["ARM", "TERMINATE"], level_dbm=profile.value("range.uplink_level", "dBm"))
    for receiver in receivers:
        receiver.terminate_output.expect(HIGH, within=200 * ms)
    cut = pad.valve_current_a.expect(below=icd.off_a, within=200 * ms)
    always(pad.valve_current_a, below=icd.off_a)

    for receiver in receivers:
        begun_ns = rig.clock.now
        stand.dropout(receiver.name, round(profile.value("fts.dropout_time", "ms") * ms))
        lost = receiver.supply.expect(LOW, within=0, since=begun_ns)
        back = receiver.supply.expect(HIGH, within=0, since=lost.at)
        measure("fts.dropout", (back.at - lost.at) / ms, "ms")
    rig.clock.sleep(5 * s)
    held = [set(receiver.outputs_on) == {"arm", "shutdown", "terminate"} for receiver in receivers]
    measure("fts.armed_after_dropout", all(held), "1")
    measure("range.starts_after_cut", sum(frame.at_ns > cut.at and is_start(frame) for frame in sent), "1")
    assert ascent.now("thrust_n") == 0.0


def is_start(frame):
    """Whether a frame starts an engine of the first stage."""
    return frame.arbitration_id in ENGINE_COMMANDS and frame.data[0] & 0xF == START


# -- the link to a tumbling vehicle ------------------------------------------------------------------------------------


def sphere(distance_m):
    """Line of sight to the transmitter in directions evenly spread around the vehicle: distance, aspect, roll."""
    golden = math.pi * (3.0 - math.sqrt(5.0))
    for index in range(DIRECTIONS):
        yield distance_m, math.acos(1.0 - (2.0 * index + 1.0) / DIRECTIONS), index * golden % math.tau


def level_dbm(curve, volts):
    """The level at which a signal-strength output gives this voltage, by its calibration [dBm]."""
    for (low_dbm, low_v), (high_dbm, high_v) in pairwise(curve):
        if volts <= high_v:
            return low_dbm + (high_dbm - low_dbm) * (volts - low_v) / (high_v - low_v)
    return curve[-1][0]


@pytest.mark.requirement("RNG-R-22")
@pytest.mark.measures("range.link_margin")
def test_link_has_its_margin_whatever_way_the_vehicle_tumbles(
    rig, receivers, listening, command_uplink, profile, guaranteed_dbm, measure
):
    """At 95 % of all attitudes the level at both antenna ports, by signal strength, leaves 12 dB; commands use them."""
    command_uplink.sense_simulators()
    listening(*RECEIVERS)
    sent_dbm, curves = profile.value("range.uplink_level", "dBm"), {name: [] for name in RECEIVERS}
    for calibration_dbm in profile.values("fts.sst_levels", "dBm"):
        command_uplink.carrier(level_dbm=calibration_dbm)
        rig.clock.sleep(150 * ms)
        for receiver in receivers:
            at_port_dbm = calibration_dbm + command_uplink.loss_db - rig.path(PATHS[receiver.name]).loss_db
            curves[receiver.name].append((at_port_dbm, receiver.sst_v.last.value))

    command_uplink.follow_flight()
    command_uplink.carrier(level_dbm=sent_dbm)
    sight = rig.wiring.quantity_pin("plant.line_of_sight", 3)
    seen = []
    for direction in sphere(profile.value("range.link_distance", "m")):
        sight.set(*direction)
        rig.clock.sleep(200 * ms)
        levels = [level_dbm(curves[receiver.name], receiver.sst_v.last.value) for receiver in receivers]
        seen.append((min(levels), direction))
    weakest = sorted(seen)[math.floor(0.05 * DIRECTIONS)]
    margin = measure("range.link_margin", weakest[0] - guaranteed_dbm, "dB")

    sight.set(*weakest[1])
    rig.clock.sleep(200 * ms)
    lowest_db = profile.limits(margin.name)[0].low
    command_uplink.send_sequence(["ARM", "TERMINATE"], level_dbm=sent_dbm - lowest_db)
    for receiver in receivers:
        receiver.shutdown_output.expect(HIGH, within=200 * ms)
        receiver.terminate_output.expect(HIGH, within=200 * ms)


# -- the range's other rules: a flight in the small, seen by the rig's range -------------------------------------------


@pytest.fixture
def small_flight(rig, range_safety, record):
    """A good flight in the small; numbers of its vehicle may be changed."""
    record("note", text=LEFT_OUT)
    return lambda changes=None: DispersedFlight(rig, range_safety, 1, changes)


@pytest.mark.requirement("RNG-R-14")
def test_flight_goes_on_with_one_track_lost(small_flight, rig, range_safety, always):
    """The radar loses the vehicle at T+7, for longer than both may be lost: nothing fires."""
    flight = small_flight()
    flight.lift_off()
    always(range_safety.violation, LOW)
    flight.fly_to(7.0)
    rig.inject("tracker_1", "dropout")
    flight.fly_to(15.0)


@pytest.mark.requirement("RNG-R-10", "RNG-R-14")
@pytest.mark.measures("range.data_loss", "range.rule_to_decision_afts")
def test_loss_of_both_tracks_ends_the_flight_in_its_time(small_flight, rig, range_safety, measure):
    """Both trackers fall silent at T+10: the rule fires when the table says so, and the computer decides at once."""
    range_safety.decide_automatically()
    flight = small_flight()
    flight.lift_off()
    flight.fly_to(10.0)
    for tracker in ("tracker_1", "tracker_2"):
        rig.inject(tracker, "dropout")
    flight.fly_to(17.0)

    last_ns = max(signal.last.at for signal in range_safety.reports.values())
    fired = range_safety.violation.expect(HIGH, within=0, since=last_ns)
    keyed = range_safety.key.expect(HIGH, within=0, since=fired.at)
    assert [record.rule for record in range_safety.log if record.kind == "rule"] == ["data_loss"]
    measure("range.data_loss", (fired.at - last_ns) / s, "s")
    measure("range.rule_to_decision_afts", (keyed.at - fired.at) / ms, "ms")


@pytest.mark.requirement("RNG-R-12", "RNG-R-15")
@pytest.mark.measures("range.report_to_rule", "range.beyond_flight_limit")
def test_impact_point_beyond_the_flight_limit_ends_the_flight(small_flight, range_safety, geometry, measure):
    """A vehicle in perfect order flies inland: a rule fires when its impact point is beyond the line, not before."""
    flight = small_flight({"site.azimuth_deg": INLAND_DEG})
    flight.lift_off()
    while range_safety.violation.last is None or range_safety.violation.last.value is LOW:
        assert flight.time_s < 60.0
        flight.fly_to(flight.time_s + 0.1)
    fired = range_safety.violation.expect(HIGH, within=0, since=range_safety.liftoff.last.at)
    (rule,) = [record.rule for record in range_safety.log if record.kind == "rule"]
    assert rule == "impact_point_beyond_line"
    measure("range.report_to_rule", (fired.at - range_safety.shown_ns(rule)) / ms, "ms")
    measure("range.beyond_flight_limit", -geometry.flight_limit.margin_m(flight.impact_point), "m")
