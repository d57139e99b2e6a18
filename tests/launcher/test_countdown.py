"""The countdown: polls on measured states, the wind placard, holds and aborts, release, and the lift-off event.

Engines are judged by the currents into their main valves, the release by its line, the vehicle's stay by the lift-off
switches: pins, all of them. What the flight computer says of itself is compared beside them.
"""

from __future__ import annotations

import pytest

from hil.signal import HIGH, LOW
from hil.units import ms, s
from hil_launcher.clients.countdown import NoGoError

NO_GO = {  # what is wrong, and how long until its state is no state any more
    "engine 4": ("engine_4", "cpu_halt", {}, 100 * ms),
    "fts_b": ("fts_b", "dead", {}, 1 * s),
    "vent valve": ("vent_closed", "short_to_supply", {"volts": 28.0}, 1 * ms),  # it says closed, and it is open
    "range": ("tracker_2", "dropout", {}, 3 * s),
}


@pytest.fixture
def stays_on_pad(always, pad, avionics):
    """From now to the end of the test nothing is released, and neither lift-off switch opens."""
    always(avionics.release_line, LOW)
    always(avionics.liftoff_1_line, HIGH)
    always(avionics.liftoff_2_line, HIGH)


@pytest.fixture
def no_engine_starts(always, pad, icd):
    """From now to the end of the test no current flows into a main valve of nine engines."""
    always(pad.valve_current_a, below=icd.off_a)


# -- polls -----------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("AV-R-21")
@pytest.mark.parametrize("station", NO_GO)
def test_count_is_refused_while_a_station_is_no_go(countdown, rig, stays_on_pad, no_engine_starts, station):
    """Engines, receivers, vent valve, range: whoever is not measured go is named, and the count does not start."""
    target, kind, parameters, after_ns = NO_GO[station]
    assert all(poll.go for poll in countdown.polls())

    rig.inject(target, kind, **parameters)
    rig.clock.sleep(after_ns)

    with pytest.raises(NoGoError, match="no-go: ") as refused:
        countdown.start()
    assert station in str(refused.value)
    assert [poll.name for poll in countdown.polls() if not poll.go] == [station]


@pytest.mark.requirement("AV-R-22")
def test_wind_beyond_the_placard_refuses_the_count(countdown, rig, profile, stays_on_pad, no_engine_starts):
    """A wind inside the placard at every height is go; one beyond it at one height is no-go."""
    placard_m_s = min(profile.values("flight.wind_placard", "m/s"))
    with rig.inject("plant", "wind", speed_m_s=placard_m_s - 1.0):
        countdown.wind_m_s.expect(lambda _: True, within=2 * s)
        assert all(poll.go for poll in countdown.polls())

    rig.inject("plant", "wind", speed_m_s=placard_m_s + 1.0)
    countdown.wind_m_s.expect(lambda _: True, within=2 * s)
    with pytest.raises(NoGoError, match=r"wind: .* placard"):
        countdown.start()


@pytest.mark.requirement("AV-R-22")
@pytest.mark.parametrize("kind", ["dead", "frozen"])
def test_wind_that_is_not_measured_now_refuses_the_count(countdown, rig, stays_on_pad, no_engine_starts, kind):
    """A weather station that is silent, or sends the same profile again and again, is no-go."""
    rig.inject("met", kind)
    rig.clock.sleep(3500 * ms)

    with pytest.raises(NoGoError, match="wind"):
        countdown.start()


@pytest.mark.requirement("AV-R-22")
def test_wind_that_rises_in_the_count_holds_it(countdown, avionics, rig, profile, stays_on_pad, no_engine_starts):
    """The ground goes on looking at the wind: a profile beyond the placard holds a count that runs."""
    countdown.wind_m_s.expect(lambda _: True, within=2 * s)
    rig.clock.sleep(600 * ms)
    rig.inject("plant", "wind", speed_m_s=min(profile.values("flight.wind_placard", "m/s")) + 1.0)

    countdown.start()  # by the last profile it may
    countdown.held_for.expect("wind", within=1 * s)
    avionics.mode.expect("HOLD", within=300 * ms)
    avionics.hold_cause.expect("GROUND", within=300 * ms)
    assert avionics.mode.stays("HOLD", for_=1 * s)


# -- holds and aborts ------------------------------------------------------------------------------------------------


@pytest.mark.requirement("AV-R-20")
@pytest.mark.measures("count.go_to_first_engine")
def test_count_that_was_held_begins_anew(pad, countdown, avionics, rig, icd, measure, stays_on_pad):
    """HOLD stops the count before ignition for as long as it takes; RESUME begins a whole terminal count."""
    countdown.start()
    rig.clock.sleep(500 * ms)
    countdown.hold()
    avionics.mode.expect("HOLD", within=300 * ms)
    assert pad.valve_current_a.stays(below=icd.off_a, for_=1500 * ms)

    resumed_ns = countdown.resume()
    first = pad.valve_current_a.expect(above=icd.on_a, within=2 * s)
    measure("count.go_to_first_engine", (first.at - resumed_ns) / s, "s")
    countdown.abort()
    rig.clock.sleep(300 * ms)


@pytest.mark.requirement("AV-R-24")
def test_abort_before_ignition_starts_no_engine(countdown, avionics, rig, stays_on_pad, no_engine_starts):
    """An abort in the last moment before ignition leaves all nine engines where they are."""
    countdown.start()
    rig.clock.sleep(900 * ms)
    countdown.abort()
    avionics.mode.expect("ABORT", within=300 * ms)
    rig.clock.sleep(1500 * ms)


