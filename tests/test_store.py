"""The store's promises, the same for a directory and for a bucket; and the whole system on a bucket."""

import os
import signal
import threading
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from oat.settings import Settings, SettingsError
from oat.storage.store import Store, uuid_of
from servers import SeaweedFS, free_port, wait_until
from system import System, terminate


@pytest.fixture(params=["directory", "bucket"])
def target(request, tmp_path):
    if request.param == "bucket":
        return request.getfixturevalue("bucket")
    return str(tmp_path / "images")


@pytest.fixture
def store(target):
    store = Store(target)
    store.prepare()
    return store


def test_what_was_put_is_there(store, target):
    uuid = uuid4()
    place = store.put(uuid, b"first")
    assert place == f"{target}/{uuid}.png"
    assert store.get(uuid) == b"first"
    store.put(uuid, b"second")
    assert store.get(uuid) == b"second"
    assert list(store.names()) == [f"{uuid}.png"]


def test_what_was_never_put_or_is_deleted_is_not_there(store):
    uuid = uuid4()
    with pytest.raises(FileNotFoundError):
        store.get(uuid)
    store.delete(uuid)
    store.put(uuid, b"image")
    store.delete(uuid)
    store.delete(uuid)
    with pytest.raises(FileNotFoundError):
        store.get(uuid)
    assert list(store.names()) == []


def test_a_large_image_arrives_whole(store):
    uuid, image = uuid4(), os.urandom(12_000_000)
    store.put(uuid, image)
    assert store.get(uuid) == image


def test_many_at_once(store):
    uuids = [uuid4() for _ in range(200)]
    threads = [
        threading.Thread(target=lambda part=part: [store.put(uuid, uuid.bytes) for uuid in uuids[part::8]])
        for part in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(store.names()) == sorted(f"{uuid}.png" for uuid in uuids)
    assert all(store.get(uuid) == uuid.bytes for uuid in uuids)


def test_nobody_sees_a_part_of_an_image(store):
    uuid, images = uuid4(), [bytes([n]) * 300_000 for n in range(2)]
    store.put(uuid, images[0])
    done = threading.Event()

    def write():
        for n in range(60):
            store.put(uuid, images[n % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert store.get(uuid) in images
        assert {name for name in store.names() if not name.startswith(".")} == {f"{uuid}.png"}
    writer.join()


def test_a_prefix_is_a_store_of_its_own(bucket):
    outer, inner = Store(bucket), Store(f"{bucket}/inner/")
    uuid = uuid4()
    inner.put(uuid, b"image")
    assert list(outer.names()) == []
    assert list(inner.names()) == [f"{uuid}.png"]
    assert Store(f"{bucket}/inner").get(uuid) == b"image"


def test_an_image_is_served_as_one(bucket):
    import obstore  # noqa: PLC0415 (only here)

    uuid = uuid4()
    Store(bucket).put(uuid, b"image")
    place = obstore.store.from_url(bucket, client_options={"allow_http": True})
    assert obstore.get(place, f"{uuid}.png").attributes["Content-Type"] == "image/png"


def test_only_the_very_name_is_an_image():
    uuid = UUID("be42a131-e4aa-4db5-80d1-1956784f4b81")
    assert uuid_of(f"{uuid}.png") == uuid
    others = [
        f"{uuid}", f"{uuid}.PNG", f".{uuid}.png", f"{uuid.hex}.png", f"{str(uuid).upper()}.png",
        f".{uuid}.part", f"{uuid}.png#1", "contact-sheet.png", "",
    ]  # fmt: skip
    for name in others:
        assert uuid_of(name) is None, name


def test_a_directory_that_cannot_be_written_is_a_setting_to_change(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=f"{tmp_path}/file"):
        Store(str(tmp_path / "file")).prepare()


def test_what_fails_leaves_nothing_behind(tmp_path):
    store = Store(str(tmp_path))
    uuid = uuid4()
    Path(tmp_path / f"{uuid}.png").mkdir()
    with pytest.raises(OSError, match="directory"):
        store.put(uuid, b"image")
    assert list(store.names()) == [f"{uuid}.png"]
    with pytest.raises(OSError, match="No such file"):
        Store(str(tmp_path / "gone")).put(uuid, b"image")


def test_a_directory_does_without_the_library_of_object_stores(tmp_path):
    code = (
        "import sys; from oat.storage import Store; Store(sys.argv[1]).prepare(); "
        "sys.exit('obstore' in sys.modules)"
    )
    with System(tmp_path) as system:
        assert system.call("python", "-c", code, tmp_path).returncode == 0


def test_relative_directories_become_absolute_and_urls_stay():
    assert Settings(target="images").target == str(Path("images").absolute())
    assert Settings(target="s3://bucket/prefix").target == "s3://bucket/prefix"


@pytest.mark.parametrize(
    "target",
    ["s3://", "s3:///prefix", "s3://x", "s3://Upper/a", "s3://a b/c", "s3://key:secret@bucket/a", "gs://bucket/a",
     "file:///tmp", "https://host/bucket", "s3://under_score/a"],
)  # fmt: skip
def test_a_target_that_is_none_is_named(target):
    with pytest.raises(SettingsError, match="s3://bucket/prefix") as caught:
        Store(target)
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["", "nonsense", "127.0.0.1:8333", "http://", "http://a b/", "ftp://host"])
def test_an_endpoint_that_is_none_is_named(monkeypatch, endpoint):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(SettingsError, match="AWS_ENDPOINT_URL"):
        Store("s3://bucket/prefix")


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "SignatureDoesNotMatch"),
        ("AWS_ACCESS_KEY_ID", "stranger", "InvalidAccessKeyId"),
        ("AWS_ACCESS_KEY_ID", None, "Missing AccessKeyId"),
    ],
)
def test_credentials_that_do_not_fit_are_a_setting_to_change(
    bucket, tmp_path, monkeypatch, variable, value, reason
):
    if value:
        monkeypatch.setenv(variable, value)
    else:
        monkeypatch.delenv(variable)
    has_one_clear_line(bucket, tmp_path, reason)


