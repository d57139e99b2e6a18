"""A hazardous bus in a rig file: what is refused, the same rules in simulation, and a test that is killed."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import can
import pytest
from card_bench import Stand
from gateway_bench import DATABASE, DBC, Engine
from keeper_bench import PATIENCE_S

from hil.errors import BusError, ConfigError, HilError
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.keeping import has_keeper, keeper_plan
from hil.rig.loader import load_rig
from hil.safety.plan import KeeperPlan
from hil.safety.record import read_record
from hil.sim.slcan_hub import SlcanHub
from hil.units import ms

if TYPE_CHECKING:
    from pathlib import Path

    from hil.can.frame import Frame

RIG = f"""
[rig]
name = "gateway_bench"
pace = "wall"

[bus.bus_a]
interface = "slcan"
channel = "BUS"
bitrate_bps = 500000
database = "{DBC}"
hazard = 2
send = ["ValveCommand"]
energising = {{ ValveCommand = {{ Valve = [1] }} }}
safe = [{{ write = "ValveCommand Valve=0 Position=0", query = "EngineStatus.State", expect = "OFF", within_ms = 500 }}]
interlock = {{ pin = "stand.di_key", level = "high" }}
cut_by = "stand"

[instrument.stand]
driver = "hil.io.stream_card:StreamCard"
resource = "tcp://127.0.0.1:5030"
hazard = 2
safe = [{{ write = "do_arm open", query = "di_arm", expect = "low", within_ms = 500.0 }}]
interlock = {{ pin = "stand.di_key", level = "high" }}
watchdog = {{ enable = "watchdog 2000 ms", feed = "feed", disable = "watchdog off", timeout_ms = 2000.0 }}

[instrument.stand.outputs]
do_arm = {{ energises = "high" }}

[net.arm]
pins = ["stand.do_arm", "stand.di_arm"]
[net.key]
pins = ["stand.di_key", "stand.do_lamp"]
"""
VIRTUAL = (
    RIG.replace('pace = "wall"', "")
    .replace('"slcan"', '"hil"')
    .replace('resource = "tcp://127.0.0.1:5030"', 'model = "hil.io.sim_card:SimIoCard"')
)
FLIES = """
[plant]
model = "small_plant:MassOnSpring"
process = "sim"

[dut.engine]
model = "hil_launcher.models.engine.controller:EngineController"
bus = ["bus_a"]
node = "ENGINE"
process = "sim"
"""
VICTIM = """
import sys
from pathlib import Path
from hil.errors import BusError
from hil.rig.assembly import open_rig
from hil.rig.blueprint import Blueprint
from hil.rig.keeping import keeper_plan
from hil.rig.loader import load_rig
from hil.safety.launch import KeeperLink, start_keeper
folder = Path(sys.argv[1])
file = load_rig(folder / "rig.toml")
link = KeeperLink(start_keeper(keeper_plan(file, who="a victim", record=folder / "keeper.jsonl")))
rig = open_rig(Blueprint.of(file), doors=link.door.doors)
rig.keeper = link
try:
    rig.bus("bus_a").send("ValveCommand", {"Valve": 1, "Position": 0.0})
except BusError as refused:
    print(refused, flush=True)
