"""The tables of the page on instruments, from the declarations: ``python -m hil.visa.page docs/instruments.md``.

A table stands between ``<!-- table: module:Class -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path

from hil.visa.declare import describe

_TABLE = re.compile(r"(<!-- table: (?P<module>[\w.]+):(?P<owner>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str) -> str:
    """The text of a page with every table as the declarations are now.

    Raises:
        ImportError: for a module that is not there.
        AttributeError: for a class that is not in it.
    """

    def table(match: re.Match[str]) -> str:
        owner = getattr(import_module(match["module"]), match["owner"])
        return f"{match[1]}{describe(owner)}{match[4]}"

    return _TABLE.sub(table, page)


def main() -> None:
    """Fill the tables of the pages that are named."""
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(filled(path.read_text()))


if __name__ == "__main__":
    main()
