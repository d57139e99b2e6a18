"""The peer: the one cocotb test, which serves the grant protocol. Time belongs to the host; here it only passes."""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import socket
from typing import TYPE_CHECKING, Any, Protocol

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import Event, Timer
from cocotb.utils import get_sim_time

from hil.awake import Awake
from hil.rtl import protocol
from hil.rtl.orphans import die_with_parent
from hil.rtl.peer.identity import identity
from hil.rtl.peer.levels import level
from hil.rtl.peer.registers import Registers
from hil.rtl.peer_words import RTL_JOB

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK_PS = 1_000_000_000  # at most a millisecond of a long grant at once: a sign of life between
_CHUNK_CYCLES = 20_000
_SETTLE_PS = 1
_LIBC = ctypes.CDLL(None)
_PERIPHERALS = {
    "samples": "hil.rtl.peer.samples:Samples",
    "spi_adc": "hil.rtl.peer.spi_adc:SpiAdc",
    "can": "hil.rtl.peer.can:Can",
    "uart": "hil.rtl.peer.uart:Uart",
    "pwm_out": "hil.rtl.peer.pwm:PwmOut",
}


def now_ps() -> int:
    """Simulated time [ps]."""
    return round(get_sim_time("ps"))


class Peripheral(Protocol):
    """Something beside the FPGA that lives inside the simulator: bits stay there, frames and words cross the socket."""

    def __init__(self, top: Any, binding: dict[str, object], post: Callable[[bytes], None], period_ps: int) -> None:
        """Take hold of the ports; ``post(payload)`` tells the host something, stamped with the present instant."""
        ...

    def start(self) -> None:
        """Begin, at time 0."""
        ...

    def command(self, payload: bytes) -> None:
        """What the host says, at an exchange instant."""
        ...


class Alarm:
    """Sets an event after a time, unless that is forgotten before: a timer of cocotb's cannot be taken back.

    Waiting for the first of two triggers costs four times as much as this.

    Args:
        event: what it sets.
    """

    def __init__(self, event: Event) -> None:
        self._event = event
        self._idle: list[Event] = []
        self._duration_ps = 0
        self._number = 0

    def set(self, duration_ps: int) -> None:
        """Ring after a time [ps]."""
        self._number += 1
        self._duration_ps = duration_ps
        if not self._idle:
            go = Event()
            cocotb.start_soon(self._ringer(go))
            self._idle.append(go)
        self._idle.pop().set()

    def forget(self) -> None:
        """Do not ring any more."""
        self._number += 1

    async def _ringer(self, go: Event) -> None:
        while True:
            await go.wait()
            go.clear()
            number = self._number
            await Timer(self._duration_ps, "ps")
            if number == self._number:
                self._event.set()
            self._idle.append(go)


