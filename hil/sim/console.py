"""The control line of a simulated instrument: one command a line, one answer a line.

    fault KIND [KEY=VALUE ...]   put a fault on the instrument or its connection
    clear                        take every fault away, last first
    volts PORT                   voltage at the load of an output [V]
    amps PORT                    current through it [A]
    load PORT OHMS               another load
    watch PORT VOLTS             say ``watch PORT above|below`` now and at every crossing
    clients                      how many clients are connected
    quit                         end the program

A command that is refused is answered ``error`` and the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.errors import HilError
from hil.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.sim.load_bank import LoadBank
    from hil.sim.scpi_port import ScpiServer


class Console:
    """Executes control lines on the clock's thread.

    Args:
        server: the instrument on its port.
        loads: what its outputs feed.
        say: takes each line of answer.
    """

    def __init__(self, server: ScpiServer, loads: LoadBank, say: Callable[[str], None]) -> None:
        self.ended = False
        """Whether ``quit`` was given."""
        self._server = server
        self._loads = loads
        self._say = say
        self._undo: list[Callable[[], None]] = []

    def execute(self, line: str) -> None:
        """Execute one line and answer it."""
        try:
            answer = self._answer(line.split())
        except (HilError, ValueError) as refusal:
            answer = f"error {refusal}"
        self._say(answer)

    def put(self, fault: Fault) -> None:
        """Put a fault on; ``clear`` takes it away.

        Raises:
            HilError: for a fault neither the instrument nor its connection can have.
        """
        self._undo.append(self._server.apply(fault))

    def _answer(self, words: list[str]) -> str:
        match words:
            case ["fault", kind, *parameters]:
                self.put(fault_of(self._server.twin.name, kind, parameters))
                return f"fault {kind}"
            case ["clear"]:
                while self._undo:
                    self._undo.pop()()
                return "clear"
            case ["volts", port]:
                return f"volts {port} {self._loads.volts(port):.6f}"
            case ["amps", port]:
                return f"amps {port} {self._loads.amps(port):.6f}"
            case ["load", port, ohms]:
                self._loads.change(port, float(ohms))
                return f"load {port} {ohms}"
            case ["watch", port, volts]:
                self._loads.watch(port, float(volts), lambda side: self._say(f"watch {port} {side}"))
                return f"watch {port} {volts}"
            case ["clients"]:
                return f"clients {self._server.connections}"
            case ["quit"]:
                self.ended = True
                return "quit"
            case _:
                raise HilError(f"{' '.join(words)!r} is no command; see python -m hil.sim.scpi_server --help")


def fault_of(target: str, kind: str, parameters: list[str]) -> Fault:
    """A fault from its kind and its parameters as ``KEY=VALUE``.

    Raises:
        HilError: for a parameter without a value.

    >>> fault_of("psu", "stays_on", ["output=1"]).parameters
    {'output': 1}
    """
    values: dict[str, float | int | str | bool] = {}
    for parameter in parameters:
        key, equals, text = parameter.partition("=")
        if not equals:
            raise HilError(f"fault {kind} on {target}: {parameter!r} has no value; give it as KEY=VALUE")
        values[key] = _value(text)
    return Fault(target, kind, parameters=values)


def _value(text: str) -> float | int | str | bool:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
