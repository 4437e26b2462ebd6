"""Chromium shows the pixels of our PNG file."""

import base64

import numpy as np

from helpers.tasks import task
from oat.rendering import render_png
from oat.rendering.escape_time import palette_indices
from oat.rendering.palette import PALETTE

PIXELS_OF = """
async url => {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  return Array.from(context.getImageData(0, 0, canvas.width, canvas.height).data);
}
"""


def test_the_browser_has_the_same_pixels(chromium):
    page = chromium.new_page()
    for width, height in (2, 2), (61, 7), (320, 200):
        it = task(width=width, height=height)
        url = "data:image/png;base64," + base64.b64encode(render_png(it)).decode()
        shown = np.array(page.evaluate(PIXELS_OF, url)).reshape(height, width, 4)
        colours = np.frombuffer(PALETTE, np.uint8).reshape(-1, 3)
        assert (shown[:, :, 3] == 255).all()
        assert (shown[:, :, :3] == colours[palette_indices(it)]).all()
    page.close()
