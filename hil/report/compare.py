"""Comparing a run's ``report.html`` with what its evidence renders to: an edited report is found as well."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from hil.evidence.folder import REPORT
from hil.evidence.scan import Finding
from hil.report.render import generator, render

if TYPE_CHECKING:
    from pathlib import Path

_GENERATOR = re.compile(rb'<meta name="generator" content="([^"]*)">')


def verify_report(run_dir: Path) -> tuple[list[Finding], str]:
    """Compare the report in a run folder with the folder's evidence.

    Args:
        run_dir: a run folder whose evidence is intact.

    Returns:
        What is wrong with the report, and a note where it cannot be compared: another version of hil made it.

    Raises:
        EvidenceError: when the run cannot be read.
        OSError: when the report cannot be read.
    """
    path = run_dir / REPORT
    if not path.is_file():
        return [], ""
    content = path.read_bytes()
    if content == render(run_dir).encode("utf-8", "xmlcharrefreplace"):
        return [], ""
    found = _GENERATOR.search(content)
    maker = html.unescape(found[1].decode("utf-8", "replace")) if found else "nobody knows which version"
    if found and maker != generator():
        return [], f"{REPORT} was made by {maker}, not by {generator()}: not compared; `hil report` makes it again"
    return [Finding(REPORT, "was edited: it is not what its evidence renders to; `hil report` makes it again")], ""
