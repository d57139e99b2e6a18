"""Control of the vehicle in flight: it stays where it is pointed, at the cost it may have."""

from __future__ import annotations

import pytest

from hil.signal import LOW
from hil.units import ms, s
from hil_launcher.clients.traffic import Traffic


@pytest.mark.requirement("AV-R-10", "AV-R-11", "AV-R-12")
@pytest.mark.measures(
    "flight.attitude_error", "tvc.energy_used", "flight.bus_load", "flight.frames", "flight.bad_frames"
)
def test_flight_is_stable_to_t_plus_60(ascent, range_safety, receivers, rig, always, measure):
    """With the bending modes as surveyed the vehicle stays on its programme, and nobody terminates it."""
    for line in (range_safety.violation, range_safety.key, *(receiver.terminate_output for receiver in receivers)):
        always(line, LOW)
    traffic, energy_rad = Traffic(rig.buses, rig.clock), ascent.now("tvc_energy_rad")
    ascent.fly_to(60 * s)

    measure("flight.attitude_error", ascent.largest_attitude_error_deg(0, 60 * s), "deg")
    measure("flight.roll_error", largest(ascent.avionics.error_roll_deg, ascent.t0_ns), "deg")
    measure("tvc.energy_used", energy_rad - ascent.now("tvc_energy_rad"), "rad")
    measure("flight.bus_load", traffic.largest_load_pct, "%")
    measure("flight.frames", traffic.frames_per_s, "1/s")
    measure("flight.bad_frames", traffic.faults + traffic.refused, "1")
    ready = [record for record in range_safety.log if record.kind == "status" and record.values["ready"]]
    measure("range.sources_at_liftoff", len(ready[-1].tracks), "1")
    for reports in range_safety.reports.values():
        arrived = reports.history(ascent.t0_ns, ascent.at(60 * s))
        measure("range.track_latency", max(report.at / ms - report.value for report in arrived), "ms")


def largest(signal, since_ns):
    """The largest magnitude of a signal since a rig time [ns]."""
    return max(abs(reading.value) for reading in signal.history(since_ns))
