"""Thumbnails of PNG files, and of what is none."""

import io
import struct
import zlib

import pytest
from PIL import Image

from oat.thumbnail import draw_thumbnail


def png_of(width, height):
    """Return a PNG file of this size, made row by row."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    compressor = zlib.compressobj(1)
    row = bytes(1 + width)
    rows = b"".join(compressor.compress(row) for _ in range(height)) + compressor.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_our_limit_is_the_guard_and_not_pillow_s():
    bomb = png_of(14_000, 13_000)
    assert draw_thumbnail(bomb, 320, 14_000 * 13_000).size == (320, 297)
    with pytest.raises(OSError, match="182000000 pixels, more than OAT_MAX_PIXELS, 181999999"):
        draw_thumbnail(bomb, 320, 14_000 * 13_000 - 1)


@pytest.mark.parametrize("size", [(1, 1), (2, 5000), (5000, 2), (1024, 1024), (1025, 3)])
def test_a_thumbnail_is_as_large_as_allowed_at_most(size):
    width, height = draw_thumbnail(png_of(*size), 100, 2**26).size
    assert (width, height) == (min(width, 100), min(height, 100))
    assert min(width, height) >= 1


def test_what_is_no_png_file_is_an_os_error():
    good = png_of(20, 20)
    gif = io.BytesIO()
    Image.new("P", (5, 5)).save(gif, "GIF")
    huge = good[:16] + struct.pack(">I", 2**31 - 1) + good[20:]
    broken = [b"", b"x", gif.getvalue(), good[:40], good[:-30], good[:50] + b"\0" * 20 + good[70:], huge]
    for content in broken:
        with pytest.raises(OSError):
            draw_thumbnail(content, 320, 2**31 - 1)
