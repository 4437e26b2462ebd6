"""A disk that forgets at a power cut what was not synced, and what is left in the files of the embedded broker."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

from helpers import HELPERS
from helpers.guard import guard_command, guard_process, release_process
from helpers.missing import leave_out, require
from helpers.servers import MissingError
from helpers.waiting import wait_until

FUSE = Path("/dev/fuse")
UNMOUNT = ["umount", "-l"] if os.getuid() == 0 else ["fusermount3", "-u", "-z"]


def leave_out_without_fuse():
    """Leave out this test where the user may not open the device of FUSE, as in some containers."""
    if FUSE.exists() and not os.access(FUSE, os.R_OK | os.W_OK):
        leave_out(f"a disk that forgets needs FUSE, and this user may not open {FUSE}")


@contextlib.contextmanager
def forgetful_disk(folder, mountpoint):
    """Yield a disk that is plugged in; leave out this test, or fail, where there is no FUSE."""
    leave_out_without_fuse()
    disk = ForgetfulDisk(folder, mountpoint)
    try:
        disk.plug_in()
    except MissingError as missing:
        require(str(missing))
    yield disk
    disk.unplug()


class ForgetfulDisk:
    """`forgetful_disk.py` as a process, mounted on `mountpoint` while it is plugged in."""

    def __init__(self, folder, mountpoint):
        self.folder, self.mountpoint = folder, mountpoint
        self.before = folder / "before"
        """What was there when the power was cut."""
        self._content = folder / "content"
        self._content.mkdir(parents=True)
        self._process = None
        self._is_cut = False
        self._cuts = 0

    def plug_in(self):
        if self._process:
            self.unplug()
        self.mountpoint.mkdir(exist_ok=True)
        log = (self.folder / "log").open("ab")
        program = [sys.executable, HELPERS / "forgetful_disk.py", self._content, self.mountpoint]
        self._process = subprocess.Popen(program, stdout=log, stderr=log)
        guard_process(self._process.pid)
        guard_command(["sh", "-c", f'{" ".join(UNMOUNT)} "$0" 2>/dev/null; true', self.mountpoint])
        log.close()

        def mounted():
            if self._process.poll() is not None:
                raise MissingError(f"FUSE ({(self.folder / 'log').read_text().strip()[-300:]})")
            return self.mountpoint.is_mount()

        wait_until(mounted, "the mounted disk")

    def ignore(self, pattern):
        """Ignore the fsync of paths in which the regular expression `pattern` is found."""
        os.setxattr(self.mountpoint, "user.ignored", pattern.encode())

    def cut(self, seed, chance):
        """Cut the power: a change that was not synced is kept with `chance`; every call fails from now on."""
        self._cuts += 1
        self._content, self.before = (self.folder / f"{name}-{self._cuts}" for name in ("content", "before"))
        cut = {"seed": seed, "chance": chance, "survived": str(self._content), "before": str(self.before)}
        os.setxattr(self.mountpoint, "user.power_cut", json.dumps(cut).encode())
        self._is_cut = True

    def unplug(self):
        """Unmount it in good order: what is there is kept."""
        if self._process is None:
            return
        if not self._is_cut:
            with contextlib.suppress(OSError):
                self.cut(0, 1)
        self._is_cut = False
        subprocess.run([*UNMOUNT, self.mountpoint], check=False)
        self._process.kill()  # what is to be kept is written; it would wait for whoever has a file open
        self._process.wait(60)
        release_process(self._process.pid)
        self._process = None


def messages(queue):
    """The files of the folder `queue` of an embedded broker, each with its bodies by UUID, in their order."""
    for file in sorted(Path(queue).glob("[!.]*.json")):
        try:
            bodies = [message["body"] for message in json.loads(file.read_text())]
        except ValueError:
            continue  # damaged: the broker drops it
        yield file, {json.loads(body)["uuid"]: body for body in bodies}
