"""The guard on the way round the keeper: what a test's process opens at the address of a kept instrument is refused.

Code of a test that opens an instrument's real address by itself, with plain pyvisa or a socket, would reach it without
gate, limits and interlocks. While a keeper runs, the interpreter's audit events of every connection and of every opened
file are looked at in each process of the run that runs tests. It is a guard against mistakes and none against malice:
programs that a test starts, and libraries in C that open connections themselves (a vendor's VISA, libusb), go unseen.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple, cast

from hil.safety.errors import KeptAddressError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LXI_PORTS = frozenset({111, 4880, 5025})  # VXI-11, HiSLIP, SCPI on a plain socket
_DEVICES = {"USB": "/dev/usbtmc*", "GPIB": "/dev/gpib*"}


class _Place(NamedTuple):
    """Where an instrument is: a host and its ports, or a device file."""

    outlet: str
    resource: str
    hosts: frozenset[str] = frozenset()
    ports: frozenset[int] | None = None
    """None for every port of the host."""
    device: str = ""
    """Its device file, or a pattern of those it may be."""
    alias: str = ""
    """A link to it, as a rig file calls it."""
    network: str = ""
    """The network interface of a bus."""


class AddressGuard:
    """Refuses connections from this process to the addresses of kept instruments.

    Args:
        resources: VISA resource of every kept instrument, address of a card, ``interface:channel`` of a bus, by name.
        doors: where the keeper offers it.
    """

    def __init__(self, resources: Mapping[str, str], doors: Mapping[str, str]) -> None:
        self._places = [_place(name, resource) for name, resource in resources.items()]
        self._doors = doors
        self._on = False

    def begin(self) -> None:
        """Refuse from now on."""
        self._on = True
        sys.addaudithook(self._audit)  # it stays as long as the interpreter does; the flag says whether it looks

    def end(self) -> None:
        """Refuse nothing any more: the keeper has ended."""
        self._on = False

    def _audit(self, event: str, found: tuple[object, ...]) -> None:
        """Look at one audit event.

        Raises:
            KeptAddressError: when it opens the address of a kept instrument.
        """
        if not self._on:
            return
        if event == "socket.connect":
            address = cast("tuple[object, ...]", found[1]) if isinstance(found[1], tuple) else ()
            host, port = address[:2] if len(address) >= 2 else ("", 0)
            if isinstance(host, str) and isinstance(port, int):
                self._refuse(self._reached(host, port), f"{host}:{port}")
        elif event == "socket.bind" and isinstance(found[1], tuple):
            network = next(iter(cast("tuple[object, ...]", found[1])), None)
            places = (place for place in self._places if place.network and place.network == network)
            self._refuse(places, f"{network}")
        elif (
            event == "open" and isinstance(found[0], str) and (found[0].startswith("/dev/") or self._is_alias(found[0]))
        ):
            self._refuse(self._opened(found[0]), found[0])

    def _reached(self, host: str, port: int) -> Iterator[_Place]:
        """The instruments behind a port of a host."""
        places = [place for place in self._places if place.hosts and (place.ports is None or port in place.ports)]
        hosts = _addresses(host) if places else frozenset[str]()
        yield from (place for place in places if place.hosts & hosts)

    def _is_alias(self, path: str) -> bool:
        return any(place.alias == path for place in self._places)

    def _opened(self, path: str) -> Iterator[_Place]:
        """The instruments behind a device file, however it is called."""
        name = os.path.realpath(path)
        yield from (place for place in self._places if place.device and fnmatchcase(name, place.device))

    def _refuse(self, places: Iterator[_Place], what: str) -> None:
        for place in places:
            is_bus = bool(place.network or place.alias)
            taken = f'rig.bus("{place.outlet}")' if is_bus else f'rig.instrument("{place.outlet}", ...)'
            raise KeptAddressError(
                f"{what} is {place.resource}, the address of {place.outlet}, which the keeper holds: it is not opened "
                f"past the keeper. Take {taken}, or open "
                f"{self._doors.get(place.outlet, 'the port of the keeper')} in its place"
            )


def _place(outlet: str, resource: str) -> _Place:
    """What a VISA resource, or the address of an I/O card, is to the operating system."""
    if resource.startswith("tcp://"):
        host, _, port = resource.removeprefix("tcp://").rpartition(":")
        return _Place(outlet, resource, _addresses(host), frozenset({int(port)}))
    if "::" not in resource:
        interface, _, channel = resource.partition(":")
        if interface == "socketcan":
            return _Place(outlet, resource, network=channel)
        return _Place(outlet, resource, device=os.path.realpath(channel), alias=channel)
    kind, _, rest = resource.partition("::")
    fields = rest.split("::")
    if kind.upper().startswith("TCPIP"):
        hosts = _addresses(fields[0])
        if fields[-1].upper() == "SOCKET":
            return _Place(outlet, resource, hosts, frozenset({int(fields[1])}))
        here = any(ipaddress.ip_address(host).is_loopback for host in hosts if _is_number(host))
        return _Place(outlet, resource, hosts, _LXI_PORTS if here else None)
    if kind.upper().startswith("ASRL/"):
        return _Place(outlet, resource, device=os.path.realpath(kind[len("ASRL") :]))
    device = next((device for begins, device in _DEVICES.items() if kind.upper().startswith(begins)), "")
    return _Place(outlet, resource, device=device)


def _addresses(host: str) -> frozenset[str]:
    """A host as it was called, and every IP address it has."""
    found = {host.lower()}
    if not _is_number(host):
        with suppress(OSError):  # nobody knows it: nobody reaches it by this name
            found |= {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    return frozenset(_plain(name) for name in found)


def _plain(name: str) -> str:
    """An address in one form: this machine as 127.0.0.1, IPv4 within IPv6 as IPv4.

    >>> _plain("::ffff:192.0.2.7"), _plain("0.0.0.0"), _plain("::1"), _plain("psu.lab")
    ('192.0.2.7', '127.0.0.1', '127.0.0.1', 'psu.lab')
    """
    if not _is_number(name):
        return name
    address = ipaddress.ip_address(name)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return "127.0.0.1" if address.is_loopback or address.is_unspecified else str(address)


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
