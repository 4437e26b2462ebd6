"""Stale files of killed processes are removed; those of live ones stay."""

import errno
import os
import subprocess
import sys
import time

import pytest

from oat.process.durable_folder import DurableFolder
from oat.process.files import stale_files, temporary_name, unique_name, write_atomically


def name_made_by_another(name):
    code = f"from oat.process import temporary_name; print(temporary_name({name!r}))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_temporary_name_is_hidden_and_shows_the_original():
    assert temporary_name("a.b.part").startswith(".")
    assert temporary_name("a.b.part").endswith(".a.b.part")


def test_a_forked_process_uses_names_of_its_own():
    reader, writer = os.pipe()
    if not (child := os.fork()):
        os.write(writer, f"{temporary_name('x')} {unique_name()}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    with os.fdopen(reader) as names:
        os.close(writer)
        assert not {temporary_name("x"), unique_name()} & set(names.read().split())


def test_only_files_of_dead_writers_are_stale(tmp_path):
    dead, mine = name_made_by_another("x.part"), temporary_name("x.part")
    _, host, process, *rest = dead.split(".")
    pid = int(process.split("-")[0])
    assert pid != os.getpid()
    before_me_in_a_container = ".".join(("", host, f"{os.getpid()}-00000000", *rest))
    fresh, forgotten = (f".another-{host}.1-00000000.{n}.part" for n in (1, 2))
    alive, number_in_use_again = (f".{host}.1-00000000.{n}.part" for n in (1, 2))
    left = {dead, before_me_in_a_container, forgotten, number_in_use_again}
    for name in left | {mine, fresh, alive, "x.part", ".x.part", ".a.b.c.part"}:
        (tmp_path / name).touch()
    for old in (forgotten, number_in_use_again):
        os.utime(tmp_path / old, (time.time() - 4000,) * 2)
    assert {path.name for path in stale_files(tmp_path)} == left


@pytest.mark.parametrize(
    "write_file",
    [
        pytest.param(write_atomically, id="any"),
        pytest.param(lambda folder, name, content: DurableFolder(folder).write({name: content}), id="durable"),
    ],
)
def test_a_file_has_its_name_only_when_it_is_whole(tmp_path, monkeypatch, write_file):
    """Whoever looks while it is written sees hidden names alone; and nothing is left if it cannot be written."""
    write, seen = os.write, []

    def slowly(file, content):
        seen.extend(path.name for path in tmp_path.iterdir())
        return write(file, content[:3])

    monkeypatch.setattr(os, "write", slowly)
    write_file(tmp_path, "image.png", b"0123456789")
    assert len(seen) == 4
    assert all(name.startswith(".") for name in seen), seen
    assert [path.name for path in tmp_path.iterdir()] == ["image.png"]
    assert (tmp_path / "image.png").read_bytes() == b"0123456789"


def test_nothing_is_left_of_a_file_that_cannot_be_written(tmp_path, monkeypatch):
    def full(_file, _content):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="no space"):
        write_atomically(tmp_path, "image.png", b"0123456789")
    assert list(tmp_path.iterdir()) == []


def test_the_clock_of_the_file_system_decides_what_is_stale(tmp_path, monkeypatch):
    fresh, future = (tmp_path / f".another-host.1-00000000.{n}.part" for n in (1, 2))
    for path in (fresh, future):
        path.touch()
    os.utime(future, (time.time() + 9e6,) * 2)  # from before its clock was set back
    monkeypatch.setattr(time, "time", lambda: 4e9)  # the clock of this host
    assert list(stale_files(tmp_path)) == [future]
    assert sorted(tmp_path.iterdir()) == sorted([fresh, future])
