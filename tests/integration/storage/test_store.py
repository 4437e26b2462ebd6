"""The promises of tests/unit/storage/test_store.py in a bucket, and what is a bucket's alone."""

from uuid import uuid4

import pytest

from helpers.system import System
from helpers.waiting import free_port
from oat.settings import SettingsError
from oat.storage.store import Store
from unit.storage.test_store import *  # noqa: F403 (whichever there are)


def test_a_prefix_is_a_store_of_its_own(bucket):
    outer, inner = Store(bucket), Store(f"{bucket}/inner/")
    uuid = uuid4()
    inner.put(uuid, b"image")
    assert list(outer.names()) == []
    assert list(inner.names()) == [f"{uuid}.png"]
    assert Store(f"{bucket}/inner").get(uuid) == b"image"


def test_an_object_has_the_content_type_of_an_image(bucket):
    import obstore  # noqa: PLC0415 (only here)

    uuid = uuid4()
    Store(bucket).put(uuid, b"image")
    place = obstore.store.from_url(bucket, client_options={"allow_http": True})
    assert obstore.get(place, f"{uuid}.png").attributes["Content-Type"] == "image/png"


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "SignatureDoesNotMatch"),
        ("AWS_ACCESS_KEY_ID", "stranger", "InvalidAccessKeyId"),
        ("AWS_ACCESS_KEY_ID", None, "Missing AccessKeyId"),
    ],
)
def test_wrong_credentials_are_a_settings_error(bucket, tmp_path, monkeypatch, variable, value, reason):
    if value:
        monkeypatch.setenv(variable, value)
    else:
        monkeypatch.delenv(variable)
    assert_one_line(bucket, tmp_path, reason)


def test_missing_credentials_are_a_settings_error(bucket, tmp_path, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    # Where a machine of a cloud would get some: nobody there to ask.
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    assert_one_line(bucket, tmp_path, "set AWS_ACCESS_KEY_ID")


def assert_one_line(bucket, tmp_path, reason):
    with pytest.raises(SettingsError, match=reason) as caught:
        Store(bucket).prepare()
    assert bucket in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secretsecret" not in str(caught.value)
    with System(tmp_path, OAT_TARGET=bucket) as system:
        done = system.call("oat-worker")
    assert done.returncode == 2
    assert reason in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
