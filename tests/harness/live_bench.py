"""A rig with live lines, its register, and grants that are valid now, made for one test."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from authority_bench import ACTION, KEYS, write_register

from hil.clock import utc_now
from hil.safety.grant import Grant
from hil.safety.keys import SigningKey
from hil.signal import HIGH
from hil.units import ms

if TYPE_CHECKING:
    from hil.rig.world import Rig

ROOT = Path(__file__).parents[2]
LIVE = ROOT / "rigs" / "live_fts.toml"
BOTH = ("Ada Marsh", "Bo Lind")


def live_rig(folder: Path) -> Path:
    """The reference rig with live lines, and a register of Ada and Bo."""
    write_register(folder)
    file = folder / "live_bench.toml"
    file.write_text(f'extends = "{LIVE}"\n[safety]\nauthority = "authority.toml"\n')
    return file


def granted(
    *signers: str,
    rig: str = "live_fts",
    action: str = ACTION,
    interlock: str = "arming_plug",
    begins_s: int = -60,
    lasts_s: int = 1800,
) -> Grant:
    """A grant from a minute ago on, signed by these persons, or by both."""
    now = datetime.fromisoformat(utc_now())
    made = Grant.request(
        rig,
        action,
        begins=now + timedelta(seconds=begins_s),
        lasts=timedelta(seconds=lasts_s),
        reason="test of live lines",
        interlock=interlock,
    )
    for name in signers or BOTH:
        made = made.signed(name, SigningKey(KEYS[name]))
    return made


def close_the_chain(rig: Rig) -> None:
    """Give the safety chain its control supply and its pulses, and wait for its contactor."""
    rig.pulse_timer()
    rig.card("stand").switch("do_safety_chain_power", on=True)
    rig.card("stand").level("di_contactor").expect(HIGH, within=500 * ms)
