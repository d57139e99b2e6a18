"""The README's first test does what the README says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SETS = re.search(r"--set (\S+)", README)


def run_first_test(folder: Path, *arguments: str) -> tuple[int, str]:
    """Save the README's test beside the launcher's conftest and qualify with it; exit code and output."""
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert block is not None
    (folder / "test_first.py").write_text(block[1])
    shutil.copy(ROOT / "tests" / "launcher" / "conftest.py", folder)
    command = [sys.executable, "-m", "hil.cli", "qualify", str(folder), "--rig", "rigs/sim.toml"]
    pytest_arguments = ["--", "-c", "pyproject.toml", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--run-folder", str(folder / "run"), *arguments, *pytest_arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_the_first_test_passes_on_the_simulated_rig(tmp_path: Path) -> None:
    code, text = run_first_test(tmp_path)
    assert code == 0, text
    assert (tmp_path / "run" / "report.html").is_file()


def test_the_first_test_fails_when_the_receiver_is_too_slow(tmp_path: Path) -> None:
    assert SETS is not None
    code, text = run_first_test(tmp_path, "--set", SETS[1])
    assert code == 1, text
    assert "fts.response_time" in text


@pytest.mark.parametrize("target", ["qualify", "test", "defects", "bench", "pictures"])
def test_every_command_the_readme_names_is_a_target_of_the_makefile(target: str) -> None:
    assert re.search(rf"^{target}: setup$", (ROOT / "Makefile").read_text(), re.MULTILINE)
