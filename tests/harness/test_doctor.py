"""``hil doctor``: what it finds on a bench that is right, and on benches that are not; it never changes anything."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from authority_bench import write_register
from hypothesis import given
from hypothesis import strategies as st
from sim_world import Served, ServedCard

from hil.doctor import wake_up
from hil.doctor.authority import authority, why_not_trusted
from hil.doctor.buses import NetworkLink, buses, judge_link
from hil.doctor.cards import cards
from hil.doctor.finding import Finding, as_document, summary
from hil.doctor.host import disk
from hil.doctor.instruments import instruments
from hil.doctor.keeping import keeper, lease, why_not_talk
from hil.doctor.queries import is_query, query_forms
from hil.doctor.tables import calibrations, paths, rig_file
from hil.errors import InstrumentError
from hil.rig.loader import load_rig
from hil.rig.part_tables import BusTable
from hil.safety.lease import Lease, Takeover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hil.rig.model import RigFile

ROOT = Path(__file__).parents[2]
LINKS = {link["ifname"]: link for link in json.loads((ROOT / "tests/harness/data/ip_links.json").read_text())}
TODAY = datetime.date(2026, 3, 1)
RIG = """
[rig]
name = "doctored"
pace = "wall"
max_lateness_ms = 500.0

[instrument.psu]
driver = "hil.visa.keysight_n6700:KeysightN6700"
resource = "{resource}"
serial = "S1"
hazard = 1
safe = [
    {{ write = "OUTP OFF,(@1:4)", query = "OUTP? (@1:4)", expect = "0,0,0,0" }},
    {{ query = "MEAS:VOLT? (@1:4)", below_v = 1.0, within_ms = 500.0 }},
]
watchdog = {{ enable = "{watchdog}", timeout_ms = 2000.0 }}
calibration = {{ certificate = "C-7", due = 2026-06-30 }}
"""
WATCHDOG = "OUTP:PROT:WDOG:DEL 2;:OUTP:PROT:WDOG ON"
CARD = """
[rig]
name = "carded"
pace = "wall"
max_lateness_ms = 500.0

[instrument.stand]
driver = "hil.io.stream_card:StreamCard"
resource = "{address}"

[instrument.siggen]
driver = "hil.visa.keysight_n5182b:KeysightN5182B"
model = "hil.visa.keysight_n5182b_twin:KeysightN5182BTwin"
interlock = {{ pin = "stand.{port}", level = "high" }}

[net.out]
pins = ["stand.{port}", "siggen.rf"]
"""


def _free() -> str:
    return ""


def _states(findings: Iterable[Finding]) -> dict[str, str]:
    return {finding.name: finding.state for finding in findings}


def _named(findings: Iterable[Finding], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


@pytest.fixture(autouse=True)
def leases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of leases of its own."""
    folder = tmp_path / "leases"
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setenv("HIL_LEASE_FOLDER", str(folder))
    return folder


@pytest.fixture
def supply() -> Iterator[Served]:
    with Served() as served:
        yield served


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., RigFile]:
    def write(resource: str = "TCPIP0::127.0.0.1::1::SOCKET", *, watchdog: str = WATCHDOG, **changes: str) -> RigFile:
        text = RIG.format(resource=resource, watchdog=watchdog)
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "bench.toml").write_text(text)
        return load_rig(tmp_path / "bench.toml")

    return write


# -- who may arm ----------------------------------------------------------------------------------------------------


def test_a_register_that_others_than_root_may_change_fails_on_a_bench(written, tmp_path):
    write_register(tmp_path).chmod(0o664)
    found = list(authority(written(**{"[instrument.psu]": '[safety]\nauthority = "authority.toml"\n[instrument.psu]'})))
    assert _named(found, "register").state == "fail"
    assert "may change it and so arm" in _named(found, "register").found
    assert "chmod 0644" in _named(found, "register").remedy


def test_what_only_root_may_change_is_trusted():
    assert why_not_trusted(Path("/etc/passwd")) == ""


