"""A small suite in a folder of its own, run by pytest as a child process: what the plugin's tests look at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

RIG = '[rig]\nname = "empty"\n'
PROFILE = """[profile]
name = "box specification"
edition = "1"
status = "for the harness's own tests"

[limit."box.volts"]
unit = "V"
clause = "3.1"
source = "notional design value"
grade = "D"
low = 24.0
high = 36.0
uncertainty = 0.1
family = [26.0, 36.0]
"""


@dataclass(frozen=True)
class Ran:
    """What a child run printed, its exit code, and its folder."""

    code: int
    text: str
    folder: Path

    @property
    def documents(self) -> list[dict[str, object]]:
        """Every document of the run's evidence."""
        return [json.loads(line) for line in (self.folder / "events.jsonl").read_text().splitlines()]

    def verdict(self, test: str) -> str:
        """The recorded verdict of one test."""
        index = next(n for n, doc in enumerate(self.documents) if str(doc.get("nodeid", "")).endswith(f"::{test}"))
        stops = [doc for doc in self.documents[index:] if doc["doc"] == "stop"]
        return str(stops[0]["verdict"])


class Suite:
    """A folder with a rig, a profile and tests."""

    def __init__(self, folder: Path, tests: str, rig: str = RIG) -> None:
        self.folder = folder
        (folder / "test_box.py").write_text(tests)
        (folder / "rig.toml").write_text(rig)
        (folder / "box.toml").write_text(PROFILE)
        (folder / "pytest.ini").write_text("[pytest]\nhil_profiles = box.toml\n")

    def run(self, *arguments: str, rig: bool = True, run_folder: str = "run", **environment: str) -> Ran:
        """Run it."""
        on_rig = ["--rig", "rig.toml", "--run-folder", run_folder] if rig else []
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *on_rig, *arguments],
            cwd=self.folder,
            env=os.environ | {"COLUMNS": "160"} | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return Ran(done.returncode, done.stdout + done.stderr, self.folder / run_folder)
