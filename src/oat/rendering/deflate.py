"""The compressor: from pixels to the data of a PNG file, written for numba to compile.

The data are a stream in the format of zlib (RFC 1950), of one DEFLATE block (RFC 1951). Row by row:

1. Each pixel is replaced by its difference to the one above it, which is most often 0: the filter Up of the PNG
   specification.
2. Where a byte is repeated often enough, a match says how many times. Matches with anything else than the byte
   before, the search for which is what takes other compressors their time, are not looked for.
3. Bytes and matches are written as the bits that `prefix_code` has for them.

All of it is integer arithmetic, and the bytes depend on the pixels alone: neither on the processor nor on the
version of a library. As in `kernel`, the compiled code uses nothing of Python's or numba's runtime.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit, types

from oat.rendering.prefix_code import END, MAX_MATCH, SIZE_BITS
from oat.rendering.words import lowest_bit, repeats, store_word

UP = 2
"""The number of the filter Up, the first byte of each row."""

MIN_RUN = 4
"""Repetitions that are worth a match: three zeros are as short by themselves. `_next_run` has this number too."""

WORD_BITS = 64
"""Bytes that `repeats` compares."""

WINDOW = WORD_BITS - MIN_RUN + 1
"""Bytes among which `_next_run` finds the beginning of a run."""

ADLER_BASE = 65521
"""The largest prime below 2¹⁶, by which RFC 1950 reduces the sums of the checksum Adler-32."""

ADLER_BLOCK = 4096
"""Bytes whose sums, of at most 255 × 4096²/2, have room in 32 bits with a sign."""

_bytes = types.CPointer(types.uint8)
_SIGNATURE = _bytes, *[types.int64] * 3, _bytes, types.CPointer(types.int32), _bytes, types.int64

# As in `kernel`.
_compiled = njit(error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def llvm_code() -> tuple[str, str]:
    """Return the compressor as LLVM's intermediate representation, and its name there."""
    dispatcher = _compiled(_compress)
    dispatcher.compile(_SIGNATURE)
    (code,) = dispatcher.inspect_llvm().values()
    return code, dispatcher.overloads[_SIGNATURE].fndesc.llvm_func_name


class Output(NamedTuple):
    """Where the next bits are written: `bits` has the `count` lowest bits of the byte at `position`."""

    buffer: Any
    position: Any
    bits: Any
    count: Any


def _compress(pixels, height, width, stride, row, codes, buffer, written):  # type: ignore[no-untyped-def]
    """Compress an image whose rows are `stride` bytes apart, and return where the data end in `buffer`.

    The first `written` bits of `buffer` are there: the headers of the stream and of the block. `codes` is
    `code_table`, and `row` has room for a row and 65 bytes more.
    """
    position = written // 8
    out = Output(buffer, position, np.int64(buffer[position]), written % 8)
    a, b = 1, 0
    for y in range(height):
        _filter_row(row, pixels, y, width, stride)
        a, b = _adler(row, width + 1, a, b)
        out = _compress_row(out, row, width + 1, codes)
    out = _write(out, codes[END])
    position = out.position + (out.count > 0)
    for byte in (b >> 8, b, a >> 8, a):
        buffer[position] = byte
        position += 1
    return position


@_compiled
def _filter_row(row, pixels, y, width, stride):  # type: ignore[no-untyped-def]
    """Fill `row` with the filtered row y: the filter's number, then the pixels' differences to those above."""
    row[0] = UP
    first = y * stride
    for x in range(width):
        row[1 + x] = pixels[first + x] - (pixels[first - stride + x] if y > 0 else 0)


@_compiled
def _adler(data, size, a, b):  # type: ignore[no-untyped-def]
    """Add the first `size` bytes of `data` to the sums of Adler-32: a of all bytes, b of all values that a had."""
    for first in range(0, size, ADLER_BLOCK):
        block = min(ADLER_BLOCK, size - first)
        total, weighted = np.int32(0), np.int32(0)
        for i in range(block):
            total = np.int32(total + data[first + i])
            weighted = np.int32(weighted + data[first + i] * i)
        b = (b + block * a + block * total - weighted) % ADLER_BASE
        a = (a + total) % ADLER_BASE
    return a, b


@_compiled
def _compress_row(out, row, size, codes):  # type: ignore[no-untyped-def]
    """Write a filtered row of `size` bytes."""
    row[size] = row[size - 1] ^ 1  # no run goes beyond the end
    out = _write(out, codes[row[0]])
    i = 1
    while i < size:
        start = _next_run(row, i)
        end = min(start, size)
        while i < end:
            out = _write(out, codes[row[i]])
            i += 1
        repeated = _run_length(row, i)
        i += repeated
        while repeated >= MIN_RUN:
            match = min(repeated, MAX_MATCH)
            out = _write(out, codes[END + match])
            repeated -= match
        for _ in range(repeated):
            out = _write(out, codes[row[i - 1]])
    return out


@_compiled
def _next_run(row, i):  # type: ignore[no-untyped-def]
    """Return where the next `MIN_RUN` repetitions begin, at most `WINDOW` bytes after i."""
    same = repeats(row, i)
    return i + min(lowest_bit(same & (same >> 1) & (same >> 2) & (same >> 3)), WINDOW)


@_compiled
def _run_length(row, i):  # type: ignore[no-untyped-def]
    """Return how many bytes from i on are the same as the one before them."""
    end = i
    while True:
        same = lowest_bit(~repeats(row, end))
        end += same
        if same < WORD_BITS:
            return end - i


@_compiled
def _write(out, code):  # type: ignore[no-untyped-def]
    """Write the bits of an element of `code_table`."""
    bits = out.bits | (code >> SIZE_BITS) << out.count
    count = out.count + (code & (1 << SIZE_BITS) - 1)
    store_word(out.buffer, out.position, bits)
    return Output(out.buffer, out.position + (count >> 3), bits >> (count & ~7), count & 7)
