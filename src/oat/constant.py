"""The constant c of z² + c: which Julia set a task shows.

Almost every c gives dust or a blot. The interesting ones lie near the border of the Mandelbrot set: there the
orbit of c itself escapes, but not soon.
"""

import random

DRAWS = 1000
"""How many constants are tried before `FALLBACK` is taken: no viewport may hang the one who picks."""

FALLBACK = (-0.8, 0.156)
"""A constant whose set fills the middle of the plane with spirals."""

FAR = 4.0
"""|z|² beyond which an orbit never comes back."""

EARLIEST, LATEST = 10, 100
"""A constant is interesting whose orbit stops at a loop index strictly between the two."""

LEFT, RIGHT, TOP = -2.0, 0.5, 1.2
"""An interesting constant has a real part from `LEFT` to `RIGHT` and an imaginary part within ±`TOP`."""


def is_interior(cx: float, cy: float) -> bool:
    """Tell of most constants whose orbit never leaves that it doesn't, without following it.

    They are those in the cardioid and in the disc of period 2, most of the Mandelbrot set. Source:
    https://en.wikipedia.org/wiki/Plotting_algorithms_for_the_Mandelbrot_set#Cardioid_/_bulb_checking
    """
    q = (cx - 0.25) ** 2 + cy * cy
    return q * (q + cx - 0.25) < 0.25 * cy * cy or (cx + 1) ** 2 + cy * cy < 0.0625  # noqa: PLR2004


def escape_index(cx: float, cy: float) -> int:
    """Return the loop index at which the orbit of c = cx + cy·i stops (|z| > 2), `LATEST` if it goes on."""
    zx, zy = cx, cy
    for index in range(LATEST):
        if (xx := zx * zx) + (yy := zy * zy) > FAR:
            return index
        zx, zy = xx - yy + cx, zx * zy + zx * zy + cy
    return LATEST


def draw_constant(rng: random.Random, xa: float, xb: float, ya: float, yb: float) -> tuple[float, float]:
    """Draw an interesting constant from the viewport, `FALLBACK` where none is found.

    Source: http://code.activestate.com/recipes/577120-julia-fractals/
    """
    # Most of a viewport is outside of where they are: to draw there, and to draw again, would come to the same.
    left, width = max(xa, LEFT), min(xb, RIGHT) - max(xa, LEFT)
    bottom, height = max(ya, -TOP), min(yb, TOP) - max(ya, -TOP)
    if width < 0 or height < 0:
        return FALLBACK
    for _ in range(DRAWS):
        cx, cy = left + rng.random() * width, bottom + rng.random() * height
        if not is_interior(cx, cy) and EARLIEST < escape_index(cx, cy) < LATEST:
            return cx, cy
    return FALLBACK
