"""I/Q samples: synthesis, demodulation, and what a sequence of tones may be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.errors import InstrumentError
from hil.units import ms, s, us
from hil.visa import iq
from hil.visa.tones import Burst, check, gap, sequence

RATE_HZ = 1e6
IRIG_HZ = (7_500.0, 8_460.0, 9_540.0, 10_760.0, 12_140.0, 13_700.0, 15_450.0, 17_430.0, 19_660.0, 22_170.0, 25_010.0,
           28_210.0, 31_830.0, 35_900.0, 40_490.0, 45_680.0, 51_520.0, 58_120.0, 65_560.0, 73_950.0)  # fmt: skip

tone_sets = st.lists(
    st.tuples(st.sampled_from(IRIG_HZ[:14]), st.floats(1_000.0, 33_000.0)), max_size=4, unique_by=lambda tone: tone[0]
)


@settings(max_examples=25, deadline=None)
@given(tone_sets, st.sampled_from([10_000, 25_000, 40_000]), st.floats(0.0, 6.28))
def test_what_was_synthesised_is_found_again(tones: list[tuple[float, float]], count: int, start_rad: float) -> None:
    samples, _ = iq.synthesise(tones, count, RATE_HZ, start_rad)
    found = iq.analyse(iq.decode(iq.encode(samples)), RATE_HZ)
    assert len(found.tones) == len(tones)
    for (frequency_hz, deviation_hz), tone in zip(found.tones, sorted(tones), strict=True):
        assert (frequency_hz, deviation_hz) == pytest.approx(tone, rel=1e-3)
    assert found.amplitude == pytest.approx(iq.AMPLITUDE, rel=1e-3)


@pytest.mark.parametrize("frequency_hz", IRIG_HZ)
def test_every_irig_tone_is_found(frequency_hz: float) -> None:
    samples, _ = iq.synthesise([(frequency_hz, 30e3)], 25_000, RATE_HZ)
    assert iq.analyse(samples, RATE_HZ).tones[0] == pytest.approx((frequency_hz, 30e3), rel=1e-4)


def test_a_weak_tone_beside_a_strong_one_is_found() -> None:
    tones = [(7_500.0, 30e3), (8_460.0, 300.0)]
    samples, _ = iq.synthesise(tones, 25_000, RATE_HZ)
    found = iq.analyse(iq.decode(iq.encode(samples)), RATE_HZ).tones
    assert [tone == pytest.approx(asked, rel=1e-3) for tone, asked in zip(found, tones, strict=True)] == [True, True]


def test_a_bare_carrier_has_no_tones() -> None:
    samples, _ = iq.synthesise([], 5_000, RATE_HZ)
    found = iq.analyse(iq.decode(iq.encode(samples)), RATE_HZ)
    assert (found.tones, found.silent) == ((), False)


def test_an_offset_of_the_carrier_is_found() -> None:
    samples = 0.5 * np.exp(2j * np.pi * 12_345.0 * np.arange(20_000) / RATE_HZ)
    assert iq.analyse(samples, RATE_HZ).offset_hz == pytest.approx(12_345.0, abs=0.01)


def test_silence_is_no_carrier() -> None:
    assert iq.analyse(np.zeros(1_000, dtype=np.complex128), RATE_HZ).silent


def test_phase_runs_on_from_one_stretch_to_the_next() -> None:
    first, end = iq.synthesise([(7_500.0, 30e3)], 25_100, RATE_HZ)
    second, _ = iq.synthesise([], 1_000, RATE_HZ, end)
    step = np.angle(second[0] / first[-1])
    assert abs(step) < 2 * np.pi * 30e3 / RATE_HZ


def test_samples_are_16_bit_big_endian_i_and_q_in_turn() -> None:
    assert iq.encode(np.array([1.0 - 1.0j, 0.5j])) == bytes.fromhex("7fff 8001 0000 4000")


def test_a_change_within_a_segment_is_noticed() -> None:
    quiet, end = iq.synthesise([], 30_000, RATE_HZ)
    loud, _ = iq.synthesise([(7_500.0, 30e3)], 30_000, RATE_HZ, end)
    assert iq.is_stationary(loud, RATE_HZ)
    assert not iq.is_stationary(np.concatenate((quiet, loud)), RATE_HZ)


def test_a_sequence_knows_its_duration_and_its_marker() -> None:
    tones = sequence(gap(5 * ms), Burst(((7_500.0, 30e3),), 10 * ms, repeats=3), gap(5 * ms), marked=2)
    assert (tones.duration_ns, tones.marker_ns) == (40 * ms, 35 * ms)


@pytest.mark.parametrize(
    ("burst", "why"),
    [
        (Burst(((7_500.0, 30e3),), 0), "not a whole number of samples"),
        (Burst(((7_500.0, 30e3),), 10 * ms + 1), "10 ms is not a whole number of samples at 1e[+]06 Hz"),
        (Burst(((7_500.0, 30e3),), 100 * us), "7500 Hz has 0.75 cycles in it; at least 3"),
        (Burst(((8_461.0, 30e3),), 10 * ms, repeats=2), "84.610000 cycles in 10 ms: not periodic"),
        (Burst(((7_500.0, 30e3),) * 2, 10 * ms), "a tone is there twice: 7500 Hz, 7500 Hz"),
        (Burst(((7_500.0, 0.0),), 10 * ms), "deviation 0 Hz of tone 7500 Hz; it must be above 0"),
        (Burst(((300e3, 30e3),), 10 * ms), "tone 300000 Hz is not within 20 to 200000 Hz"),
        (Burst(((1.0, 30e3),), 10 * s), "tone 1 Hz is not within"),
        (Burst(((7_500.0, 400e3),), 10 * ms), "add up to 407500 Hz.* ends at 400000 Hz; raise sample_rate_hz"),
        (Burst(tuple((1e3 * k, 10.0) for k in range(1, 14)), 10 * ms), "13 tones; at most 12"),
        (Burst(((7_500.0, 30e3),), 10 * ms, carrier=False), "no carrier to put them on"),
        (Burst((), 10 * ms, repeats=0), "repeats = 0"),
    ],
)
def test_what_cannot_be_played_is_refused_with_the_reason(burst: Burst, why: str) -> None:
    with pytest.raises(InstrumentError, match=f"siggen.play: burst 1 is refused: .*{why}"):
        check(sequence(gap(1 * ms), burst), "siggen.play")


def test_a_sequence_needs_bursts_and_a_marker_among_them() -> None:
    with pytest.raises(InstrumentError, match="plays nothing"):
        check(sequence(), "siggen.play")
    with pytest.raises(InstrumentError, match="marked = 3, but the bursts are 0 to 0"):
        check(sequence(gap(1 * ms), marked=3), "siggen.play")