def test_no_credentials_are_a_setting_to_change(bucket, tmp_path, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    # Where a machine of a cloud would get some: nobody there to ask.
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    has_one_clear_line(bucket, tmp_path, "set AWS_ACCESS_KEY_ID")


def has_one_clear_line(bucket, tmp_path, reason):
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


def test_the_whole_system_on_a_bucket(bucket, tmp_path):
    with System(tmp_path, OAT_TARGET=bucket) as system:
        worker, tracker = system.start("oat-worker"), system.start("oat-tracker")
        system.produce(30)
        system.wait_for(30)
        terminate(worker)
        terminate(tracker)
        system.audit(30)
        log = worker.log.read_text()
        assert f"to file {bucket}/" in log
        assert "secretsecret" not in log
        done = system.call("oat", "run", "--tasks", 3)
        assert done.returncode == 0, done.stderr
        system.audit(33)


@pytest.fixture
def mortal_store(tmp_path, monkeypatch):
    """An object store that is not there yet, and that the test may kill."""
    folder = tmp_path / "seaweedfs"
    folder.mkdir()
    server = SeaweedFS(folder)
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    yield server
    server.stop()


def test_a_store_that_is_not_there_yet_is_waited_for(mortal_store, tmp_path):
    with System(tmp_path, OAT_TARGET=f"s3://{SeaweedFS.BUCKET}/late") as system:
        system.produce(10)
        worker = system.start("oat-worker")
        system.start("oat-tracker")
        wait_until(lambda: "trying again" in worker.log.read_text(), "a log line")
        assert "processing" not in worker.log.read_text()
        mortal_store.start()
        system.wait_for(10)
        system.audit(10)


def test_a_store_that_dies_in_the_middle_costs_nothing(mortal_store, vhost, mariadb, tmp_path):
    mortal_store.start()
    target = f"s3://{SeaweedFS.BUCKET}/outage"
    with System(tmp_path, vhost, mariadb.database(uuid4().hex[:8]), OAT_TARGET=target) as system:
        system.produce(300)
        worker, tracker = system.start("oat-worker"), system.start("oat-tracker")
        wait_until(lambda: worker.log.read_text().count("pushed result") > 20, "some results")
        mortal_store.stop(signal.SIGKILL)
        wait_until(lambda: "trying again" in worker.log.read_text(), "the loss to be noticed")
        mortal_store.start()
        system.wait_for(300)
        terminate(worker)
        terminate(tracker)
        system.audit(300)
        assert "secretsecret@" not in worker.log.read_text()
