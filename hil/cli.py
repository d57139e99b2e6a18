"""The ``hil`` command. Every subcommand is a thin call into the library, imported when it runs."""

from __future__ import annotations

from pathlib import Path

import click

from hil.errors import HilError

_RUN = click.argument("run", type=click.Path(path_type=Path))
_USAGE = 2  # the exit code of a command that could not start its work


class Refusal(click.ClickException):
    """An error of the harness as the command line shows it: one line, no traceback, exit code 2."""

    exit_code = _USAGE

    def __init__(self, error: HilError) -> None:
        super().__init__(_printable(str(error)))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
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
    from hil.limits import Outcome
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


def _printable(text: str) -> str:
    """A text that any terminal takes: what it cannot encode is shown as an escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
