"""The PNG file has the reference's pixels, and rendering is sparing with memory."""

import io
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from helpers import HELPERS
from helpers.reference import colour, escape_counts
from helpers.tasks import task
from oat.rendering.png import render_png
from oat.services import Ranges, random_task


@pytest.mark.parametrize("size", [(2, 2), (3, 5), (37, 23), (64, 8), (101, 13)], ids=str)
def test_the_file_is_an_8_bit_palette_png_with_the_pixels_of_the_reference(size):
    it = task(width=size[0], height=size[1])
    file = render_png(it)
    assert file[24:26] == bytes([8, 3])
    with Image.open(io.BytesIO(file)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "P", size)
        pixels = np.asarray(image.convert("RGB"))
    assert (pixels == np.array([[colour(n) for n in row] for row in escape_counts(it)])).all()


def test_the_same_task_gives_the_same_file_in_any_thread():
    tasks = [task(width=50 + i % 7, cx=-0.7 + i / 100) for i in range(20)]
    alone = [render_png(it) for it in tasks]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(render_png, tasks)) == alone


@pytest.mark.parametrize("seed", range(40))
def test_the_file_is_no_larger_than_an_rgb_one_at_pillows_defaults(seed):
    file = render_png(random_task(Ranges(), random.Random(seed)))
    rgb = io.BytesIO()
    Image.open(io.BytesIO(file)).convert("RGB").save(rgb, "PNG")
    assert len(file) <= rgb.tell()


def test_a_large_image_takes_at_most_3_bytes_a_pixel():
    code = """
from pathlib import Path
from helpers.tasks import task
from oat.rendering import render_png
def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
render_png(task())
before = peak()
render_png(task(width=4000, height=4001))
print((peak() - before) / 4000 / 4001)
"""
    python = [sys.executable, "-c", code]
    done = subprocess.run(python, cwd=HELPERS.parent, check=True, capture_output=True)
    assert float(done.stdout) <= 3
