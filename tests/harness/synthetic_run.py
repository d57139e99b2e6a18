"""A synthetic run folder, written through the recorder as the harness writes one; for tests and for looking at."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hil.evidence.documents import RunHeader, measurement_fields
from hil.evidence.exhibits import checked
from hil.evidence.finalise import Finalised, announce, finalise
from hil.evidence.folder import Part, segment_file
from hil.evidence.identity import collect_identity, write_identity
from hil.evidence.recorder import SegmentFile, SegmentRecorder
from hil.limits import Limit, Measurement, Verdict, judge_test, take
from hil.units import ms, s

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SPEC = "FTS receiver specification, revision 2"
RULE = "14 CFR 417 appendices D and E, 2016 (legacy baseline)"
LIMITS = {
    limit.name: limit
    for limit in (
        Limit(name="fts.arm_threshold", unit="dBm", high=-107.0, family_low=-119.0, family_high=-113.0,
              uncertainty=0.5, clause="3.2.1", source="FTR procurement specification", grade="D", origin=SPEC),
        Limit(name="fts.response_time", unit="ms", high=25.0, uncertainty=0.1, clause="3.2.4",
              source="FTR procurement specification", grade="D", origin=SPEC),
        Limit(name="fts.supply_current", unit="A", low=0.05, high=0.35, uncertainty=0.005, clause="3.3.1",
              source="FTR procurement specification", grade="D", origin=SPEC),
        Limit(name="fts.inadvertent_outputs", unit="1", low=0, high=0, clause="E417.19(f)",
              source="14 CFR 417", grade="P", origin=RULE),
        Limit(name="engine.redline_to_driver_off", unit="ms", high=40.0, uncertainty=0.5, clause="5.4",
              source="engine controller specification", grade="D", origin="Engine controller, draft"),
        Limit(name="av.valve_state", unit="1", equals="CLOSED", clause="7.1", source="avionics specification",
              grade="D", origin="Avionics, draft"),
    )
}  # fmt: skip
RESPONSE_RULE = Limit(
    name="fts.response_time", unit="ms", high=30.0, clause="A417.21(c)(3)", source="14 CFR 417", grade="P", origin=RULE
)


@dataclass(kw_only=True)
class Sketch:
    """One test of the synthetic run."""

    nodeid: str
    title: str = ""
    requirements: tuple[str, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    checks: tuple[tuple[str, str, str, bool, object], ...] = ()  # form, signal, condition, passed, seen
    verdict: Verdict | None = None
    message: str = ""
    late: int = 0
    logs: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    exhibits: tuple[tuple[str, dict[str, Any]], ...] = ()  # kind, fields
    channels: Mapping[str, str] = field(default_factory=dict[str, str])  # name, unit


def of(name: str, value: object, *more: Limit) -> Measurement:
    """A measurement judged by the limits above, and by some more."""
    return take(name, value, LIMITS[name].unit, [LIMITS[name], *more])


def header(**changes: object) -> RunHeader:
    """What the synthetic run has in common."""
    profiles = [
        {"name": "FTS receiver specification", "edition": "revision 2", "status": "in force", "kind": "dut_spec",
         "note": "", "file": "fts.toml", "sha256": "ab" * 32},
        {"name": "14 CFR 417 appendices D and E", "edition": "2016", "status": "legacy / tailoring baseline",
         "kind": "rule", "note": "removed by 85 FR 79715", "file": "cfr417.toml", "sha256": "cd" * 32},
    ]  # fmt: skip
    fields: dict[str, object] = {
        "rig": "launcher-sim",
        "evidence_class": "sim",
        "seed": 1,
        "title": "Reference launcher",
        "profiles": profiles,
    }
    return RunHeader(**(fields | changes))


def record(
    run_dir: Path, index: int, sketch: Sketch, *, attempt: int = 1, sync: bool = False, worker: str = "main"
) -> None:
    """Record one test as the harness would."""
    part = Part(index, attempt)
    with closing(SegmentFile(segment_file(run_dir, worker))) as file:
        recorder = SegmentRecorder(file, nodeid=sketch.nodeid, index=index, attempt=attempt)
        recorder.write("start", title=sketch.title, requirements=sketch.requirements, seed=1,
                       evidence_class="sim", rig="launcher-sim", development=[])  # fmt: skip
        recorder.write("event", t_ns=0, what="instrument", name="psu", manufacturer="HIL", model="PSU-TWIN",
                       serial="SN0007", firmware="1.0")  # fmt: skip
        recorder.write("event", t_ns=10 * ms, what="stimulus", detail="uplink.send ARM", level_dbm=-107.0)
        for number, (form, signal, condition, passed, seen) in enumerate(sketch.checks, 1):
            recorder.write("event", t_ns=number * 20 * ms, what="check", form=form, signal=signal, mark_ns=10 * ms,
                           condition=condition, passed=passed, seen=seen, at_ns=number * 15 * ms)  # fmt: skip
        for kind, given in sketch.exhibits:
            recorder.write("event", **checked(kind, given, now_ns=0))
        for number, taken in enumerate(sketch.measurements, 1):
            fields = measurement_fields(taken, t_ns=number * 500 * ms, evidence_class="sim")
            recorder.write("measurement", **fields)
        found = [Verdict.PASS if check[3] else Verdict.FAIL for check in sketch.checks]
        verdict = sketch.verdict or judge_test([*found, *(taken.verdict for taken in sketch.measurements)])
        reason = next((taken.judgement.reason for taken in sketch.measurements if taken.judgement.reason), "")
        for name, unit in sketch.channels.items():
            recorder.write("channel", name=name, unit=unit)
        recorder.write("stop", verdict=verdict, reason=reason, message=sketch.message, t_ns=3 * s + index * ms,
                       **({"late": sketch.late} if sketch.late else {}))  # fmt: skip
        if sync:
            recorder.sync()
    for name, content in sketch.logs.items():
        path = part.folder(run_dir) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_run(run_dir: Path, sketches: Sequence[Sketch], *, extra: Sequence[str] = (), **changes: object) -> Finalised:
    """A finalised run of these tests; ``extra`` tests are planned but never recorded."""
    plan = [*(sketch.nodeid for sketch in sketches), *extra]
    needed = {sketch.nodeid: sketch.requirements for sketch in sketches} | dict.fromkeys(extra, ("SAF-R-02",))
    write_identity(run_dir, IDENTITY)
    announce(run_dir, plan, header(**changes), requirements=needed)
    for index, sketch in enumerate(sketches):
        record(run_dir, index, sketch)
    write_identity(run_dir, {"finished_utc": "2026-03-01T12:00:07.250000+00:00"})
    return finalise(run_dir, plan, header(**changes), requirements=needed)


IDENTITY: dict[str, object] = {
    **collect_identity(),
    "started_utc": "2026-03-01T12:00:00.000000+00:00",
    "command": ["hil", "qualify", "tests/launcher", "--rig", "rigs/sim.toml"],
    "host": {"name": "bench-1", "system": "Linux-6.1-x86_64", "processors": 2},
    "folder": "/home/tester/launcher",
    "git": {"revision": "0123456789abcdef0123456789abcdef01234567", "modified": False},
    "rig": {
        "name": "launcher-sim", "file": "rigs/sim.toml", "sha256": "ef" * 32, "pace": "virtual",
        "instruments": [
            {"name": "siggen", "resource": "TCPIP0::siggen::INSTR", "idn": "HIL,RF-TWIN,SN0001,1.0",
             "model": "hil.visa.twins:SignalGenerator"},
            {"name": "psu", "resource": "TCPIP0::psu::INSTR", "idn": "HIL,PSU-TWIN,SN0002,1.0",
             "calibration": {"certificate": "DKD-4711", "due": "2026-09-30", "uncertainty": "5 mV"}},
        ],
        "duts": [{"name": "fts", "model": "hil_launcher.models.fts:Receiver", "as_built": "fts.toml"}],
    },
}  # fmt: skip

CAN = b"(0.000100) bus_a 1A0#0011223344556677\n(0.010100) bus_a 1A0#0111223344556677\n"

PASSING = Sketch(
    nodeid="tests/launcher/test_fts_rf.py::test_arm_threshold",
    title="ARM works at the guaranteed level and at every stronger one, going down and coming up.",
    requirements=("FTS-R-04",),
    measurements=(
        of("fts.arm_threshold", -115.75),
        take("fts.arm_threshold_spread", 0.5, "dB", None),
    ),
    checks=(("expect", "fts.arm_output", "HIGH within 100 ms", True, "HIGH"),),
    logs={"can/bus_a.log": CAN, "scpi/siggen.log": b"> FREQ 425 MHz\n< 0\n"},
)
SKETCHES = (
    PASSING,
    Sketch(
        nodeid="tests/launcher/test_fts_rf.py::test_response_time[24V]",
        title="TERMINATE reaches the output pins in time at the lowest supply voltage.",
        requirements=("FTS-R-05", "FTS-R-40"),
        measurements=(of("fts.response_time", 12.25, RESPONSE_RULE), of("fts.supply_current", 0.1834)),
        logs={"can/bus_a.log": CAN, "signals/fts.out.npy": b"\x93NUMPY"},
    ),
    Sketch(
        nodeid="tests/launcher/test_fts_rf.py::test_response_time[36V]",
        title="TERMINATE reaches the output pins in time at the highest supply voltage.",
        requirements=("FTS-R-05",),
        measurements=(of("fts.response_time", 24.96, RESPONSE_RULE), of("fts.supply_current", 0.1210)),
    ),
    Sketch(
        nodeid="tests/launcher/test_fts_logic.py::test_no_output_without_arm",
        title="TERMINATE without ARM leaves every output low.",
        requirements=("FTS-R-32",),
        measurements=(of("fts.inadvertent_outputs", 3),),
        checks=(
            ("stays", "fts.terminate_output", "LOW for 5 s", False, "HIGH"),
            ("always", "fts.supply_current", "below 0.35 A", True, 0.12),
        ),
        message="fts.inadvertent_outputs: 3 is 3 above the limit 0\n"
        "stays: fts.terminate_output was HIGH at 0.015 s, wanted LOW for 5 s after <script>alert(1)</script>",
    ),
    Sketch(
        nodeid="tests/launcher/test_fts_rf.py::test_threshold_in_family",
        title="The threshold is like that of its sisters.",
        requirements=("FTS-R-04",),
        measurements=(of("fts.arm_threshold", -111.2),),
    ),
    Sketch(
        nodeid="tests/launcher/test_engine.py::test_redline_shuts_the_engine_down[chamber_pressure]",
        title="Past a redline the valve drivers drop out in time, both valves close, and they stay closed.",
        requirements=("ENG-R-05",),
        measurements=(
            of("engine.redline_to_driver_off", math.nan),
            of("av.valve_state", "CLOSED"),
        ),
        message="engine.redline_to_driver_off: NaN is no value and never passes",
    ),
    Sketch(
        nodeid="tests/launcher/test_range.py::test_" + "a_very_long_parameter_" * 9 + "[x]",
        title="Long names do not break the layout.",
        requirements=("AV-R-14",),
        measurements=(of("av.valve_state", "CLOSED"),),
    ),
    Sketch(
        nodeid="tests/launcher/test_rtl.py::test_decoder_in_rtl",
        title="The decoder's logic is the same in RTL.",
        requirements=("FTS-R-33",),
        verdict=Verdict.NOT_RUN,
        message="iverilog is not installed: apt-get install iverilog",
    ),
    Sketch(
        nodeid="tests/launcher/test_bus.py::test_bus_off_recovers",
        title="After bus-off the node comes back within the specified time.",
        requirements=("AV-R-20",),
        verdict=Verdict.ERROR,
        message="InstrumentError: psu: *IDN? answered 'OTHER,MODEL', the rig file wants 'HIL,PSU-TWIN'",
    ),
)
