"""Opening a real CAN interface through python-can, with errors that name the interface, the channel and the remedy."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

import can
from can.interfaces.socketcand import SocketCanDaemonBus

from hil.can.socketcand_link import tell_the_end
from hil.closed import nearest
from hil.errors import BusError

if TYPE_CHECKING:
    from collections.abc import Mapping

# their own frames come back marked as their own, once they were sent
_ECHOING = ("socketcan", "virtual", "udp_multicast")
_SILENT_OPTION = ("slcan",)  # take the option listen_only
_LINKS = Path("/sys/class/net")
_IS_UP = 0x1


def open_bus(
    interface: str,
    channel: str,
    bitrate_bps: int,
    *,
    listen_only: bool = False,
    echo: bool = True,
    options: Mapping[str, object] | None = None,
) -> can.BusABC:
    """Open a bus of python-can; its configuration files are not read.

    Args:
        interface: the name of the python-can interface, ``"socketcan"``.
        channel: the channel, ``"can0"``.
        bitrate_bps: bit rate [bit/s]; on socketcan it is set from outside, with ``ip link``.
        listen_only: whether the controller shall not even acknowledge, where the interface can be told.
        echo: whether sent frames come back when they have been on the wire, where the interface can tell them apart.
        options: further options of the interface.

    Raises:
        BusError: when it cannot be opened.
    """
    known = sorted(can.VALID_INTERFACES)
    if interface not in known:
        raise BusError(
            f"python-can has no interface {interface!r} for channel {channel!r}; {nearest(interface, known)}"
        )
    given: dict[str, object] = {"bitrate": bitrate_bps, **(options or {})}
    if echo and interface in _ECHOING:
        given["receive_own_messages"] = True
    if listen_only and interface in _SILENT_OPTION:
        given["listen_only"] = True
    if interface == "slcan" and Path(channel).resolve().is_relative_to("/dev/pts"):
        given.setdefault("sleep_after_open", 0.0)  # a pseudo-terminal is no board that is reset by being opened
    if interface == "socketcand":
        given.setdefault("tcp_tune", True)  # else each frame waits for the acknowledge of the one before
    if interface == "socketcan":
        _require_link(channel, bitrate_bps)
    try:
        if interface == "udp_multicast":
            from hil.can.multicast import ClosedMulticast

            return ClosedMulticast(channel, echo=echo, **(options or {}))  # type: ignore[arg-type]
        bus = can.Bus(channel=channel, interface=interface, ignore_config=True, **given)  # type: ignore[arg-type]
    except (can.CanError, OSError, ImportError, ValueError, TypeError) as problem:
        remedy = _remedy(interface, channel, bitrate_bps, problem)
        raise BusError(f"cannot open {interface} channel {channel!r}: {problem}; {remedy}") from problem
    if isinstance(bus, SocketCanDaemonBus):
        tell_the_end(bus)
    return bus


def echoes(interface: str) -> bool:
    """Whether an interface gives back what it sent, marked as its own."""
    return interface in _ECHOING


def _require_link(channel: str, bitrate_bps: int) -> None:
    """Refuse a network interface that is not there or is down: socketcan opens the latter and then sends nothing.

    Raises:
        BusError: for either.
    """
    flags = _LINKS / channel / "flags"
    if flags.exists() and not int(flags.read_text(), 16) & _IS_UP:
        raise BusError(f"socketcan channel {channel!r} is down; {_bring_up(channel, bitrate_bps)}")


def _remedy(interface: str, channel: str, bitrate_bps: int, problem: Exception) -> str:
    if interface == "socketcan":
        if isinstance(problem, OSError) and problem.errno == errno.EAFNOSUPPORT:
            return "this kernel has no CAN: load can_raw and the driver of the adapter (modprobe can_raw), or use slcan"
        return f"look with: ip -details link show type can; {_bring_up(channel, bitrate_bps)}"
    if isinstance(problem, ImportError | can.CanInterfaceNotImplementedError):
        return "install the driver or the Python package that it names"
    return "look whether the adapter is plugged in, its driver loaded, and no other program has it open"


def _bring_up(channel: str, bitrate_bps: int) -> str:
    if channel.startswith("vcan"):
        return f"make it with: ip link add {channel} type vcan; ip link set {channel} up"
    return f"bring it up with: ip link set {channel} up type can bitrate {bitrate_bps}"
