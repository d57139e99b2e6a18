"""Reads a rig file, the file it extends and the ``--set`` arguments into one checked :class:`~hil.rig.model.RigFile`.

Loading is pure reading: no driver is imported, no bus is opened. Every mistake is collected, and each message
names file, line, key and remedy.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from pydantic import ValidationError

from hil.errors import ConfigError
from hil.rig.checks import cross_check
from hil.rig.hazard_checks import loosened
from hil.rig.model import Place, RigFile, SourceFile
from hil.rig.refusals import existing, in_words, key_names, misspelt
from hil.rig.tables import ALTERNATIVES, NAMED_TABLES, NAMES_IN_BASE, OVERLAY_KEYS, PATH_KEYS, TABLES, Tables
from hil.toml_lines import did_you_mean, dotted, load_toml

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

Keys = tuple[str, ...]
_Tree = dict[str, object]


class _Layer(NamedTuple):
    """One file: its tree, and the line of each of its keys."""

    file: Path
    tree: _Tree
    line: Callable[..., int]


def load_rig(path: Path | str, sets: Sequence[str] = ()) -> RigFile:
    """Read and check a rig file.

    Args:
        path: the rig file; what it extends is found relative to it.
        sets: ``KEY=VALUE`` arguments; they are recorded and make the run a development run.

    Raises:
        ConfigError: with one line per mistake: file, line, key, what is wrong and what to do.
    """
    layers = _read_layers(Path(path))
    merge = _Merge()
    for layer in layers:
        merge.add(layer, base=layers[0].file)
    for text in sets:
        merge.set(text)
    tables = _validate(merge, layers[0].file)
    for keys, text in [*cross_check(tables), *loosened(tables, merge.places, merge.lowered)]:
        merge.problem(merge.where(keys), text)
    as_built = _as_built(tables, merge)
    vehicle = _vehicle(tables, merge)
    merge.stop()
    files = [layer.file for layer in layers]
    return RigFile(
        file=Path(path),
        tables=tables,
        as_built=as_built,
        vehicle=vehicle,
        sources=tuple(_sources(Path(path).parent, [*files, *_named_files(tables)])),
        sets=tuple(sets),
        places=merge.places,
    )


def _read_layers(path: Path) -> list[_Layer]:
    """The file and everything it extends, the base first."""
    layers: list[_Layer] = []
    while True:
        if any(layer.file == path for layer in layers):
            raise ConfigError(
                f"{path.as_posix()}: extends leads back to this file; a base extends nothing that needs it"
            )
        layer = _read(path)
        layers.insert(0, layer)
        extends = layer.tree.pop("extends", None)
        if extends is None:
            return layers
        where = f"{path.as_posix()}:{layer.line('extends')}"
        if not isinstance(extends, str):
            raise ConfigError(f"{where}: extends is {extends!r}; it names one file, relative to this one")
        path = _beside(path, extends)
        if not path.is_file():
            raise ConfigError(
                f"{where}: extends: there is no file {path.as_posix()}; the name is relative to this file{_like(path)}"
            )


def _read(path: Path) -> _Layer:
    if not path.is_file():
        raise ConfigError(f"{path.as_posix()}: there is no such rig file{_like(path)}")
    tree, lines = load_toml(path)
    return _Layer(path, tree, lines.of)


def _like(path: Path) -> str:
    """The TOML files that stand where ``path`` was looked for, as the end of a message."""
    return did_you_mean(path.name, (other.name for other in path.parent.glob("*.toml")))


def _beside(file: Path, name: str) -> Path:
    return Path(os.path.normpath(file.parent / name))


def _paths_beside(file: Path, value: object) -> object:
    """A path, or a list of them, as it is named in a file; what is no path is left for the model to refuse."""
    if isinstance(value, list):
        return [_paths_beside(file, each) for each in cast("list[object]", value)]
    return _beside(file, value) if isinstance(value, str) else value


class _Merge:
    """The layers put on top of each other, with the place of every key and the mistakes found so far."""

    def __init__(self) -> None:
        self.tree: _Tree = {}
        self.places: dict[Keys, Place] = {}
        self.as_built: dict[str, list[tuple[Keys, object, Place]]] = {}
        self.vehicle: list[tuple[Keys, object, Place]] = []
        self.lowered: set[Keys] = set()
        """Hazards that a later layer calls smaller."""
        self._problems: dict[tuple[bool, str, int, str], None] = {}
        self.top = Path()

    # -- mistakes -----------------------------------------------------------------------------------------

    def problem(self, where: Place, text: str) -> None:
        """Note a mistake; loading goes on to find the others."""
        self._problems[where.line is None, where.file, where.line or 0, text] = None

    def refusal(self) -> ConfigError:
        """What was found, by file and line, the command line last."""
        lines = (f"{Place(file, line or None)}: {text}" for _, file, line, text in sorted(self._problems))
        return ConfigError("\n".join(lines))

    def stop(self) -> None:
        """Raise what was found.

        Raises:
            ConfigError: when there was a mistake.
        """
        if self._problems:
            raise self.refusal()

    def where(self, keys: tuple[str | int, ...]) -> Place:
        """The place of a key, or of the nearest table around it."""
        for length in range(len(keys), 0, -1):
            place = self.places.get(cast("Keys", keys[:length]))
            if place is not None:
                return place
        return Place(self.top.as_posix())

    # -- files --------------------------------------------------------------------------------------------

    def add(self, layer: _Layer, base: Path) -> None:
        """Put a file on top of what is there; a file above the base may fill transport keys only."""
        self.top = layer.file
        overlay = layer.file != base
        for keys, content in _tables_of(layer.tree):
            if overlay and keys[0] in NAMES_IN_BASE and not self._holds(keys):
                known = self._at(keys[:-1]) or {}
                self.problem(
                    Place(layer.file.as_posix(), layer.line(*keys)),
                    f"{dotted(keys)} is not in {base.as_posix()}, where names stand, once"
                    f"{did_you_mean(keys[-1], known)}",
                )
            elif isinstance(content, dict):
                table = cast("_Tree", content)
                self._put(keys, {}, layer)
                self._drop_alternatives(keys, table)
                for key, value in table.items():
                    self._fill((*keys, key), value, layer, base if overlay else None)
            else:
                self._put(keys, content, layer)

    def _fill(self, keys: Keys, value: object, layer: _Layer, base: Path | None) -> None:
        table, key = keys[0], keys[-1]
        fillable = OVERLAY_KEYS.get(table, frozenset[str]())
        if base is not None and table in TABLES and key in key_names(TABLES[table]) and key not in fillable:
            may = f"it may fill {', '.join(sorted(fillable))}" if fillable else "it may fill nothing here"
            self.problem(
                Place(layer.file.as_posix(), layer.line(*keys)),
                f"{dotted(keys)} belongs in {base.as_posix()}: a file that extends another fills transport keys "
                f"only; in [{dotted(keys[:-1])}] {may}",
            )
            return
        if key in PATH_KEYS.get(table, frozenset()):
            value = _paths_beside(layer.file, value)
        self._put(keys, value, layer)

    def _put(self, keys: Keys, value: object, layer: _Layer) -> None:
        """Put a value in; tables are joined key by key, everything else is replaced."""
        before = (self._at(keys[:-1]) or {}).get(keys[-1])
        if (
            keys[0] in ("instrument", "bus")
            and keys[-1] == "hazard"
            and isinstance(before, int)
            and isinstance(value, int)
        ):
            self.lowered |= {keys} if value < before else set()
        for inner in _keys_below(keys, value):
            self.places[inner] = Place(layer.file.as_posix(), layer.line(*inner))
        _join(self.tree, keys, value)

    def _drop_alternatives(self, keys: Keys, given: Collection[str]) -> None:
        """A layer that says how a part is realised takes the place of what an earlier one said."""
        alternatives = ALTERNATIVES.get(keys[0], frozenset[str]())
        table = self._at(keys)
        if "process" in given:
            return  # another program runs the model, and resource says where it answers
        if table is not None and not alternatives.isdisjoint(given):
            for key in alternatives & table.keys():
                del table[key]
                del self.places[*keys, key]

    def _at(self, keys: Keys) -> _Tree | None:
        """The table at ``keys``, if there is one."""
        table = self.tree
        for key in keys:
            inner = table.get(key)
            if not isinstance(inner, dict):
                return None
            table = cast("_Tree", inner)
        return table

    def _holds(self, keys: Keys) -> bool:
        parent = self._at(keys[:-1])
        return parent is not None and keys[-1] in parent

    # -- the command line ---------------------------------------------------------------------------------

    def set(self, text: str) -> None:
        """Apply one ``KEY=VALUE``.

        Raises:
            ConfigError: when it is not of that form.
        """
        keys, value = _parse_set(text)
        place = Place(f"--set {text}")
        problem = self._unnamed(keys)
        if problem:
            self.problem(place, problem)
            return
        match keys:
            case ("dut", name, "as_built", _, *_):
                self.as_built.setdefault(name, []).append((keys[3:], value, place))
                return
            case ("plant", "vehicle", _, *_):
                self.vehicle.append((keys[2:], value, place))
                return
            case ("net", name, ("loss_db" | "ohms") as key, _, _, *_):
                keys = ("net", name, key, ".".join(keys[3:]))  # the shell took the quotes of a pin name away
            case (("instrument" | "dut") as table, name, key):
                self._drop_alternatives((table, name), {key})
            case _:
                pass
        if keys[-1] in PATH_KEYS.get(keys[0], frozenset()):
            value = _paths_beside(self.top, value)
        for inner in _keys_below(keys, value):
            self.places[inner] = place
        _join(self.tree, keys, value)

    def _unnamed(self, keys: Keys) -> str | None:
        """What is wrong with the table and name of a key; None when the rig has them."""
        if keys[0] not in TABLES:
            return f"{dotted(keys)} is not known{did_you_mean(keys[0], TABLES)}"
        if keys[0] not in NAMED_TABLES:
            return None if keys[1:] else f"{dotted(keys)} is a table; set one of its keys"
        if not keys[2:]:
            return f"{dotted(keys)} is a table; set one of its keys"
        if not self._holds(keys[:2]):
            return f"{dotted(keys[:2])} is not a name of this rig{did_you_mean(keys[1], self._at(keys[:1]) or {})}"
        return None


def _tables_of(tree: _Tree) -> Iterator[tuple[Keys, object]]:
    """Every table of a file with its keys: ("rig",), ("bus", "bus_a"), ..."""
    for table, content in tree.items():
        if table in NAMED_TABLES and isinstance(content, dict):
            for name, inner in cast("_Tree", content).items():
                yield (table, name), inner
        else:
            yield (table,), content


def _keys_below(keys: Keys, value: object) -> Iterator[Keys]:
    yield keys
    if isinstance(value, dict):
        for key, inner in cast("_Tree", value).items():
            yield from _keys_below((*keys, key), inner)


def _join(tree: _Tree, keys: Keys, value: object) -> None:
    """Put ``value`` at ``keys``; a table joins the one that is there, and its keys replace."""
    for key in keys[:-1]:
        inner = tree.get(key)
        if not isinstance(inner, dict):
            inner = tree[key] = dict[str, object]()
        tree = cast("_Tree", inner)
    last = keys[-1]
    if not isinstance(value, dict):
        tree[last] = value
        return
    if not isinstance(tree.get(last), dict):
        tree[last] = dict[str, object]()
    for key, inner in cast("_Tree", value).items():
        _join(cast("_Tree", tree[last]), (key,), inner)


def _parse_set(text: str) -> tuple[Keys, object]:
    """Keys and value of ``KEY=VALUE``; a value that is not TOML is taken as text.

    >>> _parse_set('net.uplink.loss_db."fts_a.rf"=5')
    (('net', 'uplink', 'loss_db', 'fts_a.rf'), 5)
    >>> _parse_set("rig.pace=wall")
    (('rig', 'pace'), 'wall')
    """
    match = re.fullmatch(r"((?:[^=\"']|\"[^\"]*\"|'[^']*')+)=(.*)", text, re.DOTALL)
    if match is None:
        raise ConfigError(f"--set {text}: write KEY=VALUE, for example --set dut.fts_a.as_built.arm_threshold_dbm=-100")
    try:
        node: object = tomllib.loads(f"{match[1]} = 0")
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"--set {text}: {match[1]!r} is not a dotted key: {problem}") from None
    keys: list[str] = []
    while isinstance(node, dict):
        ((key, node),) = cast("_Tree", node).items()
        keys.append(key)
    try:
        value: object = tomllib.loads(f"value = {match[2]}")["value"]
    except tomllib.TOMLDecodeError:
        value = match[2]
    return tuple(keys), value


def _validate(merge: _Merge, base: Path) -> Tables:
    """The merged tree as models.

    Raises:
        ConfigError: with everything the models refuse, and what was found before.
    """
    top = merge.top.as_posix()
    if "rig" not in merge.tree and merge.tree.keys() <= TABLES.keys():
        text = f'there is no [rig] table: this is a base; check a file that says extends = "{merge.top.name}"'
        merge.problem(Place(top), text)
        raise merge.refusal()
    try:
        return Tables.model_validate(merge.tree)
    except ValidationError as refused:
        errors = refused.errors(include_url=False)
    unknown = {error["loc"] for error in errors if error["type"] == "extra_forbidden"}
    for error in errors:
        keys = tuple(key for key in error["loc"] if key != "[key]")
        if error["type"] == "missing" and misspelt(keys, unknown):
            continue
        if error["type"] not in {"missing", "extra_forbidden"}:
            keys = existing(merge.tree, keys)
        merge.problem(merge.where(keys), in_words(error, keys, base=base.as_posix(), top=top))
    raise merge.refusal()


# -- the files a rig names --------------------------------------------------------------------------------


def _named_files(tables: Tables) -> list[Path]:
    """Every file the rig names, in the order of its tables."""
    files = [bus.database for bus in tables.bus.values()]
    files += [file for dut in tables.dut.values() for file in (dut.as_built, dut.rtl)]
    files += [tables.plant.vehicle] if tables.plant is not None else []
    files += tables.rtl.block_designs
    files += [file for instrument in tables.instrument.values() for file in instrument.sequences or ()]
    return [file for file in files if file is not None]


def _sources(folder: Path, files: Sequence[Path]) -> Iterator[SourceFile]:
    for file in dict.fromkeys(files):
        name = Path(os.path.relpath(file, folder)).as_posix()
        yield SourceFile(name, file, hashlib.sha256(file.read_bytes()).hexdigest())


def _as_built(tables: Tables, merge: _Merge) -> dict[str, _Tree]:
    """What each article is, from its as-built file and what ``--set`` changed of it."""
    trees: dict[str, _Tree] = {}
    for name, dut in tables.dut.items():
        tree: _Tree = {}
        if dut.as_built is not None and dut.as_built.is_file():
            tree = load_toml(dut.as_built)[0]
        for keys, value, place in merge.as_built.get(name, []):
            if dut.as_built is None:
                merge.problem(place, f"dut.{name} has no as_built file; there is nothing to change in it")
            else:
                problem = _change(tree, keys, value)
                if problem:
                    merge.problem(place, f"{dut.as_built.as_posix()}: {problem}")
        trees[name] = tree
    return trees


def _vehicle(tables: Tables, merge: _Merge) -> _Tree:
    """What the plant's vehicle file says, and what ``--set`` changed of it."""
    file = None if tables.plant is None else tables.plant.vehicle
    tree: _Tree = load_toml(file)[0] if file is not None and file.is_file() else {}
    for keys, value, place in merge.vehicle:
        problem = _change(tree, keys, value) if file is not None else "the rig has no plant with a vehicle file"
        if problem:
            merge.problem(place, problem if file is None else f"{file.as_posix()}: {problem}")
    return tree


def _change(tree: _Tree, keys: Keys, value: object) -> str | None:
    """Change one as-built value in place; what is wrong with that, or None."""
    for depth, key in enumerate(keys):
        if key not in tree:
            return f"{dotted(keys[: depth + 1])} is not known{did_you_mean(key, tree)}"
        inner = tree[key]
        if depth < len(keys) - 1:
            if not isinstance(inner, dict):
                return f"{dotted(keys[: depth + 1])} is {inner!r}, not a table; it has no {keys[depth + 1]}"
            tree = cast("_Tree", inner)
            continue
        if not _same_kind(inner, value):
            return f"{dotted(keys)} is {inner!r}; {value!r} is not of that kind"
        tree[key] = value
    return None


def _same_kind(old: object, new: object) -> bool:
    number = isinstance(old, int | float) and not isinstance(old, bool)
    if number:
        return isinstance(new, int | float) and not isinstance(new, bool)
    return type(old) is type(new)
