"""A CAN bus of several programs over UDP multicast: python-can's own interface, kept from leaving this host.

The interface sends by the default route, so that a bench's frames would reach whoever listens in the building: it is
refused where any network but the loop-back is up. Datagrams have no arbitration and no order among senders, and what a
reader has no room for is dropped; that is counted (:mod:`hil.can.drops`).
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from secrets import token_hex
from typing import TYPE_CHECKING

from can.interfaces.udp_multicast import UdpMulticastBus

from hil.errors import BusError

if TYPE_CHECKING:
    import can

_SIOCGIFFLAGS = 0x8913
_IP_MULTICAST_ALL, _IPV6_MULTICAST_ALL = 49, 29  # linux/in.h, linux/in6.h
_UP, _LOOPBACK = 0x1, 0x8
_IFREQ = struct.Struct("16sH22x")


class ClosedMulticast(UdpMulticastBus):
    """The bus; what it sent itself comes back with ``is_rx`` False, or not at all.

    Args:
        channel: the multicast group, ``"239.74.163.2"``.
        echo: whether own frames come back.
        port: UDP port.

    Raises:
        BusError: when a network is up by which frames could leave this host.
        can.CanInterfaceNotImplementedError: without the package msgpack.
    """

    def __init__(self, channel: str, *, echo: bool, port: int = 43113) -> None:
        _require_closed_network(channel)
        super().__init__(channel, port=port, hop_limit=0, fd=True)
        with socket.socket(fileno=os.dup(self.fileno())) as own:
            if own.family is socket.AF_INET:  # else it hears the groups of every other socket of this port
                own.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
            else:
                own.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
        self._echo_own = echo
        self._sender = f"{os.getpid()} {token_hex(4)}"  # goes with each frame: all programs send from the same port

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        """Send a frame at once."""
        sent = msg.__copy__()
        sent.channel = self._sender
        super().send(sent, timeout)

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        message, filtered = super()._recv_internal(timeout)
        if message is not None and message.channel == self._sender:
            if not self._echo_own:
                return None, filtered
            message.is_rx = False
        return message, filtered


def _require_closed_network(channel: str) -> None:
    """Refuse to send where a network but the loop-back is up.

    Raises:
        BusError: naming the network, and how to make one of which nothing leaves.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            told = fcntl.ioctl(asking, _SIOCGIFFLAGS, _IFREQ.pack(name.encode(), 0))
            flags = _IFREQ.unpack(told)[1]
            if flags & _UP and not flags & _LOOPBACK:
                raise BusError(
                    f"udp_multicast channel {channel!r}: network interface {name} is up, and frames would leave this "
                    "host by it; run every program of this bus in a network namespace with nothing but loop-back: ip "
                    "netns add bus; ip -n bus link set lo up multicast on; ip -n bus route add 224.0.0.0/4 dev lo; ip "
                    "netns exec bus COMMAND"
                )
