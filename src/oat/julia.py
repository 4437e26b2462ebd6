"""The escape-time picture of a Julia set: what a render thread spends its time on.

A point z of the complex plane follows z ← z² + c. How many steps it takes to leave the disc |z| ≤ 2
is its colour. The numbers are, bit for bit, those of the plain Python loop

    for n in range(iterations):
        if zr * zr + zi * zi > 4:
            break
        zr, zi = zr * zr - zi * zi + cr, zr * zi + zr * zi + ci

only that here a block of pixels takes each step together, a pixel a lane of a vector (see `simd`).
Who is out waits for the rest of the block: the squarer a block, the more alike are its pixels, and
the shorter is the wait. `docs/kernel.md` tells how the kernel became what it is.
"""

import logging
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

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
    machine_features,
    store_block,
    twice_plus,
)

log = logging.getLogger(__name__)

COLOURS = 32
"""The picture shows n modulo this number."""

QUICK = 64
"""A block's first so many steps are taken by the quick loop; most are done by then."""

NO_RETURN = 3.99
"""Where |c|² is less, who left the disc never comes back: |z² + c| ≥ 4 − |c| > 2, rounded or not."""

BURST = 32
"""After each so many further steps, a block looks whether it goes round in circles."""

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
    image[:] = 0  # the last image's memory wiped is sooner there than np.zeros' new pages
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

        cr, ci, four = doubles(cx, lanes), doubles(cy, lanes), doubles(4.0, lanes)
        last, colours = counts(iterations - 1, lanes), counts(COLOURS - 1, lanes)
        # Where nobody comes back, there is no need to remember who left. (A coordinate is NaN, neither in
        # nor out, where the viewport is wider than a float can say.)
        never_back = cx * cx + cy * cy < NO_RETURN and np.isfinite(xb - xa) and np.isfinite(yb - ya)
        quick = min(QUICK, iterations - 1) if never_back else 0

        for y in range(0, image.shape[0], rows):
            zi0 = block_rows(ys, y, lanes, rows)
            for x in range(0, image.shape[1], columns):
                zr, zi = block_columns(xs, x, lanes, rows), zi0
                inside = ~(zr * zr + zi * zi > four)
                if not any_lane(inside):
                    continue
                n = counts(0, lanes)
                for _ in range(quick):
                    zr2, zi2 = zr * zr, zi * zi
                    inside = zr2 + zi2 <= four
                    if not any_lane(inside):
                        break
                    n = n + inside
                    zi = twice_plus(zr * zi, ci)
                    zr = zr2 - zi2 + cr
                else:
                    n = _patiently(zr, zi, inside, n, quick, iterations - 1, last, cr, ci, four)
                store_block(image, y, x, n & colours, rows)

    return kernel


@njit(nogil=True, error_model="numpy")
def _patiently(zr, zi, inside, n, done, steps, last, cr, ci, four):  # type: ignore[no-untyped-def]  # numba finds the types
    """Take the steps from `done` to `steps`, and return n.

    Unlike the quick loop, this one remembers who was out before, and it notices orbits that go
    round in circles: who comes back, bit for bit, to a point where it was will do so for ever.
    """
    old_zr, old_zi = zr, zi
    look_back = done + 2 * BURST
    for step in range(done, steps, BURST):
        for _ in range(min(BURST, steps - step)):
            zr2, zi2 = zr * zr, zi * zi
            inside = inside & ~(zr2 + zi2 > four)
            if not any_lane(inside):
                return n
            n = n + inside
            zi = twice_plus(zr * zi, ci)
            zr = zr2 - zi2 + cr
        if not any_lane(inside & ((zr != old_zr) | (zi != old_zi))):
            return choose(inside, last, n)
        if step >= look_back:
            old_zr, old_zi = zr, zi
            look_back = 2 * step
    return n
