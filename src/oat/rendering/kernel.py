"""The kernel: escape counts of many pixels at once, written for numba to compile.

`escape_time` tells what is to be found, this module how. Many pixels take each step together, a pixel a
lane of a vector (see `simd`):

1. The picture is cut into blocks as large as a vector. Each takes its first steps by itself; most blocks
   have left the disc by then, and are done.
2. The pixels of the others are gathered in a pool. After each burst of steps, who left the disc leaves the
   pool, and the rest move up: vectors are full of pixels that have still steps to take, whichever block they
   come from.

What is compiled uses plain memory alone, nothing of Python or numba: pointers, numbers and vectors. So
its machine code can be kept in a file, and be called without numba.
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

BURST = 32
"""So many steps are taken before who is out makes room for others; no more than PALETTE_SIZE."""

PERIODICITY_CHECK_AFTER = 128
"""After so many steps, who is still inside may be going round in periodic."""

PERIODIC = 255
"""What stands in a pool, in the place of a number of steps, for who goes round in periodic."""

NO_RETURN = 3.99
"""Where |c|² is less, who left the disc never comes back: |z² + c| ≥ 4 − |c| > 2, rounded or not."""

_numbers, _bytes, _integers = map(types.CPointer, (types.float64, types.uint8, types.int64))
_ARGUMENTS = (
    _bytes, *[types.int64] * 5, _numbers, _numbers, *[types.float64] * 6,
    _numbers, _numbers, _numbers, _numbers, _bytes, _integers, types.int64,
)  # fmt: skip
"""Those of the kernel."""

# Without numba's memory management and its ways in from Python: nothing here needs them.
_compiled = njit(error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def llvm_code(rows: int, columns: int) -> tuple[str, str]:
    """Return the kernel for blocks of so many pixels in LLVM's language, and its name there."""
    dispatcher = _compiled(_source(rows, columns))
    dispatcher.compile(_ARGUMENTS)
    (code,) = dispatcher.inspect_llvm().values()
    return code, dispatcher.overloads[_ARGUMENTS].fndesc.llvm_func_name


