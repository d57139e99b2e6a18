"""Calibrated paths: on one net, or across one article that lies between two nets."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.errors import ConfigError
from hil.rig.loader import load_rig

RIG = """\
[rig]
name = "small"

[instrument.siggen]
driver = "drivers:Generator"
model = "twins:Generator"

[dut.channel]
model = "models:Channel"

[dut.receiver]
model = "models:Receiver"

[net.uplink]
pins = ["siggen.rf", "channel.air"]

[net.feed]
pins = ["channel.feed", "receiver.rf"]

[path.uplink]
from = "siggen.rf"
to = "receiver.rf"
loss_db = 6.2
uncertainty_db = 0.3
date = 2026-03-02
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(text):
    Path("small.toml").write_text(text)
    return load_rig("small.toml")


def test_a_path_may_cross_an_article_that_is_on_both_nets():
    assert load(RIG).path["uplink"].loss_db == 6.2


def test_a_path_between_nets_that_share_no_article_is_refused():
    with pytest.raises(ConfigError, match="a path lies on one net, or on two with an article between them"):
        load(RIG.replace("channel.feed", "siggen.monitor"))
