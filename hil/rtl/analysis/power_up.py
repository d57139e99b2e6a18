"""Which registers are still unknown when the reset is over, and which outputs they can reach: found without a run.

The flat netlist is evaluated clock by clock with the reset asserted. A bit is 0, 1, *known* (a function of inputs,
whatever they are) or *unset* (a function of what a flip-flop held at power-up). A register that is unset when the
reset is released, and from which a way through gates and registers leads to an output, is found. So a reset that
arrives through an inverter or a chain of synchronisers counts as one, and a data path that the inputs flush within
the reset does as well.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from hil.rtl.analysis.synthesis import UNDEFINED_RESET

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

    from hil.rtl.analysis.synthesis import Netlist
    from hil.rtl.spec import RtlSpec, UnresetTable

_KNOWN: Final = 2
_UNSET: Final = 3
_FLIP_FLOP = re.compile(r"\$_(?:S?DFF|ALDFF|DFFSR)(?:CE|E)?_([NP01]*)_")


_INDEX = re.compile(r"\[\d+\]$")


@dataclass(frozen=True, slots=True)
class Unset:
    """A register that is unknown when the reset is over.

    Args:
        register: its hierarchical name below the top.
        where: file and line of its declaration, as the synthesiser says it.
        reaches: the outputs of the top that it can reach, sorted.
    """

    register: str
    where: str
    reaches: tuple[str, ...]

    def __str__(self) -> str:
        """In one line, for people."""
        return f"{self.register} ({self.where}) is unknown after reset and can reach {', '.join(self.reaches)}"


@dataclass(frozen=True, slots=True)
class PowerUp:
    """What a design's power-up shows.

    Args:
        unset: registers that are unknown after reset, can reach an output, and are not declared.
        declared: those that the RTL file declares, with the justification and the approver it gives.
        stale: declarations of registers that are none of these.
        initial: registers that start from an initial value of the source, which a reset alone would not give.
    """

    unset: tuple[Unset, ...]
    declared: Mapping[str, UnresetTable] = field(default_factory=dict[str, "UnresetTable"])
    stale: tuple[str, ...] = ()
    initial: tuple[str, ...] = ()


def power_up(spec: RtlSpec, netlist: Netlist) -> PowerUp:
    """Find the registers that are unknown when a design's reset is over and can reach an output.

    Args:
        spec: the design; its ``[reset]`` says which port, which level and how many clocks, and ``[power_up]``
            which registers are meant to have no reset.
        netlist: what :func:`hil.rtl.analysis.synthesis.elaborate` made of it.
    """
    circuit = _Circuit(netlist)
    level = 0 if spec.reset.active == "low" else 1
    values = circuit.reset(spec.reset.port, level, spec.reset.cycles)
    unset = {bit for bit in circuit.state if values[bit] == _UNSET}
    justified = spec.power_up.unreset
    found: dict[str, set[str]] = defaultdict(set)
    for port, cone in circuit.cones().items():
        for bit in unset & cone:
            found[circuit.name(bit, prefer=justified)].add(port)
    return PowerUp(
        unset=tuple(
            Unset(name, circuit.where(name), tuple(sorted(ports)))
            for name, ports in sorted(found.items())
            if name not in justified
        ),
        declared={name: why for name, why in justified.items() if name in found},
        stale=tuple(name for name in justified if name not in found),
        initial=tuple(sorted({circuit.name(bit) for bit in circuit.initial if bit in circuit.state})),
    )


@dataclass(frozen=True, slots=True)
class _Cell:
    """A gate, or any other cell without memory: what it does, from which bits, to which bits."""

    evaluate: Callable[[Sequence[int]], int]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _FlipFlop:
    """One bit of state: what it takes at a clock; asynchronous pins act at once and win."""

    q: int
    follows: Callable[[Sequence[int]], int]
    inputs: tuple[int, ...]


class _Circuit:
    """A netlist as bits and cells in order of evaluation."""

    def __init__(self, netlist: Netlist) -> None:
        self._netlist = netlist
        self._bits = {"0": 0, "1": 1, "x": 2, "z": 2}  # constants: what is undefined (x) or open (z) is as unset
        self.names: dict[int, list[str]] = defaultdict(list)
        self._places: dict[str, str] = {}
        self.initial: dict[int, int] = {}
        self._instance: dict[int, str] = {}
        self._flip_flops: list[_FlipFlop] = []
        self._memories: dict[int, tuple[int, ...]] = {}
        cells: list[_Cell] = []
        for name, cell in netlist["cells"].items():
            self._add(name, cell, cells)
        for name, net in netlist["netnames"].items():
            self._name_bits(name, net)
        for port in netlist["ports"].values():
            for bit in port["bits"]:
                self._bit(bit)
        self._cells = _in_order(cells, self.state)

    @property
    def state(self) -> set[int]:
        """The bits that hold something from clock to clock."""
        return {each.q for each in self._flip_flops} | set(self._memories)

    def name(self, bit: int, *, prefer: Container[str] = ()) -> str:
        """The register that a bit belongs to: of several names one that is preferred, else no port, else the shortest.

        A register's net has a name in every instance it passes; its own stands where its process stands.
        """
        known = self.names.get(bit, [])
        prefer = {name for name in known if _INDEX.sub("", name) in prefer}
        own = [name for name in known if self._places[name].rpartition("|")[0] == self._instance.get(bit)] or known
        ports = self._netlist["ports"]  # a port is what a register drives, not what it is
        order = sorted(prefer or own, key=lambda name: (name in ports, len(name), name))
        best = order[0] if order else f"a register without a name ({bit})"
        return _INDEX.sub("", best)

    def where(self, name: str) -> str:
        """File and line of a register's declaration, without the folder."""
        place_of = self._places.get(name, self._places.get(f"{name}[0]", "?"))
        file, _, place = place_of.rpartition("|")[2].partition(":")
        line = place.partition(".")[0]
        return f"{file.rpartition('/')[2]}:{line}" if line else file

    def reset(self, port: str, level: int, clocks: int) -> list[int]:
        """Every bit's value after some clocks with the reset asserted, from a power-up that nobody knows."""
        values = [_KNOWN] * (max(self._bits.values()) + 1)
        values[0], values[1], values[2] = 0, 1, _UNSET
        for bit in self.state:
            values[bit] = self.initial.get(bit, _UNSET)
        for bit in self._netlist["ports"].get(port, {"bits": ()})["bits"]:
            values[self._bit(bit)] = level
        for _ in range(clocks):
            self._settle(values)
            taken = [(each.q, each.follows([values[bit] for bit in each.inputs])) for each in self._flip_flops]
            same = all(values[q] == value for q, value in taken)
            for q, value in taken:
                values[q] = value
            if same:
                break
        self._settle(values)
        return values

    def _settle(self, values: list[int]) -> None:
        for cell in self._cells:
            value = cell.evaluate([values[bit] for bit in cell.inputs])
            for bit in cell.outputs:
                values[bit] = value

    def cones(self) -> dict[str, set[int]]:
        """Per output of the top, every bit that can reach it, through gates and registers."""
        sources: dict[int, tuple[int, ...]] = {}
        for cell in self._cells:
            for bit in cell.outputs:
                sources[bit] = cell.inputs
        for each in self._flip_flops:
            sources[each.q] = each.inputs
        sources |= self._memories
        found: dict[str, set[int]] = {}
        for name, port in self._netlist["ports"].items():
            if port["direction"] != "input":
                found[name] = _reached_from([self._bit(bit) for bit in port["bits"]], sources)
        return found

    # -- reading the netlist ------------------------------------------------------------------------------

    def _bit(self, bit: int | str) -> int:
        return self._bits.setdefault(str(bit), len(self._bits) - 1)

    def _pins(self, cell: Mapping[str, Any], direction: str) -> list[int]:
        ports: Mapping[str, str] = cell["port_directions"]
        named = [name for name, side in ports.items() if side == direction]
        return [self._bit(bit) for name in named for bit in cell["connections"][name]]

    def _add(self, name: str, cell: Mapping[str, Any], cells: list[_Cell]) -> None:
        kind: str = cell["type"]
        if kind.startswith("$mem"):
            self._add_memory(name, cell)
        elif _FLIP_FLOP.fullmatch(kind):
            self._add_flip_flop(kind, cell)
        elif kind in _GATES:
            order, evaluate = _GATES[kind]
            pins = tuple(self._bit(cell["connections"][pin][0]) for pin in order)
            cells.append(_Cell(evaluate, pins, (self._bit(cell["connections"]["Y"][0]),)))
        else:
            cells.append(_Cell(_word, tuple(self._pins(cell, "input")), tuple(self._pins(cell, "output"))))

    def _add_flip_flop(self, kind: str, cell: Mapping[str, Any]) -> None:
        pins = {pin: self._bit(bits[0]) for pin, bits in cell["connections"].items()}
        q = pins["Q"]
        self._instance[q] = _source(cell).rpartition("|")[0]
        reset = re.fullmatch(r"\$_DFF_[NP]([NP])([01])_", kind)
        if kind in ("$_DFF_P_", "$_DFF_N_"):
            self._flip_flops.append(_FlipFlop(q, _same, (pins["D"],)))
        elif reset is not None:
            value = _UNSET if UNDEFINED_RESET in cell["attributes"] else int(reset[2])
            active = 0 if reset[1] == "N" else 1
            self._flip_flops.append(
                _FlipFlop(q, lambda values: _mux(_with(values, active, value)), (pins["D"], pins["R"]))
            )
        else:  # set and reset, or an asynchronous load: known only when everything that feeds it is
            inputs = tuple(bit for pin, bit in pins.items() if pin not in ("Q", "C"))
            self._flip_flops.append(_FlipFlop(q, _word, (*inputs, q)))

    def _add_memory(self, name: str, cell: Mapping[str, Any]) -> None:
        """A memory: its contents are one bit of state, which no reset sets; all of its outputs follow it."""
        contents = self._bit(f"contents of {name}")
        inputs = tuple(self._pins(cell, "input"))
        self._memories[contents] = inputs
        plain = name.replace("\\", "")
        self.names[contents].append(plain)
        self._places[plain] = _source(cell)
        if "x" not in str(cell["parameters"]["INIT"]):
            self.initial[contents] = _KNOWN
        for bit in self._pins(cell, "output"):
            self._flip_flops.append(_FlipFlop(bit, _word, (contents, *inputs)))
            self.names[bit].append(plain)

    def _name_bits(self, name: str, net: Mapping[str, Any]) -> None:
        """Note a net's name and its initial value for its bits."""
        plain = name.replace("\\", "")
        if not net.get("hide_name"):
            self._places[plain] = _source(net)
            for bit in net["bits"]:
                self.names[self._bit(bit)].append(plain)
        init: str = net["attributes"].get("init", "")
        for value, bit in zip(reversed(init), net["bits"], strict=False):
            if value in "01":
                self.initial[self._bit(bit)] = int(value)


