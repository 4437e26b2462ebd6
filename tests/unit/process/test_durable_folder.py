"""Who shares an fsync, and what happens when one fails. tests/chaos/test_power_cuts.py shows what survives."""

import errno
import os
import stat
import threading

import pytest

from oat.process.durable_folder import DurableFolder

THREADS, WRITES = 8, 25


@pytest.fixture
def syncs(monkeypatch):
    """The fsyncs of files and of folders that have been begun, and what is done at each."""
    begun = {"files": 0, "folders": 0, "at_folder": lambda: None}
    fsync = os.fsync

    def spy(file):
        is_folder = stat.S_ISDIR(os.fstat(file).st_mode)
        begun["folders" if is_folder else "files"] += 1
        if is_folder:
            begun["at_folder"]()
        fsync(file)

    monkeypatch.setattr(os, "fsync", spy)
    return begun


def test_several_files_share_the_fsync_of_their_folder(tmp_path, syncs):
    DurableFolder(tmp_path).write({f"{n}": b"x" for n in range(5)})
    assert (syncs["files"], syncs["folders"]) == (5, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2", "3", "4"]


def test_each_write_of_many_threads_is_covered_by_an_fsync_that_began_after_its_rename(
    tmp_path, syncs, monkeypatch
):
    folder = DurableFolder(tmp_path)
    durable = set()
    waiting = threading.Barrier(THREADS)
    names_then = threading.local()

    def at_folder():
        names_then.names = {path.name for path in tmp_path.iterdir()}  # when the fsync begins

    syncs["at_folder"] = at_folder
    sync_directory = folder._finish

    def finish(number):
        durable.update(names_then.names)
        sync_directory(number)

    monkeypatch.setattr(folder, "_finish", finish)
    early = []

    def write(thread):
        waiting.wait()
        for n in range(WRITES):
            folder.write({f"{thread}-{n}": b"x"})
            if f"{thread}-{n}" not in durable:
                early.append((thread, n))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not early
    assert syncs["folders"] < THREADS * WRITES


def test_a_failed_fsync_fails_the_writes_it_was_for(tmp_path, syncs):
    def fail():
        raise OSError(errno.EIO, "the disk is broken")

    folder = DurableFolder(tmp_path)
    syncs["at_folder"] = fail
    with pytest.raises(OSError, match="broken"):
        folder.write({"a": b"x"})
    syncs["at_folder"] = lambda: None
    folder.write({"a": b"x"})


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_without_an_fsync_of_folders_is_used(tmp_path, syncs, code):
    def fail():
        raise OSError(code, "not here")

    syncs["at_folder"] = fail
    DurableFolder(tmp_path / "new").create()
    DurableFolder(tmp_path / "new").write({"a": b"x"})


def test_a_failed_write_leaves_nothing(tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(OSError, match="directory"):
        DurableFolder(tmp_path).write({"a": b"x", "b": b"x", "c": b"x"})
    assert {path.name for path in tmp_path.iterdir()} <= {"a", "b"}
