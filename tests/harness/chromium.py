"""Chromium without a screen: pictures of a report, and what a script finds on the page. No product code.

    python tests/harness/chromium.py RUN PICTURE [--test PART-OF-ITS-ID] [--show FROM:TO[:CURSOR]] [--size 1180x1500]

takes a picture of a run's report, or of one test's flight section in it.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM = "chromium"
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking",
    "--no-first-run", "--disable-extensions", "--disable-dev-shm-usage", "--enable-logging=stderr", "--v=0",
    "--virtual-time-budget=4000", "--force-device-scale-factor=1",
)  # fmt: skip
_FOUND = re.compile(r'<html[^>]* data-found="([^"]*)"')
_CONSOLE = re.compile(r"CONSOLE[^\]]*\] (.*)")
_STAY = "Element.prototype.scrollIntoView = () => {};"  # where a page is scrolled its picture is blank
_RUN = """
const pause = () => new Promise((done) => setTimeout(done, 30));
(async () => { %s })().then((found) => { document.documentElement.dataset.found = JSON.stringify(found ?? {}); });
"""
_ONLY = """
const flight = document.querySelector(location.hash.split(":")[0]);
for (let at = flight; at !== document.body; at = at.parentElement)
  for (const each of [...at.parentElement.children])
    if (each !== at && !/^(STYLE|SCRIPT)$/.test(each.tagName) && !/watermark|class-line/.test(each.className)
      && !(at === flight && /note|events/.test(each.className))) each.remove();
scrollTo(0, 0);
"""


@dataclass(frozen=True)
class Looked:
    """What a visit of a page left: what its script found, what the console said, and the picture."""

    found: dict[str, object] = field(default_factory=dict[str, object])
    console: tuple[str, ...] = ()


def look(
    page: Path, *, fragment: str = "", script: str = "", picture: Path | None = None, pdf: Path | None = None,
    size: tuple[int, int] = (1180, 1000), program: str = PROGRAM,
) -> Looked:  # fmt: skip
    """Visit a page once.

    Args:
        page: the HTML file; it stays as it is.
        fragment: what stands behind the # of its address.
        script: runs at the page's end; what it returns is found.
        picture: where a picture of it goes, PNG.
        pdf: where the printed page goes.
        size: of the window [px].
        program: chromium.
    """
    with tempfile.TemporaryDirectory(prefix="chromium-") as folder:
        copy = Path(folder) / "page.html"
        text = page.read_text().replace("<head>", f"<head><script>{_STAY}</script>", 1)
        copy.write_text(text.replace("</body>", f"<script>{_RUN % script}</script></body>"))
        command = [program, *_FLAGS, f"--user-data-dir={folder}/profile", f"--window-size={size[0]},{size[1]}"]
        command += ["--dump-dom"] if script else []
        command += [f"--screenshot={picture}"] if picture else []
        command += [f"--print-to-pdf={pdf}", "--no-pdf-header-footer"] if pdf else []
        address = copy.as_uri() + (f"#{fragment}" if fragment else "")
        done = subprocess.run([*command, address], capture_output=True, text=True, check=True, timeout=60)
    found = _FOUND.search(done.stdout)
    return Looked(json.loads(html.unescape(found[1])) if found else {}, tuple(_CONSOLE.findall(done.stderr)))


def _main() -> None:
    parser = argparse.ArgumentParser(description="Take a picture of a run's report, or of one flight in it.")
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("picture", type=Path, help="PNG file to write")
    parser.add_argument("--test", help="part of the id of a test: only its flight section is shown")
    parser.add_argument("--show", help="FROM:TO[:CURSOR], T+ in s")
    parser.add_argument("--size", default="1180x1500", help="window [px]")
    given = parser.parse_args()
    size = tuple(int(each) for each in given.size.split("x"))
    fragment, script = "", ""
    if given.test:
        from hil.evidence.index import read_run

        tests = read_run(given.run).tests
        flown = [each.nodeid for each in tests if any(attempt.exhibits.plots for attempt in each.attempts)]
        number = next((k for k, each in enumerate(tests, 1) if given.test in each.nodeid and each.nodeid in flown), 0)
        if not number:
            raise SystemExit(f"{given.run}: no test with plots has {given.test!r} in its id; with plots: {flown}")
        fragment, script = f"flight-{number}:{given.show or ''}", _ONLY
    look(given.run / "report.html", fragment=fragment, script=script, picture=given.picture.resolve(), size=size)
    print(given.picture)


if __name__ == "__main__":
    if shutil.which(PROGRAM) is None:
        raise SystemExit("pictures need chromium: apt-get install chromium")
    _main()
