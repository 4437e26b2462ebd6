"""What is compressed comes out of zlib's inflate, and out of Pillow, as it was."""

import io
import random
import zlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from oat.rendering.palette import PALETTE_SIZE
from oat.rendering.png import compress, encode_png
from oat.rendering.prefix_code import CODE_LENGTHS, END, LONGEST_LITERAL, code_table


def padded(pixels):
    """Return the pixels as a view of an array with longer rows and more of them, as the kernel does."""
    height, width = pixels.shape
    whole = np.full((height + 1, width + 3), PALETTE_SIZE - 1, np.uint8)
    whole[:height, :width] = pixels
    return whole[:height, :width]


def assert_restored(pixels):
    indices = padded(np.asarray(pixels, np.uint8))
    inflate = zlib.decompressobj()
    data = inflate.decompress(compress(indices))  # which compares the checksum Adler-32
    assert (inflate.eof, inflate.unused_data) == (True, b"")
    rows = np.frombuffer(data, np.uint8).reshape(indices.shape[0], indices.shape[1] + 1)
    assert (rows[:, 0] == 2).all()
    assert (np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8) == indices).all()
    file = encode_png(indices)
    Image.open(io.BytesIO(file)).verify()
    with Image.open(io.BytesIO(file)) as image:
        assert (np.asarray(image) == indices).all()
    return len(data), len(file)


@pytest.mark.parametrize("colours", [1, 2, 5, 32])
def test_every_width(colours):
    rng = np.random.default_rng(colours)
    for width in (*range(1, 131), 255, 256, 257, 4094, 4095, 4096, 4097, 9000):
        assert_restored(rng.integers(0, colours, (rng.integers(1, 6), width)))


def test_every_length_of_a_run():
    """At every position with respect to the 64 bytes that are compared at once, and up to the end of the row."""
    for before in range(66):
        picture = np.zeros(
            (1200, 670), np.uint8
        )  # every other row is empty: differences are the pixels themselves
        for length in range(1, 601):
            picture[2 * length - 1] = [*(k % 31 for k in range(before)), *[31] * length, *[9, 5, 9] * 300][:670]
        assert_restored(picture)
    for length in range(1, 601):
        assert_restored([[3, *[7] * length]] * 2)


def test_every_difference():
    values = [PALETTE_SIZE - 1 - k if k % 2 else k for k in range(PALETTE_SIZE)]
    assert_restored([[a, b, a] for a in values for b in range(PALETTE_SIZE)])
    assert_restored([[a] for a in values for b in range(PALETTE_SIZE) for a in (a, b)])


@given(st.integers(1, 90), st.lists(st.tuples(st.integers(0, PALETTE_SIZE - 1), st.integers(1, 300)), min_size=1))
@settings(deadline=None)
def test_random_pictures(width, runs):
    pixels = [colour for colour, length in runs for _ in range(length)]
    height = -(-len(pixels) // width)
    assert_restored(np.resize(np.array(pixels, np.uint8), (height, width)))


def test_no_picture_is_larger_than_the_longest_code_makes_it():
    """The buffer for the data has no more room than that."""
    rare = [d for d in range(PALETTE_SIZE) if CODE_LENGTHS[d] == LONGEST_LITERAL]
    assert rare, "no positive difference is among the rarest"
    worst = np.zeros((300, 301), np.uint8)
    worst[::2] = rare[0]
    worst[::2, ::2] = rare[-1]
    noise = np.random.default_rng(5).integers(0, PALETTE_SIZE, (300, 301))
    for pixels in worst, noise:
        raw, file = assert_restored(pixels)
        assert file < raw * LONGEST_LITERAL / 8 + 300


def test_the_largest_values_of_the_checksum():
    """Adler-32 of bytes near 255, differences of −1, in rows longer than the blocks in which it is computed."""
    ramp = np.arange(31, -1, -1)[:, None] * np.ones((1, 10_000), int)
    assert_restored(ramp)


def test_the_code_leaves_no_sequence_of_bits_unused_and_none_of_its_words_begins_another():
    words = sorted(f"{code >> 5:0{code & 31}b}"[::-1] for code in code_table()[: END + 1].tolist() if code)
    assert len(words) == 2 * PALETTE_SIZE - 1 + 1
    assert not any(after.startswith(before) for before, after in pairwise(words))
    assert sum(2**-length for length in CODE_LENGTHS if length) == 1


def test_the_same_picture_gives_the_same_bytes_whatever_was_in_memory_before():
    rng = random.Random(1)
    indices = padded(np.array([[rng.randrange(4) for _ in range(77)] for _ in range(50)], np.uint8))
    first = encode_png(indices)
    for garbage in range(0, 256, 51):
        for size in 100, 1000, 10_000:
            np.full(size, garbage, np.uint8)
        assert encode_png(indices) == first
