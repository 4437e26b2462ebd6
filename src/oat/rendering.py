"""Rendering: from a task to the bytes of its PNG file."""

import io
import logging
import time
from uuid import UUID

from PIL import Image

from oat.julia import COLOURS, palette_indices
from oat.messages import Task

log = logging.getLogger(__name__)

PALETTE = bytes(channel for n in range(COLOURS) for channel in (n % 8 * 32, n % 16 * 16, n % 32 * 8))
"""Red, green and blue of each of the 32 colours."""

RUN_LENGTHS = 3
"""zlib's Z_RLE: the fastest strategy whose files stay below those of RGB at Pillow's defaults."""


def render_png(task: Task) -> bytes:
    """Render `task` and return its 8-bit palette PNG file."""
    indices = palette_indices(task)
    image = Image.frombuffer("P", (task.width, task.height), indices, "raw", "P", 0, 1)
    image.putpalette(PALETTE)
    file = io.BytesIO()
    image.save(file, "PNG", compress_type=RUN_LENGTHS)
    return file.getvalue()


def warm_up() -> None:
    """Have the kernel compiled, or loaded from its cache, and say so where that took a while."""
    started = time.perf_counter()
    log.debug("loading the renderer")
    render_png(Task(uuid=UUID(int=0), width=2, height=2, iterations=1, xa=-1.0, xb=1.0, ya=-1.0, yb=1.0))
    if (took := time.perf_counter() - started) > 1:
        log.info("compiled the renderer in %.1f seconds; the next start finds it in the cache", took)
