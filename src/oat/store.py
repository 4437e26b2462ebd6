"""The store: where images are kept, a directory with one file a task."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

from oat.settings import SettingsError
from oat.temporary import left_over, temporary_name


class Store:
    """A directory of images named `<uuid>.png`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()

    def prepare(self) -> None:
        """Make the directory, see that it can be written, and remove what killed workers left half written.

        Raises:
            SettingsError: it cannot.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.directory):
                pass
            for path in left_over(self.directory):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise SettingsError(f"images cannot be written to {self.directory}: {error.strerror}") from error

    def path(self, uuid: UUID) -> Path:
        """Where the image of `uuid` is, or will be."""
        return self.directory / f"{uuid}.png"

    def put(self, uuid: UUID, image: bytes) -> Path:
        """Store `image` so that at no moment a part of it stands under its name.

        Raises:
            OSError: it cannot be written (disk full, read-only, gone); nothing is left behind.
        """
        path = self.path(uuid)
        part = self.directory / temporary_name(f"{uuid4().hex}.part")
        try:
            part.write_bytes(image)
            part.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
        return path

    def get(self, uuid: UUID) -> bytes:
        """Return the image of `uuid`.

        Raises:
            FileNotFoundError: there is none.
        """
        return self.path(uuid).read_bytes()

    def uuids(self) -> Iterator[UUID]:
        """Yield the UUIDs of all images, in no order."""
        if not self.directory.exists():
            return
        with os.scandir(self.directory) as entries:
            for entry in entries:
                stem, dot, ending = entry.name.partition(".")
                with contextlib.suppress(ValueError):
                    if dot and ending == "png" and str(uuid := UUID(stem)) == stem:
                        yield uuid

    def left_over(self) -> Iterator[str]:
        """Yield the names of files that killed workers left half written."""
        if self.directory.exists():
            yield from (path.name for path in left_over(self.directory))

    def delete(self, uuid: UUID) -> None:
        """Delete the image of `uuid`, if there is one."""
        self.path(uuid).unlink(missing_ok=True)
