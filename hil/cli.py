"""The ``hil`` command. Every subcommand is a thin call into the library, imported when it runs."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from hil.errors import HilError
from hil.limits import Outcome

_RUN = click.argument("run", type=click.Path(path_type=Path))
_RIG = click.option("--rig", required=True, metavar="FILE", help="The rig file.")
_ELSEWHERE = {
    "coverage": "hil.campaign.coverage_commands:coverage",
    "doctor": "hil.doctor.commands:doctor",
    "grant": "hil.rig.commands:grant",
    "rig": "hil.rig.commands:rig",
    "safe": "hil.rig.safe_command:safe",
    "sim": "hil.sim.commands:sim",
    "take": "hil.rig.take_command:take",
}
"""Subcommands that are imported when they are asked for."""
_USAGE = 2  # the exit code of a command that could not start its work


class Refusal(click.ClickException):
    """An error of the harness as the command line shows it: one line, no traceback, exit code 2."""

    exit_code = _USAGE

    def __init__(self, error: HilError) -> None:
        super().__init__(_printable(str(error)))


class _Main(click.Group):
    """The top command; ``hil rig`` and others are imported when they are asked for, so that reports need no rig."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All subcommands, those imported later included."""
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A subcommand by name."""
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, _, name = _ELSEWHERE[cmd_name].partition(":")
        found: object = getattr(importlib.import_module(module), name)
        assert isinstance(found, click.Command)
        return found


@click.group(cls=_Main, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hil")
def main() -> None:
    """Hardware-in-the-loop tests for launch vehicles."""


@main.command("verify")
@_RUN
def verify_command(run: Path) -> None:
    """Find every edit, cut, swap and truncation in a run folder.

    Exit code 0: intact. 1: something is not as it was recorded. 12: the run was not finished.

    Until runs are signed, this cannot find somebody who edits a document and then hashes the whole folder again:
    compare the head of the chain with one that was kept elsewhere.
    """
    from hil.evidence.verify import verify
    from hil.report.compare import verify_report

    try:
        findings = verify(run)
        note = ""
        if not findings:
            findings, note = verify_report(run)
    except HilError as error:
        raise Refusal(error) from error
    if note:
        click.echo(f"note: {_printable(note)}")
    for finding in findings:
        click.echo(_printable(str(finding)))
    if not findings:
        click.echo(f"{run}: intact")
    elif all(finding.incomplete for finding in findings):
        click.echo(f"{run}: {Outcome.INCOMPLETE.value}")
        raise SystemExit(Outcome.INCOMPLETE.exit_code)
    else:
        click.echo(f"{run}: {len(findings)} findings")
        raise SystemExit(1)


@main.command("report")
@_RUN
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to; default: report.html in RUN.")
def report_command(run: Path, output: Path | None) -> None:
    """Make the report of a run folder, or of a copy of it, and print its path."""
    from hil.report.render import write_report

    try:
        path = write_report(run, output)
    except HilError as error:
        raise Refusal(error) from error
    click.echo(path)


@main.command("compare")
@_RUN
@click.argument("other", type=click.Path(path_type=Path))
@click.option(
    "--within", multiple=True, metavar="NAME=DISTANCE", help="How far a measurement may lie apart, in its unit."
)
@click.option("--whole", is_flag=True, help="Both runs must have the same tests.")
def compare_command(run: Path, other: Path, within: tuple[str, ...], *, whole: bool) -> None:
    """Compare two runs of the same tests on two rigs: verdicts, and how far measurements lie apart.

    Exit code 0 when every common test has the same verdict and no measurement lies further apart than allowed.
    """
    from hil.evidence.index import read_run
    from hil.report.equivalence import compare

    try:
        found = compare(read_run(run), read_run(other), dict(_distance(text) for text in within))
    except HilError as error:
        raise Refusal(error) from error
    for line in found.lines():
        click.echo(_printable(line))
    raise SystemExit(0 if found.is_equal and (found.is_whole or not whole) else 1)


def _distance(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        return name, float(number)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not NAME=DISTANCE, for example fts.response_time=1.0") from None


@main.command("qualify", context_settings={"ignore_unknown_options": True})
@click.argument("tests", nargs=-1, required=True)
@_RIG
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change one key: a development run.")
@click.option("--run-folder", type=click.Path(path_type=Path), help="Where to; default: runs/<utc>-<rig>.")
def qualify_command(tests: tuple[str, ...], rig: str, sets: tuple[str, ...], run_folder: Path | None) -> None:
    """Run TESTS on a rig and write the report, whatever the verdict; the exit code is the run's.

    What follows -- among TESTS goes to pytest: hil qualify tests/launcher --rig rigs/sim.toml -- -n 2
    """
    from hil.campaign.qualify import qualify
    from hil.report.render import write_report

    try:
        done = qualify(tests, rig, root=Path.cwd(), sets=sets, folder=run_folder)
    except HilError as error:
        raise Refusal(error) from error
    try:
        click.echo(f"report: {_printable(str(write_report(done.folder)))}")
    except HilError as error:
        click.echo(f"no report: {_printable(str(error))}", err=True)
        raise SystemExit(done.code or Outcome.ERROR.exit_code) from error
    raise SystemExit(done.code)


@main.command("defects")
@click.argument("tests", nargs=-1, required=True)
@_RIG
@click.option(
    "--defects", "file", type=click.Path(path_type=Path), required=True, help="TOML file of the seeded defects."
)
@click.option("--workers", default=2, show_default=True, help="How many runs at a time.")
@click.option("--every", is_flag=True, help="Run every test with every defect, not only those expected to find it.")
@click.option(
    "--sound",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of a run of TESTS without a defect, made before; unless given, one is made.",
)
@click.option("--part", default="1/1", metavar="K/N", help="Try every Nth defect only, from the Kth on.")
def defects_command(
    tests: tuple[str, ...], rig: str, file: Path, workers: int, every: bool, sound: Path | None, part: str
) -> None:
    """Run TESTS without a defect and, for each seeded defect, those expected to find it; print which found which.

    Exit code 0 when every test finds a defect, every defect is found, and the rig without one passes; else 1.
    """
    from hil.campaign.defects import Campaign, kill_table, load_defects, part_of

    try:
        defects, others = part_of(load_defects(file), *_fraction(part))
        table = kill_table(Campaign(tests, rig, Path.cwd(), every, sound), defects, workers=workers)
    except HilError as error:
        raise Refusal(error) from error
    for line in table.lines():
        click.echo(line)
    problems = table.problems(defects, others)
    for problem in problems:
        click.echo(_printable(problem), err=True)
    untried = f" ({len(others)} more not tried)" if others else ""
    click.echo(f"{len(table.tests)} tests, {len(defects)} seeded defects{untried}: {len(problems) or 'no'} problems")
    raise SystemExit(1 if problems else 0)


def _fraction(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise click.BadParameter(f"{text!r} is not K/N with K from 1 to N, for example 2/4")
    return int(part), int(parts)


def _printable(text: str) -> str:
    """A text that any terminal takes: what it cannot encode is shown as an escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


if __name__ == "__main__":
    main()
