"""An open rig: fresh worlds, undo last first, names and kinds, faults on any part."""

from __future__ import annotations

import gc
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import can
import pytest
import pyvisa

from hil.can.frame import Frame
from hil.errors import ClockError, ConfigError, HilError, InstrumentError
from hil.io.card import IoCard
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.loader import load_rig
from hil.units import ms
from hil.visa.keysight_n6700 import KeysightN6700

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hil.rig.world import Rig

CARD = 'driver = "hil.io.card:IoCard"\nmodel = "hil.io.sim_card:SimIoCard"\n'
RIG = f"""[rig]
name = "small"

[instrument.stand]
{CARD}
[instrument.psu]
driver = "hil.visa.keysight_n6700:KeysightN6700"
model = "hil.visa.keysight_n6700_twin:KeysightN6700Twin"
limits = {{ voltage_max_v = 30.0 }}

[net.out]
pins = ["psu.out1", "stand.load_out"]
ohms = {{ "stand.load_out" = 10.0 }}
"""


def blueprint(folder: Path, text: str = RIG) -> Blueprint:
    (folder / "rig.toml").write_text(text)
    return Blueprint.of(load_rig(folder / "rig.toml"))


@pytest.fixture(autouse=True)
def no_rig_left_open() -> None:
    """A rig that a test left open is gone before the next one: the name @hil is that of one rig."""
    gc.collect()


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return open_rig(blueprint(tmp_path))


def test_every_world_begins_at_zero_and_knows_nothing_of_the_last(tmp_path: Path) -> None:
    plan = blueprint(tmp_path)
    first = open_rig(plan)
    first.instrument("psu", KeysightN6700).output(1).voltage_v = 28.0
    first.close()
    second = open_rig(plan)
    assert second.clock.now < 100 * ms
    assert second.instrument("psu", KeysightN6700).output(1).voltage_v == 0.0


def test_undo_is_last_first_and_goes_on_after_an_error(rig: Rig) -> None:
    done: list[str] = []

    def stuck() -> None:
        done.append("relay")
        raise OSError("relay stuck")

    rig.undo("supply", lambda: done.append("supply"))
    rig.undo("relay", stuck)
    rig.undo("carrier", lambda: done.append("carrier"))
    with pytest.raises(HilError, match="not left as it was found: undo of relay: relay stuck"):
        rig.close()
    assert done == ["carrier", "relay", "supply"]


def test_undo_goes_on_whatever_one_of_them_raises(rig: Rig) -> None:
    done: list[str] = []
    rig.undo("supply", lambda: done.append("supply"))
    rig.undo("relay", lambda: {}["relay"])
    with pytest.raises(HilError, match="undo of relay: KeyError: 'relay'"):
        rig.close()
    assert done == ["supply"]


def test_a_foreign_thread_that_used_the_clock_is_told_when_the_world_closes(rig: Rig) -> None:
    def use() -> None:
        with suppress(ClockError):
            rig.clock.sleep(1 * ms)

    thread = threading.Thread(target=use, name="poller")
    thread.start()
    thread.join()
    with pytest.raises(HilError, match=r"during the test, a wait .* came from thread 'poller'.*clock\.post\(fn\)"):
        rig.close()


def test_an_unknown_name_names_the_nearest(rig: Rig) -> None:
    with pytest.raises(HilError, match=r"rig\.toml has no instrument stnd; did you mean stand\?"):
        rig.card("stnd")


def test_a_part_of_another_kind_is_refused(rig: Rig) -> None:
    with pytest.raises(HilError, match="psu is a KeysightN6700, not a IoCard"):
        rig.instrument("psu", IoCard)


def test_the_rig_files_limit_is_enforced_above_the_driver(rig: Rig) -> None:
    with pytest.raises(HilError, match=r"31\.0|31 V"):
        rig.instrument("psu", KeysightN6700).output(1).voltage_v = 31.0


def test_a_supply_feeds_a_load_through_real_scpi_and_real_wiring(rig: Rig) -> None:
    output = rig.instrument("psu", KeysightN6700).output(1)
    output.voltage_v, output.current_limit_a = 28.0, 5.0
    output.on()
    reading = rig.card("stand").amps("load_out").expect(above=2.7, within=500 * ms)
    assert reading.value == pytest.approx(2.8, abs=0.01)


def test_a_fault_can_be_put_on_a_net_by_name(rig: Rig) -> None:
    with rig.inject("out", "open"):
        assert rig.wiring.pin("stand.load_out").volts == 0.0
    with pytest.raises(HilError, match="no part of the rig is called outt"):
        rig.inject("outt", "open")


