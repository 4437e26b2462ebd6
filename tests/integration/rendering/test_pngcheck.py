"""The file is valid for pngcheck, which knows the specification better than the readers of pictures."""

import subprocess

import pytest

from helpers.missing import require
from helpers.tasks import task
from oat.rendering import render_png

SIZES = (2, 2), (3, 5), (61, 7), (64, 64), (300, 200), (2, 5000), (5000, 2)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pngcheck_finds_no_fault(size, tmp_path):
    file = tmp_path / "image.png"
    file.write_bytes(render_png(task(width=size[0], height=size[1])))
    try:
        checked = subprocess.run(["pngcheck", "-v", file], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        require("pngcheck")
    assert checked.returncode == 0, checked.stdout
    assert "No errors detected" in checked.stdout
