"""Thumbnails: small copies of the images, made at their first request and kept in the data folder."""

import contextlib
import io
import tempfile
import threading
from functools import cached_property
from pathlib import Path
from uuid import UUID

from oat.process import write_atomically
from oat.settings import SettingsError, data_folder
from oat.storage import Store
from oat.thumbnail import draw_thumbnail

THUMBNAIL_SIDE = 320
"""Pixels of the longer side: the width of a card of the gallery on a screen of high density."""

_concurrency = threading.Semaphore(2)
"""How many thumbnails are made at once: decoding a large image takes some hundred megabytes."""


class Thumbnails:
    """The thumbnails of the images of `store`, which have at most `max_pixels` pixels."""

    def __init__(self, store: Store, max_pixels: int) -> None:
        self._store = store
        self._max_pixels = max_pixels

    @cached_property
    def _folder(self) -> Path:
        """In the data directory; where there is none, a temporary one."""
        try:
            return data_folder() / "thumbnails"
        except SettingsError:
            self._temporary = tempfile.TemporaryDirectory(
                prefix="oat-thumbnails-"
            )  # removed along with this object
            return Path(self._temporary.name)

    def path(self, uuid: UUID) -> Path:
        """Return the path of the thumbnail of `uuid`, which is made if there is none.

        Raises:
            OSError: there is no image, or it is damaged, or the thumbnail cannot be written.
        """
        path = self._path(uuid)
        if not path.exists():
            with _concurrency:
                thumbnail = make_thumbnail(self._store.get(uuid), self._max_pixels)
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._folder, path.name, thumbnail)
        return path

    def delete(self, uuid: UUID) -> None:
        """Delete the thumbnail of `uuid`, if there is one."""
        with contextlib.suppress(OSError):  # what is left of it is never shown
            self._path(uuid).unlink(missing_ok=True)

    def _path(self, uuid: UUID) -> Path:
        return self._folder / f"{uuid}.webp"


def make_thumbnail(png: bytes, max_pixels: int) -> bytes:
    """Return a small WebP file of the image in the file `png`.

    Method 2 of the encoder takes half the time of Pillow's default, for files 4 % larger: a busy gallery needs a
    dozen a second.

    Raises:
        OSError: `png` is no PNG file, or it has more than `max_pixels` pixels.
    """
    file = io.BytesIO()
    draw_thumbnail(png, THUMBNAIL_SIDE, max_pixels).save(file, "WEBP", quality=80, method=2)
    return file.getvalue()
