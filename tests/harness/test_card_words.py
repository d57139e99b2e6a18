"""The text in which a rig file talks to an I/O card."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.errors import InstrumentError
from hil.io import card_words, stream

names = st.text("abz09_", min_size=1, max_size=10)


@given(names, st.booleans(), st.integers(0, 9))
def test_a_switch_is_read_as_it_is_written(name, on, number):
    found = card_words.command(f"do_{name} {'closed' if on else 'open'}")(number)
    assert found == stream.Switch(number, f"do_{name}", on)


@given(names, st.decimals(-10, 10, places=3))
def test_a_voltage_is_read_as_it_is_written(name, volts):
    assert card_words.command(f"ao_{name} {volts} V")(1) == stream.Drive(1, f"ao_{name}", float(volts))


@given(st.text("do_a open closed released 01.V watchdog ms feed", max_size=30))
def test_any_text_is_a_command_or_refused_with_the_forms_there_are(text):
    with suppress(InstrumentError):
        assert card_words.channel_of(text) == getattr(card_words.command(text)(1), "channel", None)


@pytest.mark.parametrize(
    "wrong", ["do_arm on", "ao_x open", "do_arm open; do_b closed", "ao_x nan V", "ao_x 1e3 V", ""]
)
def test_what_is_nearly_a_command_is_none(wrong):
    with pytest.raises(InstrumentError, match="is no command"):
        card_words.command(wrong)


def test_a_query_names_channels_that_observe_something():
    assert card_words.readings("di_a,load_b, load_b.amps,ci_c") == [
        ("di_a", "level"), ("load_b", "volts"), ("load_b", "amps"), ("ci_c", "amps"),
    ]  # fmt: skip
    with pytest.raises(InstrumentError, match="do_a observes nothing"):
        card_words.readings("do_a")
    with pytest.raises(InstrumentError, match="di_a observes level"):
        card_words.readings("di_a.volts")
