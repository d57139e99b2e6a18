"""Words that peripherals inside the simulator and boards outside share."""

from __future__ import annotations

import struct

RTL_JOB = "HIL_RTL_JOB"
"""Environment variable with what the peer of a rig is to serve, in JSON; see :mod:`hil.rtl.launch`."""
BLOCK_JOB = "HIL_BLOCK_JOB"
"""Environment variable with which block test is to be run, in JSON; see :mod:`hil.rtl.blocks.run`."""
PWM = struct.Struct("<dd")
"""What a PWM output measures: duty (0 to 1) and frequency [Hz]; 0 Hz is a steady line."""


def measured_pwm(payload: bytes) -> tuple[float, float]:
    """Duty (0 to 1) and frequency [Hz] of a PWM output; 0 Hz is a steady line.

    >>> measured_pwm(PWM.pack(0.25, 1000.0))
    (0.25, 1000.0)
    """
    duty, frequency_hz = PWM.unpack(payload)
    return float(duty), float(frequency_hz)
