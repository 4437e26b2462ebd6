"""A file system in memory that forgets at a power cut what was not synced: `forgetful_disk.py FOLDER MOUNTPOINT`.

It begins with the files in FOLDER. After a cut, a file has its content as of its last fsync, a folder its names as
of its own: POSIX promises no more. Of later changes, each page of a write and each name is kept or lost by itself,
at random, in any order: a name with an empty file, both names of a renamed one, or none, a name that was deleted.

Extended attributes of the root control it. `user.power_cut`, a JSON object of `seed`, `chance` (that a change is
kept), `survived` and `before` (folders to write what survives and what was there): from then on every call fails.
`user.ignored`: a regular expression of paths whose fsync does nothing, as of a program that has forgotten it.
"""

import errno
import json
import logging
import os
import random
import re
import stat
import sys
import threading
import time
from itertools import count
from pathlib import Path

import mfusepy

PAGE = 4096

ENDED = 8
"""What libfuse returns where its loop has ended otherwise than by an unmount, as by Ctrl-C."""

log = logging.getLogger(__name__)


class File:
    def __init__(self, content=b""):
        self.content, self.synced, self.changes = bytearray(content), bytearray(content), []

    def change(self, *change):
        """Write at an offset, or set the size."""
        self.apply(self.content, *change)
        self.changes.append(change)

    def sync(self):
        for change in self.changes:
            self.apply(self.synced, *change)
        self.changes = []

    def survives(self, kept):
        """The content after a power cut, of which `kept` says what was written."""
        content = bytearray(self.synced)
        for offset, *written in self.changes:
            if not written and kept():
                self.apply(content, offset)
            for start in range(-(offset % PAGE), len(written[0]), PAGE) if written else ():
                page = written[0][max(0, start) : start + PAGE]
                if kept():
                    self.apply(content, offset + max(0, start), page)
                elif kept():  # the size and not the page
                    self.apply(content, max(len(content), offset + max(0, start) + len(page)))
        return content

    @staticmethod
    def apply(content, offset, data=None):
        if data is None:
            del content[offset:]
        content.extend(bytes(max(0, offset - len(content))))
        if data is not None:
            content[offset : offset + len(data)] = data


class Folder:
    def __init__(self, names=None):
        self.content, self.synced, self.changes = dict(names or {}), dict(names or {}), []

    def change(self, name, node):
        """Give a name to a file or folder, or to None."""
        self.changes.append((name, node))
        self.content.update({name: node}) if node else self.content.pop(name)

    def sync(self):
        self.synced, self.changes = dict(self.content), []

    def survives(self, kept):
        """The names after a power cut."""
        names = self.synced | dict(change for change in self.changes if kept())
        return {name: node for name, node in names.items() if node and not name.startswith(".fuse_hidden")}


def load(path):
    return Folder({each.name: load(each) for each in path.iterdir()}) if path.is_dir() else File(path.read_bytes())


def save(node, path, content):
    if isinstance(node, File):
        path.write_bytes(content(node))
    else:
        path.mkdir()
        for name, child in content(node).items():
            save(child, path / name, content)


class Disk(mfusepy.Operations):
    use_ns = True

    def __init__(self, folder):
        self.root = load(folder)
        self.opened, self.handles, self._lock = {}, count(1), threading.Lock()
        self.ignored, self.is_off = re.compile("(?!)"), False

    def find(self, path):
        if self.is_off:
            raise mfusepy.FuseOSError(errno.EIO)
        node = self.root
        for name in filter(None, path.split("/")):
            if name not in node.content:
                raise mfusepy.FuseOSError(errno.ENOENT)
            node = node.content[name]
        return node

    def parent(self, path):
        return self.find(path.rpartition("/")[0]), path.rpartition("/")[2]

    def getattr(self, path, fh=None):
        node = self.find(path)
        mode = stat.S_IFREG | 0o666 if isinstance(node, File) else stat.S_IFDIR | 0o777
        return {"st_mode": mode, "st_size": len(node.content), "st_nlink": 1, "st_mtime": time.time_ns()}

    def readdir(self, path, fh):
        return [".", "..", *self.find(path).content]

    def mkdir(self, path, mode):
        with self._lock:
            folder, name = self.parent(path)
            folder.change(name, Folder())

    def create(self, path, mode, fi=None):
        with self._lock:
            folder, name = self.parent(path)
            folder.change(name, File())
        return self.open(path, 0)

    def open(self, path, flags):
        handle = next(self.handles)
        self.opened[handle] = self.find(path)
        return handle

    def release(self, path, fh):
        del self.opened[fh]

    def read(self, path, size, offset, fh):
        self.find("")
        return bytes(self.opened[fh].content[offset : offset + size])

    def write(self, path, data, offset, fh):
        with self._lock:
            self.find("")
            self.opened[fh].change(offset, data)
        return len(data)

    def truncate(self, path, length, fh=None):
        with self._lock:
            (self.opened[fh] if fh else self.find(path)).change(length)

    def unlink(self, path):
        with self._lock:
            folder, name = self.parent(path)
            folder.change(name, None)

    rmdir = unlink

    def rename(self, old, new):
        with self._lock:
            (source, old_name), (target, new_name) = self.parent(old), self.parent(new)
            target.change(new_name, source.content[old_name])
            source.change(old_name, None)

    chmod = chown = access = lambda self, path, *_: self.find(path) and 0

    def fsync(self, path, datasync, fh):
        with self._lock:
            self.find("")
            if not self.ignored.search(path):
                self.opened[fh].sync()

    def fsyncdir(self, path, datasync, fh):
        with self._lock:
            if not self.ignored.search(path):
                self.find(path).sync()

    def setxattr(self, path, name, value, options, position=0):
        with self._lock:
            if name == "user.ignored":
                self.ignored = re.compile(value.decode())
                return
            cut = json.loads(value)
            for folder in (cut["survived"], cut["before"]):
                if os.path.lexists(folder):  # the error has the name of the disk
                    log.error("no power cut: %s exists", folder)
                    raise mfusepy.FuseOSError(errno.EEXIST)
            self.is_off = True
            rng = random.Random(cut["seed"])
            save(
                self.root, Path(cut["survived"]), lambda node: node.survives(lambda: rng.random() < cut["chance"])
            )
            save(self.root, Path(cut["before"]), lambda node: node.content)


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    _, folder, mountpoint = sys.argv
    try:
        mfusepy.FUSE(Disk(Path(folder)), mountpoint, foreground=True)
    except RuntimeError as error:
        if error.args != (ENDED,):
            raise
