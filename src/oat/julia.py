"""The escape-time picture of a Julia set: what a render thread spends its time on.

A point z of the complex plane follows z ← z² + c. How many steps it takes to leave the disc |z| ≤ 2
is its colour. The numbers are, bit for bit, those of the plain Python loop

    for n in range(iterations):
        if zr * zr + zi * zi > 4:
            break
        zr, zi = zr * zr - zi * zi + cr, zr * zi + zr * zi + ci

only that here many pixels take each step together, a pixel a lane of a vector (see `simd`):

1. The picture is cut into blocks as large as a vector. Each takes its first steps by itself; most blocks
   have left the disc by then, and are done.
2. The pixels of the others are gathered in a pool. After each burst of steps, who left the disc leaves the
   pool, and the rest move up: vectors are full of pixels that have still steps to take, whichever block they
   come from.

`docs/kernel.md` tells how the kernel became what it is.
"""

import logging
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.core import event
from numpy.typing import NDArray

from oat.messages import Task
from oat.simd import (
    any_lane,
    block_columns,
    block_rows,
    choose,
    counts,
    doubles,
    lanes_of,
    load,
    machine_features,
    store,
    store_block,
    twice_plus,
)

log = logging.getLogger(__name__)

COLOURS = 32
"""The picture shows n modulo this number."""

BURST = 32
"""So many steps are taken before who is out makes room for others; no more than COLOURS."""

POOL = 2048
"""So many pixels or a few more are gathered, then finished together."""

CIRCLES = 255
"""What stands in a pool, in the place of a number of steps, for who goes round in circles."""

NO_RETURN = 3.99
"""Where |c|² is less, who left the disc never comes back: |z² + c| ≥ 4 − |c| > 2, rounded or not."""

Block = tuple[int, int]
"""What is rendered together: so many rows of so many columns, together a power of two."""

Kernel = Callable[..., None]


