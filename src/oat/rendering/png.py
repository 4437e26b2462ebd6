"""Rendering: from a task to the bytes of its PNG file."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from oat.messages import Task
from oat.rendering.escape_time import palette_indices
from oat.rendering.palette import PALETTE

LEVEL = 3
"""zlib's effort: the fastest whose files stay below those of RGB at Pillow's defaults."""


def render_png(task: Task) -> bytes:
    """Render `task` and return its 8-bit palette PNG file."""
    return encode_png(palette_indices(task))


def encode_png(indices: NDArray[np.uint8]) -> bytes:
    """Return the PNG file of what `palette_indices` returned.

    Pillow reads the pixels where the kernel wrote them. Both let other threads run.
    """
    height, width = indices.shape
    padded = indices.base  # rows as long as the kernel's blocks want them
    image = Image.frombuffer("P", (width, height), padded, "raw", "P", indices.strides[0], 1)  # type: ignore[arg-type]
    image.putpalette(PALETTE)
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=LEVEL)
    return file.getvalue()