def test_a_rig_that_asks_for_no_grants_needs_no_register(written):
    assert _states(authority(written())) == {"register": "skip"}


# -- instruments ----------------------------------------------------------------------------------------------------


def test_a_supply_that_is_right_is_all_ok_and_was_sent_queries_only(supply, written):
    found = list(instruments(written(supply.server.resource), _free))

    assert _states(found) == {"psu identity": "ok", "psu outputs": "ok", "psu watchdog": "ok"}
    sent = [text for direction, text in supply.transcript if direction == "write"]
    assert len(sent) >= 5
    assert all(is_query(text) for text in sent)


def test_a_wrong_serial_fails_and_the_instrument_is_asked_nothing_more(supply, written):
    found = list(instruments(written(supply.server.resource, **{'"S1"': '"S2"'}), _free))

    identity = _named(found, "psu identity")
    assert identity.state == "fail"
    assert "serial S2, found Keysight Technologies N6702C serial S1" in identity.found
    assert "bench.toml" in identity.remedy
    assert _states(found)["psu outputs"] == "skip"
    assert [text for direction, text in supply.transcript if direction == "write"] == ["*IDN?"]


def test_a_real_instrument_without_a_serial_in_the_rig_file_is_a_warning_that_gives_it(supply, written):
    found = _named(instruments(written(supply.server.resource, **{'serial = "S1"\n': ""}), _free), "psu identity")

    assert found.state == "warn"
    assert 'serial = "S1"' in found.remedy


def test_a_port_that_refuses_fails_with_its_resource(written):
    found = list(instruments(written(), _free))

    assert _states(found) == {"psu identity": "fail"}
    assert "TCPIP0::127.0.0.1::1::SOCKET" in found[0].found
    assert "switch it on" in found[0].remedy


def test_an_output_that_is_on_fails_with_what_makes_it_safe_and_stays_on(supply, written):
    with supply.connect() as link:
        link.sendall(b"CURR 1,(@1);:VOLT 28,(@1);:OUTP ON,(@1);*OPC?\n")
        link.recv(16)
    found = _named(instruments(written(supply.server.resource), _free), "psu outputs")

    assert found.state == "fail"
    assert "hil safe" in found.remedy
    assert supply.do(lambda: supply.loads.volts("out1")) == pytest.approx(28.0, abs=0.05)


def test_an_instrument_without_the_watchdog_fails_and_keeps_an_empty_error_queue(supply, written):
    found = _named(instruments(written(supply.server.resource, watchdog="OUTP:GUARD:TIME 2"), _free), "psu watchdog")

    assert found.state == "fail"
    assert "OUTP:GUARD:TIME? was not answered (-113" in found.found
    with supply.connect() as link:
        link.sendall(b"SYST:ERR?\n")
        assert link.recv(64).startswith(b"+0")


def test_a_simulated_instrument_is_not_checked():
    found = list(instruments(load_rig(ROOT / "rigs/sim.toml"), _free))

    assert {finding.state for finding in found} == {"skip"}


# -- the lease, and who may be disturbed -----------------------------------------------------------------------------


def test_a_rig_that_somebody_holds_fails_and_its_instruments_are_left_alone(supply, written, leases):
    file = written(supply.server.resource)
    held = Lease.acquire("doctored", ttl_s=60.0, who="a night run", folder=leases)
    assert isinstance(held, Lease)
    with held:
        found = _named(lease(file), "lease")
        assert (found.state, "a night run" in found.found) == ("fail", True)
        assert "wait" in found.remedy
        seen = list(instruments(file, lambda: why_not_talk(file)))
    assert _states(seen) == {"psu identity": "skip"}
    assert supply.transcript == []


def test_a_rig_that_was_left_unsafe_fails_with_the_command_that_confirms_it(written, leases):
    held = Lease.acquire("doctored", ttl_s=60.0, who="a run", folder=leases)
    assert isinstance(held, Lease)
    with held:
        held.mark_unsafe("output 1 reads 28 V")
    found = _named(lease(written()), "lease")

    assert found.state == "fail"
    assert "output 1 reads 28 V" in found.found
    assert "hil safe" in found.remedy


