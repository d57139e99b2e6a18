"""A synthetic flight, as a test records one: 60 s, 52 channels, a gap, events close together; and a chain of delays.

The curves only look like a flight that loses control: nothing here was computed by a plant.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from synthetic_run import Sketch, of

from hil.units import ms, s

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LIFTOFF_NS = 12 * s + 345 * ms
EVENTS = (
    ("release", -0.02, "clamps"),
    ("lift-off", 0.0, "2 of 3 switches"),
    ("pitch programme", 4.0, "flight computer"),
    ("TVC energy spent", 19.6, "model"),
    ("attitude lost", 20.1, "model"),
    ("rule: loss of control", 27.9, "range log"),
    ("decision", 28.0, "range log"),
    ("ARM", 28.05, "RF marker"),
    ("TERMINATE", 29.1, "RF marker"),
    ("output A", 29.14, "pin"),
    ("output B", 29.141, "pin"),
    ("valves closed", 29.3, "model"),
    ("thrust < 5 %", 29.52, "model"),
    ("impact", 39.7, "model"),
)


def block(times_s: NDArray[np.float64], values: NDArray[np.float64], *, epoch_ns: int = LIFTOFF_NS) -> bytes:
    """A numpy block as the harness writes it; times count from the epoch."""
    found = np.empty(len(times_s), dtype=[("t_ns", "<i8"), ("value", "<f8")])
    found["t_ns"], found["value"] = np.round(times_s * s).astype(np.int64) + epoch_ns, values
    written = BytesIO()
    np.lib.format.write_array(written, found, allow_pickle=False)
    return written.getvalue()


def record_of(**kinds: Any) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Exhibits: a kind and its fields, or a list of fields."""
    return tuple(
        (kind, each) for kind, given in kinds.items() for each in (given if isinstance(given, list) else [given])
    )


