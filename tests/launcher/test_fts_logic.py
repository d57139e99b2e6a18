"""The receivers' command logic: order, tone sets, reset; and the interlock of the uplink."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from hil.errors import InterlockError
from hil.signal import HIGH, LOW
from hil.units import ms

COMMANDS = ("ARM", "TERMINATE", "OPTIONAL", "CHECK")
ALL_TONES = (1, 2, 4, 5)


def wrong_orders(longest):
    """Every order of commands, up to a length, with a TERMINATE and none of it after an ARM."""
    for length in range(1, longest + 1):
        for order in product(COMMANDS, repeat=length):
            if "TERMINATE" in order and "ARM" not in order[: len(order) - order[::-1].index("TERMINATE")]:
                yield order


def difference(tones, valid):
    """How tones differ from those of a command, as their cover point has it."""
    if tones < valid:
        return "missing"
    return "too many" if tones > valid else "others"


@pytest.mark.requirement("FTS-R-32")
@pytest.mark.measures("fts.inadvertent_outputs")
def test_terminate_needs_arm_before_it(fts, uplink, measure, cover, guaranteed_dbm):
    """TERMINATE works after ARM and in no order of commands that lacks an ARM before it."""
    wrong = 0
    for order in wrong_orders(3):
        fts.reset()
        for place, command in enumerate(order):
            uplink.send(command, level_dbm=guaranteed_dbm)
            wrong += fts.terminate_output.seen(HIGH, within=uplink.table.burst_ns)
            cover("fts.sent_when_latched", command, "ARM" if "ARM" in order[:place] else "nothing")
    measure("fts.inadvertent_outputs", wrong, "1")

    uplink.send_sequence(["ARM", "TERMINATE"], level_dbm=guaranteed_dbm)
    fts.terminate_output.expect(HIGH, within=100 * ms)
    cover("fts.sent_when_latched", "TERMINATE", "ARM")


@pytest.mark.requirement("FTS-R-33", "FTS-R-35")
@pytest.mark.measures("fts.inadvertent_outputs")
@pytest.mark.parametrize("armed", [False, True], ids=["safe", "armed"])
def test_only_the_exact_tones_are_a_command(fts, uplink, measure, cover, clock, guaranteed_dbm, armed):
    """A command with a tone missing, or one too many, does nothing; armed or not."""
    if armed:
        uplink.send("ARM", level_dbm=guaranteed_dbm)
        fts.arm_output.expect(HIGH, within=100 * ms)
        clock.sleep(uplink.table.burst_ns)
    command, valid = ("TERMINATE", {1, 2}) if armed else ("ARM", {1, 5})
    before, changed = fts.outputs_on, 0
    for count in range(1, len(ALL_TONES) + 1):
        for tones in combinations(ALL_TONES, count):
            if set(tones) - {4} != valid:  # tone 4 is the check channel, which may be on with a command
                uplink.send(tones, level_dbm=guaranteed_dbm)
                clock.sleep(uplink.table.burst_ns)
                changed += fts.outputs_on != before
                cover("fts.not_a_command", difference(set(tones) - {4}, valid))
    measure("fts.inadvertent_outputs", changed, "1")

    uplink.send(command, level_dbm=guaranteed_dbm)
    fts.outputs[command.lower()].expect(HIGH, within=100 * ms)


@pytest.mark.requirement("FTS-R-27")
@pytest.mark.measures("fts.reset_unlatches", "fts.inadvertent_outputs")
def test_reset_unlatches_everything(fts, uplink, measure, clock, guaranteed_dbm):
    """After a reset every output is open, and TERMINATE needs a new ARM."""
    uplink.send_sequence(["ARM", "TERMINATE"], level_dbm=guaranteed_dbm)
    fts.terminate_output.expect(HIGH, within=100 * ms)
    clock.sleep(100 * ms)
    fts.reset()
    measure("fts.reset_unlatches", fts.outputs_on == (), "1")

    after_ns = clock.now
    uplink.send("TERMINATE", level_dbm=guaranteed_dbm)
    clock.sleep(100 * ms)
    measure("fts.inadvertent_outputs", fts.outputs_since(after_ns), "1")


@pytest.mark.requirement("FTS-R-12")
def test_commands_work_with_the_processor_halted(fts, uplink, rig, guaranteed_dbm):
    """A receiver whose processor stands still says nothing any more, and still arms and terminates."""
    with rig.inject(fts.name, "cpu_halt"):
        assert not fts.reported_state.seen(lambda _: True, within=300 * ms)
        uplink.send_sequence(["ARM", "TERMINATE"], level_dbm=guaranteed_dbm)
        fts.arm_output.expect(HIGH, within=100 * ms)
        fts.terminate_output.expect(HIGH, within=100 * ms)


@pytest.mark.requirement("SAF-R-01")
@pytest.mark.measures("rig.terminate_refused")
@pytest.mark.parametrize("simulator", ["initiator_sim_a", "initiator_sim_b"])
def test_terminate_is_refused_without_its_simulator(fts, uplink, rig, measure, guaranteed_dbm, simulator):
    """With an initiator simulator unplugged the uplink refuses TERMINATE, and nothing comes out of the receiver."""
    uplink.send("ARM", level_dbm=guaranteed_dbm)
    fts.arm_output.expect(HIGH, within=100 * ms)
    uplink.off()  # nobody unplugs a simulator while the generator radiates: a keeper would end the run
    with rig.inject(simulator, "open"):
        rig.clock.sleep(1 * ms)
        assert uplink.hazard_of("TERMINATE") == 3
        with pytest.raises(InterlockError, match=f"{simulator} does not read back") as refused:
            uplink.send("TERMINATE", level_dbm=guaranteed_dbm)
        measure("rig.terminate_refused", refused.type is InterlockError, "1")
        assert fts.terminate_output.stays(LOW, for_=200 * ms)
