"""The list of waveforms that a generator may be loaded with: made from a transcript, read by the gate."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from hil.errors import ConfigError
from hil.rig.commands import rig
from hil.rig.waveforms import listed, load_waveforms, loaded
from hil.visa.gate import Gate
from hil.visa.keysight_n5182b import KeysightN5182B

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = hashlib.sha256(b"abcd").hexdigest()
SEQUENCE = 'RAD:ARB:SEQ "SEQ:A","WFM1:H1",1,M1'
TRANSCRIPT = [
    f'0.1 s -> MEM:DATA "WFM1:H1",#14<sha256 {BLOCK}>',
    f"0.2 s -> {SEQUENCE}",
    "0.3 s -> POW -100.5",
    '0.4 s <- +0,"No error"',
]


def test_what_a_transcript_shows_to_have_been_loaded_passes_the_gate_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "waveforms.toml"
    path.write_text(listed(loaded(TRANSCRIPT, KeysightN5182B)))
    gate = Gate("siggen", KeysightN5182B, {}, sequences=load_waveforms(path))

    load = gate.rule(b'MEM:DATA "WFM1:H1",#14abcd')
    assert load.refusal == ""
    gate.passed(load)
    assert gate.rule(SEQUENCE.encode()).refusal == ""
    assert "not listed" in gate.rule(b'MEM:DATA "WFM1:H1",#14abce').refusal
    assert "not listed" in gate.rule(SEQUENCE.replace("1,M1", "2,M1").encode()).refusal


def test_the_command_prints_the_list_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "scpi").mkdir()
    (tmp_path / "scpi" / "siggen.log").write_text("\n".join(TRANSCRIPT))
    done = CliRunner().invoke(rig, ["waveforms", "rigs/sim.toml", str(tmp_path), "siggen"])

    assert done.exit_code == 0
    assert BLOCK in done.output
    assert CliRunner().invoke(rig, ["waveforms", "rigs/sim.toml", str(tmp_path), "psu"]).exit_code == 1


def test_a_run_that_played_what_the_rig_file_does_not_list_is_found(tmp_path: Path) -> None:
    (tmp_path / "scpi").mkdir()
    (tmp_path / "scpi" / "siggen.log").write_text("\n".join(TRANSCRIPT))
    done = CliRunner().invoke(rig, ["waveforms", "rigs/processes.toml", str(tmp_path), "siggen", "--check"])

    assert done.exit_code == 1
    assert BLOCK in done.output


def test_a_list_that_says_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "waveforms.toml"
    path.write_text('[waveforms]\na = "b"\n')
    with pytest.raises(ConfigError, match="waveform"):
        load_waveforms(path)