def _channels() -> dict[str, tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    """Name: unit, times [s], values."""
    rng = np.random.Generator(np.random.PCG64(1))
    t = np.arange(-2.0, 60.0, 0.01)
    late = np.maximum(t - 20.1, 0.0)
    up = np.clip(t, 0.0, 39.7)
    height = np.maximum(0.0, 1.1 * up**2 * (t < 23) + (t >= 23) * (581.9 + 50.6 * (up - 23) - 5.0 * (up - 23) ** 2))
    cycle = np.minimum(6.0, 0.02 * np.exp(0.29 * np.maximum(t, 0.0))) * (t > 0) * (t < 19.6)
    wave = np.sin(2 * np.pi * 2.2 * t)
    thrust = np.clip((t + 1.9) / 1.4, 0, 1) * (t < 29.3) + (t >= 29.3) * np.exp(-np.maximum(t - 29.3, 0) / 0.07)
    made: dict[str, tuple[str, NDArray[np.float64], NDArray[np.float64]]] = {}

    def add(name: str, unit: str, values: NDArray[np.float64], every: int = 1) -> None:
        made[name] = (unit, t[::every], values[::every])

    add("model.altitude_m", "m", height)
    add("model.speed_m_s", "m/s", np.abs(np.gradient(height, t)))
    add("model.tilt_deg", "deg", np.minimum(180.0, 0.2 * up + 2.4 * late**2) * (t < 39.7))
    add("model.attitude_error_deg", "deg", np.abs(0.2 * cycle * wave) + np.minimum(170.0, 3.9 * late**2))
    for axis, size in (("p", 0.3), ("q", 9.0), ("r", 4.0)):
        noise = rng.normal(0.0, 0.15, len(t))
        add(f"imu_1.{axis}_deg_s", "deg/s", noise + size * (0.25 * cycle * wave + 3.0 * np.tanh(late)) * (t < 39.7))
    for engine in range(1, 10):
        for axis, part in (("y", 1.0), ("z", 0.55)):
            frozen = 4.2 * part * (t >= 19.6)
            noise = rng.normal(0.0, 0.02, len(t))
            add(
                f"gimbal_{engine}.{axis}_deg",
                "deg",
                cycle * part * np.sin(13.8 * t + 0.04 * engine) + frozen + noise,
                2,
            )
        add(f"model.thrust_{engine}_n", "N", 75e3 * thrust * (1 + 0.004 * engine) + rng.normal(0.0, 60.0, len(t)))
        pressure = 97.0 * thrust + rng.normal(0.0, 0.2, len(t))
        if engine == 3:
            pressure[(t > 22.0) & (t < 24.0)] = np.nan
        add(f"engine_{engine}.chamber_pressure_bar", "bar", pressure, 10)
    add("model.thrust_n", "N", 9 * 75e3 * thrust)
    add("model.tvc_energy_rad", "rad", np.maximum(0.0, 40.0 - 0.65 * np.cumsum(cycle) * 0.01))
    add("bus_a.load", "%", 61.0 + rng.normal(0.0, 1.2, len(t)), 10)
    add("bus_b.load", "%", 60.0 + rng.normal(0.0, 1.2, len(t)) - 60.0 * (t > 39.7), 10)
    add("model.north_m", "m", 12.0 * up + 0.3 * up**2)
    add("model.east_m", "m", -5.0 * up - 0.1 * up**2 + 0.004 * late**4 * (t < 39.7))
    add("model.impact_north_m", "m", 14.0 * up + 0.55 * up**2)
    add("model.impact_east_m", "m", -5.5 * up - 0.2 * up**2)
    return made


def _plots() -> list[dict[str, Any]]:
    """What the flight's test declares."""

    def of_engines(name: str, label: str, **more: Any) -> list[dict[str, Any]]:
        return [{"name": name.format(k), "label": label.format(k), **more} for k in range(1, 10)]

    gimbals = [each for axis in "yz" for each in of_engines(f"gimbal_{{}}.{axis}_deg", f"{{}}{axis}")]
    total = {"name": "model.thrust_n", "label": "total", "scale": 1e-3}
    return [
        {"title": "Altitude", "unit": "m", "channels": [{"name": "model.altitude_m", "label": "altitude"}]},
        {"title": "Speed", "unit": "m/s", "channels": [{"name": "model.speed_m_s", "label": "speed"}]},
        {"title": "Attitude error", "unit": "deg", "channels": [{"name": "model.attitude_error_deg", "label": "total"}],
         "lines": [{"value": 10.0, "label": "loss of control"}]},
        {"title": "Tilt", "unit": "deg", "channels": [{"name": "model.tilt_deg", "label": "from the vertical"}]},
        {"title": "Body rates", "unit": "deg/s",
         "channels": [{"name": f"imu_1.{axis}_deg_s", "label": axis} for axis in "pqr"]},
        {"title": "Gimbals", "unit": "deg", "channels": gimbals},
        {"title": "Thrust", "unit": "kN", "channels": [total, *of_engines("model.thrust_{}_n", "{}", scale=1e-3)]},
        {"title": "Chamber pressures", "unit": "bar", "channels": of_engines("engine_{}.chamber_pressure_bar", "{}")},
        {"title": "Bus load", "unit": "%", "channels": [{"name": f"bus_{bus}.load", "label": bus} for bus in "ab"],
         "lines": [{"value": 80.0, "label": "budget"}]},
        {"title": "TVC energy left", "unit": "rad", "channels": ["model.tvc_energy_rad"]},
    ]  # fmt: skip


GROUND = {
    "title": "Ground track",
    "x": "model.east_m",
    "y": "model.north_m",
    "label": "vehicle",
    "tracks": [{"x": "model.impact_east_m", "y": "model.impact_north_m", "label": "instantaneous impact point"}],
    "polygons": [
        {"label": "flight limit", "style": "flight limit", "points": [[-1500, -400], [600, -400], [600, 2500]]},
        {"label": "impact limit", "style": "impact limit", "points": [[-9000, -900], [1100, -900], [1100, 60000]]},
        {"label": "hazard area", "style": "hazard area",
         "points": [[-1200, -300], [450, -300], [450, 2200], [-1200, 2200]]},
        {"label": "footprint", "style": "footprint",
         "points": [[120 * np.cos(a) - 260, 160 * np.sin(a) + 950] for a in np.arange(0, 6.28, 0.3)]},
    ],
    "points": [{"label": "pad", "x": 0, "y": 0}, {"label": "impact", "x": -270, "y": 948.4}],
}  # fmt: skip

ROWS: list[dict[str, Any]] = [
    {"event": "oscillation seen", "t_plus_s": 15.2, "published": [15, 25], "grade": "S", "note": "video"},
    {"event": "attitude lost", "t_plus_s": 20.1, "published": None},
    {"event": "flight terminated", "t_plus_s": 29.1, "published": 30.0, "grade": "P", "note": "company, rounded"},
    {"event": "impact", "t_plus_s": 39.7, "published": "about T+40 s", "grade": "S"},
    {"event": "second ignition", "t_plus_s": None, "published": None},
]
NOTE = "The mode at 2.2 Hz is a hypothesis of this bench, not a statement of the vehicle's maker."


def flight(nodeid: str = "tests/launcher/test_flight.py::test_the_flight_of_march") -> Sketch:
    """The test of a flight."""
    channels = _channels()
    marks = [{"name": name, "t_ns": round(at * s) + LIFTOFF_NS, "source": source} for name, at, source in EVENTS]
    return Sketch(
        nodeid=nodeid,
        title="A vehicle that loses control is terminated before it leaves the hazard area.",
        requirements=("AV-R-14",),
        measurements=(of("av.valve_state", "CLOSED"),),
        exhibits=record_of(
            epoch={"name": "lift-off", "t_ns": LIFTOFF_NS, "from_s": -2, "to_s": 44},
            plot=_plots(), track_plot=GROUND, mark=marks, event_row=ROWS, note={"text": NOTE},
        ),
        channels={name: unit for name, (unit, _, _) in channels.items()},
        logs={f"signals/{name}.npy": block(times, values) for name, (_, times, values) in channels.items()},
    )  # fmt: skip


def plotted(
    values: NDArray[np.float64], times_s: NDArray[np.float64], change: Callable[[dict[str, Any]], None] | None = None
) -> Sketch:
    """A test with one plot of one channel, ``box.volts`` in V; ``change`` edits the plot's fields."""
    plot: dict[str, Any] = {"title": "Volts", "unit": "V", "channels": [{"name": "box.volts", "label": "supply"}]}
    if change is not None:
        change(plot)
    return Sketch(
        nodeid="t::test_box",
        measurements=(of("av.valve_state", "CLOSED"),),
        exhibits=record_of(plot=plot),
        channels={"box.volts": "V"},
        logs={"signals/box.volts.npy": block(times_s, values, epoch_ns=0)},
    )


def odd() -> Sketch:
    """A test with plots of almost nothing: a lost channel, one sample, a state, no epoch, no mark, no path."""
    plots: list[dict[str, Any]] = [
        {"title": "Lost", "unit": "V", "channels": ["box.lost"]},
        {"title": "Lone", "unit": "V", "channels": ["box.lone"], "lines": [{"value": 5.0, "label": "limit"}]},
        {"title": "State", "unit": "1", "channels": [{"name": "box.state", "label": "state", "step": True}]},
    ]
    area = {"label": "hazard area", "style": "hazard area", "points": [[0, 0], [9, 0], [9, 9]]}
    return Sketch(
        nodeid="t::test_odd",
        measurements=(of("av.valve_state", "CLOSED"),),
        exhibits=record_of(plot=plots, track_plot={"title": "Nowhere", "x": "a", "y": "b", "polygons": [area]}),
        channels={"box.lone": "V", "box.state": "1"},
        logs={
            "signals/box.lone.npy": block(np.array([0.5]), np.array([3.0]), epoch_ns=0),
            "signals/box.state.npy": block(np.array([0.0, 0.4, 0.8]), np.array([0.0, 2.0, 1.0]), epoch_ns=0),
        },
    )


def delayed(number: int, **lost: float | None) -> Sketch:
    """One trial of a chain of delays; ``lost`` replaces a link's value [ms]."""
    rng = np.random.Generator(np.random.PCG64(number))
    links = [
        ("track", "violation to track report", rng.uniform(100.0, 110.0), "sim", True),
        ("decision", "track report to decision", rng.normal(45.0, 2.0), "sim", True),
        ("skew", "output A to output B", rng.normal(0.6, 0.1), "rtl", False),
        ("decay", "valves closed to thrust < 5 %", 180.0, "model input", True),
    ]
    fields = [
        {"chain": "termination", "order": order, "name": name, "value_ms": lost.get(key, value), "clock": "rig",
         "uncertainty_ms": 0.1, "evidence_class": evidence_class, "in_total": adds}
        for order, (key, name, value, evidence_class, adds) in enumerate(links, 1)
    ]  # fmt: skip
    fields[1]["measurement"] = "fts.response_time"
    return Sketch(
        nodeid=f"tests/launcher/test_chain.py::test_delays[seed-{number}]",
        measurements=(of("fts.response_time", 12.0 + 0.01 * number),),
        exhibits=record_of(link=fields),
    )
