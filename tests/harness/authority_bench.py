"""Persons with keys and a register, made for one test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hil.safety.authority import Authority
from hil.safety.grant import Grant
from hil.safety.keys import SigningKey
from hil.safety.register import Register

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 3, 1, 9, 0, 0, tzinfo=UTC)
ACTION = "fts.terminate"
NAMES = ("Ada Marsh", "Bo Lind", "Cy Oak")
KEYS = {name: Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b".")) for name in NAMES}


def public_line(name: str) -> str:
    """The line of a person's .pub file."""
    return KEYS[name].public_key().public_bytes(ser.Encoding.OpenSSH, ser.PublicFormat.OpenSSH).decode()


def person(name: str, key: str | None = None, more: str = "", may: str = f'["{ACTION}"]') -> str:
    """A ``[[person]]`` of a register."""
    return f'[[person]]\nname = "{name}"\nkey = "{key or public_line(name)}"\nmay = {may}\n{more}\n'


def write_register(folder: Path, *persons: str) -> Path:
    """A register of Ada and Bo, or of the persons given, and an empty list of revocations."""
    (folder / "revoked.txt").touch()
    path = folder / "authority.toml"
    tables = persons or (person("Ada Marsh"), person("Bo Lind"))
    path.write_text('revocations = "revoked.txt"\n' + "\n".join(tables))
    return path


def authority(folder: Path, *persons: str) -> Authority:
    """An authority over such a register."""
    return Authority(Register(write_register(folder, *persons)))


def grant(*signers: str, rig: str = "bench", action: str = ACTION, lasts: timedelta = timedelta(minutes=30)) -> Grant:
    """A grant from NOW on, signed."""
    made = Grant.request(rig, action, begins=NOW, lasts=lasts, reason="end-to-end test", interlock="plug")
    for name in signers:
        made = made.signed(name, SigningKey(KEYS[name]))
    return made


def write_key(path: Path, name: str, form: str = "OpenSSH", passphrase: bytes | None = None) -> Path:
    """A person's private key as a file, mode 0600."""
    private = ser.PrivateFormat.OpenSSH if form == "OpenSSH" else ser.PrivateFormat.PKCS8
    lock = ser.BestAvailableEncryption(passphrase) if passphrase else ser.NoEncryption()
    path.write_bytes(KEYS[name].private_bytes(ser.Encoding.PEM, private, lock))
    path.chmod(0o600)
    return path
