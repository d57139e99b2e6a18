"""What a vehicle is: closed tables read from ``vehicle.toml``, every number with its unit in its key."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]

ENGINES = 9
"""Engines of the first stage; a tenth drives the upper stage."""
IMUS = 3
WIND_LEVELS = 10


class Part(BaseModel):
    """A closed table: unknown keys and numbers that are not finite are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SiteTable(Part):
    """The pad: geodetic coordinates, and the launch azimuth east of true north [deg, m]."""

    latitude_deg: Annotated[float, Field(ge=-90.0, le=90.0)]
    longitude_deg: float
    height_m: float
    azimuth_deg: float


class AntennaTable(Part):
    """The command antenna on the ground, seen from the pad [m]."""

    north_m: float
    east_m: float
    up_m: float


class BodyTable(Part):
    """Masses, centre of mass and inertia; stations count aft from the nose.

    Centre of mass and inertia go in a straight line with the propellant left, from ``full`` to ``empty``.
    """

    length_m: Positive
    diameter_m: Positive
    base_station_m: Positive
    dry_kg: Positive
    oxidiser_kg: NotNegative
    fuel_kg: NotNegative
    centre_full_m: float
    centre_empty_m: float
    roll_inertia_full_kg_m2: Positive
    roll_inertia_empty_kg_m2: Positive
    pitch_inertia_full_kg_m2: Positive
    pitch_inertia_empty_kg_m2: Positive
    mass_flow_moments: bool


class EnginesTable(Part):
    """Nine equal engines: eight on a ring from +y towards +z in steps of 45 deg, the ninth in the centre.

    The thrust of one is flow share times (vacuum_thrust_n - exit_area_m2 times ambient pressure); ``thrust_factor``
    disperses it. Its flow follows the share its valves allow with ``lag_s``.
    """

    vacuum_thrust_n: Positive
    exit_area_m2: NotNegative
    flow_kg_s: Positive
    mixture_ratio: Positive
    lag_s: Positive
    station_m: Positive
    ring_radius_m: NotNegative
    thrust_factor: tuple[float, ...]

    @model_validator(mode="after")
    def _nine(self) -> EnginesTable:
        if len(self.thrust_factor) != ENGINES:
            raise ValueError(f"thrust_factor has {len(self.thrust_factor)} numbers; there are {ENGINES} engines")
        return self


class TvcTable(Part):
    """The gimbals: second order, with hard stops, a rate limit, and an energy that summed travel spends.

    energy_rad: travel of all 18 axes together until the actuators stand still [rad].
    """

    frequency_hz: Positive
    damping: Positive
    limit_deg: Positive
    rate_limit_deg_s: Positive
    energy_rad: NotNegative


class ModeTable(Part):
    """One bending mode, its shape 1 at the gimbals.

    free_hz, clamped_hz: natural frequency in flight and on the clamps [Hz]; damping: share of critical;
    modal_mass_kg: generalised mass [kg]; free_slope_rad_m, clamped_slope_rad_m: slope of the shape at the avionics
    bay, positive where the shape rises towards the nose [rad/m]; shape: its value there; clamped_push: share of the
    gimbals' lateral force that excites it on the clamps; free_air_shape, clamped_air_shape: the shape's mean where
    the air's lateral force acts.
    """

    free_hz: Positive
    clamped_hz: Positive
    damping: NotNegative
    modal_mass_kg: Positive
    free_slope_rad_m: float
    clamped_slope_rad_m: float
    shape: float
    clamped_push: NotNegative
    free_air_shape: float
    clamped_air_shape: float


class ModesTable(Part):
    """Two bending modes a plane."""

    pitch_1: ModeTable
    pitch_2: ModeTable
    yaw_1: ModeTable
    yaw_2: ModeTable


