"""Directories and addresses that a store cannot use, and what is left in a directory."""

import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from oat.settings import SettingsError
from oat.storage.store import Store, uuid_of


def test_only_canonical_uuid_names_are_images():
    uuid = UUID("be42a131-e4aa-4db5-80d1-1956784f4b81")
    assert uuid_of(f"{uuid}.png") == uuid
    others = [
        f"{uuid}", f"{uuid}.PNG", f".{uuid}.png", f"{uuid.hex}.png", f"{str(uuid).upper()}.png",
        f".{uuid}.part", f"{uuid}.png#1", "contact-sheet.png", "",
    ]  # fmt: skip
    for name in others:
        assert uuid_of(name) is None, name


def test_an_unwritable_directory_is_a_settings_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=f"{tmp_path}/file"):
        Store(str(tmp_path / "file")).prepare()


def test_a_failed_put_leaves_no_file(tmp_path):
    store = Store(str(tmp_path))
    uuid = uuid4()
    Path(tmp_path / f"{uuid}.png").mkdir()
    with pytest.raises(OSError, match="directory"):
        store.put(uuid, b"image")
    assert list(store.names()) == [f"{uuid}.png"]
    with pytest.raises(OSError, match="No such file"):
        Store(str(tmp_path / "gone")).put(uuid, b"image")


@pytest.mark.parametrize(
    "target",
    ["s3://", "s3:///prefix", "s3://x", "s3://Upper/a", "s3://a b/c", "s3://key:secret@bucket/a", "gs://bucket/a",
     "file:///tmp", "https://host/bucket", "s3://under_score/a"],
)  # fmt: skip
def test_an_invalid_target_is_named(target):
    with pytest.raises(SettingsError, match="s3://bucket/prefix") as caught:
        Store(target)
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize(
    "endpoint", ["http://u:secret@host/", "nonsense", "127.0.0.1:8333", "http://", "http://a b/", "ftp://host"]
)
def test_an_invalid_endpoint_is_named(monkeypatch, endpoint):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(SettingsError, match="AWS_ENDPOINT_URL"):
        Store("s3://bucket/prefix")


def name_made_by_another(name):
    code = f"from oat.process import temporary_name; print(temporary_name({name!r}))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_starting_worker_removes_stale_files(tmp_path):
    (tmp_path / name_made_by_another("x.part")).touch()
    (tmp_path / "holiday.png").touch()
    Store(str(tmp_path)).prepare()
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.png"]
