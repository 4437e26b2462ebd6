"""The PNG file of a task: 8 bits a pixel, with a palette."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oat.messages import Task
from oat.rendering.escape_time import palette_indices
from oat.rendering.palette import PALETTE

COMPRESSION_LEVEL = 3
"""zlib's level, 0 to 9: the fastest whose files stay smaller than RGB files with Pillow's default."""


def render_png(task: Task) -> bytes:
    """Render `task` and return the content of its PNG file."""
    return encode_png(palette_indices(task))


def encode_png(indices: NDArray[np.uint8]) -> bytes:
    """Encode an array that `palette_indices` returned, of shape (height, width), as a PNG file.

    Pillow reads the pixels from the kernel's buffer, without a copy, and releases the GIL while it encodes.
    """
    height, width = indices.shape
    buffer = indices.base  # its rows are as long as `strides` says, a multiple of the block's
    image = Image.frombuffer("P", (width, height), buffer, "raw", "P", indices.strides[0], 1)  # type: ignore[arg-type]
    image.putpalette(PALETTE)
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=COMPRESSION_LEVEL)
    return file.getvalue()