def _source(thing: Mapping[str, Any]) -> str:
    """Where something is declared: file:line.column-line.column, of each instance on the way, joined by bars."""
    return str(thing["attributes"].get("src", "?"))


def _in_order(cells: Sequence[_Cell], state: Iterable[int]) -> list[_Cell]:
    """Cells so that each comes after those that feed it; what lies on a loop comes last."""
    feeds: dict[int, list[int]] = defaultdict(list)
    driven = {bit for cell in cells for bit in cell.outputs}
    held = set(state)
    waiting: list[int] = []
    for index, cell in enumerate(cells):
        needed = [bit for bit in set(cell.inputs) if bit in driven and bit not in held]
        waiting.append(len(needed))
        for bit in needed:
            feeds[bit].append(index)
    ready = [index for index, count in enumerate(waiting) if count == 0]
    order: list[int] = []
    while ready:
        index = ready.pop()
        order.append(index)
        for bit in cells[index].outputs:
            for after in feeds.get(bit, ()):
                waiting[after] -= 1
                if waiting[after] == 0:
                    ready.append(after)
    placed = set(order)
    return [cells[index] for index in [*order, *(i for i in range(len(cells)) if i not in placed)]]


def _reached_from(bits: Iterable[int], sources: Mapping[int, Sequence[int]]) -> set[int]:
    found: set[int] = set()
    waiting = list(bits)
    while waiting:
        bit = waiting.pop()
        if bit not in found:
            found.add(bit)
            waiting.extend(sources.get(bit, ()))
    return found