def test_a_supply_of_a_rig_that_was_left_unsafe_is_sent_nothing_that_could_feed_its_watchdog(supply, written, leases):
    held = Lease.acquire("doctored", ttl_s=60.0, who="a run", folder=leases)
    assert isinstance(held, Lease)
    with held:
        held.mark_unsafe("output 1 reads 28 V")
    file = written(supply.server.resource)

    assert _states(instruments(file, lambda: why_not_talk(file))) == {"psu identity": "skip"}
    assert supply.transcript == []


def test_a_rig_whose_holder_left_it_is_a_warning_and_not_talked_to(written, leases):
    with Lease.acquire("doctored", ttl_s=60.0, who="a run", folder=leases) as held:
        assert not isinstance(held, Takeover)

    assert _named(lease(written()), "lease").state == "warn"
    assert "watchdog" in why_not_talk(written())


def test_a_free_rig_stays_free(written, leases):
    found = list(lease(written()))

    assert _named(found, "lease").state == "ok"
    assert list(leases.iterdir()) == []


def test_a_lease_folder_that_others_cannot_use_fails_with_its_remedy(written, leases):
    leases.chmod(0o755)
    found = _named(lease(written()), "lease folder")

    assert (found.state, found.remedy) == ("fail", f"chmod 1777 {leases}")


def test_the_round_trip_to_a_keeper_is_measured_without_leasing_the_rig(written, leases):
    found = list(keeper(written()))

    assert [finding.state for finding in found] in (["ok"], ["warn"])
    assert "round trip" in found[0].found
    assert list(leases.iterdir()) == []


# -- the rig file and calibration ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("due", "state", "told"),
    [
        ("2026-02-28", "fail", "expired 1 days ago"),
        ("2026-03-01", "warn", "0 days left"),
        ("2026-03-31", "warn", "30 days left"),
        ("2026-04-01", "ok", "due 2026-04-01"),
    ],
)
def test_a_calibration_is_judged_by_its_last_day(written, due, state, told):
    [found] = calibrations(written(**{"2026-06-30": due}), TODAY)

    assert found.state == state
    assert told in found.found
    assert bool(found.remedy) == (state != "ok")


def test_an_instrument_without_a_calibration_is_not_checked(written):
    [found] = calibrations(written(**{'calibration = { certificate = "C-7", due = 2026-06-30 }': ""}), TODAY)

    assert found.state == "skip"


@pytest.mark.parametrize(
    ("change", "state"),
    [("", "skip"), ("due = 2026-02-01\n", "fail"), ("due = 2027-02-01\n", "ok"), ("date = 2026-03-02\n", "fail")],
)
def test_a_path_is_judged_by_its_date_and_due(tmp_path, change, state):
    text = (
        '[rig]\nname = "p"\n[instrument.a]\ndriver = "hil.io.card:IoCard"\nmodel = "hil.io.sim_card:SimIoCard"\n'
        '[net.n]\npins = ["a.ai_1", "a.ai_2"]\n[path.up]\nfrom = "a.ai_1"\nto = "a.ai_2"\nloss_db = 6.0\n'
        "uncertainty_db = 0.3\n"
    )
    (tmp_path / "p.toml").write_text(text + ("" if "date" in change else "date = 2026-01-12\n") + change)
    [found] = paths(load_rig(tmp_path / "p.toml"), TODAY)

    assert found.state == state


def test_a_class_that_is_not_there_is_a_failure_of_the_rig_file(written):
    found = list(rig_file(written(**{"keysight_n6700:KeysightN6700": "keysight_n6700:KeysightN6799"})))

    assert [finding.state for finding in found] == ["fail"]
    assert "KeysightN6799" in found[0].found


# -- buses -----------------------------------------------------------------------------------------------------------


def _link(name: str = "can0", **changes: object) -> NetworkLink:
    """What ``ip`` said of a controller in the guest with a CAN stack, and what is changed of it."""
    tree = json.loads(json.dumps(LINKS[name]))
    for path, value in changes.items():
        *inside, key = path.split("__")
        part = tree
        for step in inside:
            part = part[step]
        part[key] = value
    return NetworkLink.model_validate(tree)


