"""One run: its folder, its plan, its trials, and what it comes to. Knows no pytest."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hil import realtime
from hil.campaign.coverage import RunCoverage, collecting, designs_of, designs_of_plan
from hil.campaign.keeping import Keeping
from hil.campaign.trial import Desk, Order, Trial
from hil.clock import utc_now
from hil.coverage.model import CoverModel
from hil.errors import ConfigError
from hil.evidence.documents import RunHeader
from hil.evidence.finalise import Finalised, announce, finalise
from hil.evidence.folder import Part, segment_file
from hil.evidence.identity import collect_identity, write_identity
from hil.evidence.recorder import SegmentFile
from hil.profile import Profile
from hil.rig.blueprint import Blueprint
from hil.rig.keeping import has_keeper, is_leased, lab_plan
from hil.rig.loader import load_rig
from hil.safety.deadlines import why_not_allowed
from hil.safety.errors import AuthorityError
from hil.safety.grant import Grant
from hil.safety.lease_seen import LeaseSeen
from hil.safety.session_lease import SessionLease

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hil.rig.model import RigFile
    from hil.safety.lease_seen import RunLease


@dataclass(frozen=True)
class Settings:
    """What a run is started with: rig file, changes to it, seed, profiles, folder of the evidence.

    ``cover`` are the files of cover points; ``coverage`` asks for code coverage, ``coverage_goals`` for a run that is
    meant to reach its goals. ``bench_jitter`` seeds latencies of a bench, drawn in virtual time; none unless given.
    ``grants`` are the files of grants of hazardous actions.
    """

    rig: str
    root: Path
    sets: tuple[str, ...] = ()
    seed: int | None = None
    profiles: tuple[Path, ...] = ()
    folder: str | None = None
    cover: tuple[Path, ...] = ()
    coverage: bool = False
    coverage_goals: bool = False
    bench_jitter: int | None = None
    grants: tuple[Path, ...] = ()


class RunSession:
    """One run, in the process that controls it or in a worker.

    Args:
        settings: what the run is started with.
        folder: the run folder, which is there.
        file: the rig file, read and checked.
        worker: name of this process among those of the run.
    """

    def __init__(self, settings: Settings, folder: Path, file: RigFile, *, worker: str = "main") -> None:
        judged = settings.coverage_goals or file.rtl.judge_coverage
        if settings.coverage or judged:
            file = collecting(file)
        self.folder = folder
        self.file = file
        self.seed = file.rig.seed if settings.seed is None else settings.seed
        self.profile = Profile.load(settings.profiles)
        self.cover = CoverModel.load(settings.cover)
        self._coverage = RunCoverage(folder, designs_of(file), self.cover, judged)
        self._root = settings.root
        self._jitter = settings.bench_jitter
        if self._jitter is not None and not file.rig.is_virtual:
            raise ConfigError(
                f"--bench-jitter draws latencies in virtual time, and {file.file.name} has pace {file.rig.pace!r}: "
                "there they are real; leave it out, or take a rig of virtual pace"
            )
        self._grants = tuple(read_grant(path) for path in settings.grants)
        self.planned: list[str] = []
        self._segments = SegmentFile(segment_file(folder, worker))
        self._requirements: Mapping[str, Sequence[str]] = {}
        self._places: dict[str, int] = {}
        self._attempts: dict[str, int] = {}
        self.keeping: Keeping | None = None
        """The keeper of a rig with hazards, and this process's connection to it."""
        self.lease: SessionLease | None = None
        """The lease of a rig without a keeper, in the process that began the run."""
        self.lease_seen: RunLease | None = None
        """That lease in another process of the run."""
        self.unsafe = ""
        """What the keeper could not confirm to be safe, once the run is over; "" when all is."""
        self.kept_on: tuple[str, ...] = ()
        """What was left on at the end, because the rig file says that it may be."""

    @classmethod
    def begin(cls, settings: Settings) -> RunSession:
        """Start a run: check the rig, make the folder, note who, where and when.

        Raises:
            ConfigError: when the rig file or a profile is wrong, or a given folder holds something already.
            EvidenceError: when the folder cannot be written.
            LeaseError: when somebody else has the rig.
            KeeperError: when its keeper could not begin.
            UnsafeError: when it is not safe.
        """
        file = load_rig(settings.rig, settings.sets)
        folder = default_folder(settings.root, file) if settings.folder is None else Path(settings.folder)
        if folder.exists() and any(folder.iterdir()):
            raise ConfigError(f"{folder} holds something already; evidence is never overwritten: name a new folder")
        session = cls(settings, folder, file)
        _ = session.blueprint
        identity = collect_identity(rig_file=Path(settings.rig), rig=_describe(file))
        write_identity(folder, identity | {"grants": [_granted(grant) for grant in session._grants]})
        if has_keeper(file):
            session.keeping = Keeping.start(file, folder)
        elif is_leased(file):
            session.lease = SessionLease(
                file.rig.name, ttl_s=file.safety.lease_s, who=f"run {folder.name}", lab=lab_plan(file)
            )
        return session

    @classmethod
    def join(cls, settings: Settings, folder: str, worker: str, keeper: str = "", lease: int = 0) -> RunSession:
        """Take part in a run that another process started.

        Args:
            settings: what the run is started with.
            folder: the run folder.
            worker: name of this process, another one for each that takes part.
            keeper: where the run's keeper is, as :attr:`Keeping.door` of that process says; "" without one.
            lease: the fencing token of the lease that process holds; 0 without one.

        Raises:
            ConfigError: when the rig file or a profile is wrong.
            KeeperError: when the keeper is gone.
        """
        session = cls(settings, Path(folder), load_rig(settings.rig, settings.sets), worker=worker)
        if keeper:
            session.keeping = Keeping.join(keeper, session.file)
        if lease:
            session.lease_seen = LeaseSeen(session.file.rig.name, lease)
        return session

    @cached_property
    def blueprint(self) -> Blueprint:
        """The rig's classes and databases, imported once."""
        return Blueprint.of(self.file)

    @cached_property
    def _desk(self) -> Desk:
        return Desk(
            self.folder,
            self._segments,
            self.blueprint,
            self.profile,
            self.seed,
            self.cover.bins,
            self.keeping,
            self._scheduling(),
            self.development,
            self._jitter,
            self._grants,
            self.lease or self.lease_seen,
        )

    def _scheduling(self) -> tuple[str, ...]:
        """What the host gave this process of the real-time scheduling the rig file asks for, and what not."""
        rig = self.file.rig
        if rig.is_virtual:
            return ()
        if not rig.realtime_priority:
            return (str(realtime.settled_garbage()),)
        return tuple(realtime.request(rig.realtime_priority, cpus=rig.cpus or None).lines())

    @property
    def development(self) -> tuple[str, ...]:
        """What makes this a development run: changed keys of the rig file, latencies drawn."""
        return self.file.sets if self._jitter is None else (*self.file.sets, f"--bench-jitter={self._jitter}")

    @property
    def header(self) -> RunHeader:
        """What the run has in common, for its first document."""
        return RunHeader(
            rig=self.file.rig.name,
            evidence_class=self.file.evidence_class,
            seed=self.seed,
            development=self.development,
            profiles=self.profile.documents(),
            late_max=None if self.file.rig.is_virtual else self.file.rig.run_late_ticks_max,
        )

    def plan(self, nodeids: Sequence[str], requirements: Mapping[str, Sequence[str]] | None = None) -> None:
        """Take over what will be tried, in order.

        Args:
            nodeids: the tests.
            requirements: requirement ids by test, where they are known before the tests run.
        """
        self.planned = list(nodeids)
        self._requirements = requirements or {}
        self._places = {nodeid: index for index, nodeid in enumerate(self.planned)}

    def demand_deadlines(self, orders: Iterable[Order]) -> None:
        """See that no test asks for a longer deadline than the rig file allows.

        Raises:
            ConfigError: when one does.
        """
        safety = self.file.safety
        for order in orders:
            refusal = why_not_allowed(order.deadline_s, safety.longest_deadline_s)
            if refusal:
                raise ConfigError(f"{self.file.where('safety')}: {order.nodeid}: {refusal}")

    def announce(self) -> None:
        """Write the plan down before the first trial, so that a run that is killed tells what was planned.

        Where coverage is collected, the designs of all planned block tests are among those it is judged by from now on.

        Raises:
            ConfigError: when the goals or waivers of such a design are wrong.
            EvidenceError: when the plan cannot be written.
        """
        if self.file.rtl.coverage:
            tested = designs_of_plan(self._root, self.planned)
            self._coverage = replace(self._coverage, designs=designs_of(self.file, tested))
        announce(self.folder, self.planned, self.header, requirements=self._requirements)

    def trial(self, order: Order) -> Trial:
        """Begin the next attempt of a planned test.

        Raises:
            EvidenceError: when it cannot be recorded.
        """
        attempt = self._attempts[order.nodeid] = self._attempts.get(order.nodeid, 0) + 1
        return Trial(self._desk, order, Part(self._places[order.nodeid], attempt))

    def finish(self) -> Finalised:
        """Join what was recorded, close it with the manifest and count.

        Raises:
            EvidenceError: when it cannot be written; everything recorded stands in ``parts/``.
        """
        if self.keeping is not None:
            self.unsafe = self.keeping.end()
            self.kept_on = self.keeping.kept_on
        if self.lease is not None:
            lost = self.lease.release()
            if lost:
                write_identity(self.folder, {"lease_lost": lost})
        self._segments.close()
        write_identity(self.folder, {"finished_utc": utc_now()})
        return finalise(
            self.folder,
            self.planned,
            self.header,
            unsafe=self.unsafe,
            requirements=self._requirements,
            coverage=self._coverage,
        )


