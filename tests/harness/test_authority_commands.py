"""``hil grant`` and ``hil rig status`` as two persons use them."""

from __future__ import annotations

import re

import pytest
from authority_bench import ACTION, write_key, write_register
from click.testing import CliRunner

from hil.clock import utc_now
from hil.safety.authority import Authority
from hil.safety.errors import AuthorityError
from hil.safety.grant import Grant
from hil.safety.keys import read_signing_key
from hil.safety.lease import Lease
from hil.safety.lease_commands import grant_group, status_command
from hil.safety.register import Register


@pytest.fixture
def hil(tmp_path, monkeypatch):
    """Run ``hil grant ...`` in a folder with a register and the keys of two persons."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HIL_AUTHORITY", str(write_register(tmp_path)))
    write_key(tmp_path / "ada", "Ada Marsh")
    write_key(tmp_path / "bo", "Bo Lind", "PEM", b"a passphrase")

    def run(*words: str, typed: str = "", code: int = 0) -> str:
        done = CliRunner().invoke(grant_group(lambda rig: rig.removesuffix(".toml")), words, input=typed)
        assert done.exit_code == code, done.output
        return done.output

    return run


def request(hil, *words: str, code: int = 0) -> str:
    return hil(
        "request", "bench.toml", "--action", ACTION, "--reason", "test\n7", "--interlock", "plug", *words, code=code
    )


def test_a_grant_is_requested_signed_by_two_shown_and_revoked(hil, tmp_path):
    request(hil, "--for", "30m", "-o", "g")
    hil("sign", "g", "--key", "ada", "--yes")
    assert "1 of 2 different persons" in hil("show", "g", code=1)
    hil("sign", "g", "--key", "bo", typed="a passphrase\ny\n")
    shown = hil("show", "g")
    permit = Authority(Register(tmp_path / "authority.toml")).check(
        Grant.decode((tmp_path / "g").read_bytes(), "g"), ACTION, "bench", utc_now()
    )
    hil("revoke", "g", "--reason", "cancelled")

    assert [who.name for who in permit.persons] == ["Ada Marsh", "Bo Lind"]
    assert re.search(r"reason: +test\\n7\n", shown)
    assert shown.endswith("valid now\n")
    assert re.search(r"was revoked: 20.* cancelled", hil("show", "g", code=1))


def test_who_does_not_agree_does_not_sign(hil, tmp_path):
    request(hil, "--for", "2 h", "-o", "g")
    before = (tmp_path / "g").read_bytes()

    assert "Ada Marsh: sign it?" in hil("sign", "g", "--key", "ada", typed="n\n", code=1)
    assert (tmp_path / "g").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["sign", "g", "--key", "nobody"], "nobody: cannot be read"),
        (["sign", "no", "--key", "ada"], "no: cannot be read"),
        (["sign", "authority.toml", "--key", "ada"], "is no grant"),
        (["request", "r", "--action", "a", "--for", "x", "--reason", "r", "--interlock", "i"], "write 90s, 30m or 2h"),
        (["request", "r", "--action", " ", "--for", "1s", "--reason", "r", "--interlock", "i"], "is no grant"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_remedy(hil, words, text):
    request(hil, "--for", "90s", "-o", "g")

    assert text in hil(*words, code=2)


def test_a_request_does_not_overwrite_a_grant(hil):
    request(hil, "--for", "90s", "-o", "g")

    assert "File exists" in request(hil, "--for", "90s", "-o", "g", code=2)


@pytest.mark.parametrize("form", ["OpenSSH", "PEM"])
@pytest.mark.parametrize("passphrase", ["", "secret words"])
def test_private_keys_are_read_in_every_form(tmp_path, form, passphrase):
    path = write_key(tmp_path / "key", "Ada Marsh", form, passphrase.encode() or None)
    asked = []

    key = read_signing_key(path, lambda: asked.append(1) or passphrase)  # type: ignore[func-returns-value]

    assert len(asked) == bool(passphrase)
    assert len(key.sign(b"words")) == 64
    if passphrase:
        with pytest.raises(AuthorityError, match="passphrase is wrong"):
            read_signing_key(path, lambda: "guessed")


def test_a_private_key_that_others_may_read_is_refused(tmp_path):
    path = write_key(tmp_path / "key", "Ada Marsh")
    path.chmod(0o644)

    with pytest.raises(AuthorityError, match=r"others may read it \(mode 0644\); chmod 600"):
        read_signing_key(path, str)


def status(code: int = 0) -> str:
    done = CliRunner().invoke(status_command(lambda rig: rig.removesuffix(".toml"), lambda _: None), ["bench.toml"])
    assert done.exit_code == code, done.output
    return done.output


def test_status_tells_who_holds_a_rig_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HIL_LEASE_FOLDER", str(tmp_path))
    assert "FREE, it was never leased" in status()
    with Lease.acquire("bench", ttl_s=60.0, who="the night run") as held:
        assert re.search(r"rig bench is HELD: .*'the night run'.*\nrenewed 0\.\d+ s ago, lasts 60 s\n", status())
        held.mark_unsafe("output 1 reads 28 V")

    assert re.search(r"is UNSAFE \(output 1 reads 28 V\)[\s\S]*hil safe bench", status(code=14))