class AeroTable(Part):
    """Coefficients over Mach on the reference area, resampled once to a uniform grid of ``mach_step``.

    crossflow_drag acts on ``planform_m2`` at ``planform_centre_m``; isotropic_drag acts along the air velocity.
    pitch_damping and roll_damping are per non-dimensional rate, on ``length_m`` and ``diameter_m``; negative damps.
    """

    reference_area_m2: Positive
    mach_step: Positive
    mach: tuple[float, ...]
    axial: tuple[float, ...]
    normal_slope_per_rad: tuple[float, ...]
    pressure_centre_m: tuple[float, ...]
    crossflow_drag: NotNegative
    planform_m2: NotNegative
    planform_centre_m: float
    isotropic_drag: NotNegative
    pitch_damping: float
    roll_damping: float

    @model_validator(mode="after")
    def _same_length(self) -> AeroTable:
        lengths = {len(self.mach), len(self.axial), len(self.normal_slope_per_rad), len(self.pressure_centre_m)}
        if len(lengths) != 1 or len(self.mach) < 2 or list(self.mach) != sorted(set(self.mach)) or self.mach[0] != 0.0:
            raise ValueError(f"mach = {list(self.mach)} must rise from 0, with one entry of each coefficient a number")
        return self


class TanksTable(Part):
    """Ullage pressures [Pa], and what too little of it does to the flow.

    An open vent lets the oxidiser tank's pressure fall to ``vented_pa`` with ``vent_s``, unless the ground holds it
    through the umbilical; closed, it comes back with ``pressurise_s``. Between ``full_flow_pa`` and ``no_flow_pa``
    the engines lose flow in a straight line.
    """

    oxidiser_pa: Positive
    fuel_pa: Positive
    vented_pa: NotNegative
    vent_s: Positive
    pressurise_s: Positive
    full_flow_pa: Positive
    no_flow_pa: NotNegative


class WindTable(Part):
    """Wind over height above the pad, ten levels, and gusts (first-order Dryden form).

    from_deg: where it blows from, east of true north [deg]; gust_m_s: rms of each component; gust_length_m: its scale;
    gust_speed_m_s: least speed at which the vehicle moves through the frozen gusts.
    """

    height_m: tuple[float, ...]
    speed_m_s: tuple[float, ...]
    from_deg: tuple[float, ...]
    gust_m_s: NotNegative
    gust_length_m: Positive
    gust_speed_m_s: Positive

    @model_validator(mode="after")
    def _ten(self) -> WindTable:
        lengths = {len(self.height_m), len(self.speed_m_s), len(self.from_deg)}
        if lengths != {WIND_LEVELS} or list(self.height_m) != sorted(set(self.height_m)):
            raise ValueError(f"height_m = {list(self.height_m)} must rise over {WIND_LEVELS} levels, as speed and from")
        return self


class ImuTable(Part):
    """One inertial unit: where it is, and its errors (1 sigma unless said).

    station_m, y_m, z_m: its place; slope_factor: its local slope of every mode over that at the avionics bay.
    Bias and scale are drawn once, noise for each reading; a reading is rounded to ``lsb`` and held at ``range``.
    """

    station_m: float
    y_m: float
    z_m: float
    slope_factor: float
    gyro_bias_deg_s: NotNegative
    gyro_noise_deg_s: NotNegative
    gyro_scale_ppm: NotNegative
    gyro_lsb_deg_s: Positive
    gyro_range_deg_s: Positive
    force_bias_m_s2: NotNegative
    force_noise_m_s2: NotNegative
    force_scale_ppm: NotNegative
    force_lsb_m_s2: Positive
    force_range_m_s2: Positive


class Vehicle(Part):
    """A vehicle and its launch site.

    name: what it is; provenance: where its numbers come from, shown wherever it is.
    """

    name: str
    provenance: str
    site: SiteTable
    antenna: AntennaTable
    body: BodyTable
    engines: EnginesTable
    tvc: TvcTable
    modes: ModesTable
    aero: AeroTable
    tanks: TanksTable
    wind: WindTable
    imu_1: ImuTable
    imu_2: ImuTable
    imu_3: ImuTable

    @property
    def modes_hz(self) -> dict[str, float]:
        """Natural frequency of every bending mode by its name, in flight and on the clamps [Hz]."""
        tables = {name: getattr(self.modes, name) for name in ModesTable.model_fields}
        free = {f"{name} in flight": table.free_hz for name, table in tables.items()}
        return free | {f"{name} on the clamps": table.clamped_hz for name, table in tables.items()}
