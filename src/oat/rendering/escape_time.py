"""The escape-time algorithm: computes the palette index of each pixel of a Julia set.

The orbit of a point z of the complex plane is z ← z² + c, repeated. Its escape time is the number of steps until
|z| > 2. The escape times are, bit for bit, those of the plain Python loop

    for n in range(iterations):
        if zr * zr + zi * zi > 4:
            break
        zr, zi = zr * zr - zi * zi + cr, zr * zi + zr * zi + ci

which the compiled `kernel` executes for many pixels at once. How it was optimized:
`docs/explanation/kernel.md`.
"""

import threading
from collections.abc import Callable
from ctypes import c_double, c_int64, c_void_p
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oat.messages import Task
from oat.rendering import machine_code
from oat.rendering.machine_code import cpu_features

POOL_CAPACITY = 2048
"""Pixels that make the kernel's pool full: 96 KiB of memory, which a processor's second-level cache can hold."""

POOL_ARRAYS = 6
"""Arrays of the kernel's pool, with at most 8 bytes for each pixel."""

Block = tuple[int, int]
"""Rows and columns of the pixels that the kernel puts into one vector; their product is a power of two."""

Kernel = Callable[..., int]
"""A compiled kernel; its arguments are those of `kernel._python_kernel`, and what it returns means nothing."""

KERNEL_ARGUMENTS = (
    c_void_p, *[c_int64] * 5,
    c_void_p, c_void_p, *[c_double] * 6,
    *[c_void_p] * 6, c_int64,
)  # fmt: skip
"""The types of the kernel's arguments."""


def palette_indices(task: Task, block: Block | None = None) -> NDArray[np.uint8]:
    """Render a task: return n modulo 32 for each pixel, n being the last loop index, 0 to iterations − 1.

    The GIL is released meanwhile.

    Args:
        task: what to render.
        block: the shape of the blocks, by default the fastest one for this machine; the result is the same.

    Returns:
        An array of shape (height, width): a view of a C-contiguous array, its `base`, whose height and width are
        rounded up to a multiple of the block's.
    """
    block = block or block_for(cpu_features())
    image = run_kernel(load_kernel(block), task, block)
    return image[: task.height, : task.width]


def run_kernel(kernel: Kernel, task: Task, block: Block) -> NDArray[np.uint8]:
    """Render a task by a kernel for blocks of this shape; return the `base` that `palette_indices` describes."""
    rows, columns = block
    image = np.empty((-(-task.height // rows) * rows, -(-task.width // columns) * columns), np.uint8)
    ys, xs = (np.empty(pixels) for pixels in image.shape)
    pool = np.empty((POOL_ARRAYS, POOL_CAPACITY + rows * columns))  # a last block is added to an almost full pool
    kernel(
        image, *image.shape, task.height, task.width, task.iterations,
        xs, ys, task.xa, task.xb, task.ya, task.yb, task.cx, task.cy,
        *pool, POOL_CAPACITY,
    )  # fmt: skip
    return image


def block_for(features: frozenset[str]) -> Block:
    """Return the fastest block for a processor with these features (LLVM's names, see `cpu_features`).

    The operations of a step depend on each other. So a vector of several registers keeps the processor busy
    while it waits for a result; but a vector must not need more registers than there are.
    """
    if "avx512f" in features:
        return 4, 8
    if "avx" in features or "neon" in features:
        return 2, 4
    return 2, 2


def load_kernel(block: Block) -> Kernel:
    """Return the kernel for blocks of this shape. It is loaded once; other threads wait meanwhile."""
    with _loading:
        return _load_kernel(*block)


_loading = threading.Lock()


@cache
def _load_kernel(rows: int, columns: int) -> Kernel:
    def llvm_code() -> tuple[str, str]:
        from oat.rendering.kernel import llvm_code  # noqa: PLC0415 (it imports numba, which takes half a second)

        return llvm_code(rows, columns)

    sources = (Path(__file__).with_name(name) for name in ("kernel.py", "simd.py", "palette.py"))
    return machine_code.load(f"kernel-{rows}x{columns}", sources, llvm_code, KERNEL_ARGUMENTS)
