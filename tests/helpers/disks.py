"""Small disks, which root alone can mount, and what befalls them."""

import contextlib
import shutil
import subprocess

from helpers.guard import guard_command
from helpers.waiting import wait_until


def run(*command):
    return subprocess.run(command, check=False, capture_output=True, text=True)


@contextlib.contextmanager
def small_disk(folder, megabytes):
    """Mount a disk of that size on `folder`, which is made."""
    folder.mkdir(parents=True)
    guard_command(["sh", "-c", 'umount -l "$0" 2>/dev/null; true', folder])
    done = run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", folder)
    assert done.returncode == 0, done.stderr
    try:
        yield folder
    finally:
        run("umount", "-l", folder)


def resize(folder, megabytes):
    """Change the size of a small disk."""
    done = run("mount", "-o", f"remount,size={megabytes}m", folder)
    assert done.returncode == 0, done.stderr


def used(folder):
    """The megabytes that are used on a disk, rounded up."""
    return shutil.disk_usage(folder).used // 2**20 + 1


@contextlib.contextmanager
def filled(folder):
    """A disk without a free byte."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def read_only(folder):
    wait_until(lambda: run("mount", "-o", "remount,ro", folder).returncode == 0, "a moment when no file is open")
    try:
        yield
    finally:
        assert run("mount", "-o", "remount,rw", folder).returncode == 0