link.begin("victim")
rig.card("stand").switch("do_arm", on=True)
rig.bus("bus_a").send("ValveCommand", {"Valve": 1, "Position": 0.0})
print(link.door.pid, flush=True)
sys.stdin.read()
"""


def opened(folder: Path, text: str) -> Blueprint:
    (folder / "rig.toml").write_text(text)
    return Blueprint.of(load_rig(folder / "rig.toml"))


@pytest.mark.parametrize(
    ("what", "by", "told"),
    [
        ('send = ["ValveCommand"]', 'send = ["ValveComand"]', "has no message 'ValveComand'; did you mean"),
        ('send = ["ValveCommand"]', 'send = ["Ground"]', r"energising\.ValveCommand may not be sent at all"),
        ("Valve = [1]", "Valv = [1]", "message ValveCommand has no signal 'Valv'; did you mean Valve"),
        ("Valve=0 Position=0", "Valve=0", r"safe: .*ValveCommand refused"),
        ('"EngineStatus.State"', '"EngineStatus"', "'EngineStatus' cannot be read; write MESSAGE.SIGNAL"),
        ('expect = "OFF"', "below_v = 1.0", "a step on a bus is proved by expect"),
        ('interlock = { pin = "stand.di_key", level = "high" }', "", "needs an interlock: a bus has no watchdog"),
        ('pin = "stand.di_key"', 'pin = "stand.di_kex"', r"bus\.bus_a\.interlock\.pin = 'stand\.di_kex' is on no net"),
        ('cut_by = "stand"', "", r"bus\.bus_a\.hazard = 2 without a watchdog stays on when the keeper is dead"),
        ("hazard = 2\nsend", "send", "send and energising list what may go out on a hazardous bus"),
        ("hazard = 2\nsend", "hazard = 3\nsend", r"bus\.bus_a\.hazard = 3"),
    ],
)  # fmt: skip
def test_a_rig_file_that_does_not_keep_its_bus_safe_is_refused(tmp_path, what, by, told):
    assert what in RIG
    with pytest.raises(ConfigError, match=told):
        opened(tmp_path, RIG.replace(what, by, 1))


def test_a_hazardous_bus_is_not_opened_past_the_keeper(tmp_path):
    blueprint = opened(tmp_path, RIG)
    assert has_keeper(blueprint.file)
    assert keeper_plan(blueprint.file, who="a test").buses[0].energising == {"ValveCommand": {"Valve": [1]}}
    with pytest.raises(ConfigError, match=r"bus\.bus_a has hazard 2: it is reached through the keeper"):
        open_rig(blueprint)


def test_in_simulation_the_same_gate_stands_before_the_bus(tmp_path):
    rig = open_rig(opened(tmp_path, VIRTUAL.replace("hazard = 2\nsend", 'hazard = 2\naction = "valve.open"\nsend')))
    heard: list[Frame] = []
    engine = rig.bus("bus_a").raw.wire.attach("engine")
    engine.on_frame(heard.append)
    bus = rig.bus("bus_a")
    with pytest.raises(BusError, match=r"interlock stand\.di_key high reads low"):
        bus.send("ValveCommand", {"Valve": 1, "Position": 0.0})
    with pytest.raises(can.CanOperationError, match="EngineStatus is not on the list"):
        bus.raw.send(can.Message(arbitration_id=256, data=bytes(8), is_extended_id=False))
    bus.raw.send_periodic(can.Message(arbitration_id=512, data=bytes([1, 0, 0, 0]), is_extended_id=False), 0.01)
    bus.send("ValveCommand", {"Valve": 0, "Position": 0.0})
    rig.clock.sleep(50 * ms)
    assert [DATABASE.decode(frame)["Valve"] for frame in heard] == [0]
    with pytest.raises(HilError, match=r"UNSAFE: bus_a: 'EngineStatus\.State' was to read 'OFF' within 500 ms; found"):
        rig.close()  # nobody answers here
    before, safe = (DATABASE.decode(frame)["Count"] for frame in heard)
    assert safe == int(before) + 1  # the sequence's frame follows the test's


def test_a_test_that_is_killed_leaves_pins_low_and_valves_shut_and_the_keeper_says_so(tmp_path):
    with Stand() as stand, SlcanHub(2, link=str(tmp_path / "bus_")):
        stand.do(lambda: stand.key.drive(28.0, 1.0))
        engine = Engine("slcan", str(tmp_path / "bus_1"))
        text = RIG.replace("tcp://127.0.0.1:5030", stand.server.address).replace("BUS", str(tmp_path / "bus_0"))
        (tmp_path / "rig.toml").write_text(text)
        environment = {**os.environ, "HIL_LEASE_FOLDER": str(tmp_path / "lease")}
        command = [sys.executable, "-c", VICTIM, str(tmp_path)]
        victim = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        assert victim.stdout is not None
        assert b"no test has begun; the rig is SAFE-CONFIRMED" in victim.stdout.readline()
        keeper = os.pidfd_open(int(victim.stdout.readline()))
        stand.await_volts("arm", above=20.0)
        engine.await_heard(lambda heard: [values["Valve"] for values in heard] == [0, 0, 1])
        victim.send_signal(signal.SIGKILL)
        stand.await_volts("arm", below=1.0)
        engine.await_heard(lambda heard: [values["Valve"] for values in heard] == [0, 0, 1, 0])
        assert select.select([keeper], [], [], PATIENCE_S)[0]
        os.close(keeper)
        victim.communicate()
        engine.close()
    last = read_record(tmp_path / "keeper.jsonl")[-1]
    assert (last["what"], last["state"]) == ("ended", "SAFE-CONFIRMED")


def test_the_keeper_lets_the_request_pass_by_which_a_bus_is_measured(tmp_path):
    asked = 'pace = "wall"\nworlds = { sim = "tcp://127.0.0.1:5040" }\n'
    (tmp_path / "rig.toml").write_text(RIG.replace('pace = "wall"\n', asked) + FLIES)
    plan = keeper_plan(load_rig(tmp_path / "rig.toml"), who="a test")
    (bus,) = KeeperPlan.model_validate_json(plan.model_dump_json()).buses
    assert bus.loopback == (0x7F0, 0x7F1, False)
    (tmp_path / "rig.toml").write_text(RIG)
    assert keeper_plan(load_rig(tmp_path / "rig.toml"), who="a test").buses[0].loopback is None
