"""The receivers' signal-strength output."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from hil.units import ms


@pytest.mark.requirement("FTS-R-20")
@pytest.mark.measures("fts.sst_slope", "fts.sst_rf_span", "fts.sst_output_span")
def test_signal_strength_rises_with_level(fts, uplink, measure, profile, clock):
    """The signal-strength output rises over at least 50 dB of level, by more than 18 dB, and never turns back."""
    quiescent_v, curve = fts.sst_v.last.value, []
    for level_dbm in profile.values("fts.sst_levels", "dBm"):
        uplink.carrier(level_dbm=level_dbm)
        clock.sleep(200 * ms)
        curve.append((level_dbm, fts.sst_v.last.value))

    steps = [(high_dbm - low_dbm, high_v - low_v) for (low_dbm, low_v), (high_dbm, high_v) in pairwise(curve)]
    useful_v_per_db = profile.value("fts.sst_useful_slope", "V/dB")
    measure("fts.sst_slope", min(rise_v / span_db for span_db, rise_v in steps), "V/dB")
    measure("fts.sst_rf_span", sum(span_db for span_db, rise_v in steps if rise_v >= useful_v_per_db * span_db), "dB")
    measure("fts.sst_output_span", 20.0 * math.log10(curve[-1][1] / quiescent_v), "dB")


@pytest.mark.requirement("FTS-R-20")
@pytest.mark.measures("fts.sst_reversal")
def test_signal_strength_never_turns_back(fts, uplink, measure, range_dbm, clock):
    """From the guaranteed level far into saturation, up to the strongest, the signal-strength output never falls."""
    levels_v = []
    for level_dbm in range_dbm:
        uplink.carrier(level_dbm=level_dbm)
        clock.sleep(200 * ms)
        levels_v.append(fts.sst_v.last.value)

    measure("fts.sst_reversal", max(weaker_v - stronger_v for weaker_v, stronger_v in pairwise(levels_v)), "V")


@pytest.mark.requirement("FTS-R-20")
@pytest.mark.measures("fts.sst_response")
def test_signal_strength_follows_in_time(fts, uplink, measure, guaranteed_dbm, clock):
    """The signal-strength output follows the sudden appearance of a carrier in time."""
    appeared = uplink.carrier_after_silence(300 * ms, level_dbm=guaranteed_dbm)
    silent_v = fts.sst_v.last.value
    clock.sleep(500 * ms)
    ninety_v = silent_v + 0.9 * (fts.sst_v.last.value - silent_v)

    followed = fts.sst_v.expect(above=ninety_v, within=0, since=appeared.at)
    measure("fts.sst_response", (followed.at - appeared.at) / ms, "ms")
