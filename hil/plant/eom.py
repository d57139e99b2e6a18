"""Equations of motion: one derivative, branch-free, for one vehicle in floats or a batch in arrays.

State (:data:`State`), all components of one tuple: position and velocity of the centre of mass in ECI, attitude
quaternion body to ECI, body rates relative to ECI, and deflection and speed of four bending modes (two in the pitch
plane, two in the yaw plane), measured at the gimbal plane.

Bending: a mode is pushed by the lateral thrust at the gimbals and by the lateral force of the air. Its deflection is
positive along the body axis of its plane (z for pitch, y for yaw) at the gimbals, where its shape is 1.

Source: rigid body with mass flow after Etkin, Dynamics of Atmospheric Flight, ch. 5, written in ECI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hil.plant.atmosphere import air
from hil.plant.earth import RATE_RAD_S, gravitation, height_and_vertical

if TYPE_CHECKING:
    from hil.plant.ns import Namespace, Row, Table

State = tuple[float, ...]
"""r [m] x3, v [m/s] x3 (ECI), q x4, body rates [rad/s] x3, modes (deflection [m], speed [m/s]) x4: 21 numbers."""

SIZE = 21
_TINY_M2 = 1e-6  # keeps the axis of the Earth itself out of a division
_QUATERNION_PULL = 1.0  # 1/s, back to unit length; AB2 leaves 3e-7 of it in a fast tumble


class Push(NamedTuple):
    """What actuators and tanks do to the body over one step.

    Flows are shares of the nominal flow: sums over the engines of share, share times direction, and share times lever.

    Args:
        along, y, z: sums of the flow shares along the body axes.
        roll_m, pitch_m, yaw_m: sums of share times lever about the body axes, the levers along x left out [m].
        arm_m: from the centre of mass to the gimbal plane along body x, negative aft [m].
        mass_kg: mass.
        inertia_x, inertia_y, inertia_z: moments of inertia [kg m^2].
        damping_x, damping_y, damping_z: moment per rate from mass flow [N m s/rad].
        centre_m: station of the centre of mass, aft of the nose [m].
        wind_n, wind_e, wind_d: wind towards north, east and down [m/s].
    """

    along: float
    y: float
    z: float
    roll_m: float
    pitch_m: float
    yaw_m: float
    arm_m: float
    mass_kg: float
    inertia_x: float
    inertia_y: float
    inertia_z: float
    damping_x: float
    damping_y: float
    damping_z: float
    centre_m: float
    wind_n: float
    wind_e: float
    wind_d: float


class Airframe(NamedTuple):
    """What does not change over a flight, as numbers the derivative takes.

    Args:
        vacuum_thrust_n, exit_area_m2: of one engine at nominal flow; its thrust is their p-law.
        half_area_m2: half the reference area [m^2].
        aero: rows over Mach (:func:`hil.plant.aero.table`).
        mach_steps: rows of the table per Mach number.
        crossflow, crossflow_m: its coefficient on the reference area, and the station where it acts [m].
        isotropic: coefficient of a drag along the air velocity (spheres).
        roll_damping, pitch_damping: coefficient times a length squared, over 2 [m^2].
        modes: per mode: stiffness [1/s^2], damping [1/s], push of the gimbals and push of the air [1/kg].
    """

    vacuum_thrust_n: float
    exit_area_m2: float
    half_area_m2: float
    aero: Table
    mach_steps: float
    crossflow: float
    crossflow_m: float
    isotropic: float
    roll_damping: float
    pitch_damping: float
    modes: Row


def rates(x: State, push: Push, frame: Airframe, ns: Namespace) -> State:
    """The derivative of the state, per second: rows as in :data:`State`.

    Args:
        x: the state.
        push: forces of the actuators, mass properties and wind, held over a step.
        frame: the airframe.
        ns: the namespace of all these numbers.
    """
    rx, ry, rz, vx, vy, vz, qw, qx, qy, qz, p, q, r, a, a_v, b, b_v, c, c_v, d, d_v = x
    axis_m = ns.sqrt(rx * rx + ry * ry + _TINY_M2)
    height_m, sine, cosine = height_and_vertical(axis_m, rz, ns)
    density, pressure_pa, sound_m_s = air(height_m, ns)
    east_x, east_y = -ry / axis_m, rx / axis_m
    along, y, z, roll_m, pitch_m, yaw_m, arm_m, mass, ix, iy, iz, dx, dy, dz, centre_m, wind_n, wind_e, wind_d = push
    outward = sine * wind_n + cosine * wind_d
    ax = vx + RATE_RAD_S * ry + outward * east_y - wind_e * east_x
    ay = vy - RATE_RAD_S * rx - outward * east_x - wind_e * east_y
    az = vz - cosine * wind_n + sine * wind_d
    xx, yy, zz = qx * qx, qy * qy, qz * qz
    xy, xz, yz, wx, wy, wz = qx * qy, qx * qz, qy * qz, qw * qx, qw * qy, qw * qz
    m11, m12, m13 = 1.0 - 2.0 * (yy + zz), 2.0 * (xy - wz), 2.0 * (xz + wy)
    m21, m22, m23 = 2.0 * (xy + wz), 1.0 - 2.0 * (xx + zz), 2.0 * (yz - wx)
    m31, m32, m33 = 2.0 * (xz - wy), 2.0 * (yz + wx), 1.0 - 2.0 * (xx + yy)
    flow = (m11 * ax + m21 * ay + m31 * az, m12 * ax + m22 * ay + m32 * az, m13 * ax + m23 * ay + m33 * az)
    fx, fy, fz, mx, my, mz = _aero(flow, (p, q, r), (density, sound_m_s, centre_m), frame, ns)
    thrust_n = frame.vacuum_thrust_n - frame.exit_area_m2 * pressure_pa
    y_n, z_n = thrust_n * y, thrust_n * z
    air_y, air_z = fy, fz
    fx, fy, fz = (fx + thrust_n * along) / mass, (fy + y_n) / mass, (fz + z_n) / mass
    mx += thrust_n * roll_m + dx * p + (iy - iz) * q * r
    my += thrust_n * pitch_m - arm_m * z_n + dy * q + (iz - ix) * p * r
    mz += thrust_n * yaw_m + arm_m * y_n + dz * r + (ix - iy) * p * q
    gx, gy, gz = gravitation(rx, ry, rz, ns)
    pull = _QUATERNION_PULL * (1.0 - qw * qw - xx - yy - zz)
    a_k, a_d, a_p, a_w, b_k, b_d, b_p, b_w, c_k, c_d, c_p, c_w, d_k, d_d, d_p, d_w = frame.modes
    return (
        vx, vy, vz,
        gx + m11 * fx + m12 * fy + m13 * fz, gy + m21 * fx + m22 * fy + m23 * fz, gz + m31 * fx + m32 * fy + m33 * fz,
        0.5 * (-qx * p - qy * q - qz * r) + pull * qw, 0.5 * (qw * p + qy * r - qz * q) + pull * qx,
        0.5 * (qw * q + qz * p - qx * r) + pull * qy, 0.5 * (qw * r + qx * q - qy * p) + pull * qz,
        mx / ix, my / iy, mz / iz,
        a_v, a_p * z_n + a_w * air_z - a_k * a - a_d * a_v, b_v, b_p * z_n + b_w * air_z - b_k * b - b_d * b_v,
        c_v, c_p * y_n + c_w * air_y - c_k * c - c_d * c_v, d_v, d_p * y_n + d_w * air_y - d_k * d - d_d * d_v,
    )  # fmt: skip


def _aero(flow: Row, turn: Row, place: Row, frame: Airframe, ns: Namespace) -> Row:
    """Force [N] and moment [N m] of the air in body axes, about the centre of mass.

    Defined at any angle of attack and at rest: a slender body's normal force goes with axial times lateral speed, the
    crossflow's with lateral speed squared; neither needs an angle.
    """
    u, v, w = flow
    density, sound_m_s, centre_m = place
    lateral2 = v * v + w * w
    lateral = ns.sqrt(lateral2)
    speed = ns.sqrt(u * u + lateral2)
    position = speed / sound_m_s * frame.mach_steps
    at, axial, axial_s, normal, normal_s, centre, centre_s = ns.row(frame.aero, position)
    part = position - at
    half = density * frame.half_area_m2
    slender = half * (normal + normal_s * part) * abs(u)
    cross = half * frame.crossflow * lateral
    lever = slender * (centre_m - centre - centre_s * part) + cross * (centre_m - frame.crossflow_m)
    drag = half * speed * frame.isotropic
    across = slender + cross + drag
    damping = half * speed * frame.pitch_damping
    return (
        -(half * (axial + axial_s * part) * speed + drag) * u,
        -across * v,
        -across * w,
        half * speed * frame.roll_damping * turn[0],
        lever * w + damping * turn[1],
        damping * turn[2] - lever * v,
    )