class Server:
    """Serves one host until it says goodbye or is gone.

    Args:
        top: cocotb's handle of the wrapper, or of a VHDL entity.
        job: what the host said at the start, see :mod:`hil.rtl.launch`.
        link: the connected socket.
    """

    def __init__(self, top: Any, job: dict[str, Any], link: socket.socket) -> None:
        self._top = top
        self._link = link
        self._period_ps = int(job["period_ps"])
        self._phase_ps = 3 * self._period_ps // 4
        self._chunk_ps = min(_CHUNK_PS, _CHUNK_CYCLES * self._period_ps)
        self._inputs = [getattr(top, name) for name in job["inputs"]]
        self._wrapped = bool(job["wrapped"])
        self._outputs = [getattr(top, name) for name in job["outputs"]]
        self._bits: list[str] = job["bits"]
        bits = [getattr(top, name) for name in self._bits]
        four_states = "verilator" not in cocotb.SIM_NAME.lower()
        self._read_by_peripherals = (bits and [top.hil_bits] if self._wrapped else bits) if four_states else []
        self._bus = top.hil_out if self._wrapped else None
        self._reset_port = str(job["reset"]["port"])
        self._reset = getattr(top, self._reset_port)
        self._reset_active = int(job["reset"]["active"] == "high")
        self._reset_ps = int(job["reset"]["cycles"]) * self._period_ps + self._phase_ps
        self._clock_port = job["clock"]
        self._now = 0
        self._told = ""
        # outputs are told in full at the first instant, when they count, and at the first one without reset
        reset_ps = self._reset_ps + self._period_ps
        shown_ps = self._phase_ps + protocol.RESET_CLOCKS * self._period_ps
        self._retell = sorted({self._phase_ps, shown_ps, reset_ps})
        self._disturbed = False
        self._settled_ps = 0  # up to here it is still the same instant: settling takes some of it
        self._events: list[protocol.Item] = []
        self._wake = Event()
        self._alarm = Alarm(self._wake)
        self.registers = Registers(top, wrapped=self._wrapped)
        self._peripherals = [self._peripheral(index, binding) for index, binding in enumerate(job["bindings"])]

    def _peripheral(self, index: int, binding: dict[str, object]) -> Peripheral | None:
        path = _PERIPHERALS.get(str(binding["kind"]))
        if path is None:
            return None
        module, _, name = path.partition(":")
        channel = protocol.BINDINGS + index

        def post(payload: bytes) -> None:
            self._events.append(protocol.Item(now_ps(), channel, payload))
            self._wake.set()

        made: Peripheral = getattr(importlib.import_module(module), name)(self._top, binding, post, self._period_ps)
        return made

    async def run(self) -> None:
        """Serve."""
        for peripheral in self._peripherals:
            if peripheral is not None:
                peripheral.start()
        if not self._wrapped:
            self._make_clock()
        cocotb.start_soon(self._watch())
        for port in self._read_by_peripherals:
            cocotb.start_soon(self._must_be_known(port))
        await self._pass(self._phase_ps)
        awake = Awake(self._link)
        while True:
            awake.look()
            packet = self._link.recv(protocol.PACKET_MAX)
            if not packet:
                return
            if packet[:1] == protocol.GRANT:
                await self._grant(*protocol.unpack_grant(packet))
            elif not await self._answer(protocol.unpack_json(packet)):
                return

    # -- time -----------------------------------------------------------------------------------------------

    async def _grant(self, until_ns: int, inputs: list[protocol.Item]) -> None:
        until = self._instant_before(until_ns * 1000)
        if self._disturbed and (self._events or self._changed()):  # an output followed a deposit at once
            self._keep(inputs)
            inputs, until = [], self._now
        self._disturbed = False
        self._wake.clear()
        for index, (at_ns, channel, payload) in enumerate(inputs):
            due = self._instant_after(at_ns * 1000)
            if due > until or (due > self._now and not await self._reach(due)):
                self._keep(inputs[index:])
                break
            self._apply(channel, payload)
            self._wake.set()  # an output may follow without a clock
        else:
            await self._reach(until)
        self._reply()

    def _keep(self, inputs: list[protocol.Item]) -> None:
        """Say which inputs were not reached: the host gives them again."""
        if inputs:
            self._events.append(protocol.Item(self._now, protocol.NOT_REACHED, len(inputs).to_bytes(2, "little")))

    async def _reach(self, target: int) -> bool:
        """Let time pass up to an exchange instant; False when an output or event came before."""
        while True:
            if self._retell and self._now >= self._retell[0]:
                self._retell.pop(0)
                self._told = ""
                self._wake.set()
            if self._wake.is_set():
                self._wake.clear()
                instant = self._instant_after(now_ps())
                if instant > self._now:
                    await self._pass(instant)
                else:
                    await self._settle()
                if self._events or self._changed():
                    return self._now >= target
                continue
            if self._now >= target:
                return True
            stop = min(target, self._now + self._chunk_ps, *self._retell[:1])
            missing = stop - now_ps()
            if missing <= self._period_ps:
                await self._pass(stop)
                self._wake.clear()
                if self._events or self._changed():
                    return self._now >= target
                continue
            self._alarm.set(missing)
            await self._wake.wait()
            self._alarm.forget()
            if now_ps() > self._settled_ps:
                self._now = now_ps()
            if self._now == stop < target and stop not in self._retell:
                _flush()
                self._link.send(protocol.pack_progress(self._now))

    async def _pass(self, target: int) -> None:
        if target > self._now:
            missing = target - now_ps()
            if missing > 0:
                await Timer(missing, "ps")
            self._now = target

    async def _settle(self) -> None:
        """Let what follows an input or a deposit without a clock come to rest; it is still the same instant."""
        await Timer(_SETTLE_PS, "ps")
        self._settled_ps = now_ps()

    async def _watch(self) -> None:
        """Wake whoever waits when an output changes."""
        if self._bus is not None:
            while True:
                await self._bus.value_change
                self._wake.set()
        for output in self._outputs:
            cocotb.start_soon(self._watch_one(output))

    async def _watch_one(self, output: Any) -> None:
        while True:
            await output.value_change
            self._wake.set()

    async def _must_be_known(self, port: Any) -> None:
        """Look at outputs that peripherals read, whenever one changes: an unknown one could pass for rest, or for 0.

        Raises:
            UnknownLevelError: when one is unknown although the reset is over.
        """
        await Timer(self._reset_ps + self._period_ps, "ps")
        while True:
            if not port.value.is_resolvable:
                for name in self._bits:
                    level(getattr(self._top, name))
            await port.value_change

    def _instant_before(self, time_ps: int) -> int:
        return (time_ps - self._phase_ps) // self._period_ps * self._period_ps + self._phase_ps

    def _instant_after(self, time_ps: int) -> int:
        if time_ps <= self._settled_ps:
            return self._now
        return -(-(time_ps - self._phase_ps) // self._period_ps) * self._period_ps + self._phase_ps

    # -- values ---------------------------------------------------------------------------------------------

    def _apply(self, channel: int, payload: bytes) -> None:
        if channel < protocol.BINDINGS:
            self._inputs[channel].value = int.from_bytes(payload, "little")
            return
        peripheral = self._peripherals[channel - protocol.BINDINGS]
        if peripheral is not None:
            peripheral.command(payload)

    def _read(self) -> str:
        if self._bus is not None:
            return str(self._bus.value)
        return "".join(str(output.value) for output in self._outputs)

    def _changed(self) -> bool:
        return self._read() != self._told

    def _reply(self) -> None:
        _flush()
        outputs = self._read()
        if outputs == self._told:
            outputs = ""
        else:
            self._told = outputs
        # which of two peripherals speaks first within an instant means nothing, and differs between simulators
        events, self._events = sorted(self._events, key=lambda event: (event.at, event.channel)), []
        self._link.send(protocol.pack_reply(self._now, outputs, events))

    def _make_clock(self) -> None:
        """Without a wrapper, cocotb makes the clock and releases the reset."""
        clock = Clock(getattr(self._top, self._clock_port), self._period_ps, unit="ps", impl="gpi")
        half = self._period_ps // 2

        async def run() -> None:
            getattr(self._top, self._clock_port).value = 0
            self._reset.value = self._reset_active
            for port in self._inputs:
                port.value = 0
            await Timer(half, "ps")
            clock.start(start_high=True)
            await Timer(self._reset_ps - half, "ps")
            self._reset.value = 1 - self._reset_active

        cocotb.start_soon(run())

    # -- questions ------------------------------------------------------------------------------------------

    async def _answer(self, question: dict[str, Any]) -> bool:
        """Answer one question; False for goodbye."""
        if question["ask"] == "bye":
            _flush()
            self._link.send(protocol.pack_json({"bye": self._now}))
            return False
        try:
            found = await self._ask(question)
        except (LookupError, AttributeError, TypeError, ValueError, RuntimeError) as problem:
            found = {"error": str(problem)}
        self._link.send(protocol.pack_json({**found, "at_ps": self._now}))
        return True

    async def _ask(self, question: dict[str, Any]) -> dict[str, object]:
        match question["ask"]:
            case "peek":
                return {"values": [self.registers.peek(name) for name in question["names"]]}
            case "deposit" | "force" as how:
                return await self._change(how, question["name"], question["value"])
            case "release":
                return await self._change("release", question["name"], "")
            case "clock":
                return await self._change("deposit", "/hil_run", str(int(question["run"])))
            case "reset":
                level = self._reset_active if question["on"] else 1 - self._reset_active
                return await self._change("deposit", f"/{self._reset_port}", str(level))
            case other:
                return {"error": f"unknown question {other!r}"}

    async def _change(self, how: str, name: str, bits: str) -> dict[str, object]:
        """Write a signal and read it back once the design has settled: what drives it may win at once."""
        before = self.registers.peek(name)
        self.registers.write(how, name, bits)
        self._disturbed = True
        await self._settle()
        return {"before": before, "after": self.registers.peek(name), "asked": bits}


def _flush() -> None:
    """Let what the design printed reach the log: the simulator would hold it back, and whoever looks must see it."""
    _LIBC.fflush(None)


def _hello(job: dict[str, Any], top: Any) -> dict[str, object]:
    return {
        "protocol": protocol.VERSION,
        **identity(),
        "widths": {name: len(getattr(top, name)) for name in job["ports"]},
        "pid": os.getpid(),
    }


@cocotb.test()
async def serve(top: Any) -> None:
    """Connect to the host and serve it."""
    job = json.loads(os.environ[RTL_JOB])
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
        link.connect(job["socket"])  # in the folder that the simulator runs in
        server = Server(top, job, link)
        link.send(protocol.pack_json(_hello(job, top)))
        await server.run()


if RTL_JOB in os.environ:  # inside a simulator, and before the design runs: it may hang at time 0
    die_with_parent()
