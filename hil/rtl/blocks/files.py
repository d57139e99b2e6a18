"""Files of ordinary cocotb tests: what is in them, read without importing them, so that pytest never loads cocotb.

A file ``cocotb_<block>.py`` says in constants what it tests: ``BLOCK``, the RTL file; ``AS_BUILT``, as-built data for
the parameters; ``SIMULATORS``, on which it runs; ``REQUIREMENTS``, what its tests verify; ``UPSETS``, whether they
reach the registers of ``[upsets]``; ``WALL_LIMIT_S``, how long one may take. docs/rtl-blocks.md tells it in full.
"""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final, TypeVar, cast

from hil.errors import ConfigError
from hil.rtl.tools import SIMULATORS, SimulatorName
from hil.toml_lines import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

PATTERN: Final = "cocotb_*.py"
"""Names of files of block tests."""

WALL_LIMIT_S: Final = 120.0
"""How long a block test may take unless its file says otherwise [s of wall time]."""

_DECORATORS = ("test", "parametrize", "skipif", "xfail")  # of cocotb; each of them makes a function a test
_CONSTANTS = ("BLOCK", "AS_BUILT", "SIMULATORS", "REQUIREMENTS", "UPSETS", "WALL_LIMIT_S")
_NAME_MAX = 10  # a longer text as a parameter is told by its index, as cocotb does

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class BlockTest:
    """One cocotb test, or one case of it.

    Args:
        function: name of its function.
        case: the parameters of the case as cocotb writes them, ``seed=3/depth=4``; "" for a test without, or for all
            cases at once when their values are not literals.
        title: first line of its docstring.
        line: where it stands.
        requirements: ids of the requirements it verifies.
        simulator: what it runs on.
    """

    function: str
    case: str
    title: str
    line: int
    requirements: tuple[str, ...]
    simulator: SimulatorName

    @property
    def name(self) -> str:
        """Its name among those of its file: ``test_order[icarus-seed=3]``."""
        return f"{self.function}[{'-'.join(filter(None, (self.simulator, self.case)))}]"

    @property
    def cocotb_name(self) -> str:
        """What cocotb calls it."""
        return "/".join(filter(None, (self.function, self.case)))


