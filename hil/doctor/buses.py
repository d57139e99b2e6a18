"""CAN buses: what the kernel says of a controller, without sending anything and without setting its bit rate."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hil.can.opening import open_bus
from hil.doctor.finding import Finding
from hil.errors import BusError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil.rig.model import RigFile
    from hil.rig.part_tables import BusTable

_PASSIVE = ("socketcan", "udp_multicast", "virtual")  # opening them is no more than opening a socket
_WARNING = 96  # error counter at which a controller warns (ISO 11898-1)
_QUEUE_MIN = 100  # frames; the kernel's default of 10 is full after 2 ms at 500 kbit/s
_WAIT_S = 5.0


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Counters(_Part):
    tx: int = 0
    rx: int = 0


class _Timing(_Part):
    bitrate: int


class _Controller(_Part):
    state: str = ""
    berr_counter: _Counters | None = None
    restart_ms: int = 0
    bittiming: _Timing | None = None
    data_bittiming: _Timing | None = None


class _Events(_Part):
    bus_error: int = 0
    error_passive: int = 0
    bus_off: int = 0
    restarts: int = 0


class _Kind(_Part):
    info_kind: str = ""
    info_data: _Controller | None = None
    info_xstats: _Events | None = None


class NetworkLink(_Part):
    """What ``ip -details -statistics -json link show`` says of one interface."""

    ifname: str
    flags: list[str] = Field(default_factory=list[str])
    link_type: str = ""
    txqlen: int = 0
    linkinfo: _Kind = _Kind()


def buses(file: RigFile) -> Iterator[Finding]:
    """Every bus of a rig."""
    for name, table in file.bus.items():
        if table.interface == "hil":
            yield Finding(f"{name} bus", "skip", "it is a simulated wire")
        elif table.interface == "socketcan":
            yield from _socketcan(name, table)
        elif table.interface in _PASSIVE:
            yield _opened(name, table)
            yield _untold(name, table)
        else:
            yield from _adapter(name, table)


def judge_link(name: str, table: BusTable, link: NetworkLink) -> Iterator[Finding]:
    """What the kernel says of a controller, against what the rig file says of the bus.

    Args:
        name: the bus.
        table: its table.
        link: what the kernel says.
    """
    what, channel = f"{name} bus", table.channel
    up = f"ip link set {channel} up type can bitrate {table.bitrate_bps} restart-ms 100"
    if link.link_type != "can":
        yield Finding(what, "fail", f"{channel} is no CAN interface", f"correct bus.{name}.channel")
        return
    if "UP" not in link.flags:
        virtual = link.linkinfo.info_kind == "vcan"
        yield Finding(what, "fail", f"{channel} is down", f"ip link set {channel} up" if virtual else up)
        return
    yield _queue(what, link)
    if link.linkinfo.info_data is None:
        yield Finding(what, "skip", f"{channel} is {link.linkinfo.info_kind or 'virtual'}: it has no controller")
        return
    controller, down = link.linkinfo.info_data, f"ip link set {channel} down; {up}"
    yield _bit_rate(name, "bit rate", table.bitrate_bps, controller.bittiming, down)
    if table.data_bitrate_bps is not None:
        remedy = f"{down} dbitrate {table.data_bitrate_bps} fd on"
        yield _bit_rate(name, "data bit rate", table.data_bitrate_bps, controller.data_bittiming, remedy)
    yield _state(name, controller, down)
    yield _counters(name, controller, link.linkinfo.info_xstats)
    if controller.restart_ms == 0:
        yield Finding(
            f"{name} restart", "warn", f"{channel} stays bus-off until somebody restarts it (restart-ms 0)", down
        )
    else:
        yield Finding(f"{name} restart", "ok", f"after bus-off {channel} restarts in {controller.restart_ms} ms")


def _socketcan(name: str, table: BusTable) -> Iterator[Finding]:
    command = ["ip", "-details", "-statistics", "-json", "link", "show", table.channel]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_WAIT_S)
    except (OSError, subprocess.SubprocessError) as problem:
        yield Finding(f"{name} bus", "skip", f"`ip` cannot be asked: {problem}", "install iproute2")
    else:
        if done.returncode != 0:
            told = done.stderr.strip() or f"`ip` ended with {done.returncode}"
            yield Finding(
                f"{name} bus",
                "fail",
                told,
                "plug the adapter in and load its driver (look with: ip -details link show type can), or correct "
                f"bus.{name}.channel",
            )
            return
        try:
            links = [NetworkLink.model_validate(link) for link in json.loads(done.stdout) if link]
        except (ValueError, ValidationError) as problem:
            yield Finding(f"{name} bus", "skip", f"what `ip` says cannot be read: {problem}", "use iproute2 5 or later")
        else:
            for link in links:
                yield from judge_link(name, table, link)
            if not all("UP" in link.flags for link in links):
                return
    yield _opened(name, table)


def _opened(name: str, table: BusTable) -> Finding:
    """Whether this user may open the bus; opening a socket sends nothing."""
    what = f"{name} access"
    try:
        open_bus(table.interface, table.channel, table.bitrate_bps).shutdown()
    except BusError as problem:
        told, _, remedy = str(problem).rpartition("; ")
        return Finding(what, "fail", told, remedy)
    return Finding(what, "ok", f"{table.interface} channel {table.channel} opens")


def _adapter(name: str, table: BusTable) -> Iterator[Finding]:
    """An adapter that opening would set up and switch on: only its device file is looked at."""
    if "/" in table.channel:
        path = Path(table.channel)
        if path.exists():
            yield Finding(f"{name} access", "ok", f"{table.channel} is there")
        else:
            yield Finding(
                f"{name} access",
                "fail",
                f"there is no {table.channel}",
                f"plug the adapter in, or start what offers it, or correct bus.{name}.channel",
            )
    yield _untold(name, table)


def _untold(name: str, table: BusTable) -> Finding:
    why = f"{table.interface} tells bit rate and error counters to nobody who has not put its controller on the bus"
    return Finding(f"{name} bit rate", "skip", why)


def _queue(what: str, link: NetworkLink) -> Finding:
    found = f"{link.ifname} is up, its queue takes {link.txqlen} frames"
    if link.txqlen < _QUEUE_MIN:
        return Finding(what, "warn", f"{found}: a burst is refused", f"ip link set {link.ifname} txqueuelen 1000")
    return Finding(what, "ok", found)


def _bit_rate(name: str, what: str, wanted_bps: int, timing: _Timing | None, remedy: str) -> Finding:
    found = "none" if timing is None else f"{timing.bitrate} bit/s"
    if timing is None or timing.bitrate != wanted_bps:
        return Finding(f"{name} {what}", "fail", f"{found}; the rig file says {wanted_bps} bit/s", remedy)
    return Finding(f"{name} {what}", "ok", found)


def _state(name: str, controller: _Controller, down: str) -> Finding:
    state = controller.state
    if state == "ERROR-ACTIVE":
        return Finding(f"{name} state", "ok", state)
    return Finding(
        f"{name} state",
        "fail" if state in ("BUS-OFF", "STOPPED", "ERROR-PASSIVE") else "warn",
        state or "not told",
        f"see that another node is there and on, both terminations and the bit rate; then {down}",
    )


def _counters(name: str, controller: _Controller, events: _Events | None) -> Finding:
    """Counters now, and what the kernel counted since the interface was made."""
    what, now = f"{name} error counters", controller.berr_counter
    if now is None:
        return Finding(what, "skip", "the driver does not tell them")
    found = f"TEC {now.tx}, REC {now.rx}"
    if events is not None:
        found += f"; so far {events.bus_error} bus errors, {events.error_passive} x error-passive, {events.bus_off} x "
        found += f"bus-off, {events.restarts} restarts"
    remedy = "look at cable, terminations and the bit rate of every node; candump -e shows each error as it comes"
    if max(now.tx, now.rx) >= _WARNING:
        return Finding(what, "fail", f"{found}; the warning limit is {_WARNING}", remedy)
    if now.tx or now.rx:
        return Finding(what, "warn", found, remedy)
    return Finding(what, "ok", found)