def palette_indices(task: Task, block: Block | None = None) -> NDArray[np.uint8]:
    """Render a task: n modulo 32 for each pixel, n being the last loop index, 0 … iterations − 1.

    The array has shape (height, width). It is a view of a C-contiguous one, its `base`, that has a
    few more columns and rows, to a multiple of the block. Other threads run meanwhile.
    """
    rows, columns = block = block or block_for(machine_features())
    image = np.empty((-(-task.height // rows) * rows, -(-task.width // columns) * columns), np.uint8)
    corners = task.xa, task.xb, task.ya, task.yb
    kernel(block)(image, task.width, task.height, task.iterations, *corners, task.cx, task.cy)
    return image[: task.height, : task.width]


def block_for(features: set[str]) -> Block:
    """Choose the block for a machine with these instruction sets (LLVM's names of them).

    A step is a chain of operations that wait for each other, so several registers' worth of pixels
    are needed to keep the processor busy; but no more than its registers hold.
    """
    if "avx512f" in features:
        return 4, 8
    if "avx" in features or "neon" in features:
        return 2, 4
    return 2, 2


def warm_up() -> None:
    """Have the kernel ready: from numba's cache in an instant, else compiled and put there."""
    kernel(block_for(machine_features()))


def kernel(block: Block) -> Kernel:
    """Return the compiled kernel for blocks of this shape; other threads asking for it wait."""
    with _compiling:
        return _compiled(block)


_compiling = threading.Lock()


@cache
def _compiled(block: Block) -> Kernel:
    image = np.zeros(block, np.uint8)
    listener = _Announcement()
    event.register("numba:compile", listener)
    try:
        for use_cache in True, False:
            try:
                compiled: Kernel = njit(nogil=True, error_model="numpy", cache=use_cache)(_source(block))
                compiled(image, 2, 2, 1, -1.0, 1.0, -1.0, 1.0, 0.0, 0.0)
                return compiled
            except Exception as error:
                if not use_cache:
                    raise
                log.warning("the compiled renderer can't be cached: %s", error)
    finally:
        event.unregister("numba:compile", listener)
    raise AssertionError


class _Announcement(event.Listener):  # type: ignore[misc]  # numba has no type hints
    """Says, once, that numba compiles; what comes from its cache isn't compiled."""

    said = False

    def on_start(self, _event: Any) -> None:
        if not self.said:
            log.info("compiling the renderer for this machine, once: it takes some seconds")
        self.said = True

    def on_end(self, _event: Any) -> None:
        pass


def _source(block: Block) -> Kernel:
    """Write the kernel for blocks of this shape, for numba to compile."""
    rows, columns = block
    lanes = rows * columns

    def kernel(
        image: NDArray[np.uint8],
        width: int,
        height: int,
        iterations: int,
        xa: float,
        xb: float,
        ya: float,
        yb: float,
        cx: float,
        cy: float,
    ) -> None:
        # What lies beyond the picture's edge is at infinity, where there is nothing to do.
        xs = np.full(image.shape[1], np.inf)
        for x in range(width):
            xs[x] = x * (xb - xa) / (width - 1) + xa
        ys = np.full(image.shape[0], np.inf)
        for y in range(height):
            ys[y] = y * (yb - ya) / (height - 1) + ya

        # A coordinate is NaN, neither in nor out, where the viewport is wider than a float can say.
        if not (cx * cx + cy * cy < NO_RETURN and np.isfinite(xb - xa) and np.isfinite(yb - ya)):
            _plainly(image, xs, ys, width, height, iterations, cx, cy)
            return

        cr, ci, four = doubles(cx, lanes), doubles(cy, lanes), doubles(4.0, lanes)
        pixels = image.reshape(-1)
        pool, size = _pool(POOL + lanes), 0
        last = iterations - 1
        steps = min(BURST, last)
        for y in range(0, image.shape[0], rows):
            zi0 = block_rows(ys, y, lanes, rows)
            for x in range(0, image.shape[1], columns):
                zr, zi, n = block_columns(xs, x, lanes, rows), zi0, counts(0, lanes)
                for _ in range(steps):
                    zr2, zi2 = zr * zr, zi * zi
                    inside = zr2 + zi2 <= four
                    if not any_lane(inside):
                        store_block(image, y, x, n, rows)
                        break
                    n = n + inside
                    zi = twice_plus(zr * zi, ci)
                    zr = zr2 - zi2 + cr
                else:
                    store(pool.zr, size, zr)
                    store(pool.zi, size, zi)
                    store(pool.n, size, n)
                    for lane in range(lanes):
                        pool.place[size + lane] = (y + lane // columns) * image.shape[1] + x + lane % columns
                    size += lanes
                    if size >= POOL:
                        _finish(pool, size, pixels, steps, last, cr, ci)
                        size = 0
        _finish(pool, size, pixels, steps, last, cr, ci)

    return kernel


class Pool(NamedTuple):
    """Pixels of many blocks, all of which have taken the same number of steps."""

    zr: NDArray[np.float64]
    zi: NDArray[np.float64]
    old_zr: NDArray[np.float64]
    old_zi: NDArray[np.float64]
    n: NDArray[np.uint8]  # how many of the latest steps began inside, or CIRCLES
    place: NDArray[np.int64]


@njit(nogil=True, error_model="numpy")
def _pool(size):  # type: ignore[no-untyped-def]  # numba finds the types
    """Make a pool for so many pixels."""
    zr, zi, old_zr, old_zi = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    return Pool(zr, zi, old_zr, old_zi, np.empty(size, np.uint8), np.empty(size, np.int64))


@njit(nogil=True, error_model="numpy")
def _finish(pool, size, pixels, done, last, cr, ci):  # type: ignore[no-untyped-def]
    """Have the pool's first `size` pixels, `done` steps on their way, take the rest up to `last`.

    An orbit that comes back, bit for bit, to a point where it was will do so for ever. So after each
    burst, everybody compares z with an old z of its own, which is renewed ever more rarely.
    """
    size = _keep(pool, size, pixels, 0, done, last)
    look_back = 0
    while size and done < last:
        if done >= look_back:
            pool.old_zr[:size] = pool.zr[:size]
            pool.old_zi[:size] = pool.zi[:size]
            look_back = 2 * done
        steps = min(BURST, last - done)
        _advance(pool, size, steps, cr, ci)
        size = _keep(pool, size, pixels, done, steps, last)
        done += steps


@njit(nogil=True, error_model="numpy")
def _advance(pool, size, steps, cr, ci):  # type: ignore[no-untyped-def]
    """Take so many steps, without a look at who is out, and note n."""
    four, circles = doubles(4.0, cr), counts(CIRCLES, cr)
    for i in range(0, size, lanes_of(cr)):
        zr, zi, n = load(pool.zr, i, cr), load(pool.zi, i, cr), counts(0, cr)
        for _ in range(steps):
            zr2, zi2 = zr * zr, zi * zi
            n = n + (zr2 + zi2 <= four)
            zi = twice_plus(zr * zi, ci)
            zr = zr2 - zi2 + cr
        back = (zr == load(pool.old_zr, i, cr)) & (zi == load(pool.old_zi, i, cr))
        store(pool.zr, i, zr)
        store(pool.zi, i, zi)
        store(pool.n, i, choose(back, circles, n))


@njit(nogil=True, error_model="numpy")
def _keep(pool, size, pixels, done, steps, last):  # type: ignore[no-untyped-def]
    """Put n into the picture, have those who are still inside move up, and return how many these are."""
    kept = 0
    for i in range(size):
        n, place = pool.n[i], pool.place[i]
        pixels[place] = (last if n == CIRCLES else done + n) % COLOURS
        # Copied whether it stays or not, and if not, overwritten by the next: sooner done than decided.
        pool.zr[kept], pool.zi[kept] = pool.zr[i], pool.zi[i]
        pool.old_zr[kept], pool.old_zi[kept] = pool.old_zr[i], pool.old_zi[i]
        pool.place[kept] = place
        kept += n == steps
    return kept


@njit(nogil=True, error_model="numpy")
def _plainly(image, xs, ys, width, height, iterations, cx, cy):  # type: ignore[no-untyped-def]
    """Render pixel by pixel, step by step: the way for constants whose orbits come back from outside."""
    for y in range(height):
        for x in range(width):
            zr, zi, n = xs[x], ys[y], 0
            while n < iterations - 1 and not zr * zr + zi * zi > 4:
                zr, zi = zr * zr - zi * zi + cx, zr * zi + zr * zi + cy
                n += 1
            image[y, x] = n % COLOURS
