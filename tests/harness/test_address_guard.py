"""The guard on the way round the keeper: a test's process does not open the address of a kept instrument by mistake."""

from __future__ import annotations

import gc
import os
import socket
import sys
from typing import TYPE_CHECKING

import pytest
import pyvisa

from hil.safety.address_guard import AddressGuard
from hil.safety.errors import KeptAddressError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOOR = "TCPIP0::127.0.0.1::4711::SOCKET"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def guarded() -> Iterator[Callable[[str], AddressGuard]]:
    """``guarded(resource)`` guards the address of a supply until the end of the test."""
    begun: list[AddressGuard] = []

    def guard(resource: str) -> AddressGuard:
        begun.append(AddressGuard({"psu": resource}, {"psu": DOOR}))
        begun[-1].begin()
        return begun[-1]

    yield guard
    for each in begun:
        each.end()


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def resource_of(listener: socket.socket, host: str = "127.0.0.1") -> str:
    return f"TCPIP0::{host}::{port_of(listener)}::SOCKET"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_socket_to_the_address_is_refused_and_names_outlet_and_door(guarded, listener, host):
    guarded(resource_of(listener))
    with pytest.raises(KeptAddressError, match=rf"the address of psu, which the keeper holds.*open {DOOR}"):
        socket.create_connection((host, port_of(listener)), timeout=1.0)


def test_the_address_of_a_card_is_refused(guarded, listener):
    guarded(f"tcp://localhost:{port_of(listener)}")
    with pytest.raises(KeptAddressError, match="the address of psu"):
        socket.create_connection(("127.0.0.1", port_of(listener)), timeout=1.0)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # pyvisa-py forgets the socket of a session that fails
def test_plain_pyvisa_to_the_address_is_refused(guarded, listener):
    guarded(resource_of(listener, "localhost"))
    manager = pyvisa.ResourceManager("@py")
    with pytest.raises(Exception, match="the address of psu, which the keeper holds"):  # pyvisa-py wraps it
        manager.open_resource(resource_of(listener))
    gc.collect()
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_other_ports_and_addresses_are_free(guarded, listener):
    guarded("TCPIP0::192.0.2.7::5025::SOCKET")
    socket.create_connection(("127.0.0.1", port_of(listener)), timeout=1.0).close()
    guarded(f"TCPIP0::127.0.0.1::{port_of(listener) ^ 1}::SOCKET")
    socket.create_connection(("127.0.0.1", port_of(listener)), timeout=1.0).close()


def test_when_the_keeper_has_ended_the_address_is_free(guarded, listener):
    guarded(resource_of(listener)).end()
    socket.create_connection(("127.0.0.1", port_of(listener)), timeout=1.0).close()


@pytest.mark.parametrize("way", ["inst0::INSTR", "hislip0::INSTR", "INSTR"])
def test_every_port_of_an_instrument_that_speaks_vxi_11_or_hislip_is_refused(guarded, way):
    guarded(f"TCPIP0::192.0.2.7::{way}")
    for port in (80, 111, 4880, 5025, 40_000):
        with socket.socket() as link, pytest.raises(KeptAddressError):
            link.connect(("192.0.2.7", port))


@pytest.mark.parametrize(
    ("resource", "opened"),
    [
        ("ASRL/dev/hil-no-port::INSTR", "/dev/hil-no-port"),
        ("ASRL/dev/hil-no-port::INSTR", "/dev/../dev/hil-no-port"),
        ("USB0::0x2A8D::0x0002::MY1::INSTR", "/dev/usbtmc7"),
    ],
)
def test_its_device_file_is_refused(guarded, resource, opened):
    guarded(resource)
    with pytest.raises(KeptAddressError, match="the address of psu"):
        open(opened, "rb")  # noqa: SIM115, PTH123  # as a serial library does
    with pytest.raises(KeptAddressError):
        os.open(opened, os.O_RDWR)


def test_other_files_are_free(guarded, tmp_path):
    guarded("ASRL/dev/hil-no-port::INSTR")
    (tmp_path / "file").write_text("free")
    with open("/dev/null", "rb") as null:  # noqa: PTH123  # a device file that is not the instrument's
        assert null.read() == b""


def test_a_kept_bus_is_not_opened_past_the_keeper_by_its_network_interface_or_its_device(guarded, tmp_path):
    guarded("socketcan:can0")
    with pytest.raises(KeptAddressError, match=r"can0 is socketcan:can0, .* Take rig\.bus\(\"psu\"\)"):
        sys.audit("socket.bind", None, ("can0",))  # what binding a CAN socket raises: this kernel may have none
    sys.audit("socket.bind", None, ("can1",))
    master, slave = os.openpty()
    (tmp_path / "bus_a").symlink_to(os.ttyname(slave))
    guarded(f"slcan:{tmp_path}/bus_a")
    for path in (f"{tmp_path}/bus_a", os.ttyname(slave)):
        with pytest.raises(KeptAddressError, match="which the keeper holds"):
            os.open(path, os.O_RDWR)
    os.close(slave)
    os.close(master)
