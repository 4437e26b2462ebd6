"""Draws the constant c of z² + c, which decides what Julia set an image shows.

The Julia set of most constants is either dust or one featureless blob. The interesting ones lie just outside the
border of the Mandelbrot set: the orbit of c itself escapes, but only after some iterations.
"""

import random

MAX_DRAWS = 1000
"""Constants drawn before `FALLBACK` is returned, since a viewport may contain no interesting one."""

FALLBACK = (-0.8, 0.156)
"""Real and imaginary part of a constant whose Julia set fills the middle of the plane with spirals."""

ESCAPE_RADIUS_SQUARED = 4.0
"""|z|² above which an orbit has escaped."""

MIN_ESCAPE_TIME = 10
"""Iterations, exclusive. An orbit of c that escapes earlier belongs to a Julia set that is dust."""

MAX_ITERATIONS = 100
"""Iterations after which an orbit is taken to be bounded; the Julia set of such a c has a featureless interior."""

MIN_REAL, MAX_REAL = -2.0, 0.5
"""The range of the real part of interesting constants."""

MAX_IMAGINARY = 1.2
"""The largest absolute value of the imaginary part of interesting constants."""


def in_cardioid_or_bulb(cx: float, cy: float) -> bool:
    """Tell whether c = cx + cy·i lies in the main cardioid or the period-2 bulb of the Mandelbrot set.

    The orbits of these constants are bounded. They make up most of the set, so the test saves most of the
    orbits that would have to be followed to the end. Source:
    https://en.wikipedia.org/wiki/Plotting_algorithms_for_the_Mandelbrot_set#Cardioid_/_bulb_checking
    """
    q = (cx - 0.25) ** 2 + cy * cy
    return q * (q + cx - 0.25) < 0.25 * cy * cy or (cx + 1) ** 2 + cy * cy < 0.0625  # noqa: PLR2004 (see the source)


def escape_time(cx: float, cy: float) -> int:
    """Return the escape time of c = cx + cy·i: the first n with |zₙ| > 2, where z₀ = c and zₙ₊₁ = zₙ² + c.

    It is `MAX_ITERATIONS` if the orbit has not escaped before.
    """
    zx, zy = cx, cy
    for n in range(MAX_ITERATIONS):
        if (xx := zx * zx) + (yy := zy * zy) > ESCAPE_RADIUS_SQUARED:
            return n
        zx, zy = xx - yy + cx, zx * zy + zx * zy + cy
    return MAX_ITERATIONS


def draw_constant(rng: random.Random, xa: float, xb: float, ya: float, yb: float) -> tuple[float, float]:
    """Draw an interesting constant from the viewport; the same state of `rng` gives the same constant.

    Args:
        rng: the source of random numbers.
        xa: the smallest real part.
        xb: the largest real part; from a viewport with `xb < xa` comes `FALLBACK`.
        ya: the smallest imaginary part.
        yb: the largest imaginary part, as `xb`.

    Returns:
        The real and the imaginary part of c, or `FALLBACK` if `MAX_DRAWS` draws gave no interesting constant.

    Source: http://code.activestate.com/recipes/577120-julia-fractals/
    """
    # Interesting constants fill a small part of most viewports, so draw from the intersection only.
    left, width = max(xa, MIN_REAL), min(xb, MAX_REAL) - max(xa, MIN_REAL)
    bottom, height = max(ya, -MAX_IMAGINARY), min(yb, MAX_IMAGINARY) - max(ya, -MAX_IMAGINARY)
    if width < 0 or height < 0:
        return FALLBACK
    for _ in range(MAX_DRAWS):
        cx, cy = left + rng.random() * width, bottom + rng.random() * height
        if not in_cardioid_or_bulb(cx, cy) and MIN_ESCAPE_TIME < escape_time(cx, cy) < MAX_ITERATIONS:
            return cx, cy
    return FALLBACK
