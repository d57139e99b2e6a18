"""The generated wrapper around a Verilog top: it makes the clock, holds the reset, and has the ports as signals.

An HDL clock costs no Python and is as safe as one driven from outside. Rising edges stand at half a period, one and
a half, and so on; the exchange instants a quarter period after each; samples change a quarter period before each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hil.rtl.ports import HdlPort, HdlTop
    from hil.rtl.spec import RtlSpec, Samples

TOP = "hil_top"
"""Name of the wrapper module; the design is its instance ``dut``."""
SAMPLES_BLOCK = 64
"""Samples that a sampled input of the wrapper holds at once."""


def wrap(spec: RtlSpec, top: HdlTop, parameters: Mapping[str, int | str], *, served: bool) -> str:
    """The wrapper's source.

    Args:
        spec: the design.
        top: its ports.
        parameters: values of its parameters, numbers or literals.
        served: for the grant protocol: power-up asserts the reset for the specified cycles, and sampled inputs play
            blocks; otherwise a cocotb test drives every port itself, the reset too.
    """
    period = spec.clock.period_ps
    asserted, released = ("1'b0", "1'b1") if spec.reset.active == "low" else ("1'b1", "1'b0")
    lines = ["`timescale 1ps/1ps", "`default_nettype none", f"module {TOP};"]
    lines += [f"  localparam {name} = {parameters.get(name, value)};" for name, value in top.parameters.items()]
    lines += ["  reg hil_run = 1'b1;", f"  reg {spec.clock.port} = 1'b0;"]
    lines += [
        "  always begin",
        f"    #{period // 2};",
        f"    {spec.clock.port} = hil_run;",
        f"    #{period // 2};",
        f"    {spec.clock.port} = 1'b0;",
        "  end",
        f"  reg {spec.reset.port} = {asserted};",
    ]
    if served:
        release = spec.reset.cycles * period + 3 * period // 4
        lines += [f"  initial begin #{release}; {spec.reset.port} = {released}; end"]
    own = {spec.clock.port, spec.reset.port}
    sampled = {bind.port: bind for bind in spec.bind.values() if bind.kind == "samples"}
    for port in top.inputs:
        if port.name not in own:
            lines.append(f"  reg {port.range} {port.name} = 0;")
    lines += [f"  wire {port.range} {port.name};" for port in top.outputs]
    for port, bind in sampled.items() if served else ():
        width = next(_width(found.range) for found in top.inputs if found.name == port)
        lines += _sampler(spec, port, width, bind)
    bits = [port for port in top.outputs if port.name in spec.bit_ports]
    lines += [_together("hil_out", told_outputs(spec, top)), _together("hil_bits", bits)]
    given = ", ".join(f".{name}({name})" for name in top.parameters)
    connected = ", ".join(f".{port.name}({port.name})" for port in top.ports)
    lines += [
        f"  {spec.top} {f'#({given}) ' if given else ''}dut ({connected});",
        "endmodule",
        "`default_nettype wire",
        "",
    ]
    return "\n".join(lines)


def told_outputs(spec: RtlSpec, top: HdlTop) -> list[HdlPort]:
    """The outputs whose every change the host is told, the wrapper's ``hil_out``; the others are ``hil_bits``."""
    return [port for port in top.outputs if port.name not in spec.bit_ports]


def _together(name: str, ports: Sequence[HdlPort]) -> str:
    """All of them as one wire, the first one leftmost."""
    if not ports:
        return f"  wire {name} = 1'b0;"
    total = " + ".join(_width(port.range) for port in ports)
    return f"  wire [{total}-1:0] {name} = {{{', '.join(port.name for port in ports)}}};"


def _width(range_: str) -> str:
    """How many bits a range has, as an expression: Icarus 11 does not take $bits of a net for a constant."""
    if not range_:
        return "1"
    high, _, low = range_[1:-1].partition(":")
    return f"(({high}) - ({low}) + 1)"


def _sampler(spec: RtlSpec, port: str, width: str, bind: Samples) -> list[str]:
    """A block of samples that goes out one at a time; whoever fills it is told by a toggle when it is used up.

    A sample is put on the port a quarter period before an edge, with its strobe for one clock.
    """
    valid, period = bind.valid, spec.clock.period_ps
    clocks = round(1e12 / bind.rate_hz / period)
    strobe_on = f" {valid} = 1'b1;" if valid else ""
    strobe_off = f" {valid} = 1'b0;" if valid else ""
    words = SAMPLES_BLOCK
    return [
        f"  reg [{words}*{width}-1:0] {port}_block = 0;",
        f"  reg [15:0] {port}_left = 0;",
        f"  reg {port}_empty = 1'b0;",
        "  initial begin",
        f"    #{period // 4};",
        "    forever begin",
        f"      {port} = {port}_block[{width}-1:0];",
        f"      {port}_block = {port}_block >> {width};",
        f"      {port}_left = {port}_left - 16'd1;{strobe_on}",
        f"      if ({port}_left == 16'd0) {port}_empty = ~{port}_empty;",
        f"      #{period};{strobe_off}",
        f"      #{(clocks - 1) * period};",
        "    end",
        "  end",
    ]
