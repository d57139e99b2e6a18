"""Raw logs: lines appended as the run goes on, each with the operating system when the call returns."""

from __future__ import annotations

import hashlib
import os
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from hil.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


class RawLog:
    """An append-only text file; made at its first line, broken for ever once a write failed.

    Args:
        path: the file; its folder is made when it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._broken = ""

    def line(self, text: str) -> None:
        """Append one line.

        Raises:
            EvidenceError: when it cannot be written; what was written before stands.
        """
        if self._broken:
            raise EvidenceError(self._broken)
        left = f"{text}\n".encode("utf-8", "backslashreplace")
        try:
            if self._file < 0:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(self._path, _FLAGS, 0o644)
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            self._broken = (
                f"recording failed: {self._path}: {error.strerror} (errno {error.errno}); what was written before "
                "stands; free space or check the disk, then run the test again"
            )
            raise EvidenceError(self._broken) from error

    def close(self) -> None:
        """Close the file; harmless when there is none."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


_BLOCK = [("t_ns", "<i8"), ("value", "<f8")]


def write_block(path: Path, times_ns: Sequence[int], values: Sequence[float]) -> None:
    """Write the samples of one signal as a numpy block: fields ``t_ns`` [ns] and ``value`` [the signal's unit].

    Blocks may stand one after the other in one file; ``numpy.load`` on an open file reads them one by one.

    Raises:
        EvidenceError: when it cannot be written.
    """
    import numpy as np

    block = np.empty(len(times_ns), dtype=_BLOCK)
    block["t_ns"], block["value"] = times_ns, values
    written = BytesIO()
    np.lib.format.write_array(written, block, allow_pickle=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(written.getvalue())
    except OSError as error:
        raise EvidenceError(
            f"recording failed: {path}: {error.strerror} (errno {error.errno}); free space or check the disk"
        ) from error


def read_block(
    path: Path, offset: int = 0, size: int | None = None, *, sha256: str = ""
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Read one numpy block back: times [ns] and values [the signal's unit].

    Args:
        path: the file.
        offset: where the block begins [bytes].
        size: its size [bytes]; None: to the end of the file.
        sha256: the hash that was recorded of it; "" when none was.

    Raises:
        EvidenceError: when it cannot be read, is not what was recorded, or is no such block.
    """
    import numpy as np

    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read(-1 if size is None else size)
    except (OSError, ValueError) as error:
        raise EvidenceError(f"{path}: cannot be read: {error}; check the copy") from error
    where = f"{path.name}, bytes {offset} to {offset + len(content)}"
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise EvidenceError(f"{where}: are not those that were recorded; `hil verify` tells what was edited")
    try:
        source = BytesIO(content)
        version = np.lib.format.read_magic(source)
        shape, _, dtype = np.lib.format.read_array_header_1_0(source)
    except ValueError as error:
        raise EvidenceError(f"{where}: is not a numpy block: {error}; `hil verify` tells what was edited") from error
    body = content[source.tell() :]
    if version != (1, 0) or dtype != np.dtype(_BLOCK) or len(shape) != 1 or len(body) != shape[0] * dtype.itemsize:
        raise EvidenceError(
            f"{where}: holds {shape} of {dtype} in {len(body)} bytes, not one column of t_ns and one of value; "
            "`hil verify` tells what was edited"
        )
    block: NDArray[Any] = np.frombuffer(body, dtype=dtype)
    times = cast("NDArray[np.int64]", block["t_ns"])
    if bool((times[1:] < times[:-1]).any()):
        raise EvidenceError(f"{where}: time runs backwards in it; `hil verify` tells what was edited")
    return times, cast("NDArray[np.float64]", block["value"])
