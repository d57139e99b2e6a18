"""The receivers' decoder to the last bit, in integers: noise, orders and sets of tones, filters, response time.

Everything here runs on the model of the RTL; that the RTL does the same is shown by the block tests and
``test_rtl_fts_board.py``.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from fts_decoder_bench import ARM, LAUNCHER, RATE_HZ, TERMINATE, TONES_HZ, Decoder, as_built, numbers, tones_khz
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.noise import Streams
from hil.profile import Profile
from hil.units import ms
from hil_launcher.models.fts.bit_exact import CommandDecoder, DecoderCommand, ToneFilterBank
from hil_launcher.models.fts.rtl_parameters import decoder_numbers
from hil_launcher.models.fts.tone_decoder import Command, CommandLogic, ToneBank

PROFILE = Profile.load([LAUNCHER / "profiles" / "launcher_spec.toml"])
FILTERED = (1, 2, 4, 5)
GAP = 600
"""Samples of silence after a burst, in which every tone is gone [20 us]."""
BURST = 2000
"""Samples of a burst, which is long enough for a command [20 us]."""


def stream(name: str) -> np.random.Generator:
    return Streams(1).stream("fts_decoder", name)


# -- noise ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("receiver", ["a", "b"])
def test_noise_alone_gives_no_command_in_a_million_decisions(receiver):
    built = as_built(receiver)
    decoder = Decoder(numbers(receiver), lsb_per_khz=built.demodulator.audio_lsb_per_khz, armed=True)
    accepted = decoder.hear_noise(stream("noise"), 1_000_000, khz=built.demodulator.open_noise_hz / 1e3)
    assert decoder.decisions >= 1_000_000
    assert accepted == []


def test_twice_the_strongest_noise_gives_no_command_either():
    decoder = Decoder(numbers(), armed=True)
    assert decoder.hear_noise(stream("strong noise"), 100_000, khz=2.0 * 25.0) == []


def test_a_decoder_without_margin_is_found_by_noise():
    hasty = decoder_numbers(as_built(min_deviation_hz=4e3, integration_ms=1.0, confirm_ms=0.4))
    accepted = Decoder(hasty, armed=True).hear_noise(stream("noise"), 100_000, khz=25.0)
    assert {mask for _, mask in accepted} >= {ARM, TERMINATE}


# -- orders and sets of tones ---------------------------------------------------------------------------------


def obeyed(decoder: Decoder, *bursts: tuple[int, ...], noise_khz: float = 2.0) -> list[int]:
    """Play sets of tones one after the other, with silence between; the commands accepted, in order."""
    rng, found = stream("bursts"), []
    for burst in bursts:
        phases = rng.random(len(burst))
        khz = np.concatenate([tones_khz(BURST, *(TONES_HZ[number] for number in burst), phases=phases), np.zeros(GAP)])
        found += [mask for _, mask in decoder.hear(khz + noise_khz * rng.standard_normal(len(khz)))]
    return found


@pytest.mark.parametrize("armed", [False, True])
def test_no_set_of_tones_but_a_commands_own_is_accepted(armed):
    for count in range(5):
        for burst in combinations(FILTERED, count):
            wanted = {(1, 5): ARM, (2, 5): 4} | ({(1, 2): TERMINATE} if armed else {})
            expected = wanted.get(tuple(number for number in burst if number != 4))
            assert obeyed(Decoder(numbers(), armed=armed), burst) == ([expected] if expected else []), burst


def test_terminate_is_never_accepted_without_an_arm_before():
    for order in product([(1, 5), (1, 2), (2, 5), (4,), (1,)], repeat=3):
        accepted = obeyed(Decoder(numbers()), *order)
        terminated = accepted.index(TERMINATE) if TERMINATE in accepted else None
        arm_before = (1, 5) in order[: len(order) - order[::-1].index((1, 2)) - 1] if (1, 2) in order else False
        assert (terminated is not None) == arm_before, order
        assert terminated is None or ARM in accepted[:terminated]


def test_tones_that_change_over_without_a_gap_are_never_another_command():
    first, second = ([TONES_HZ[number] for number in burst] for burst in ((1, 5), (1, 2)))
    for overlap in range(-400, 401, 40):
        shared = np.zeros(6000)
        shared[: 2000 + overlap] += tones_khz(2000 + overlap, *first)
        shared[2000:4000] += tones_khz(2000, *second)
        accepted = [mask for _, mask in Decoder(numbers()).hear(shared)]
        assert accepted == [ARM, TERMINATE], overlap


def test_a_command_is_accepted_once_however_long_it_lasts():
    assert obeyed(Decoder(numbers()), *[(1, 5)] * 3) == [ARM] * 3
    assert len(Decoder(numbers()).hear(tones_khz(50_000, TONES_HZ[1], TONES_HZ[5]))) == 1


@settings(deadline=None, max_examples=60)
@given(
    table=st.lists(st.tuples(st.integers(1, 15), st.integers(0, 7), st.integers(0, 7)), min_size=3, max_size=3),
    required=st.integers(1, 4),
    blocks=st.booleans(),
    sets=st.lists(st.integers(0, 15), max_size=12),
)
def test_sets_of_tones_mean_to_it_what_they_mean_to_the_model_receiver(table, required, blocks, sets):
    commands = tuple(
        DecoderCommand(tones, min(required, tones.bit_count()), needs, closes) for tones, needs, closes in table
    )
    at_once = replace(
        numbers(), commands=commands, extra_tones_block=blocks, rise=(1,) * 4, fall=1, confirm=1, counted=15
    )
    model = CommandLogic(
        [
            Command(str(index), frozenset(bits(tones)), (), frozenset(map(str, bits(needs))))
            for index, (tones, needs, _) in enumerate(table)
        ],
        tones_required=required,
        extra_tones_block=blocks,
    )
    decoder, loud = CommandDecoder(at_once), 2**31
    for mask in sets:
        for _ in range(2):  # seen, and confirmed
            decoder.decide([loud if mask >> tone & 1 else 0 for tone in range(4)])
        command = model.recognise(bits(mask))
        if command is not None:
            model.accept(command)
    assert set(map(str, bits(decoder.accepted))) == model.accepted


def bits(mask: int) -> set[int]:
    return {bit for bit in range(4) if mask >> bit & 1}


# -- filters --------------------------------------------------------------------------------------------------


def strength_db(tone: int, hz: float, khz: float) -> float:
    """How far a steady tone is above the threshold of a filter [dB]."""
    powers = ToneFilterBank(numbers()).powers(np.rint(40.0 * tones_khz(1000, hz, khz=khz)).astype(int))[-10:, tone]
    return float(10.0 * np.log10(powers.mean() / numbers().on[tone]))


@pytest.mark.parametrize("tone", range(4))
def test_a_filter_takes_tones_where_it_must_and_rejects_them_where_it_must(tone):
    nominal_hz, khz = TONES_HZ[FILTERED[tone]], PROFILE.value("uplink.deviation", "Hz") / 1e3
    accept, reject = PROFILE.value("fts.filter_accept", "%") / 100.0, PROFILE.value("fts.filter_reject", "%") / 100.0
    low_khz = khz * 10.0 ** (PROFILE.value("fts.low_deviation", "dB") / 20.0)
    high_khz = khz * 10.0 ** (PROFILE.value("fts.high_deviation", "dB") / 20.0)
    for side in (-1.0, 1.0):
        assert strength_db(tone, nominal_hz * (1.0 + side * accept), 0.9 * khz) > 2.0
        for beyond in (reject, 1.5 * reject, 2.0 * reject):
            assert strength_db(tone, nominal_hz * (1.0 + side * beyond), high_khz) < -6.0
    assert strength_db(tone, nominal_hz, low_khz) < -2.0


@pytest.mark.parametrize(
    ("changes", "percent", "khz", "taken"),
    [
        ({}, 4.0, 94.9, False),
        ({"filter_half_width_pct": 4.5}, 4.0, 94.9, True),
        ({"filter_skirt_db_per_pct": 5.0}, 4.0, 94.9, True),
        ({}, -1.0, 30.0, True),
        ({"filter_half_width_pct": 0.3}, -1.0, 30.0, False),
        ({}, 0.0, 9.5, False),
        ({"min_deviation_hz": 5e3}, 0.0, 9.5, True),
    ],
)
def test_the_filters_are_those_of_the_as_built_data(changes, percent, khz, taken):
    decoder = Decoder(decoder_numbers(as_built(**changes)))
    tones = [TONES_HZ[number] * (1.0 + percent / 100.0) for number in (1, 5)]
    assert bool(decoder.hear(tones_khz(4000, *tones, khz=khz))) is taken


# -- response -------------------------------------------------------------------------------------------------


def response_ms(receiver: str, rng: np.random.Generator, *, offset: float, khz: float, noise_khz: float) -> float:
    """Time from the begin of an ARM at the antenna, at a random instant, to the FPGA's output [ms]."""
    built = as_built(receiver)
    decoder = Decoder(numbers(receiver), lsb_per_khz=built.demodulator.audio_lsb_per_khz)
    begin = 1000 + int(rng.integers(decoder.hop))
    sound = noise_khz * rng.standard_normal(begin + BURST)
    tones = [TONES_HZ[number] * (1.0 + offset) for number in (1, 5)]
    sound[begin:] += tones_khz(BURST, *tones, khz=khz, phases=rng.random(2))
    [(decision, mask)] = decoder.hear(sound)
    assert mask == ARM
    work = 2 * len(FILTERED)  # samples of the next hop in which the powers are worked out
    samples = (decision + 1) * decoder.hop + work - begin
    return samples / RATE_HZ * 1e3 + built.demodulator.audio_delay_us / 1e3


