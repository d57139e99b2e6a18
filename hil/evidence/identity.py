"""The identity of a run: everything that differs from run to run and so must stay out of ``events.jsonl``."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from hil.clock import utc_now
from hil.errors import EvidenceError
from hil.evidence.chain import file_hash
from hil.evidence.documents import Document, Json, decode, encode, plain
from hil.evidence.folder import IDENTITY, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

_PACKAGES = (
    "hil", "pytest", "pytest-xdist", "numpy", "python-can", "cantools", "pyvisa", "pydantic", "jinja2", "cocotb",
)  # fmt: skip
_GIT_PATIENCE_S = 10


def collect_identity(*, rig_file: Path | None = None, rig: Mapping[str, object] | None = None) -> Document:
    """What this process knows about itself: stamps, host, versions, paths, git, rig file, command line.

    Args:
        rig_file: the rig file, whose hash is taken.
        rig: what the opened rig says of itself: name, instruments with IDN, serial and calibration, articles.

    Raises:
        EvidenceError: when the rig file cannot be read.
    """
    identity: Document = {
        "started_utc": utc_now(),
        "host": {
            "name": platform.node(),
            "system": platform.platform(),
            "processors": os.cpu_count() or 0,
        },
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": _versions(),
        "command": [str(argument) for argument in sys.argv],
        "folder": str(Path.cwd()),
        "git": _git(Path.cwd()),
    }
    described: Document = {key: plain(value, f"rig.{key}") for key, value in (rig or {}).items()}
    if rig_file is not None:
        try:
            described |= {"file": str(rig_file), "sha256": file_hash(rig_file)}
        except OSError as error:
            raise EvidenceError(f"{rig_file}: cannot be read: {error.strerror}; name the rig file") from error
    if described:
        identity["rig"] = described
    return identity


def write_identity(run_dir: Path, identity: Mapping[str, object]) -> None:
    """Write ``identity.json``, or add to it what was not known at the start (``finished_utc``).

    Args:
        run_dir: the run folder; it is made when it is not there.
        identity: fields from :func:`collect_identity` and others; a field that is there already is replaced.

    Raises:
        EvidenceError: when it cannot be written, or the file that is there cannot be read.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvidenceError(f"{run_dir}: cannot be made: {error.strerror}; check the path and the rights") from error
    known = read_identity(run_dir)
    known.setdefault("run", run_dir.resolve().name)  # so that a copy under another name is still this run
    known |= {key: plain(value, f"identity.{key}") for key, value in identity.items()}
    write_whole(run_dir / IDENTITY, encode(known))


def read_identity(run_dir: Path) -> Document:
    """The identity of a run; empty when there is no such file.

    Raises:
        EvidenceError: when the file is not what :func:`write_identity` writes.
    """
    path = run_dir / IDENTITY
    try:
        return decode(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise EvidenceError(f"{path}: is not a document: {error}; `hil verify` tells what was edited") from error


def _versions() -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _git(folder: Path) -> Json:
    """Revision and state of the checkout, or None outside of one."""
    git = shutil.which("git")
    if git is None:
        return None
    said: list[str] = []
    for arguments in (("rev-parse", "HEAD"), ("status", "--porcelain")):
        try:
            done = subprocess.run(
                [git, "-C", str(folder), *arguments],
                capture_output=True,
                check=True,
                text=True,
                timeout=_GIT_PATIENCE_S,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        said.append(done.stdout.strip())
    return {"revision": said[0], "modified": bool(said[1])}
