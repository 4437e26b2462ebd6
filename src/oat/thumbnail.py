"""Thumbnails: a small copy of the image in a PNG file, for the gallery and the contact sheet."""

import io

from PIL import Image

MAX_FILTERED_SIDE = 1024
"""Pixels of the longer side up to which an image is resized by a filter of good quality. A larger image is first
reduced to this size by taking every n-th pixel, which is enough for a thumbnail."""

# Pillow refuses images of more than 179 million pixels, from wherever they come. `draw_thumbnail` has a limit of
# its own, which is checked before a pixel is decoded.
Image.MAX_IMAGE_PIXELS = None


def draw_thumbnail(png: bytes, side: int, max_pixels: int) -> Image.Image:
    """Return a copy of the image in the file `png`, in RGB, whose longer side has at most `side` pixels.

    Raises:
        OSError: `png` is no PNG file or a damaged one, it has more than `max_pixels` pixels, or the memory does
            not suffice for it, a byte for each pixel.
    """
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            if image.width * image.height > max_pixels:
                raise OSError(
                    f"it has {image.width * image.height} pixels, more than OAT_MAX_PIXELS, {max_pixels}"
                )
            factor = min(1.0, MAX_FILTERED_SIDE / max(image.size))
            size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
            small = image.resize(size, Image.Resampling.NEAREST).convert("RGB")
        small.thumbnail((side, side), Image.Resampling.HAMMING)
    except (MemoryError, SyntaxError, ValueError) as error:  # SyntaxError is Pillow's for a broken PNG file
        raise OSError(str(error) or "there is not enough memory") from error
    return small
