"""The kernel: escape times of many pixels at once, written for numba to compile.

`escape_time` says what is computed, this module how. A pixel is a lane of a vector (see `simd`), and all lanes
take each step, one iteration of z ← z² + c, together:

1. The image is divided into blocks of as many pixels as a vector has lanes. Each block takes its first steps by
   itself; the pixels of most blocks have all escaped by then, and the block is finished.
2. The pixels of the other blocks are appended to a pool. When it is full, its pixels take their remaining steps.
   After every few steps it is compacted: the escaped pixels are removed, the active ones move up, so that the
   lanes of the vectors are active, whichever blocks their pixels come from.
3. The orbits in the pool are checked for periodicity: a periodic orbit is bounded, and needs no more steps.

The compiled code uses pointers, numbers and vectors only, nothing of Python's or numba's runtime. So the machine
code can be cached in a file, and called without numba.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types

from oat.rendering.palette import PALETTE_SIZE
from oat.rendering.simd import (
    any_lane,
    block_columns,
    block_rows,
    choose,
    counts,
    doubles,
    lanes_of,
    load,
    store,
    store_block,
    twice_plus,
)

COMPACTION_INTERVAL = 32
"""Steps between two compactions of the pool, and before pixels are appended to it: after 16 it was slower by 6 to
10 %, after 48 no faster. Not above `PALETTE_SIZE`, since a block's counters are stored as palette indices."""

PERIODICITY_CHECK_AFTER = 128
"""Steps before the first periodicity check. Few pixels of a usual task get there, so the check costs it little."""

PERIODIC = 255
"""The number of steps that the pool has for a pixel whose orbit is periodic; above `COMPACTION_INTERVAL`."""

C_SQUARED_LIMIT = 3.99
"""|c|² below which no escaped orbit returns: |z| > 2 gives |z² + c| ≥ |z|² − |c| > 4 − |c| > 2. The distance to
4 is more than rounding errors need."""

_numbers, _bytes, _integers = map(types.CPointer, (types.float64, types.uint8, types.int64))
_SIGNATURE = (
    _bytes, *[types.int64] * 5, _numbers, _numbers, *[types.float64] * 6,
    _numbers, _numbers, _numbers, _numbers, _bytes, _integers, types.int64,
)  # fmt: skip
"""The types of the kernel's arguments."""

