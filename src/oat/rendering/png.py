"""The PNG file of a task: 8 bits a pixel, with a palette, the same bytes on every machine.

The file has the chunks of https://www.w3.org/TR/png-3/ that it must have. Its data are compressed by `deflate`.
"""

import struct
import threading
import zlib
from collections.abc import Callable
from ctypes import c_int64, c_void_p
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oat.messages import Task
from oat.rendering import machine_code
from oat.rendering.escape_time import block_for, load_kernel, palette_indices
from oat.rendering.machine_code import cpu_features
from oat.rendering.palette import PALETTE
from oat.rendering.prefix_code import LONGEST_LITERAL, block_header, code_table

SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""The first bytes of every PNG file."""

BITS_A_PIXEL, PALETTE_COLOURS = 8, 3
"""The bit depth and the colour type."""

ZLIB_HEADER = b"\x78\x01"
"""DEFLATE with a window of 32 KiB, by the fastest algorithm."""

END_BYTES = 16
"""Bytes after those of the pixels: at most 2 for the end of the block, 4 for Adler-32, and as `store_word` always
writes 8 bytes, 8 more."""

ROW_PADDING = 65
"""Bytes after those of a row: one that ends the last run, and 64 that are compared, whatever they are."""

MAX_CHUNK = 2**30
"""Bytes of data in a chunk; the specification allows twice as many."""


def render_png(task: Task) -> bytes:
    """Render `task` and return the content of its PNG file."""
    return encode_png(palette_indices(task))


def encode_png(indices: NDArray[np.uint8]) -> bytes:
    """Encode an array of shape (height, width), as `palette_indices` returns it, as a PNG file."""
    height, width = indices.shape
    data = compress(indices)
    return b"".join(
        (
            SIGNATURE,
            *_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, BITS_A_PIXEL, PALETTE_COLOURS, 0, 0, 0)),
            *_chunk(b"PLTE", PALETTE),
            *(part for i in range(0, len(data), MAX_CHUNK) for part in _chunk(b"IDAT", data[i : i + MAX_CHUNK])),
            *_chunk(b"IEND", b""),
        )
    )


def _chunk(name: bytes, data: bytes | memoryview) -> tuple[bytes, bytes | memoryview, bytes]:
    """Return the parts of a chunk."""
    crc = zlib.crc32(data, zlib.crc32(name))  # whatever the library, CRC-32 is the same number
    return struct.pack(">I4s", len(data), name), data, struct.pack(">I", crc)


def compress(indices: NDArray[np.uint8]) -> memoryview:
    """Compress the same array to the data of a PNG file, as `deflate` says.

    The compressor reads the pixels where the kernel wrote them, and the GIL is released meanwhile.
    """
    height, width = indices.shape
    header, header_bits = block_header()
    start = ZLIB_HEADER + header.to_bytes(header_bits // 8 + 1, "little")
    pixel_bytes = height * (width + 1) * LONGEST_LITERAL // 8 + 1
    buffer = np.empty(len(start) + pixel_bytes + END_BYTES, np.uint8)  # of which most is never touched
    buffer[: len(start)] = np.frombuffer(start, np.uint8)
    row = np.empty(width + 1 + ROW_PADDING, np.uint8)
    end = load_compressor()(
        indices.ctypes.data, height, width, indices.strides[0],
        row, code_table(), buffer, 8 * len(ZLIB_HEADER) + header_bits,
    )  # fmt: skip
    return buffer.data[:end]


def warm_up() -> None:
    """Load the renderer for this machine; it is compiled first, which takes seconds, if it is not in the cache."""
    load_kernel(block_for(cpu_features()))
    load_compressor()


def load_compressor() -> Callable[..., int]:
    """Return the compressor. It is loaded once; other threads wait meanwhile."""
    with _loading:
        return _load_compressor()


_loading = threading.Lock()


@cache
def _load_compressor() -> Callable[..., int]:
    def llvm_code() -> tuple[str, str]:
        from oat.rendering.deflate import llvm_code  # noqa: PLC0415 (it imports numba, which takes half a second)

        return llvm_code()

    sources = (Path(__file__).with_name(name) for name in ("deflate.py", "words.py", "prefix_code.py"))
    arguments = c_void_p, *[c_int64] * 3, *[c_void_p] * 3, c_int64
    return machine_code.load("deflate", sources, llvm_code, arguments)