@pytest.mark.requirement("AV-R-24")
@pytest.mark.measures("count.abort_to_valves_off")
def test_abort_after_ignition_shuts_all_engines_down(pad, countdown, engines, rig, icd, measure, stays_on_pad):
    """An abort with nine engines running shuts all of them down; the clamps stay closed, the vehicle stands."""
    countdown.start()
    engines[8].state.expect("MAINSTAGE", within=4 * s)  # of the last group
    aborted_ns = countdown.abort()

    off = pad.valve_current_a.expect(below=icd.off_a, within=1 * s)
    measure("count.abort_to_valves_off", (off.at - aborted_ns) / ms, "ms")
    assert pad.valve_current_a.stays(below=icd.off_a, for_=1500 * ms)


@pytest.mark.requirement("AV-R-27")
def test_vent_valve_that_does_not_close_prevents_ignition(countdown, avionics, rig, stays_on_pad, no_engine_starts):
    """Told to close, measured open: the count holds before the first engine, and says why."""
    rig.inject("vent_valve", "stuck_open")
    countdown.start()
    avionics.vent_close_line.expect(HIGH, within=500 * ms)
    avionics.mode.expect("HOLD", within=2 * s)
    avionics.hold_cause.expect("VENT_VALVE", within=300 * ms)
    rig.clock.sleep(1500 * ms)


# -- release ---------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("AV-R-23")
@pytest.mark.measures("count.engines_at_release", "count.mainstage_to_release")
def test_nothing_is_released_before_nine_engines_run(pad, countdown, avionics, engines, profile, icd, measure):
    """At the release every engine has been in mainstage for a while, its valves open, its chamber pressure in band."""
    begun_ns = countdown.start()
    released = avionics.release_line.expect(HIGH, within=6 * s)
    low, high = profile.values("count.pc_band", "MPa")
    running = [
        engine
        for engine in engines.values()
        if min(engine.main_ox_current_a.last.value, engine.main_fuel_current_a.last.value) > icd.on_a
        and low <= engine.pc_mpa.last.value <= high
    ]
    measure("count.engines_at_release", len(running), "1")

    reached = [engine.state.expect("MAINSTAGE", within=1 * s, since=begun_ns).at for engine in engines.values()]
    measure("count.mainstage_to_release", (released.at - max(reached)) / s, "s")


@pytest.mark.requirement("AV-R-23")
@pytest.mark.measures("count.abort_to_valves_off")
def test_engine_that_never_reaches_mainstage_aborts(pad, countdown, engines, rig, icd, measure, stays_on_pad):
    """An engine whose fuel valve gets no current does not light: the other eight are shut down, nothing is released."""
    rig.inject("engine_6_main_fuel", "open")
    countdown.start()
    pad.valve_current_a.expect(above=icd.on_a, within=2 * s)
    failed = engines[6].state.expect(lambda state: state in ("SHUTDOWN", "SAFE"), within=4 * s)

    off = pad.valve_current_a.expect(below=icd.off_a, within=1 * s, since=failed.at)
    measure("count.abort_to_valves_off", (off.at - failed.at) / ms, "ms")
    assert pad.valve_current_a.stays(below=icd.off_a, for_=1500 * ms)


@pytest.mark.requirement("AV-R-23")
def test_weak_engine_is_not_released(pad, countdown, engines, stand, profile, icd, stays_on_pad):
    """An engine in mainstage below its band, and above its redline, is no engine to lift off with."""
    band_mpa = profile.values("count.pc_band", "MPa")[0]
    redline_mpa = icd.redline("pc_low").limit
    countdown.start()
    engines[1].state.expect("MAINSTAGE", within=4 * s)
    stand.drive("pc", (band_mpa + redline_mpa) / 2)

    pad.valve_current_a.expect(below=icd.off_a, within=3 * s)
    assert pad.valve_current_a.stays(below=icd.off_a, for_=1 * s)


# -- the lift-off event ----------------------------------------------------------------------------------------------


@pytest.mark.requirement("AV-R-25")
@pytest.mark.measures("count.standing_to_valves_off")
def test_switch_that_opens_early_is_no_liftoff(pad, countdown, avionics, rig, always, icd, measure):
    """One open switch and a vehicle that its pad holds: no flight begins, and the engines are shut down."""
    always(avionics.phase, "PAD")
    rig.inject("pad", "stuck_closed")
    countdown.start()
    avionics.mode.expect("IGNITION", within=2 * s)
    rig.inject("switches", "early", switch="liftoff_1")

    released = avionics.release_line.expect(HIGH, within=4 * s)
    off = pad.valve_current_a.expect(below=icd.off_a, within=4 * s, since=released.at)
    measure("count.standing_to_valves_off", (off.at - released.at) / s, "s")
    assert avionics.liftoff_2_line.stays(HIGH, for_=500 * ms)


@pytest.mark.requirement("AV-R-26")
@pytest.mark.measures("flight.mission_time_error")
@pytest.mark.parametrize(
    ("kind", "parameters"), [("late", {"delay_ms": 800.0}), ("stuck_closed", {})], ids=["late", "stuck_closed"]
)
def test_one_bad_switch_does_not_shift_mission_time(pad, grounded_ascent, rig, measure, kind, parameters):
    """A switch that opens late, or never, is outvoted by the other one and the acceleration."""
    rig.inject("switches", kind, switch="liftoff_2", **parameters)
    pad.countdown.start()
    liftoff = grounded_ascent.lift_off(by=("liftoff_1",))
    grounded_ascent.fly_to(600 * ms)

    told = grounded_ascent.avionics.mission_time_s.last
    measure("flight.mission_time_error", (told.value * s - (told.at - liftoff.at)) / ms, "ms")
