"""The contact sheet: thumbnails of all images of a run on one."""

import math
from collections.abc import Iterable

from PIL import Image

from oat.thumbnail import draw_thumbnail

SHEET_SIDE = 1600
"""Pixels of the longer side: what a screen shows whole, or nearly so."""

MIN_CELL = 8
"""Pixels of the side of a cell at least, however many images there are: less would show nothing."""

MARGIN = 2
"""Pixels around each thumbnail."""


def draw_contact_sheet(images: Iterable[bytes], count: int, max_pixels: int) -> Image.Image:
    """Return a square sheet with a thumbnail of each of the `count` PNG files `images`, row by row."""
    columns = max(1, math.ceil(math.sqrt(count)))
    cell = max(MIN_CELL, SHEET_SIDE // columns)
    rows = max(1, math.ceil(count / columns))
    sheet = Image.new("RGB", (columns * cell, rows * cell), "#333")
    for position, content in enumerate(images):
        thumbnail = draw_thumbnail(content, cell - 2 * MARGIN, max_pixels)
        left = position % columns * cell + (cell - thumbnail.width) // 2
        top = position // columns * cell + (cell - thumbnail.height) // 2
        sheet.paste(thumbnail, (left, top))
    return sheet