@dataclass(frozen=True, slots=True)
class BlockFile:
    """A file of cocotb tests.

    Args:
        path: the file.
        block: the RTL file of what is tested.
        as_built: as-built data for its parameters, or None.
        functions: names of all test functions in it.
        tests: every test on every simulator, in order of the source.
        upsets: whether they reach the registers of ``[upsets]``; the other simulators reach every register anyway.
        wall_limit_s: how long one may take [s of wall time].
    """

    path: Path
    block: Path
    as_built: Path | None
    functions: tuple[str, ...]
    tests: tuple[BlockTest, ...]
    upsets: bool
    wall_limit_s: float

    def seed(self, test: BlockTest) -> int:
        """The seed of a test when none is given: from its name, so that it is the same on every simulator."""
        digest = hashlib.sha256(f"{self.path.name}::{test.cocotb_name}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1


def read_blocks(path: Path) -> BlockFile:
    """Read a file of cocotb tests.

    Raises:
        ConfigError: when it is no Python, holds no test, or a constant is missing or no literal; with file and line.
    """
    source = _Source(path)
    functions = source.functions()
    if not functions:
        raise ConfigError(
            f"{path}: holds no cocotb test: no function at the top level has the decorator @cocotb.test()"
        )
    simulators = source.constant("SIMULATORS", (list, tuple), cast("Sequence[object]", ("icarus",)))
    wanted = source.requirements(functions)
    tests = [
        BlockTest(name, case, _title(function), function.lineno, wanted[name], simulator)
        for name, function in functions.items()
        for case in source.cases(function)
        for simulator in source.simulators(simulators)
    ]
    return BlockFile(
        path=path,
        block=source.file("BLOCK"),
        as_built=source.file("AS_BUILT") if source.constant("AS_BUILT", (str, type(None)), None) else None,
        functions=tuple(functions),
        tests=tuple(tests),
        upsets=source.constant("UPSETS", bool, default=False),
        wall_limit_s=float(source.constant("WALL_LIMIT_S", (int, float), WALL_LIMIT_S)),
    )


def _title(function: ast.AsyncFunctionDef) -> str:
    return (ast.get_docstring(function) or "").partition("\n")[0]


class _Source:
    """A file's syntax tree, and questions about it.

    Args:
        path: the file.

    Raises:
        ConfigError: when it cannot be read or is no Python.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._tree = ast.parse(path.read_bytes(), filename=str(path))
        except SyntaxError as error:
            raise ConfigError(f"{path}:{error.lineno}: is not Python: {error.msg}") from error
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read: {error}") from error
        self._names = dict(self._imported())
        self._assigned = dict(self._constants())

    def functions(self) -> dict[str, ast.AsyncFunctionDef]:
        """The test functions at the top level, by name.

        Raises:
            ConfigError: when one stands twice, or is no coroutine.
        """
        found: dict[str, ast.AsyncFunctionDef] = {}
        for node in self._tree.body:
            if not isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) or not self._decorators(node):
                continue
            if isinstance(node, ast.FunctionDef):
                raise ConfigError(
                    f"{self._path}:{node.lineno}: {node.name} is no coroutine; write async def {node.name}"
                )
            if node.name in found:
                first = found[node.name].lineno
                raise ConfigError(
                    f"{self._path}:{node.lineno}: {node.name} stands in line {first} too, which never runs"
                )
            found[node.name] = node
        return found

    def cases(self, function: ast.AsyncFunctionDef) -> list[str]:
        """The cases of a parametrized test, named as cocotb names them; [""] for all at once."""
        options: list[tuple[str, list[str]]] = []
        for name, call in self._decorators(function):
            if name != "parametrize" or call is None:
                continue
            if call.args or any(each.arg is None for each in call.keywords):
                return [""]
            for each in call.keywords:
                values = _literals(each.value)
                if values is None:
                    return [""]
                options.append((str(each.arg), _case_names(values)))
        if not options:
            return [""]
        ways = product(*([f"{name}={value}" for value in values] for name, values in options))
        return ["/".join(way) for way in ways]

    def constant(self, name: str, kinds: type | tuple[type, ...], default: Value) -> Value:
        """A constant of the file.

        Raises:
            ConfigError: when it is no literal, or of another kind.
        """
        node = self._assigned.get(name)
        if node is None:
            return default
        where = f"{self._path}:{node.lineno}: {name}"
        try:
            value: object = ast.literal_eval(node)
        except ValueError as error:
            raise ConfigError(f"{where} is no literal; it is read without running the file: write its value") from error
        if not isinstance(value, kinds):
            raise ConfigError(f"{where} = {value!r} has the wrong kind; docs/rtl-blocks.md tells what it may be")
        return cast("Value", value)

    def file(self, name: str) -> Path:
        """A file that a constant names, relative to this one.

        Raises:
            ConfigError: when the constant or the file is not there.
        """
        named = self.constant(name, str, "")
        if not named:
            raise ConfigError(
                f'{self._path}: {name} is missing; write {name} = "path/to/file.toml", relative to this file'
            )
        found = (self._path.parent / named).resolve()
        if not found.is_file():
            raise ConfigError(f"{self._path}:{self._assigned[name].lineno}: {name}: there is no file {named}")
        return found

    def simulators(self, named: Sequence[object]) -> Iterable[SimulatorName]:
        """The simulators a file names.

        Raises:
            ConfigError: for one that is not known, or none at all.
        """
        where = f"{self._path}:{self._assigned['SIMULATORS'].lineno}: SIMULATORS" if named != ("icarus",) else ""
        if not named:
            raise ConfigError(f"{where} is empty: its tests would never run")
        for each in named:
            if each not in SIMULATORS:
                raise ConfigError(f"{where}: {each!r} is not known{did_you_mean(str(each), SIMULATORS)}")
        return cast("Sequence[SimulatorName]", named)

    def requirements(self, functions: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
        """The requirements of every test: REQUIREMENTS is a list for all tests, or a table by test.

        Raises:
            ConfigError: when it names a test that is not there.
        """
        given = self.constant("REQUIREMENTS", (dict, list, tuple), cast("object", ()))
        if not isinstance(given, dict):
            return dict.fromkeys(functions, tuple(map(str, cast("Sequence[object]", given))))
        table = cast("dict[str, Sequence[str] | str]", given)
        for name in table:
            if name not in functions:
                line = self._assigned["REQUIREMENTS"].lineno
                raise ConfigError(
                    f"{self._path}:{line}: REQUIREMENTS: there is no test {name}{did_you_mean(name, functions)}"
                )
        listed = {name: (ids,) if isinstance(ids, str) else tuple(ids) for name, ids in table.items()}
        return {name: listed.get(name, ()) for name in functions}

    # -- the tree -----------------------------------------------------------------------------------------

    def _imported(self) -> Iterable[tuple[str, str]]:
        """Every name that means cocotb or something of it: local name, dotted name."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Import):
                yield from ((each.asname or each.name, each.name) for each in node.names if each.name == "cocotb")
            elif isinstance(node, ast.ImportFrom) and node.module == "cocotb":
                yield from ((each.asname or each.name, f"cocotb.{each.name}") for each in node.names)

    def _constants(self) -> Iterable[tuple[str, ast.expr]]:
        for node in self._tree.body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets: Sequence[ast.expr] = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [target.id for target in targets if isinstance(target, ast.Name)]
                yield from ((name, node.value) for name in names if name in _CONSTANTS)

    def _decorators(self, function: ast.AsyncFunctionDef | ast.FunctionDef) -> list[tuple[str, ast.Call | None]]:
        """The decorators of cocotb that a function has: name and call."""
        found: list[tuple[str, ast.Call | None]] = []
        for each in function.decorator_list:
            call = each if isinstance(each, ast.Call) else None
            name = self._dotted(each.func if isinstance(each, ast.Call) else each).removeprefix("cocotb.")
            if name in _DECORATORS:
                found.append((name, call))
        return found

    def _dotted(self, node: ast.expr) -> str:
        """The dotted name of an expression with cocotb's own names in it; "" for any other."""
        if isinstance(node, ast.Name):
            return self._names.get(node.id, "")
        if isinstance(node, ast.Attribute):
            inner = self._dotted(node.value)
            return f"{inner}.{node.attr}" if inner else ""
        return ""


def _literals(node: ast.expr) -> list[object] | None:
    """The values of a list, a tuple or a range that is written out; None for anything else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and not node.keywords:
        try:
            return list(range(*(int(ast.literal_eval(each)) for each in node.args)))
        except (ValueError, TypeError):
            return None
    try:
        value: object = ast.literal_eval(node)
    except ValueError:
        return None
    return list(cast("Sequence[object]", value)) if isinstance(value, list | tuple) else None


def _case_names(values: Sequence[object]) -> list[str]:
    """Values as cocotb writes them in a test's name: their text, or the index of all when one has no short text."""
    names: list[str] = []
    for value in values:
        if isinstance(value, str) and len(value) <= _NAME_MAX and value.isidentifier():
            names.append(value)
        elif isinstance(value, int | float | None):
            names.append(repr(value))
        else:
            return [str(index) for index in range(len(values))]
    return names
