"""Fetches canframelen.c of can-utils from the Debian archive and compiles it: the judge of our frame lengths.

    python tests/harness/canframelen_oracle.py

prints the path of the compiled library, or says on standard error why there is none. The source is kept in .tools/ and
is no part of this project. It is taken only when its checksum is the one below.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "2020.11.0"
SHA256 = "f7ace5d077bcb7f6f543c7965870be7d70c07ddd579e28aa8344b9bc7c7be6fe"
APT = Path("/etc/apt")
FOLDER = Path(__file__).parents[2] / ".tools" / f"can-utils-{VERSION}"
WANTED = ("canframelen.c", "canframelen.h", "include/linux/can.h")


def library() -> Path:
    """The compiled library; made when it is not there yet."""
    found = FOLDER / "canframelen.so"
    if not found.exists():
        FOLDER.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER.parent) as scratch:  # two test workers may be here at once
            built = _compile(_unpack(_fetch(Path(scratch)), Path(scratch) / "source"))
            FOLDER.mkdir(exist_ok=True)
            built.replace(found)
    return found


def _fetch(scratch: Path) -> Path:
    """The source package, through apt-get with lists of its own: needs no root and changes nothing of the machine's."""
    (scratch / "lists" / "partial").mkdir(parents=True)
    settings = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": _source_lists(scratch / "parts"),
        "Dir::State::lists": scratch / "lists",
        "Dir::Cache": scratch,
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Acquire::Retries": "0",
        "Acquire::http::Timeout": "10",
    }
    apt_get = ["apt-get", "-q", *(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))]
    _run([*apt_get, "update"], scratch)
    _run([*apt_get, "source", "--download-only", f"can-utils={VERSION}-1"], scratch)
    tarball = scratch / f"can-utils_{VERSION}.orig.tar.xz"
    found = hashlib.sha256(tarball.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(f"{tarball.name} has checksum {found}, not {SHA256}")
    return tarball


def _source_lists(folder: Path) -> Path:
    """The machine's own package lists, asked for sources instead of binaries."""
    folder.mkdir()
    for file in (APT / "sources.list", *(APT / "sources.list.d").glob("*")):
        if file.suffix in (".list", ".sources") and file.is_file():
            text = re.sub(r"^deb(?=\s)", "deb-src", file.read_text(), flags=re.MULTILINE)
            (folder / file.name).write_text(re.sub(r"^Types:.*", "Types: deb-src", text, flags=re.MULTILINE))
    return folder


def _unpack(tarball: Path, folder: Path) -> Path:
    with tarfile.open(tarball) as archive:
        for name in WANTED:
            member = archive.extractfile(f"can-utils-{VERSION}/{name}")
            assert member is not None
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(member.read())
    return folder


def _compile(folder: Path) -> Path:
    built = folder / "canframelen.so"
    _run(["gcc", "-O2", "-shared", "-fPIC", "-Iinclude", "-o", built.name, "canframelen.c"], folder)
    return built


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        sys.exit(f"{command[0]}: {problem}")
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        sys.exit(f"{command[0]} failed: {' '.join(last)}")


if __name__ == "__main__":
    print(library())
