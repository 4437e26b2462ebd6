"""The store's promises. In a directory here, in tests/integration in a bucket."""

import os
import threading
from uuid import uuid4

import pytest

from oat.storage.store import Store


@pytest.fixture
def store(target):
    store = Store(target)
    store.prepare()
    return store


def test_put_and_get(store, target):
    uuid = uuid4()
    place = store.put(uuid, b"first")
    assert place == f"{target}/{uuid}.png"
    assert store.get(uuid) == b"first"
    assert store.size(uuid) == 5
    store.put(uuid, b"second")
    assert store.get(uuid) == b"second"
    assert list(store.names()) == [f"{uuid}.png"]


def test_a_missing_or_deleted_image_is_not_found(store):
    uuid = uuid4()
    with pytest.raises(FileNotFoundError):
        store.get(uuid)
    store.delete(uuid)
    store.put(uuid, b"image")
    store.delete(uuid)
    store.delete(uuid)
    for method in (store.get, store.size):
        with pytest.raises(FileNotFoundError):
            method(uuid)
    assert list(store.names()) == []


def test_a_large_image_arrives_whole(store):
    uuid, image = uuid4(), os.urandom(12_000_000)
    store.put(uuid, image)
    assert store.get(uuid) == image


def test_many_concurrent_puts(store):
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


def test_readers_never_see_a_partial_image(store):
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
