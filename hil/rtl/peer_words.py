"""Words that peripherals inside the simulator and boards outside share."""

from __future__ import annotations

import struct

PWM = struct.Struct("<dd")
"""What a PWM output measures: duty (0 to 1) and frequency [Hz]; 0 Hz is a steady line."""


def measured_pwm(payload: bytes) -> tuple[float, float]:
    """Duty (0 to 1) and frequency [Hz] of a PWM output; 0 Hz is a steady line.

    >>> measured_pwm(PWM.pack(0.25, 1000.0))
    (0.25, 1000.0)
    """
    duty, frequency_hz = PWM.unpack(payload)
    return float(duty), float(frequency_hz)