def _table(**keys: object) -> BusTable:
    return BusTable.model_validate({"interface": "socketcan", "channel": "can0", "bitrate_bps": 500_000, **keys})


_DATA = "linkinfo__info_data__"


@pytest.mark.parametrize(
    ("link", "failing", "told", "remedy"),
    [
        (_link("can1"), "b bus", "is down", "ip link set can0 up type can bitrate 500000"),
        (_link("vcan7"), "b bus", "is down", "ip link set can0 up"),
        (_link("lo"), "b bus", "no CAN interface", "correct bus.b.channel"),
        (_link(**{f"{_DATA}bittiming__bitrate": 250_000}), "b bit rate", "250000 bit/s", "bitrate 500000"),
        (_link(**{f"{_DATA}state": "ERROR-PASSIVE"}), "b state", "ERROR-PASSIVE", "terminations"),
        (_link(**{f"{_DATA}berr_counter": {"tx": 128, "rx": 0}}), "b error counters", "TEC 128", "candump -e"),
    ],
)
def test_a_controller_that_is_not_as_the_rig_file_says_fails(link, failing, told, remedy):
    found = [finding for finding in judge_link("b", _table(), link) if finding.state == "fail"]

    assert [finding.name for finding in found] == [failing]
    assert told in found[0].found
    assert remedy in found[0].remedy


def test_a_controller_that_is_right_is_ok_but_for_its_short_queue():
    found = _states(judge_link("b", _table(), _link()))

    assert found.pop("b bus") == "warn"
    assert set(found.values()) == {"ok"}
    assert _states(judge_link("b", _table(), _link(txqlen=1000)))["b bus"] == "ok"


def test_a_controller_that_never_restarts_is_a_warning():
    assert _states(judge_link("b", _table(), _link(**{f"{_DATA}restart_ms": 0})))["b restart"] == "warn"


def test_a_data_bit_rate_that_is_not_set_fails():
    assert _states(judge_link("b", _table(data_bitrate_bps=2_000_000), _link()))["b data bit rate"] == "fail"


def test_a_controller_that_is_not_there_is_named_with_a_remedy(tmp_path, tool):
    tool("ip")
    (tmp_path / "b.toml").write_text(
        '[rig]\nname = "b"\npace = "wall"\n[bus.b]\ninterface = "socketcan"\nchannel = "nocan9"\nbitrate_bps = 500000\n'
    )
    [found] = buses(load_rig(tmp_path / "b.toml"))

    assert (found.state, "nocan9" in found.found, "adapter" in found.remedy) == ("fail", True, True)


def test_an_adapter_is_not_opened_and_its_bit_rate_not_checked(tmp_path):
    (tmp_path / "b.toml").write_text(
        '[rig]\nname = "b"\npace = "wall"\n[bus.b]\ninterface = "slcan"\nchannel = "dev/tty9"\nbitrate_bps = 500000\n'
    )
    found = _states(buses(load_rig(tmp_path / "b.toml")))

    assert found == {"b access": "fail", "b bit rate": "skip"}


# -- cards -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("port", "state"), [("di_out", "warn"), ("di_lost", "fail")])
def test_a_card_tells_its_clock_its_interlock_and_what_it_lacks(tmp_path, port, state):
    with ServedCard() as served:
        text = CARD.format(address=served.server.address, port=port)
        (tmp_path / "c.toml").write_text(text)
        found = list(cards(load_rig(tmp_path / "c.toml"), _free))

    assert "within" in found[0].found or state == "fail"
    assert found[-1].state == state
    assert ("does not read high" if state == "warn" else "no channel di_lost") in found[-1].found


# -- the host --------------------------------------------------------------------------------------------------------

_IN_A_SMALL_DISK = """
import sys
from pathlib import Path
from hil.doctor.host import disk
for finding in disk(Path(sys.argv[1]) / "runs"):
    print(finding.name, finding.state, bool(finding.remedy), sep=";")
"""