# Without numba's memory management and its entry points for Python, since nothing here needs them.
_compiled = njit(error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def llvm_code(rows: int, columns: int) -> tuple[str, str]:
    """Return the kernel for blocks of this shape as LLVM's intermediate representation, and its name there."""
    dispatcher = _compiled(_python_kernel(rows, columns))
    dispatcher.compile(_SIGNATURE)
    (code,) = dispatcher.inspect_llvm().values()
    return code, dispatcher.overloads[_SIGNATURE].fndesc.llvm_func_name


def _python_kernel(rows: int, columns: int) -> Callable[..., None]:
    """Return the kernel for blocks of this shape as a Python function that numba can compile.

    It fills `indices`, of `height` × `width` pixels: the image's, rounded up to whole blocks. `xs` and `ys` are
    buffers for coordinates, `pool_…` those of the pool, which is full when `capacity` pixels or more are in it.
    """
    lanes = rows * columns

    def kernel(  # type: ignore[no-untyped-def]  # here and below, numba infers the types
        indices, height, width, image_height, image_width, iterations, xs, ys, xa, xb, ya, yb, cx, cy,
        pool_zr, pool_zi, pool_saved_zr, pool_saved_zi, pool_n, pool_pixel, capacity,
    ):  # fmt: skip
        _fill_coordinates(xs, width, image_width, xa, xb)
        _fill_coordinates(ys, height, image_height, ya, yb)
        # A coordinate is NaN, neither inside nor outside, if the width of the viewport is too large for a double.
        if not cx * cx + cy * cy < C_SQUARED_LIMIT or np.isnan(xs[0]) or np.isnan(ys[0]):
            _render_scalar(indices, height, width, iterations, xs, ys, cx, cy)
            return

        cr, ci, four = doubles(cx, lanes), doubles(cy, lanes), doubles(4.0, lanes)
        pool, size = Pool(pool_zr, pool_zi, pool_saved_zr, pool_saved_zi, pool_n, pool_pixel), 0
        last = iterations - 1
        steps = min(COMPACTION_INTERVAL, last)
        for y in range(0, height, rows):
            zi0 = block_rows(ys, y, lanes, rows)
            for x in range(0, width, columns):
                zr, zi, n = block_columns(xs, x, lanes, rows), zi0, counts(0, lanes)
                for _ in range(steps):
                    zr2, zi2 = zr * zr, zi * zi
                    inside = zr2 + zi2 <= four
                    if not any_lane(inside):
                        store_block(indices, y * width + x, width, n, rows)
                        break
                    n = n + inside
                    zi = twice_plus(zr * zi, ci)
                    zr = zr2 - zi2 + cr
                else:
                    store(pool.zr, size, zr)
                    store(pool.zi, size, zi)
                    store(pool.n, size, n)
                    for lane in range(lanes):
                        pool.pixel[size + lane] = (y + lane // columns) * width + x + lane % columns
                    size += lanes
                    if size >= capacity:
                        _finish_pool(pool, size, indices, steps, last, cr, ci)
                        size = 0
        _finish_pool(pool, size, indices, steps, last, cr, ci)

    return kernel


@_compiled
def _fill_coordinates(coordinates, size, pixels, a, b):  # type: ignore[no-untyped-def]
    """Fill in the pixels' coordinates, from a to b; the padding is at infinity, where orbits escape at once."""
    for i in range(size):
        coordinates[i] = i * (b - a) / (pixels - 1) + a if i < pixels else np.inf


class Pool(NamedTuple):
    """Pixels of many blocks that have all taken the same number of steps: a structure of arrays."""

    zr: Any
    zi: Any
    saved_zr: Any  # an earlier z of the same orbit, for the periodicity check
    saved_zi: Any
    n: Any  # how many of the steps since the last compaction began inside, or PERIODIC
    pixel: Any  # its position in the array of palette indices


@_compiled
def _finish_pool(pool, size, indices, done, last, cr, ci):  # type: ignore[no-untyped-def]
    """Take the steps from `done` to `last` for the first `size` pixels of the pool, and store their indices.

    An orbit that returns, bit for bit, to an earlier z is periodic. After every `COMPACTION_INTERVAL` steps, z
    is compared with one saved z, which is renewed whenever the number of steps has doubled (Brent's cycle
    detection). Source:
    https://en.wikipedia.org/wiki/Plotting_algorithms_for_the_Mandelbrot_set#Periodicity_checking
    """
    size = _compact(pool, size, indices, False, 0, done, last)
    next_save = PERIODICITY_CHECK_AFTER
    while size and done < last:
        check_periodicity = done >= PERIODICITY_CHECK_AFTER
        if done >= next_save:
            for i in range(size):
                pool.saved_zr[i], pool.saved_zi[i] = pool.zr[i], pool.zi[i]
            next_save = 2 * done
        steps = min(COMPACTION_INTERVAL, last - done)
        _take_steps(pool, size, check_periodicity, steps, cr, ci)
        size = _compact(pool, size, indices, check_periodicity, done, steps, last)
        done += steps


@_compiled
def _take_steps(pool, size, check_periodicity, steps, cr, ci):  # type: ignore[no-untyped-def]
    """Take this number of steps for all pixels, escaped or not, and count in n the steps that began inside."""
    four, periodic = doubles(4.0, cr), counts(PERIODIC, cr)
    for i in range(0, size, lanes_of(cr)):
        zr, zi, n = load(pool.zr, i, cr), load(pool.zi, i, cr), counts(0, cr)
        for _ in range(steps):
            zr2, zi2 = zr * zr, zi * zi
            n = n + (zr2 + zi2 <= four)
            zi = twice_plus(zr * zi, ci)
            zr = zr2 - zi2 + cr
        if check_periodicity:
            returned = (zr == load(pool.saved_zr, i, cr)) & (zi == load(pool.saved_zi, i, cr))
            n = choose(returned, periodic, n)
        store(pool.zr, i, zr)
        store(pool.zi, i, zi)
        store(pool.n, i, n)


@_compiled
def _compact(pool, size, indices, check_periodicity, done, steps, last):  # type: ignore[no-untyped-def]
    """Store the palette indices, move the active pixels to the front of the pool, and return their number."""
    active = 0
    for i in range(size):
        n, pixel = pool.n[i], pool.pixel[i]
        indices[pixel] = (last if n == PERIODIC else done + n) % PALETTE_SIZE
        # Copied in any case, since a branch costs more: an inactive pixel is overwritten by the next one.
        pool.zr[active], pool.zi[active] = pool.zr[i], pool.zi[i]
        pool.pixel[active] = pixel
        if check_periodicity:
            pool.saved_zr[active], pool.saved_zi[active] = pool.saved_zr[i], pool.saved_zi[i]
        active += n == steps
    return active


@_compiled
def _render_scalar(indices, height, width, iterations, xs, ys, cx, cy):  # type: ignore[no-untyped-def]
    """Render pixel by pixel, step by step: for constants whose escaped orbits may return."""
    for y in range(height):
        for x in range(width):
            zr, zi, n = xs[x], ys[y], 0
            while n < iterations - 1 and not zr * zr + zi * zi > 4:  # noqa: PLR2004 (as in `escape_time`)
                zr, zi = zr * zr - zi * zi + cx, zr * zi + zr * zi + cy
                n += 1
            indices[y * width + x] = n % PALETTE_SIZE