@pytest.mark.parametrize("receiver", ["a", "b"])
def test_a_command_at_the_specified_deviation_and_noise_is_found_in_time(receiver):
    built = as_built(receiver)
    weakest_khz = 0.9 * PROFILE.value("uplink.deviation", "Hz") / 1e3
    noise_khz = weakest_khz / np.sqrt(2.0) / 10.0 ** (PROFILE.value("fts.audio_snr", "dB") / 20.0)
    accept = PROFILE.value("fts.filter_accept", "%") / 100.0
    output_ms = built.output_ms * built.nominal_v / min(PROFILE.values("fts.supply_voltages", "V"))
    [limit] = PROFILE.limits("fts.response_time")
    rng = stream("response")
    for _ in range(300):
        offset = float(rng.uniform(-accept, accept))
        taken_ms = response_ms(receiver, rng, offset=offset, khz=weakest_khz, noise_khz=noise_khz)
        assert taken_ms + output_ms < limit.high - limit.uncertainty


@pytest.mark.parametrize("receiver", ["a", "b"])
@pytest.mark.parametrize("margin_db", [9.0, 50.0])
def test_it_responds_when_the_model_receiver_does_within_the_stated_tolerance(receiver, margin_db):
    built = as_built(receiver)
    tolerance_ms = PROFILE.value("fts.decoder_latency_tolerance", "ms")
    slowing = 1.0 + built.weak_signal_slowing * 10.0 ** (-margin_db / 10.0)
    model = ToneBank(built.tones_hz)
    model.drive({1, 5}, 0, rise_ns=round(built.integration_ms * slowing * ms), fall_ns=0)
    model_ms = (model.next_due_ns or 0) / ms + built.confirm_ms
    rng, found = stream("tolerance"), []
    for _ in range(200):
        noise_khz = built.demodulator.noise_hz / 1e3 * 10.0 ** (-margin_db / 20.0)
        offset, khz = float(rng.uniform(-0.01, 0.01)), float(rng.uniform(27.0, 33.0))
        found.append(response_ms(receiver, rng, offset=offset, khz=khz, noise_khz=noise_khz) - model_ms)
    assert max(map(abs, found)) < tolerance_ms
    assert abs(float(np.mean(found))) < 0.7
