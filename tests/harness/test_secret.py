"""A secret reaches no text: not a log, a repr, an exception, JSON, a pickle, nor pytest's own output."""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import pprint
import subprocess
import sys
import traceback

import pytest

from hil.safety.errors import SecretError
from hil.safety.secret import Secret

VALUE = b"Tr0ub4dor-EFTS"


@pytest.fixture
def secret(monkeypatch):
    monkeypatch.setenv("HIL_EFTS_KEY", VALUE.decode())
    return Secret.load("env:HIL_EFTS_KEY")


def test_it_is_revealed_inside_with_and_wiped_at_its_end(secret):
    with secret.reveal() as key:
        assert bytes(key) == VALUE
    assert bytes(key) == bytes(len(VALUE))

    with secret.reveal() as again:
        assert bytes(again) == VALUE


@pytest.mark.parametrize(
    "show", [repr, str, ascii, "{}".format, "{:>40}".format, "{!r}".format, pprint.pformat, lambda it: f"{[it]}", dir]
)
def test_no_text_of_it_shows_it(secret, show):
    assert VALUE.decode() not in str(show(secret))
    assert "env:HIL_EFTS_KEY" in repr(secret)


def test_a_log_does_not_show_it(secret, caplog):
    with secret.reveal() as key:
        logging.getLogger("test").warning("key %s %r %s", secret, secret, key)

    assert VALUE.decode() not in caplog.text
    assert "Secret" in caplog.text


def test_an_exception_and_the_locals_of_its_traceback_do_not_show_it(secret):
    with pytest.raises(ValueError, match="Secret") as found, secret.reveal() as key:
        raise ValueError(secret, key)
    text = "".join(traceback.TracebackException.from_exception(found.value, capture_locals=True).format())

    assert VALUE.decode() not in text
    assert "Secret from env:HIL_EFTS_KEY" in text


def test_pytest_does_not_show_it_in_a_failed_comparison(tmp_path):
    path = tmp_path / "test_shown.py"
    path.write_text(
        "from hil.safety.secret import Secret\n"
        "def test_it():\n"
        "    key = Secret(bytes(reversed(b'STFE-rod4bu0rT')))\n"
        "    with key.reveal() as shown:\n"
        "        assert key == Secret(b'other'), (key, shown)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-vv", "--showlocals", str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )

    assert done.returncode == 1
    assert "Secret from given" in done.stdout
    assert VALUE.decode() not in done.stdout + done.stderr


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_not_pickled(secret, protocol):
    with pytest.raises(SecretError, match="stays in this process"):
        pickle.dumps({"key": secret}, protocol)


def test_it_is_not_written_as_json(secret):
    with pytest.raises(TypeError, match="Secret is not JSON") as found:
        json.dumps({"key": secret})

    assert VALUE.decode() not in str(found.value)
    assert VALUE.decode() not in json.dumps({"key": secret}, default=str)


def test_a_deep_copy_is_the_secret_itself_and_its_attributes_show_nothing(secret):
    assert copy.deepcopy([secret])[0] is secret
    with pytest.raises(TypeError):
        vars(secret)


def test_secrets_are_equal_by_value_and_have_no_hash(secret):
    assert secret == Secret(VALUE)
    assert secret != Secret(b"other")
    assert secret != VALUE
    with pytest.raises(TypeError, match="unhashable"):
        hash(secret)


def test_a_file_is_read_whole_when_only_its_owner_may(tmp_path):
    path = tmp_path / "efts.key"
    path.write_bytes(VALUE + b"\n\0")
    path.chmod(0o600)

    with Secret.load(f"file:{path}").reveal() as key:
        assert bytes(key) == VALUE + b"\n\0"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o602, 0o610])
def test_a_file_that_others_may_use_is_refused(tmp_path, mode):
    path = tmp_path / "efts.key"
    path.write_bytes(VALUE)
    path.chmod(mode)

    with pytest.raises(SecretError, match=f"mode {mode:04o}: others may read it; .*chmod 600") as found:
        Secret.load(f"file:{path}")
    text = "".join(traceback.TracebackException.from_exception(found.value, capture_locals=True).format())

    assert VALUE.decode() not in text


@pytest.mark.parametrize("place", [VALUE.decode(), "hex:" + VALUE.hex(), ""])
def test_a_secret_written_where_its_place_should_be_is_refused_without_repeating_it(place):
    with pytest.raises(SecretError, match="change that secret") as found:
        Secret.load(place)
    assert not place or place not in str(found.value)


@pytest.mark.parametrize("place", ["env:HIL_NO_SUCH_KEY", "file:/nowhere/efts.key"])
def test_a_secret_that_is_not_there_is_named(place):
    with pytest.raises(SecretError, match=place.partition(":")[2]):
        Secret.load(place)
