"""Bindings: how the ports of an FPGA meet the pins of the rig, and the peripherals that live inside the simulator."""

from __future__ import annotations

import math

import numpy as np
import pytest
from rtl_bench import bench, on_icarus
from rtl_world import connect

from hil.errors import HilError, RtlError
from hil.rtl.peer_words import measured_pwm
from hil.units import ms, us

BYTE_NS = 10 * us  # a byte at 1 Mbit/s


@pytest.fixture
def console(tmp_path, simulator):
    with bench(tmp_path, "console", simulator, watch=("code0_o", "code1_o")) as box:
        for pin in ("key", "dial", "lamp", "heater", "sensor_a", "sensor_b"):
            setattr(box, pin, connect(box.rig, pin))
        box.lamp.load(100.0)
        box.heater.load(1e6)
        box.clock.sleep(1 * ms)
        yield box


def level(box):
    """What the FPGA last sampled."""
    bits = box.fpga.peek("level_q")
    return int(bits, 2) - (int(bits[0]) << 12)


# -- discretes --------------------------------------------------------------------------------------------------


def test_a_discrete_input_reaches_a_discrete_output_through_the_pins(console):
    edges = []
    console.lamp.on_change(lambda: edges.append((console.clock.now, round(console.lamp.volts))))
    console.key.drive(28.0, 1.0)
    console.clock.sleep(1 * ms)
    console.key.drive(3.0, 1.0)  # below the threshold of 10 V
    console.clock.sleep(1 * ms)
    assert edges == [(1_000_175, 28), (2_000_175, 0)]


@on_icarus
def test_a_discrete_output_opens_when_the_power_goes_and_stays_open_without(console):
    console.key.drive(28.0, 1.0)
    console.clock.sleep(1 * ms)
    console.power(0.0)
    console.clock.sleep(5 * ms)
    assert console.lamp.volts == pytest.approx(0.0, abs=1e-3)


# -- samples ----------------------------------------------------------------------------------------------------


def test_an_analogue_pin_is_sampled_and_clipped(console):
    for volts, code in ((1.0, 400), (-1.0, -400), (99.0, 2047), (-99.0, -2048)):
        console.dial.drive(volts, 1.0)
        console.clock.sleep(1 * ms)
        assert level(console) == pytest.approx(code, abs=1)


def sampled(box, count):
    """Samples in a row, each read 10 us after it was taken."""
    found = []
    for _ in range(count):
        box.clock.sleep(20 * us)
        found.append(level(box))
    return np.array(found)


def test_tones_are_sampled_at_their_frequency_and_amplitude(console):
    console.fpga.tones("dial", [(1000.0, 700.0), (6000.0, 300.0)])
    console.clock.sleep(1 * ms)
    found = sampled(console, 200)
    spectrum = np.abs(np.fft.rfft(found)) / 100.0  # 250 Hz a bin
    assert spectrum[4] == pytest.approx(700.0, rel=0.01)
    assert spectrum[24] == pytest.approx(300.0, rel=0.01)
    spectrum[[4, 24]] = 0.0
    assert max(spectrum) < 1.0


@on_icarus
def test_noise_is_as_strong_as_told_and_white(console):
    console.fpga.tones("dial", [], noise_lsb=100.0)
    console.clock.sleep(1 * ms)
    found = sampled(console, 300)
    assert np.std(found) == pytest.approx(100.0, rel=0.15)
    assert abs(np.mean(found)) < 25.0
    assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < 0.2


def test_the_same_seed_gives_the_same_samples_on_every_simulator_and_another_seed_gives_others(tmp_path, hdl):
    def run(simulator, seed):
        with bench(tmp_path, "console", hdl(simulator), seed=seed) as box:
            box.fpga.tones("dial", [(1234.5, 500.0)], noise_lsb=200.0)
            box.clock.sleep(1 * ms)
            return list(sampled(box, 40))

    first = run("icarus", 1)
    assert run("verilator", 1) == first
    assert run("icarus", 2) != first


@on_icarus
def test_a_mean_and_tones_hold_beside_each_other_after_a_power_cycle(console):
    console.fpga.tones("dial", [(1000.0, 300.0)])
    console.fpga.level("dial", 1000.0)
    console.power(0.0)
    console.clock.sleep(5 * ms)
    console.power()
    console.clock.sleep(1 * ms)
    samples = sampled(console, 50)  # one period
    assert np.mean(samples) == pytest.approx(1000.0, abs=1.0)
    assert np.ptp(samples) == pytest.approx(600.0, abs=5.0)


@on_icarus
def test_a_tone_that_is_switched_has_the_phase_it_would_have_had(console):
    console.fpga.tones("dial", [(1000.0, 1000.0)])
    console.clock.sleep(1 * ms)
    before = sampled(console, 50)  # one period
    console.fpga.tones("dial", [])
    console.clock.sleep(730 * us)
    console.fpga.tones("dial", [(1000.0, 1000.0)])
    console.clock.sleep(270 * us)
    assert list(sampled(console, 50)) == list(before)


# -- converter --------------------------------------------------------------------------------------------------


