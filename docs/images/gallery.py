"""Makes gallery.webp, the picture of the gallery in the README: `make screenshot`."""

import argparse
import io
import random
import sys
from pathlib import Path

import httpx
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from helpers.browser import launched
from helpers.guard import temporary_folder
from helpers.system import System
from oat.constant import draw_constant

PICTURE = Path(__file__).with_suffix(".webp")

VIEW = {"xa": -1.6, "xb": 1.6, "ya": -1.2, "yb": 1.2}
"""Where constants are drawn from."""


def main() -> None:
    """Render 18 images and photograph the page that shows them."""
    rng = random.Random(12)  # noqa: S311 (no secret)
    with temporary_folder() as folder, System(folder) as system, launched() as browser:
        system.start("oat-worker")
        system.start("oat-tracker")
        url = system.gallery()
        for _ in range(18):
            cx, cy = draw_constant(rng, *VIEW.values())
            parameters = VIEW | {"width": 800, "height": 800, "iterations": 512, "cx": cx, "cy": cy}
            httpx.post(f"{url}/v1/fractals", json=parameters | {"ya": -1.6, "yb": 1.6}).raise_for_status()
        system.wait_for(18)
        page = browser.new_page(viewport={"width": 1240, "height": 920}, color_scheme="dark")
        page.goto(url)
        page.locator(".live:not([hidden])").wait_for()
        page.locator(".card img").evaluate_all("images => Promise.all(images.map(image => image.decode()))")
        picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").save(PICTURE, "WEBP", quality=80)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
