"""Our own limits are the guard: what they allow works to the end, beyond the limits of the libraries below."""

import io

import pytest
from PIL import Image

from helpers import http
from helpers.gallery import create, finished
from helpers.system import System

MOST_PIXELS = 400_000_000


@pytest.mark.parametrize(
    ("width", "height"),
    [(14_000, 13_000), (200_000, 900), (2, 1_000_000), (1_000_000, 2)],
    ids=["above Pillow's guard", "a long side", "high", "wide"],
)
def test_an_image_within_our_limits_has_its_thumbnail(tmp_path, width, height):
    with System(tmp_path, OAT_MAX_PIXELS=str(MOST_PIXELS), OAT_MAX_SIDE="1000000") as system:
        system.start("oat-worker")
        system.start("oat-tracker")
        with http.Client(base_url=system.gallery()) as api:
            # c is far out: every orbit escapes at once.
            [fractal] = create(api, width=width, height=height, iterations=2, cx=3, cy=3, xa=3, xb=4, ya=3, yb=4)
            assert finished(api, fractal["uuid"])["status"] == "done"
            thumbnail = api.get(f"/v1/fractals/{fractal['uuid']}/thumbnail")
            assert thumbnail.status_code == 200, thumbnail.text
            assert max(Image.open(io.BytesIO(thumbnail.content)).size) <= 320
            image = api.get(f"/v1/fractals/{fractal['uuid']}/image")
            assert (image.status_code, image.content[:4]) == (200, b"\x89PNG")
