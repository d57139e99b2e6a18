"""``hil doctor``: the command."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hil.doctor.examination import examine
from hil.doctor.finding import Finding, as_document, summary
from hil.errors import HilError
from hil.rig.loader import load_rig


@click.command("doctor")
@click.argument("rig", type=click.Path(path_type=Path))
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change one key of the rig file.")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), help="Where runs go; default: runs.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document for programs.")
def doctor(rig: Path, sets: tuple[str, ...], runs: Path, *, as_json: bool) -> None:
    """Look at a bench before anything is energised; each failure names its remedy.

    Instruments are sent queries and nothing else, and not even these while somebody holds the rig; nothing is leased.
    Exit code 0: nothing failed. 1: something did. "not checked" is what could not be looked at; it is never good.
    """
    findings: list[Finding] = []
    try:
        file = load_rig(rig, sets)
    except HilError as problem:
        name = rig.as_posix()
        findings = [Finding("rig file", "fail", str(problem), f"correct it; hil rig check {name} looks again")]
        findings.append(Finding("everything else", "skip", "there is no rig file to look at"))
        if not as_json:
            click.echo("\n".join(line for finding in findings for line in finding.lines()))
    else:
        name = file.rig.name
        for finding in examine(file, runs):
            findings.append(finding)
            if not as_json:
                click.echo("\n".join(finding.lines()))
    click.echo(json.dumps(as_document(name, findings), indent=2) if as_json else summary(name, findings))
    raise SystemExit(any(finding.state == "fail" for finding in findings))
