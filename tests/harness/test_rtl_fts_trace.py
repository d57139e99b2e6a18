"""The receiver's RTL does the same on every simulator and when repeated, to the byte of its waveform."""

from __future__ import annotations

import hashlib

from rtl_fts_world import ARM, TERMINATE, TONES_HZ, rtl_world

from hil.units import ms

EDGE_KHZ, NOISE_KHZ, LSB_PER_KHZ = 14.0, 10.0, 40.0  # as strong as a filter may or may not take, in noise


def waveform(folder, simulator, *, seed=1):
    """What went over its ports while it armed, heard every tone at the edge of what it takes, and terminated."""
    with rtl_world(folder, simulator, sets=["dut.fts_a.as_built.warm_up_ms=5"], seed=seed) as world:
        world.burst(*ARM, duration_ns=25 * ms)
        edge = [(hz, EDGE_KHZ * LSB_PER_KHZ) for hz in TONES_HZ.values()]
        world.board.fpga.tones("audio", edge, noise_lsb=NOISE_KHZ * LSB_PER_KHZ)
        world.clock.sleep(60 * ms)
        world.burst(*TERMINATE, duration_ns=25 * ms)
        assert world.on == {"arm", "terminate", "shutdown"}
        return world.rig.traces["fts_a"].vcd()


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_response_is_the_same_on_icarus_and_verilator_and_when_repeated(tmp_path, hdl):
    runs = [waveform(tmp_path, hdl(simulator)) for simulator in ("icarus", "verilator", "verilator")]
    assert len({digest(run) for run in runs}) == 1


def test_another_seed_gives_other_noise_and_so_another_response(tmp_path, hdl):
    assert digest(waveform(tmp_path, hdl("verilator"))) != digest(waveform(tmp_path, hdl("verilator"), seed=2))
