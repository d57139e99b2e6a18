"""What safety refuses: a rig somebody else holds, an action nobody granted."""

from __future__ import annotations

from hil.errors import HilError


class LeaseError(HilError):
    """The rig is held by somebody else, is UNSAFE, or the lease was lost; the message names the holder."""


class AuthorityError(HilError):
    """A hazardous action has no valid grant of two persons; the message has every reason."""


class NoGrantError(AuthorityError):
    """A hazardous action was asked for, and the run was given no grant at all."""


class SecretError(HilError):
    """A secret cannot be had, or was about to leave the process; the message never shows any of it."""


class KeeperError(HilError):
    """The keeper refused something, or is gone; the message says which and why."""


class KeptAddressError(HilError, PermissionError):
    """A test opened the address of an instrument that the keeper holds; the message names the way through it.

    It is an ``OSError`` too, so that whoever opens the connection cleans up as after any that failed.
    """


class UnsafeError(HilError):
    """The rig could not be confirmed safe: outputs may be live."""


class OverdueError(HilError):
    """A test took longer than it may, on a rig without a keeper; the message says which deadline it was."""
