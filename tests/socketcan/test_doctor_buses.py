"""What the doctor finds of controllers on a real CAN stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from can_stack import bring_up, ip

from hil.doctor.buses import buses
from hil.rig.loader import load_rig

if TYPE_CHECKING:
    from pathlib import Path

RIG = '[rig]\nname = "b"\npace = "wall"\n[bus.b]\ninterface = "socketcan"\nchannel = "can0"\nbitrate_bps = 500000\n'


def test_a_controller_is_seen_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(RIG)
    file = load_rig(tmp_path / "b.toml")

    def found() -> dict[str, str]:
        return {finding.name: finding.state for finding in buses(file)}

    try:
        bring_up("can0", "restart-ms", "100")
        ip("link", "set", "can0", "txqueuelen", "1000")
        assert set(found().values()) == {"ok"}
        assert {"b bit rate", "b state", "b error counters", "b access"} <= found().keys()
        ip("link", "set", "can0", "down")
        assert found() == {"b bus": "fail"}
        ip("link", "set", "can0", "up", "type", "can", "bitrate", "250000", "restart-ms", "0")
        assert {name for name, state in found().items() if state != "ok"} == {"b bit rate", "b restart"}
    finally:
        ip("link", "set", "can0", "txqueuelen", "10")
        bring_up("can0", "restart-ms", "0")
