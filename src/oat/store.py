"""The store: where images are kept, a directory with one file a task."""

import os
import tempfile
from pathlib import Path
from uuid import UUID

from oat.settings import SettingsError


class Store:
    """A directory of images named `<uuid>.png`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()

    def prepare(self) -> None:
        """Make the directory and see that it can be written.

        Raises:
            SettingsError: it cannot.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.directory):
                pass
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
        handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=self.directory)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(image)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return path

    def get(self, uuid: UUID) -> bytes:
        """Return the image of `uuid`.

        Raises:
            FileNotFoundError: there is none.
        """
        return self.path(uuid).read_bytes()
