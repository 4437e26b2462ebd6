"""Durable folders: a file that has been written is still there after a power cut, whole and under its name.

`rename` makes a file appear whole for other processes, but after a power cut only that is on the disk what `fsync`
has put there: of a file its content, of a folder the names in it. So a file is written under a temporary name,
synced and renamed, and then the folder is synced.

`fsync` takes milliseconds on most disks, however little there is to write. Threads that wait for the same folder
share its fsync (group commit), and those of their files run side by side.

On macOS `fsync` does not empty the write cache of the disk itself.
"""

import contextlib
import errno
import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from oat.process.files import remove_stale_files, write_temporary

_threads = ThreadPoolExecutor(16, thread_name_prefix="fsync")
"""Sync the files of one write side by side; started when they are first needed."""

_NO_DIRECTORY_FSYNC = {errno.EINVAL, errno.ENOTSUP, errno.EROFS}
"""How a file system says that it has no fsync for folders: some network drives, which write names at once, and
those that are read-only."""


class DurableFolder:
    """A folder in which what is written or deleted is durable when the call returns; for any number of threads."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._condition = threading.Condition()
        self._is_syncing = False
        self._started = 0
        """How many fsyncs of the folder were begun."""
        self._done = 0
        """The number of the last fsync that succeeded."""

    def create(self) -> None:
        """Create the folder with its parents, if it is missing, and remove stale temporary files.

        The names of its parents are made durable even if all exist: another process may have just created them.

        Raises:
            OSError: it cannot be created or read.
        """
        create_durably(self.path)
        remove_stale_files(Path(self.path))

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write `files`, contents by their names, replacing existing ones.

        Raises:
            OSError: not all of them are durable; no temporary file is left.
        """
        unfinished: dict[str, tuple[str, int]] = {}
        try:
            for name, content in files.items():
                unfinished[name] = write_temporary(self.path, content)
            _sync_files([file for _, file in unfinished.values()])
            for name in files:
                temporary, file = unfinished[name]
                os.replace(temporary, os.path.join(self.path, name))  # noqa: PTH105, PTH118 (as in `files`)
                del unfinished[name]
                os.close(file)
        finally:
            for temporary, file in unfinished.values():
                os.close(file)
                with contextlib.suppress(OSError):
                    os.unlink(temporary)  # noqa: PTH108 (as in `files`)
        self._sync()

    def delete(self, name: str) -> None:
        """Delete the file `name`, if it exists.

        Raises:
            OSError: it is not durably deleted.
        """
        Path(self.path, name).unlink(missing_ok=True)
        self._sync()

    def _sync(self) -> None:
        """Return when an fsync of the folder has succeeded that was begun after this call.

        Raises:
            OSError: that fsync has failed.
        """
        with self._condition:
            wanted = self._started + 1
            while self._is_syncing and self._done < wanted:
                self._condition.wait()
            if self._done >= wanted:
                return
            self._is_syncing = True
            self._started += 1
            number = self._started
        try:
            sync_directory(self.path)
        except BaseException:
            self._finish(None)  # those who waited for it try it themselves, and see for themselves
            raise
        self._finish(number)

    def _finish(self, number: int | None) -> None:
        with self._condition:
            self._is_syncing = False
            self._done = number or self._done
            self._condition.notify_all()


def _sync_files(files: list[int]) -> None:
    """Sync the files of these descriptors, side by side.

    Raises:
        OSError: one of them is not synced.
    """
    if len(files) == 1:
        os.fsync(files[0])
        return
    syncs = [_threads.submit(os.fsync, file) for file in files]
    wait(syncs)  # all of them, also when one fails: the caller closes the files
    for sync in syncs:
        sync.result()


def sync_directory(path: str | os.PathLike[str]) -> None:
    """Make the names in the directory `path` durable.

    Raises:
        OSError: it cannot be read, or the disk fails.
    """
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_FSYNC:
            raise
    finally:
        os.close(directory)


def create_durably(path: str | os.PathLike[str]) -> None:
    """Create the directory `path` with its parents, if it is missing, and make its name and theirs durable.

    Raises:
        OSError: it cannot be created.
    """
    directory = Path(path).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    for parent in directory.parents:
        with contextlib.suppress(PermissionError):  # who may not read it has created nothing in it
            sync_directory(parent)
