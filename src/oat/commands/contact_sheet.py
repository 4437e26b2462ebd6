"""The contact sheet: thumbnails of all images of a run on one."""

import io
import math
from collections.abc import Iterable

from PIL import Image

SHEET_SIDE = 1600
"""Pixels of the longer side: what a screen shows whole, or nearly so."""

MIN_CELL = 8
"""Pixels of the side of a cell at least, however many images there are: less would show nothing."""

MARGIN = 2
"""Pixels around each thumbnail."""


def draw_contact_sheet(images: Iterable[bytes], count: int) -> Image.Image:
    """Return a square sheet with a thumbnail of each of the `count` PNG files `images`, row by row."""
    columns = max(1, math.ceil(math.sqrt(count)))
    cell = max(MIN_CELL, SHEET_SIDE // columns)
    rows = max(1, math.ceil(count / columns))
    sheet = Image.new("RGB", (columns * cell, rows * cell), "#333")
    for position, content in enumerate(images):
        with Image.open(io.BytesIO(content)) as image:
            thumbnail = image.convert("RGB")
        thumbnail.thumbnail((cell - 2 * MARGIN, cell - 2 * MARGIN))
        left = position % columns * cell + (cell - thumbnail.width) // 2
        top = position // columns * cell + (cell - thumbnail.height) // 2
        sheet.paste(thumbnail, (left, top))
    return sheet
