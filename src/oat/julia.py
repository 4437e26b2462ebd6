"""The kernel: how soon each pixel's orbit under z² + c leaves the disc of radius 2."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from oat.messages import Task

COLOURS = 32


def palette_indices(task: Task) -> NDArray[np.uint8]:
    """Return n mod 32 for each pixel, shape (height, width).

    n is the loop index at which the pixel's orbit stops, |z| > 2 tested as zr² + zi² > 4 in double precision
    without fused operations; iterations − 1 where it never stops.

    Source: http://code.activestate.com/recipes/577120-julia-fractals/
    """
    indices = np.empty((task.height, task.width), np.uint8)
    _fill(indices, task.iterations, task.xa, task.xb, task.ya, task.yb, task.cx, task.cy)
    return indices


@njit(cache=True, nogil=True, error_model="numpy")
def _fill(indices, iterations, xa, xb, ya, yb, cx, cy):  # type: ignore[no-untyped-def]  # numba infers them
    height, width = indices.shape
    for y in range(height):
        top = y * (yb - ya) / (height - 1) + ya
        for x in range(width):
            zr = x * (xb - xa) / (width - 1) + xa
            zi = top
            last = iterations - 1
            for n in range(iterations):
                if zr * zr + zi * zi > 4.0:  # noqa: PLR2004 (|z|² > 2²)
                    last = n
                    break
                zr, zi = zr * zr - zi * zi + cx, zr * zi + zr * zi + cy
            indices[y, x] = last % COLOURS