def _source(rows: int, columns: int) -> Callable[..., None]:
    """Write the kernel for blocks of so many pixels."""
    lanes = rows * columns

    def kernel(  # type: ignore[no-untyped-def]  # here and below, numba finds the types
        image, height, width, picture_height, picture_width, iterations, xs, ys, xa, xb, ya, yb, cx, cy,
        zr, zi, old_zr, old_zi, counted, place, capacity,
    ):  # fmt: skip
        _spread(xs, width, picture_width, xa, xb)
        _spread(ys, height, picture_height, ya, yb)
        # A coordinate is NaN, neither in nor out, where the viewport is wider than a float can say.
        if not cx * cx + cy * cy < NO_RETURN or np.isnan(xs[0]) or np.isnan(ys[0]):
            _plainly(image, height, width, iterations, xs, ys, cx, cy)
            return

        cr, ci, four = doubles(cx, lanes), doubles(cy, lanes), doubles(4.0, lanes)
        pool, size = Pool(zr, zi, old_zr, old_zi, counted, place), 0
        last = iterations - 1
        steps = min(BURST, last)
        for y in range(0, height, rows):
            zi0 = block_rows(ys, y, lanes, rows)
            for x in range(0, width, columns):
                zr, zi, n = block_columns(xs, x, lanes, rows), zi0, counts(0, lanes)
                for _ in range(steps):
                    zr2, zi2 = zr * zr, zi * zi
                    inside = zr2 + zi2 <= four
                    if not any_lane(inside):
                        store_block(image, y * width + x, width, n, rows)
                        break
                    n = n + inside
                    zi = twice_plus(zr * zi, ci)
                    zr = zr2 - zi2 + cr
                else:
                    store(pool.zr, size, zr)
                    store(pool.zi, size, zi)
                    store(pool.n, size, n)
                    for lane in range(lanes):
                        pool.place[size + lane] = (y + lane // columns) * width + x + lane % columns
                    size += lanes
                    if size >= capacity:
                        _finish(pool, size, image, steps, last, cr, ci)
                        size = 0
        _finish(pool, size, image, steps, last, cr, ci)

    return kernel


@_compiled
def _spread(coordinates, size, pixels, a, b):  # type: ignore[no-untyped-def]
    """Spread pixels from a to b; what lies beyond is at infinity, where there is nothing to do."""
    for i in range(size):
        coordinates[i] = i * (b - a) / (pixels - 1) + a if i < pixels else np.inf


class Pool(NamedTuple):
    """Pixels of many blocks, all of which have taken the same number of steps."""

    zr: Any
    zi: Any
    old_zr: Any
    old_zi: Any
    n: Any  # how many of the latest steps began inside, or PERIODIC
    place: Any  # where in the picture


@_compiled
def _finish(pool, size, image, done, last, cr, ci):  # type: ignore[no-untyped-def]
    """Have the pool's first `size` pixels, `done` steps on their way, take the rest up to `last`.

    An orbit that comes back, bit for bit, to a point where it was will do so for ever. So in the end, after
    each burst, everybody compares z with an old z of its own, which is renewed ever more rarely.
    """
    size = _keep(pool, size, image, False, 0, done, last)
    look_back = PERIODICITY_CHECK_AFTER
    while size and done < last:
        looking = done >= PERIODICITY_CHECK_AFTER
        if done >= look_back:
            for i in range(size):
                pool.old_zr[i], pool.old_zi[i] = pool.zr[i], pool.zi[i]
            look_back = 2 * done
        steps = min(BURST, last - done)
        _advance(pool, size, looking, steps, cr, ci)
        size = _keep(pool, size, image, looking, done, steps, last)
        done += steps


@_compiled
def _advance(pool, size, looking, steps, cr, ci):  # type: ignore[no-untyped-def]
    """Take so many steps, without a look at who is out, and note n."""
    four, periodic = doubles(4.0, cr), counts(PERIODIC, cr)
    for i in range(0, size, lanes_of(cr)):
        zr, zi, n = load(pool.zr, i, cr), load(pool.zi, i, cr), counts(0, cr)
        for _ in range(steps):
            zr2, zi2 = zr * zr, zi * zi
            n = n + (zr2 + zi2 <= four)
            zi = twice_plus(zr * zi, ci)
            zr = zr2 - zi2 + cr
        if looking:
            back = (zr == load(pool.old_zr, i, cr)) & (zi == load(pool.old_zi, i, cr))
            n = choose(back, periodic, n)
        store(pool.zr, i, zr)
        store(pool.zi, i, zi)
        store(pool.n, i, n)


@_compiled
def _keep(pool, size, image, looking, done, steps, last):  # type: ignore[no-untyped-def]
    """Put n into the picture, have those who are still inside move up, and return how many these are."""
    kept = 0
    for i in range(size):
        n, place = pool.n[i], pool.place[i]
        image[place] = (last if n == PERIODIC else done + n) % PALETTE_SIZE
        # Copied whether it stays or not, and if not, overwritten by the next: sooner done than decided.
        pool.zr[kept], pool.zi[kept] = pool.zr[i], pool.zi[i]
        pool.place[kept] = place
        if looking:
            pool.old_zr[kept], pool.old_zi[kept] = pool.old_zr[i], pool.old_zi[i]
        kept += n == steps
    return kept


@_compiled
def _plainly(image, height, width, iterations, xs, ys, cx, cy):  # type: ignore[no-untyped-def]
    """Render pixel by pixel, step by step: the way for constants whose orbits come back from outside."""
    for y in range(height):
        for x in range(width):
            zr, zi, n = xs[x], ys[y], 0
            while n < iterations - 1 and not zr * zr + zi * zi > 4:  # noqa: PLR2004 (as `escape_time` has it)
                zr, zi = zr * zr - zi * zi + cx, zr * zi + zr * zi + cy
                n += 1
            image[y * width + x] = n % PALETTE_SIZE
