"""The command tree: declared headers with short and long mnemonics, optional nodes and numeric suffixes."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from hil.visa.scpi.errors import ScpiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hil.visa.scpi.engine import Result
    from hil.visa.scpi.parameters import Parameter
    from hil.visa.scpi.parser import Unit

_NODE = re.compile(r"(?P<open>\[)?:?(?P<name>\*?[A-Za-z]+\d*)(?P<suffix>#)?:?(?P<close>\])?")
_SHORT = re.compile(r"\*?[A-Z0-9]+")
_DIGITS = re.compile(r"(.*?)(\d+)$", re.DOTALL)


class Mnemonic(NamedTuple):
    """One node of a header declaration."""

    short: str
    long: str
    optional: bool
    numbered: bool


class Command(NamedTuple):
    """What a header does: its parameters and the function that gets suffixes and parameters in order."""

    pattern: str
    parameters: tuple[Parameter[object], ...]
    run: Callable[..., Result]
    suffix_max: int = 1
    indefinite: bool = False
    """Whether the response ends only with the message (``*IDN?``), so that no query may follow it."""


@cache  # every world builds the trees of its instruments anew, from the same declarations
def mnemonics(pattern: str) -> tuple[Mnemonic, ...]:
    """The nodes of a header declaration such as ``[SOURce:]VOLTage[:LEVel]``; ``#`` marks a numeric suffix.

    Raises:
        ValueError: for a declaration that is not of this form.
    """
    nodes: list[Mnemonic] = []
    position = 0
    body = pattern.removesuffix("?")
    while position < len(body):
        match = _NODE.match(body, position)
        if match is None or (match["open"] is None) != (match["close"] is None):
            raise ValueError(f"{pattern!r}: not a header declaration at character {position}")
        name = match["name"]
        short = _SHORT.match(name)
        if short is None:
            raise ValueError(f"{pattern!r}: {name!r} has no short form in capitals")
        nodes.append(Mnemonic(short.group(), name.upper(), match["open"] is not None, match["suffix"] is not None))
        position = match.end()
    return tuple(nodes)


def short_header(pattern: str, suffix: int = 1) -> str:
    """The shortest header that names a declaration; what drivers send.

    >>> short_header("[SOURce:]VOLTage[:LEVel]:PROTection")
    'VOLT:PROT'
    """
    nodes = [node for node in mnemonics(pattern) if not node.optional]
    return ":".join(node.short + (str(suffix) if node.numbered and suffix != 1 else "") for node in nodes)


class _Node:
    """A place in the tree; the same mnemonic reached with and without an optional node is two places."""

    __slots__ = ("children", "command", "numbered", "query")

    def __init__(self, *, numbered: bool = False) -> None:
        self.children: dict[str, _Node] = {}
        self.command: Command | None = None
        self.query: Command | None = None
        self.numbered = numbered


class Tree:
    """All headers an instrument understands."""

    def __init__(self) -> None:
        self._root = _Node()
        self._common: dict[str, Command] = {}

    def add(self, command: Command) -> None:
        """Add one command; a pattern that ends in ``?`` is its query form.

        Raises:
            ValueError: when the header, or a part that would be read as it, is taken already.
        """
        query = command.pattern.endswith("?")
        nodes = mnemonics(command.pattern)
        if nodes[0].short.startswith("*"):
            name = nodes[0].long + ("?" if query else "")
            if name in self._common:
                raise ValueError(f"{command.pattern!r} is declared twice")
            self._common[name] = command
            return
        for leaf in self._leaves(self._root, nodes):
            if (leaf.query if query else leaf.command) is not None:
                raise ValueError(f"{command.pattern!r} is declared twice")
            if query:
                leaf.query = command
            else:
                leaf.command = command

    def _leaves(self, node: _Node, nodes: tuple[Mnemonic, ...]) -> Iterator[_Node]:
        """Every place the declaration ends at, made on the way: with and without each optional node."""
        if not nodes:
            yield node
            return
        first, rest = nodes[0], nodes[1:]
        child = node.children.get(first.long)
        if child is None:
            child = _Node(numbered=first.numbered)
            node.children[first.long] = child
            node.children[first.short] = child
        yield from self._leaves(child, rest)
        if first.optional and (rest or node is not self._root):
            yield from self._leaves(node, rest)

    def resolver(self) -> Resolver:
        """A resolver for one program message; it holds the path that ``;`` remembers."""
        return Resolver(self._root, self._common)


class Resolver:
    """Finds the command of each unit of one program message; remembers the header path between them."""

    def __init__(self, root: _Node, common: dict[str, Command]) -> None:
        self._root = root
        self._path = root
        self._common = common

    def find(self, unit: Unit) -> tuple[Command, tuple[int, ...]]:
        """The command of a unit and the numeric suffixes in its header.

        Raises:
            ScpiError: -113 for a header that is not declared, -114 for a suffix out of range.
        """
        if unit.common:
            command = self._common.get("*" + unit.path[0] + ("?" if unit.query else ""))
            if command is None:
                raise ScpiError(-113, unit.header)
            return command, ()
        node = self._root if unit.absolute else self._path
        parent, suffixes = node, list[int]()
        for mnemonic in unit.path:
            parent = node
            node = self._child(parent, mnemonic, suffixes, unit)
        self._path = parent
        command = node.query if unit.query else node.command
        if command is None:
            raise ScpiError(-113, unit.header)
        if any(not 1 <= suffix <= command.suffix_max for suffix in suffixes):
            raise ScpiError(-114, unit.header)
        return command, tuple(suffixes)

    @staticmethod
    def _child(parent: _Node, mnemonic: str, suffixes: list[int], unit: Unit) -> _Node:
        child = parent.children.get(mnemonic)
        if child is not None:
            if child.numbered:
                suffixes.append(1)
            return child
        match = _DIGITS.match(mnemonic)
        child = None if match is None else parent.children.get(match[1])
        if child is None or match is None:
            raise ScpiError(-113, unit.header)
        if not child.numbered:
            raise ScpiError(-114, unit.header)
        suffixes.append(int(match[2]))
        return child
