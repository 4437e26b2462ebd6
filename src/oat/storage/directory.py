"""A directory as the backend of the store, on a local disk or a network drive.

What is put or deleted is on the disk when the call returns, so it takes the milliseconds of a disk, which several
threads share.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from oat.errors import LIMIT_REMEDIES
from oat.process import DurableFolder, stale_files, temporary_name
from oat.settings import PermanentError, SettingsError

TEMPORARY_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EAGAIN})
"""Errors that end when the disk is well again, and are nobody's setting."""


class Directory:
    """Files in one directory of the file system, written atomically and durably."""

    def __init__(self, target: str) -> None:
        self.path = Path(target)
        self._folder = DurableFolder(target)

    def prepare(self) -> None:
        """Create the directory, check by writing a file that it is writable, and remove stale temporary files."""
        try:
            self._folder.create()
            probe = temporary_name("probe.part")
            self._folder.write({probe: b""})
            self._folder.delete(probe)
        except OSError as error:
            reason = f"images cannot be written to {self.path}: {error.strerror}"
            if error.errno in TEMPORARY_ERRORS:
                raise OSError(error.errno, reason) from error
            if error.errno in LIMIT_REMEDIES:
                raise PermanentError(f"{reason}; {LIMIT_REMEDIES[error.errno]}") from error
            raise SettingsError(reason) from error

    def put(self, name: str, content: bytes) -> str:
        """Write a file and return its path."""
        self._folder.write({name: content})
        return f"{self.path}/{name}"

    def get(self, name: str) -> bytes:
        """Return the content of a file."""
        return (self.path / name).read_bytes()

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        return (self.path / name).stat().st_size

    def delete(self, name: str) -> None:
        """Delete a file, if it exists."""
        self._folder.delete(name)

    def names(self) -> Iterator[str]:
        """Yield the names of all files; none if the directory does not exist."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.path) as entries:
            for entry in entries:
                yield entry.name

    def stale_files(self) -> Iterator[str]:
        """Yield the names of the temporary files whose writer is gone; none if the directory does not exist."""
        with contextlib.suppress(FileNotFoundError):
            yield from (path.name for path in stale_files(self.path))