# -- gates on 0, 1, known and unset -----------------------------------------------------------------------------


def _word(values: Sequence[int]) -> int:
    """Arithmetic, comparison, anything: unset when anything that goes in is."""
    return _UNSET if _UNSET in values else _KNOWN


def _same(values: Sequence[int]) -> int:
    return values[0]


def _not(values: Sequence[int]) -> int:
    return 1 - values[0] if values[0] < _KNOWN else values[0]


def _and(values: Sequence[int]) -> int:
    return 0 if 0 in values else max(values)


def _or(values: Sequence[int]) -> int:
    if 1 in values:
        return 1
    return max(values)


def _xor(values: Sequence[int]) -> int:
    return values[0] ^ values[1] if max(values) < _KNOWN else max(values)


def _mux(values: Sequence[int]) -> int:
    """Y = S ? B : A."""
    a, b, select = values
    if select < _KNOWN:
        return b if select else a
    if a == b and a < _KNOWN:
        return a
    return max(a, b, select)


def _with(values: Sequence[int], active: int, value: int) -> tuple[int, int, int]:
    """Data and reset pin as the inputs of a multiplexer that takes the reset value when the pin is active."""
    data, pin = values
    return (data, value, pin) if active else (value, data, pin)


_GATES: Final[Mapping[str, tuple[tuple[str, ...], Callable[[Sequence[int]], int]]]] = {
    "$_BUF_": (("A",), _same),
    "$_NOT_": (("A",), _not),
    "$_AND_": (("A", "B"), _and),
    "$_OR_": (("A", "B"), _or),
    "$_XOR_": (("A", "B"), _xor),
    "$_XNOR_": (("A", "B"), lambda values: _not((_xor(values),))),
    "$_MUX_": (("A", "B", "S"), _mux),
}
