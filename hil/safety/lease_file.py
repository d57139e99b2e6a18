"""The records of a lease on disk: one small file per token, made whole and claimed by one hard link.

The newest file of a rig is its lease. Who wants it links a complete record to the next number; the kernel lets one
process succeed. So nobody ever holds a lock on the folder, and a process stopped in the middle blocks nobody.
A record is written by its holder alone; whoever takes over writes one word into it, its own token.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hil.safety.errors import LeaseError
from hil.safety.lease_record import Opened, Record, Word

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEPT = 8  # old records of a rig that stay, for people
_RIG = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")
_FILE = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,99})\.(\d{10})\.lease")
_PLACES = (Path("/var/lib/hil"), Path("/var/lock/hil"))
_SHARED_BY_ALL = Path("/tmp/hil-lease")  # noqa: S108  # TMPDIR is one user's


@dataclass(frozen=True, slots=True)
class Folder:
    """The records of one rig in a folder that all users of the machine share.

    Args:
        path: the folder.
        rig_name: name of the rig.
    """

    path: Path
    rig_name: str

    def newest(self) -> tuple[int, Record] | None:
        """The newest record with its number; None when the rig was never leased here.

        Raises:
            LeaseError: when it cannot be read, or is no record.
        """
        for number, path in self._records():
            try:
                return number, Record.decode(path.read_bytes())
            except FileNotFoundError:  # a lost claim was taken back in between
                continue
            except OSError as error:
                raise LeaseError(f"{path}: cannot be read: {error.strerror}; check its rights") from error
            except ValueError as error:
                raise LeaseError(
                    f"{path}: is no lease record: {error}; see that nobody drives {self.rig_name} and that it is safe, "
                    "then remove the file"
                ) from error
        return None

    def claim(self, number: int, record: Record) -> Opened | None:
        """Make a record the newest, under a number; None when somebody else was first.

        Raises:
            LeaseError: when the folder cannot be written to.
        """
        try:
            opened = self._link(number, record)
        except OSError as error:
            raise LeaseError(f"{self.path}: a lease cannot be written: {error.strerror}; check its rights") from error
        if opened is None:
            return None
        newest = next(self._records(), None)
        if newest is None or newest[0] != number:  # this process slept through claims and removals
            opened.close()
            self.file(number).unlink(missing_ok=True)
            return None
        self._clean(number)
        return opened

    def is_locked(self, number: int) -> bool:
        """Whether the holder of a record still has it open, in whichever process namespace it runs."""
        try:
            with self.file(number).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def supersede(self, number: int, token: int) -> None:
        """Tell the holder of an older record, should it wake, that the lease with ``token`` took over."""
        with suppress(OSError), self.file(number).open("r+b") as file:  # it is dead or killed already
            file.seek(Word.SUPERSEDED * 8)
            file.write(struct.pack("=Q", token))

    def file(self, number: int) -> Path:
        """The file of a record."""
        return self.path / f"{self.rig_name}.{number:010d}.lease"

    def _records(self) -> Iterator[tuple[int, Path]]:
        found = [named for name in os.listdir(self.path) if (named := _FILE.fullmatch(name))]  # noqa: PTH208
        numbers = sorted((int(named[2]) for named in found if named[1] == self.rig_name), reverse=True)
        return ((number, self.file(number)) for number in numbers)

    def _link(self, number: int, record: Record) -> Opened | None:
        whole = self._write(record)
        opened = None
        try:
            opened = Opened(whole)
            self.file(number).hardlink_to(whole)
            _to_disk(self.path)
        except (FileExistsError, FileNotFoundError):  # FileNotFoundError: the one who was first has cleaned up
            if opened is not None:
                opened.close()
            return None
        finally:
            whole.unlink(missing_ok=True)
        return opened

    def _write(self, record: Record) -> Path:
        path = self.path / f".{self.rig_name}.{os.urandom(8).hex()}"
        with path.open("xb") as file:
            os.fchmod(file.fileno(), 0o666)  # whoever takes over marks it
            file.write(record.encode())
            file.flush()
            os.fsync(file.fileno())  # after a power cut the rig must not look free
        return path

    def _clean(self, number: int) -> None:
        """Remove what is old, and what claims left that were killed or lost."""
        old = [path for found, path in self._records() if found <= number - _KEPT]
        for path in [*old, *self.path.glob(f".{self.rig_name}.*")]:
            with suppress(OSError):  # another user's
                path.unlink()


def find_folder(rig_name: str, folder: Path | None) -> Folder:
    """The folder where the leases of a rig are: one for all users of this machine.

    Args:
        rig_name: name of the rig.
        folder: the folder; None for that of HIL_LEASE_FOLDER, /var/lib/hil where it exists, /var/lock/hil where it
            exists or can be made, or else hil-lease in the machine's temporary folder. A rig that was leased in one of
            these stays there.

    Raises:
        LeaseError: when the rig's name cannot be that of a file, or the folder cannot be made.
    """
    if not _RIG.fullmatch(rig_name):
        raise LeaseError(f"rig {rig_name!r} cannot be leased: a name is a letter, then letters, digits, _ and -")
    named = folder or (Path(given) if (given := os.environ.get("HIL_LEASE_FOLDER")) else None)
    if named is not None:
        return Folder(_shared(named), rig_name)
    common = [*_PLACES, _SHARED_BY_ALL]
    for place in common:
        if place.is_dir() and any(place.glob(f"{rig_name}.*.lease")):
            return Folder(place, rig_name)
    for place in common:
        if place.is_dir():  # one that this user may not use is refused: two users in two folders would both drive
            return Folder(_shared(place), rig_name)
    with suppress(LeaseError):  # not everywhere may every user make it
        return Folder(_shared(_PLACES[1]), rig_name)
    return Folder(_shared(_SHARED_BY_ALL), rig_name)


def _shared(folder: Path) -> Path:
    """The folder, made for all users when it is not there."""
    try:
        folder.mkdir(parents=True)
        folder.chmod(0o1777)  # as /tmp: everybody writes, each removes his own
    except FileExistsError:
        pass
    except OSError as error:
        raise LeaseError(f"{folder}: cannot be made: {error.strerror}; set HIL_LEASE_FOLDER") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise LeaseError(f"{folder}: this user may not write there; `chmod 1777 {folder}` lets all users hold rigs")
    return folder


def _to_disk(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
