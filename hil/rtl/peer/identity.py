"""What a simulator says of itself from inside: not what was found on PATH, but what runs."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import cocotb


def identity() -> dict[str, str]:
    """Simulator and version, hash of the running binary (``vvp``, or a model that Verilator made), Python, cocotb."""
    return {
        "simulator": f"{cocotb.SIM_NAME} {cocotb.SIM_VERSION}",
        "binary_sha256": hashlib.sha256(Path("/proc/self/exe").read_bytes()).hexdigest(),
        "python": sys.version.split()[0],
        "cocotb": cocotb.__version__,
    }