@pytest.fixture
def launcher() -> Iterator[Rig]:
    """The simulated launcher rig, with a bus that is called otherwise than its channel."""
    sim = Path(__file__).parents[2] / "rigs" / "sim.toml"
    rig = open_rig(Blueprint.of(load_rig(sim, ["bus.bus_a.channel=can0"])))
    yield rig
    rig.close()


@pytest.mark.parametrize(("target", "parameters"), [("bus_a.engine", {}), ("bus_a", {"node": "engine"})])
def test_a_node_is_faulted_by_the_name_of_its_bus_whatever_the_channel(
    launcher: Rig, target: str, parameters: dict[str, str]
) -> None:
    node = launcher.bus("bus_a").raw.wire.node("engine")
    node.power(True)
    with launcher.inject(target, "silent", **parameters):
        node.send(Frame(1))
    assert node.discarded == 1


def test_a_fault_on_an_unknown_node_names_the_nearest(launcher: Rig) -> None:
    with pytest.raises(HilError, match=r"no part of the rig is called bus_a\.engin; did you mean bus_a\.engine"):
        launcher.inject("bus_a.engin", "silent")


def test_an_open_virtual_rig_refuses_what_would_wait_in_wall_time(launcher: Rig) -> None:
    with pytest.raises(ClockError, match=r"use bus\.recv\(timeout\)"):
        can.BufferedReader().get_message()
    launcher.close()
    assert can.BufferedReader().get_message(timeout=0.001) is None


def test_a_fault_without_an_end_is_taken_away_when_the_world_is_closed(rig: Rig) -> None:
    before = rig.wiring.pin("stand.load_out").open_count
    injection = rig.inject("stand.load_out", "open")
    assert rig.wiring.pin("stand.load_out").open_count == before + 1
    rig.close()
    assert not injection.present
    assert rig.wiring.pin("stand.load_out").open_count == before


def test_a_simulated_instrument_answers_with_the_serial_number_of_the_rig_file(tmp_path: Path) -> None:
    plan = blueprint(tmp_path, RIG.replace("limits = ", 'serial = "MY00000001"\nlimits = '))
    assert open_rig(plan).instrument("psu", KeysightN6700).identity.serial == "MY00000001"


def test_a_rig_tells_how_its_instruments_answered(tmp_path: Path) -> None:
    told = open_rig(blueprint(tmp_path)).identities
    assert list(told) == ["psu"]
    assert list(told["psu"]) == ["manufacturer", "model", "serial", "firmware"]
    assert told["psu"]["manufacturer"] == "Keysight Technologies"


def test_foreign_drivers_reach_the_instruments_by_the_name_hil_while_the_rig_is_open(launcher: Rig) -> None:
    assert "TCPIP0::psu::inst0::INSTR" in pyvisa.ResourceManager("@hil").list_resources()
    launcher.close()
    with pytest.raises(InstrumentError, match="no simulated rig is open"):
        pyvisa.ResourceManager("@hil")


def test_an_instrument_of_the_wrong_model_is_refused_and_leaves_nothing_open(tmp_path: Path) -> None:
    plan = blueprint(tmp_path, RIG.replace("n6700_twin:KeysightN6700Twin", "n5182b_twin:KeysightN5182BTwin"))
    with pytest.raises(
        InstrumentError, match=r"psu at TCPIP.*: asked for a Keysight .*N6702C.*, found .* N5182B serial"
    ):
        open_rig(plan)
    with pytest.raises(InstrumentError, match="no simulated rig is open"):
        pyvisa.ResourceManager("@hil")


def test_a_driver_that_does_not_import_is_told_with_file_line_and_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"rig\.toml:9: instrument\.psu\.driver = '.*acme:Psu' does not import"):
        blueprint(tmp_path, RIG.replace("hil.visa.keysight_n6700:KeysightN6700", "hil.visa.acme:Psu"))


def test_a_class_that_is_no_instrument_is_refused(tmp_path: Path) -> None:
    plan = blueprint(tmp_path, RIG.replace("hil.visa.keysight_n6700:KeysightN6700", "pathlib:Path"))
    with pytest.raises(ConfigError, match="Path is neither an I/O card nor a VISA driver"):
        open_rig(plan)


def test_an_instrument_that_is_held_in_a_phase_is_never_called_safe(tmp_path: Path) -> None:
    guarded = """hazard = 1
safe = [{ write = "OUTP OFF,(@1:4)", query = "OUTP? (@1:4)", expect = "0,0,0,0" }]
safe_in.pressurised = []
watchdog = { enable = "OUTP:PROT:WDOG ON", timeout_ms = 5000.0 }
"""
    rig = open_rig(blueprint(tmp_path, RIG.replace("[instrument.psu]\n", f"[instrument.psu]\n{guarded}")))
    rig.enter("pressurised")
    with pytest.raises(HilError, match="UNSAFE: psu: held as it is in phase pressurised"):
        rig.close()