def default_folder(root: Path, file: RigFile) -> Path:
    """The folder of a run that starts now: ``runs/<utc>-<rig>`` below a root."""
    stamp = re.sub(r"[^0-9T]", "", utc_now()[:23]) + "Z"
    return root / "runs" / f"{stamp}-{file.rig.name}"


def read_grant(path: Path) -> Grant:
    """Read the file of a grant.

    Raises:
        AuthorityError: when it cannot be read, or was altered.
    """
    try:
        return Grant.decode(path.read_bytes(), path)
    except OSError as error:
        raise AuthorityError(f"{path}: cannot be read: {error.strerror}; name the file of a grant") from error


def _granted(grant: Grant) -> dict[str, object]:
    """What the identity of a run says of a grant it was given."""
    signed = [{"name": each.person, "key": each.key} for each in grant.signatures]
    kept = ("rig", "action", "interlock", "reason", "begins_utc", "ends_utc")
    return {"grant": grant.id, **{key: getattr(grant, key) for key in kept}, "signed": signed}


def _describe(file: RigFile) -> dict[str, object]:
    """What the rig file says of instruments and articles, for the identity of the run."""
    return {
        "name": file.rig.name,
        "pace": file.rig.pace,
        "evidence_class": file.evidence_class,
        "files": {source.name: source.sha256 for source in file.sources},
        "development": list(file.sets),
        "instruments": {
            name: table.model_dump(mode="json", exclude_none=True, exclude={"safe", "watchdog", "interlock"})
            for name, table in file.instrument.items()
        },
        "articles": {
            name: {"evidence_class": table.evidence_class, "model": table.model, "serial": table.serial}
            for name, table in file.dut.items()
        },
        "paths": {name: table.model_dump(mode="json", by_alias=True) for name, table in file.path.items()},
    }