def test_a_full_disk_fails_with_a_remedy(tmp_path, tool):
    tool("unshare")
    script = 'mount -t tmpfs -o size=64k tmpfs "$1" && cat /dev/zero > "$1/full" 2>/dev/null; exec "$2" -c "$3" "$1"'
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *rights, "--mount", "sh", "-c", script, "sh", str(tmp_path), sys.executable, _IN_A_SMALL_DISK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"NOT_RUN: this host lets nobody mount a small disk: {done.stderr.strip()}")

    assert done.stdout.splitlines() == ["disk space;fail;True", "disk write;fail;True"]


def test_the_disk_is_as_empty_as_before(tmp_path):
    assert {"disk space", "disk write"} == set(_states(disk(tmp_path / "runs" / "deeper")))
    assert list(tmp_path.iterdir()) == [tmp_path / "leases"]


# -- the whole -------------------------------------------------------------------------------------------------------


def test_the_command_finds_a_good_bench_good(tmp_path, supply):
    (tmp_path / "bench.toml").write_text(
        RIG.format(resource=supply.server.resource, watchdog=WATCHDOG).replace("2026-06-30", "2999-06-30")
    )
    command = [sys.executable, "-m", "hil.doctor", str(tmp_path / "bench.toml"), "--json"]
    done = subprocess.run([*command, "--runs", str(tmp_path)], capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)

    states = {finding["name"]: finding["state"] for finding in found["findings"]}
    assert {name for name, state in states.items() if state == "fail"} <= {"disk space", "wake-up lateness"}
    assert states["lateness at half load"] in {"ok", "warn"}
    assert {states[f"psu {what}"] for what in ("identity", "outputs", "watchdog", "calibration")} == {"ok"}
    assert {"clock resolution", "clock synchronised", "keeper", "versions", "processor governor"} <= states.keys()
    assert done.returncode == (0 if found["ok"] else 1)


def test_a_clock_that_works_is_measured_against_what_the_rig_allows_in_wall_time():
    found = wake_up.measure(seconds=0.1, factor=0.5, allowed_ns=2, priority=0, cpus=[])

    assert (found.working.ticks, found.working.allowed_ns) == (100, 4)
    assert found.working.late > 50  # nobody is in time to 4 ns
    assert found.working.worst_ns >= found.working.p99_ns > 4


def test_a_rig_file_that_cannot_be_read_is_a_failure_and_nothing_else_is_good(tmp_path):
    command = [sys.executable, "-m", "hil.doctor", str(tmp_path / "none.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "FAIL        rig file" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("1 FAIL, 1 not checked")


def test_a_failure_without_a_remedy_cannot_be_written():
    with pytest.raises(ValueError, match="names no remedy"):
        Finding("psu identity", "fail", "somebody else")


def test_what_is_not_checked_is_never_counted_as_good():
    found = [Finding("a", "ok", "good"), Finding("b", "skip", "not there")]

    assert summary("bench", found) == "bench: 1 ok, 1 not checked"
    assert as_document("bench", found)["counts"] == {"ok": 1, "warn": 0, "fail": 0, "skip": 1}


_WORDS = st.sampled_from(
    ["OUTP", ":OUTP:PROT", "*RST", "VOLT", "MEAS:VOLT", "*TST", "WDOG:DEL", " ", ";", "?", "2", "(@1)"]
)


@given(st.lists(_WORDS, max_size=12).map("".join))
def test_the_query_form_of_anything_only_reads(message):
    forms = query_forms(message)

    assert all(is_query(form) for form in forms)
    assert not any(";" in form or form.startswith("*") for form in forms)


def test_a_command_is_refused_before_it_is_sent(supply):
    from hil.doctor.queries import Inquirer

    with Inquirer(supply.server.resource, "psu") as line, pytest.raises(InstrumentError, match="nothing was sent"):
        line.ask("OUTP ON,(@1);:OUTP? (@1)", 1)
    assert [text for direction, text in supply.transcript if direction == "write"] == ["*IDN?"]
