"""Ed25519 keys of persons: read from files, sign, verify. The only door to ``cryptography``."""

from __future__ import annotations

import binascii
import hashlib
import stat
from typing import TYPE_CHECKING

from hil.errors import ToolMissingError
from hil.safety.errors import AuthorityError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PUBLIC_SIZE = 32  # bytes (RFC 8032, section 5.1.5)
SIGNATURE_SIZE = 64
_OPENSSH = "ssh-ed25519"
_OPENSSH_HEAD = len(_OPENSSH).to_bytes(4, "big") + _OPENSSH.encode() + PUBLIC_SIZE.to_bytes(4, "big")  # RFC 8709
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class SigningKey:
    """One person's private key.

    Args:
        private: the key.
    """

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"<SigningKey {fingerprint(self.public)}>"

    def sign(self, content: bytes) -> bytes:
        """The signature of some bytes."""
        return self._private.sign(content)


def read_signing_key(path: Path, ask: Callable[[], str]) -> SigningKey:
    """Read a private key, OpenSSH or PEM (PKCS #8).

    Args:
        path: its file.
        ask: asks the person for the passphrase; called only for an encrypted key.

    Raises:
        AuthorityError: when it cannot be read, others can read it too, it is no Ed25519 key, or the passphrase is
            wrong.
        ToolMissingError: when the package ``cryptography`` is not installed.
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key
    except ImportError as error:
        raise _missing() from error
    content = _private_bytes(path)
    load = load_ssh_private_key if b"OPENSSH PRIVATE KEY" in content[:100] else load_pem_private_key
    try:
        try:
            key = load(content, None)
        except (TypeError, ValueError) as error:
            if "password" not in str(error).lower() and "encrypted" not in str(error).lower():
                raise
            key = load(content, ask().encode())
    except UnsupportedAlgorithm as error:
        raise AuthorityError(f"{path}: cannot be decrypted here: {error}; pip install 'hil[authority]'") from error
    except (TypeError, ValueError) as error:
        raise AuthorityError(f"{path}: is no private key, or the passphrase is wrong: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise AuthorityError(f"{path}: is a {type(key).__name__}; make an Ed25519 key: ssh-keygen -t ed25519")
    return SigningKey(key)


def public_key(text: str) -> bytes:
    """The 32 bytes of a public key written as OpenSSH does: ``ssh-ed25519 AAAA... comment``.

    Raises:
        ValueError: when it is no such key.
    """
    words = text.split(maxsplit=2)
    if len(words) < 2 or words[0] != _OPENSSH:
        raise ValueError(f'is not "{_OPENSSH} AAAA..."; take the line of the .pub file that ssh-keygen made')
    try:
        content = binascii.a2b_base64(words[1], strict_mode=True)
    except binascii.Error as error:
        raise ValueError(f"is not base64 ({error}); take the line of the .pub file that ssh-keygen made") from error
    if not content.startswith(_OPENSSH_HEAD) or len(content) != len(_OPENSSH_HEAD) + PUBLIC_SIZE:
        raise ValueError(f"has {len(content)} bytes and is no Ed25519 public key; take the line of the .pub file")
    return content[len(_OPENSSH_HEAD) :]


def verify(public: bytes, signature: bytes, content: bytes) -> bool:
    """Whether a signature is that of the key's owner over exactly these bytes.

    Args:
        public: 32 bytes.
        signature: 64 bytes.
        content: what was signed.

    Raises:
        ToolMissingError: when the package ``cryptography`` is not installed.
    """
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise _missing() from error
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def fingerprint(public: bytes) -> str:
    """A key as ``ssh-keygen -l`` shows it."""
    digest = hashlib.sha256(_OPENSSH_HEAD + public).digest()
    return "SHA256:" + binascii.b2a_base64(digest, newline=False).decode("ascii").rstrip("=")


def _private_bytes(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        if mode & _OTHERS:
            raise AuthorityError(f"{path}: others may read it (mode {mode & 0o777:04o}); chmod 600 {path}")
        return path.read_bytes()
    except OSError as error:
        raise AuthorityError(f"{path}: cannot be read: {error.strerror}; name the private key's file") from error


def _missing() -> ToolMissingError:
    return ToolMissingError("grants need the package cryptography; pip install 'hil[authority]'")