def test_each_channel_of_a_converter_gives_the_code_of_its_own_pin(console):
    console.sensor_a.drive(1.25, 1.0)
    console.sensor_b.drive(3.75, 1.0)
    console.clock.sleep(2 * ms)
    assert (console.fpga.value("code0_o"), console.fpga.value("code1_o")) == (1024, 3072)


@on_icarus
def test_a_converter_gives_no_code_beyond_its_range(console):
    console.sensor_a.drive(7.0, 1.0)
    console.sensor_b.drive(-1.0, 1.0)
    console.clock.sleep(2 * ms)
    assert (console.fpga.value("code0_o"), console.fpga.value("code1_o")) == (4095, 0)


def test_a_frame_that_the_reset_breaks_off_does_not_spoil_the_next(console):
    console.sensor_a.drive(1.25, 1.0)
    console.sensor_b.drive(2.5, 1.0)
    console.clock.sleep(2 * ms)
    for pause_us in (3, 7, 11):
        console.clock.sleep(pause_us * us)
        console.rig.inject("box", "reset_glitch", width_ns=2000)
        console.clock.sleep(31 * us)  # two frames
        assert (console.fpga.value("code0_o"), console.fpga.value("code1_o")) == (1024, 2048)


# -- serial lines -----------------------------------------------------------------------------------------------


def test_bytes_go_both_ways_in_order(console):
    heard = []
    console.fpga.on_event("line", heard.append)
    console.fpga.command("line", bytes(range(0, 250, 31)))
    console.clock.sleep(15 * BYTE_NS)
    assert b"".join(heard) == bytes(value + 1 for value in range(0, 250, 31))
    waveform = console.rig.traces["box"].vcd()
    assert all(f"\nb{byte[0]:08b} " in waveform for byte in heard)


@on_icarus
def test_bytes_take_the_time_of_their_bits(console):
    heard = []
    console.fpga.on_event("line", lambda byte: heard.append((console.clock.now, byte)))
    begun = console.clock.now
    console.fpga.command("line", b"ab")
    console.clock.sleep(5 * BYTE_NS)
    first, second = (when - begun for when, _ in heard)
    assert second - first == BYTE_NS
    assert first == pytest.approx(2 * BYTE_NS, abs=2 * us)  # in and out again, both to the middle of the stop bit


@on_icarus
def test_a_break_on_the_line_is_told_as_a_framing_error(console):
    heard = []
    console.fpga.on_event("line", heard.append)
    with console.rig.inject("box", "stuck", net="uart_tx_o", level=0):
        console.clock.sleep(3 * BYTE_NS)
    console.rig.inject("box", "reset_glitch", width_ns=500)
    console.clock.sleep(2 * BYTE_NS)
    console.fpga.command("line", b"k")
    console.clock.sleep(5 * BYTE_NS)
    assert heard == [b"", b"l"]


@on_icarus
def test_serial_lines_meet_the_rig_as_datagrams(console):
    there, back = console.rig.wiring.datagram_pin("bench.tx"), console.rig.wiring.datagram_pin("bench.rx")
    console.rig.wiring.net("to_box", ["bench.tx", "box.line_in"])
    console.rig.wiring.net("from_box", ["bench.rx", "box.line_out"])
    heard = []
    back.on(lambda payload, _sent_ns: heard.append(payload))
    there.send(b"A")
    console.clock.sleep(4 * BYTE_NS)
    assert heard == [b"B"]


# -- pulse width ------------------------------------------------------------------------------------------------


def test_duty_and_frequency_of_a_pwm_output_are_measured(console):
    measured = []
    console.fpga.on_event("heater", lambda payload: measured.append(measured_pwm(payload)))
    console.dial.drive(1024 / 400.0, 1e-6)
    console.clock.sleep(3 * ms)
    duty, frequency_hz = measured[-1]
    assert duty == pytest.approx(0.5, abs=0.005)
    assert frequency_hz == pytest.approx(1e7 / 256, rel=1e-6)
    assert console.heater.volts == pytest.approx(2.5, abs=0.03)


def test_a_steady_line_is_told_after_its_window(console):
    measured = []
    console.dial.drive(1024 / 400.0, 1e-6)
    console.clock.sleep(3 * ms)
    console.fpga.on_event("heater", lambda payload: measured.append((console.clock.now, measured_pwm(payload))))
    stopped = console.clock.now
    console.dial.drive(0.0, 1e-6)
    console.clock.sleep(1 * ms)
    when, (duty, frequency_hz) = measured[-1]
    assert (duty, frequency_hz) == (0.0, 0.0)
    assert 100 * us < when - stopped < 160 * us  # window of 100 us, behind the last edge


def test_what_a_peripheral_does_not_understand_ends_the_test_with_its_traceback(console):
    console.fpga.command("heater", b"faster")
    with pytest.raises(RtlError, match="exception inside it") as caught:
        console.clock.sleep(1 * ms)
    assert "ValueError: a PWM output takes no command; it was given b'faster'" in str(caught.value)
    assert "pwm.py" in str(caught.value)


@on_icarus
def test_a_binding_that_is_not_there_is_refused_by_name(console):
    with pytest.raises(HilError, match=r"there is no \[bind.dail\]"):
        console.fpga.tones("dail", [(math.tau, 1.0)])
