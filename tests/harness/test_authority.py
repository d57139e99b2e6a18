"""A hazardous action needs two persons: what is not exactly their valid grant is refused, with every reason."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from authority_bench import ACTION, KEYS, NOW, authority, grant, person, public_line, write_register
from hypothesis import example, given
from hypothesis import strategies as st

from hil.errors import ConfigError, InterlockError
from hil.safety.authority import Authority
from hil.safety.errors import AuthorityError
from hil.safety.grant import Grant, instant
from hil.safety.keys import SigningKey, fingerprint
from hil.safety.register import Register

UTC = NOW.isoformat()
GOOD = grant("Ada Marsh", "Bo Lind")
CONTENT = GOOD.encode()


@pytest.fixture(scope="module")
def judge(tmp_path_factory) -> Authority:
    return authority(tmp_path_factory.mktemp("register"))


def refused(judge: Authority, asked: Grant, text: str, *, now: str = UTC, action: str = ACTION) -> None:
    with pytest.raises(AuthorityError, match=text):
        judge.check(asked, action, "bench", now)


def test_two_persons_grant_an_action_and_both_stand_in_the_evidence(judge):
    permit = judge.check(Grant.decode(CONTENT, "a file"), ACTION, "bench", UTC)

    assert [(who.name, who.key) for who in permit.persons] == [
        (name, fingerprint(KEYS[name].public_key().public_bytes_raw())) for name in ("Ada Marsh", "Bo Lind")
    ]
    assert json.loads(json.dumps(permit.document()))["persons"][1]["name"] == "Bo Lind"


def test_a_permit_is_worth_nothing_while_the_interlock_does_not_read_back(judge):
    permit = judge.check(GOOD, ACTION, "bench", UTC)
    permit.demand_interlock(reads_back=True)

    with pytest.raises(InterlockError, match="the interlock plug does not read back"):
        permit.demand_interlock(reads_back=False)


def test_every_reason_is_given_at_once(judge):
    asked = grant("Ada Marsh", rig="other", lasts=timedelta(hours=5))

    with pytest.raises(AuthorityError) as found:
        judge.check(asked, "pyro.fire", "bench", "2026-03-02T09:00:00Z")
    for reason in (
        "pyro.fire on rig bench is not granted",
        "for rig other",
        "for fts.terminate",
        "lasts 300 min, the register allows 240 min",
        "expired at 2026-03-01T14:00:00Z",
        "1 of 2 different persons",
    ):
        assert reason in str(found.value)


@given(at=st.integers(0, len(CONTENT) - 1), byte=st.integers(0, 255))
def test_any_changed_byte_refuses(judge, at, byte):
    changed = CONTENT[:at] + bytes([byte]) + CONTENT[at + 1 :]
    if changed == CONTENT:
        return
    with pytest.raises(AuthorityError):
        judge.check(Grant.decode(changed, "a file"), ACTION, "bench", UTC)


@given(at=st.integers(0, len(CONTENT)), more=st.binary(min_size=1, max_size=3))
def test_any_added_or_missing_byte_refuses(judge, at, more):
    for changed in (CONTENT[:at] + more + CONTENT[at:], CONTENT[:at] + CONTENT[at + len(more) :]):
        if changed != CONTENT:
            with pytest.raises(AuthorityError):
                judge.check(Grant.decode(changed, "a file"), ACTION, "bench", UTC)


@given(st.binary(max_size=200) | st.text(max_size=50).map(lambda text: json.dumps({"format": text}).encode()))
def test_what_is_no_grant_is_refused(content):
    with pytest.raises(AuthorityError, match="is no grant"):
        Grant.decode(content, "a file")


@given(
    field=st.sampled_from(["rig", "action", "begins_utc", "ends_utc", "reason", "interlock", "nonce"]),
    text=st.text(min_size=1, max_size=30),
)
def test_any_changed_word_breaks_both_signatures(judge, field, text):
    changed = replace(GOOD, **{field: text})
    public = [KEYS[each.person].public_key().public_bytes_raw() for each in GOOD.signatures]
    if changed != GOOD:
        assert not any(changed.is_signed_by(each, key) for each, key in zip(GOOD.signatures, public, strict=True))


@given(st.integers(-(10**7), 10**7))
@example(-1)
@example(0)
@example(1799)
@example(1800)
def test_any_time_outside_refuses_and_any_inside_permits(judge, offset_s):
    now = (NOW + timedelta(seconds=offset_s)).isoformat()
    if 0 <= offset_s < 1800:
        judge.check(GOOD, ACTION, "bench", now)
    else:
        refused(judge, GOOD, "expired" if offset_s > 0 else "not valid before", now=now)


@pytest.mark.parametrize("signers", [(), ("Ada Marsh",), ("Bo Lind",)])
def test_a_missing_signature_refuses(judge, signers):
    refused(judge, grant(*signers), f"{len(signers)} of 2 different persons")


def test_the_signature_of_one_person_taken_twice_refuses(judge):
    refused(judge, replace(GOOD, signatures=GOOD.signatures[:1] * 2), "Ada Marsh signed 2 times")


def test_one_person_is_not_asked_twice():
    with pytest.raises(AuthorityError, match="Ada Marsh signed already"):
        grant("Ada Marsh", "Ada Marsh")


def test_a_signature_under_another_persons_name_refuses(judge):
    ada, bo = GOOD.signatures

    refused(judge, replace(GOOD, signatures=(ada, replace(bo, signature=ada.signature))), "Bo Lind does not fit")
    refused(judge, replace(GOOD, signatures=(ada, replace(ada, person="Bo Lind"))), "the register has SHA256")


def test_a_signature_covers_the_name_of_who_signs():
    ada = GOOD.signatures[0]
    public = KEYS[ada.person].public_key().public_bytes_raw()

    assert GOOD.is_signed_by(ada, public)
    assert not GOOD.is_signed_by(replace(ada, person="Bo Lind"), public)


def test_a_bad_third_signature_refuses_though_two_are_good(judge):
    refused(judge, grant("Ada Marsh", "Bo Lind", "Cy Oak"), "the register knows no Cy Oak")


def test_a_person_who_may_not_grant_the_action_refuses(tmp_path):
    judge = authority(tmp_path, person("Ada Marsh"), person("Bo Lind", may='["pyro.fire"]'))

    refused(judge, GOOD, "Bo Lind may not grant fts.terminate, only pyro.fire")


def test_a_revoked_key_refuses_from_its_day_on(tmp_path):
    judge = authority(tmp_path, person("Ada Marsh", more="revoked = 2026-03-01"), person("Bo Lind"))
    later = authority(tmp_path, person("Ada Marsh", more="revoked = 2026-03-02"), person("Bo Lind"))

    refused(judge, GOOD, "the key of Ada Marsh was revoked on 2026-03-01")
    later.check(GOOD, ACTION, "bench", UTC)


def test_a_revoked_grant_stays_refused_and_its_copies_too(tmp_path):
    register = Register(write_register(tmp_path))
    judge = Authority(register)
    judge.check(GOOD, ACTION, "bench", UTC)
    register.revoke(GOOD, utc=UTC, reason="test\ncancelled")

    refused(judge, Grant.decode(CONTENT, "a copy"), "was revoked: 2026-03-01T09:00:00.00:00 test cancelled")
    judge.check(grant("Bo Lind", "Ada Marsh"), ACTION, "bench", UTC)  # the same words, another grant


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("lost\n")])
def test_without_a_list_of_revocations_nothing_is_granted(tmp_path, damage):
    judge = authority(tmp_path)
    damage(tmp_path / "revoked.txt")

    refused(judge, GOOD, r"revoked\.txt: cannot be read: .*make an empty file|revoked\.txt:1: names no grant")


def test_one_key_under_two_names_is_no_two_persons(tmp_path):
    path = write_register(tmp_path, person("Ada Marsh"), person("Bo Lind", public_line("Ada Marsh")))

    with pytest.raises(AuthorityError, match="Ada Marsh and Bo Lind have the same key SHA256"):
        Register(path)


def test_one_person_under_two_spellings_is_no_two_persons(tmp_path):
    path = write_register(tmp_path, person("Ada Marsh"), person("ada  marsh", public_line("Bo Lind")))

    with pytest.raises(AuthorityError, match="stands there twice"):
        Register(path)


def test_a_register_that_everybody_may_write_proves_nothing(tmp_path):
    path = write_register(tmp_path)
    path.chmod(0o666)

    with pytest.raises(AuthorityError, match="chmod o-w"):
        Register(path)


@pytest.mark.parametrize("key", ["", "ssh-rsa AAAA", "ssh-ed25519 AAAA", "ssh-ed25519 !", public_line("Bo Lind")[:-3]])
def test_what_is_no_key_is_refused_with_its_line(tmp_path, key):
    path = write_register(tmp_path, f'[[person]]\nname = "Ada"\nkey = "{key}"\nmay = ["{ACTION}"]')

    with pytest.raises(ConfigError, match=r"authority\.toml:4: person\[0\]\.key .*\.pub file"):
        Register(path)


@pytest.mark.parametrize("utc", ["2026-03-01T09:00:00", "now", ""])
def test_a_time_without_zone_is_none(utc):
    with pytest.raises(AuthorityError, match="write it as 2026-03-01T09:00:00Z"):
        instant(utc)


def test_a_signing_key_does_not_show_itself():
    assert repr(SigningKey(KEYS["Bo Lind"])).startswith("<SigningKey SHA256:")
