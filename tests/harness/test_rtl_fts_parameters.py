"""From as-built data to the RTL's parameters, and from the FPGA's serial line to what the processor knows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from fts_decoder_bench import LAUNCHER, as_built, numbers
from hypothesis import given
from hypothesis import strategies as st

from hil.errors import ConfigError
from hil.noise import Streams
from hil.rtl.spec import load_spec
from hil_launcher.models.fts.bit_exact import CommandDecoder, ToneFilterBank, self_test_power, sine_table
from hil_launcher.models.fts.fpga_report import FpgaReport, FpgaReportReader, crc8
from hil_launcher.models.fts.rtl_parameters import decoder_numbers, filter_parameters, parameters


def changed(**changes: object) -> set[str]:
    """The parameters of the RTL that change with as-built data."""
    before, after = parameters(as_built()), parameters(as_built(**changes))
    return {name for name, value in after.items() if before[name] != value}


@pytest.mark.parametrize(
    ("changes", "moved"),
    [
        ({"tones_hz": {"1": 7504.0, "2": 8340.0, "4": 10763.0, "5": 12134.0}}, {"PHASE_STEPS", "COEFFICIENTS"}),
        ({"filter_skirt_db_per_pct": 5.0}, {"COEFFICIENTS", "TAPS", "TEST_HOPS", "TEST_POWER"}),
        ({"confirm_ms": 8.0}, {"CONFIRM"}),
        ({"unlatch_ms": 30.0}, {"UNLATCH"}),
        ({"check_tone": 2}, {"COUNTED_TONES"}),
        ({"tones_required": 1}, {"REQUIRED"}),
        ({"extra_tones_block": False}, {"EXTRA_TONES_BLOCK"}),
        ({"output_ms": 12.0, "arm_threshold_dbm": -100.0, "warm_up_ms": 800.0}, set()),
    ],
)
def test_an_as_built_number_moves_the_parameters_it_means(changes, moved):
    assert moved <= changed(**changes)
    assert bool(moved) == bool(changed(**changes))


def test_a_longer_integration_is_a_longer_hold_and_nothing_else():
    assert changed(integration_ms=20.0) == {"RISE"}
    assert decoder_numbers(as_built(integration_ms=20.0)).rise[0] == pytest.approx(numbers().rise[0] + 13 / 0.4, abs=1)


def test_a_lower_threshold_is_a_lower_power():
    assert {"ON", "OFF"} <= changed(min_deviation_hz=7e3)
    halved = decoder_numbers(as_built(min_deviation_hz=7e3)).on[0]
    assert halved == pytest.approx(numbers().on[0] / 4.0, rel=0.02)


def test_commands_are_masks_in_the_order_of_the_table():
    arm, terminate, optional = numbers().commands
    assert (arm.tones, arm.closes, arm.needs) == (0b1001, 0b101, 0b000)
    assert (terminate.tones, terminate.closes, terminate.needs) == (0b0011, 0b010, 0b001)
    assert (optional.tones, optional.closes) == (0b1010, 0b000)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"filter_half_width_pct": 12.0},
            r"±12 % at 7504 Hz does not fit the FPGA.*make filter_half_width_pct smaller",
        ),
        ({"confirm_ms": 200.0}, "confirm_ms takes 500 hops; the FPGA counts up to 254"),
        ({"unlatch_ms": 600.0}, "75000 does not fit into 16 bits"),
        (
            {"commands": {"ARM": {"tones": [1, 7], "closes": ["arm"], "needs": []}}},
            "commands.ARM names 7, which this receiver does not have",
        ),
    ],
)
def test_what_the_fpga_cannot_be_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        parameters(as_built(**changes))


def test_the_filters_alone_have_the_parameters_of_the_filters():
    whole, alone = parameters(as_built()), filter_parameters(as_built())
    assert alone == {"CHANNELS": 5} | {name: whole[name] for name in ("HOP", "TAPS", "PHASE_STEPS", "COEFFICIENTS")}


@pytest.mark.parametrize("receiver", ["a", "b"])
def test_the_rtl_file_has_the_clocks_and_the_delay_of_the_as_built_data(receiver):
    built, spec = as_built(receiver), load_spec(LAUNCHER / "rtl" / "fts_receiver.toml")
    assert spec.clock.period_ns == 1e9 / built.fpga.clock_hz
    assert spec.lookahead_us == built.demodulator.audio_delay_us
    assert spec.bind["audio"].rate_hz == built.fpga.sample_rate_hz
    assert spec.bind["report"].baud == built.fpga.report_baud


# -- the model of the decoder ---------------------------------------------------------------------------------


def test_the_oscillators_have_a_sine_of_four_mirrored_quarters():
    sine = sine_table()
    assert sine[:64].tolist() == sine[127:63:-1].tolist() == (-sine[128:192]).tolist() == (-sine[255:191:-1]).tolist()
    assert abs(sine - 511 * np.sin(2 * np.pi * (np.arange(256) + 0.5) / 256)).max() <= 0.5


@given(st.lists(st.integers(1, 700), min_size=1, max_size=8))
def test_powers_do_not_depend_on_how_the_samples_come(cuts):
    audio = Streams(1).stream("fts", "cuts").integers(-8192, 8192, sum(cuts))
    piecewise, whole = ToneFilterBank(numbers()), ToneFilterBank(numbers())
    pieces = [piecewise.powers(piece) for piece in np.split(audio, np.cumsum(cuts)[:-1])]
    assert np.concatenate(pieces).tolist() == whole.powers(audio).tolist()


def test_passing_over_quiet_hops_changes_nothing():
    rng = Streams(1).stream("fts", "quiet")
    powers = rng.exponential(1.0, (20_000, 4)) * numbers().on[0]
    powers[np.repeat(rng.random(2_000) < 0.7, 10)] = 0
    hasty = dataclasses.replace(numbers(), rise=(1, 2, 1, 2), confirm=1)
    fast, slow = CommandDecoder(hasty), CommandDecoder(hasty)
    wanted = [(index, found) for index, row in enumerate(powers.astype(int)) if (found := slow.decide(row))]
    assert list(fast.run(powers.astype(int))) == wanted
    assert len(wanted) > 20


def test_the_power_of_the_self_test_belongs_to_the_filter():
    other = decoder_numbers(as_built(filter_skirt_db_per_pct=5.0))
    assert self_test_power(numbers()) != self_test_power(other)
    assert self_test_power(numbers()) > 10 * numbers().on[0]


# -- messages to the processor --------------------------------------------------------------------------------


def message(latches: int, tones: int, test: int, count: int) -> bytes:
    body = bytes([latches, tones, test, count])
    return bytes([0xA5]) + body + bytes([crc8(body)])


def test_a_message_is_read_as_the_table_of_its_bytes_says():
    [report] = FpgaReportReader().take(message(0b0011_0111, 0b1001, 0b1010, 7))
    assert report == FpgaReport(
        outputs=0b111, accepted=0b011, tones=0b1001, testing=False, passed=True, failed=False, upset=True, count=7
    )


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 4), min_size=1, max_size=5), st.binary(max_size=9), st.data())
def test_messages_are_found_however_the_bytes_come(fields, noise, data):
    stream = noise.replace(b"\xa5", b"") + b"".join(message(*each) for each in fields)
    cut = data.draw(st.integers(0, len(stream)))
    reader = FpgaReportReader()
    found = reader.take(stream[:cut]) + reader.take(stream[cut:])
    assert [report.count for report in found] == [count for *_, count in fields]


@given(st.integers(0, 47))
def test_a_spoiled_message_is_passed_over(bit):
    spoiled = bytearray(message(0x15, 0x09, 0x02, 1))
    spoiled[bit // 8] ^= 1 << bit % 8
    reader = FpgaReportReader()
    found = reader.take(bytes(spoiled)) + reader.take(message(0x15, 0x09, 0x02, 2) + message(0x15, 0x09, 0x02, 3))
    assert found
    assert {report.count for report in found} <= {2, 3}
