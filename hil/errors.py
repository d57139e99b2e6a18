"""The harness's errors. A message says what was asked, what was found, where, and what to do."""

from __future__ import annotations


class HilError(Exception):
    """Anything the harness refuses or finds wrong; as a verdict it is ERROR (the rig), never PASS."""


class ClockError(HilError):
    """The clock was used in a way that cannot work: a float time, a wait in a callback, a foreign thread."""


class DeadlockError(ClockError):
    """A wait without a deadline that nothing scheduled can ever satisfy."""


class ConfigError(HilError):
    """A file the user wrote (rig, profile, as-built data, DBC) is wrong; the message names file, line, key."""


class WiringError(HilError):
    """Pins or nets were used against their declaration."""


class BusError(HilError):
    """A CAN bus or database was asked for something it does not have or cannot do."""


class InstrumentError(HilError):
    """An instrument is not what the rig file says, refused a command, or a limit was refused before writing."""


class InterlockError(HilError):
    """A hazardous action was refused because its interlock does not read back."""


class EvidenceError(HilError):
    """Evidence could not be written, or does not verify."""


class ToolMissingError(HilError):
    """A program the machine would need is not there, or too old; the message says what to install."""


class RtlError(HilError):
    """An HDL design or its simulator went wrong: it did not build, died, hung, or said something impossible."""


class DesignError(RtlError, AssertionError):
    """A design says of itself that it is wrong: ``$error``, ``$fatal``, a failed assertion; so the test FAILs."""


class UnknownLevelError(RtlError, AssertionError):
    """An output of a design is unknown (X or Z) after its reset: the article is wrong, so the test FAILs."""
