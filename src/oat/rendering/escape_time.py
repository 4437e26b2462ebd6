"""The escape-time picture of a Julia set: what a render thread spends its time on.

A point z of the complex plane follows z ← z² + c. How many steps it takes to leave the disc |z| ≤ 2
is its colour. The numbers are, bit for bit, those of the plain Python loop

    for n in range(iterations):
        if zr * zr + zi * zi > 4:
            break
        zr, zi = zr * zr - zi * zi + cr, zr * zi + zr * zi + ci

which `kernel` takes for many pixels at once. `docs/kernel.md` tells how it became what it is.
"""

import ctypes
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oat.messages import Task
from oat.rendering import machine_code
from oat.rendering.machine_code import machine_features

POOL = 2048
"""So many pixels or a few more are gathered, then finished together."""

POOL_COLUMNS = 6
"""What is kept of each, in eight bytes."""

Block = tuple[int, int]
"""What is rendered together: so many rows of so many columns, together a power of two."""

Kernel = Callable[..., None]


def palette_indices(task: Task, block: Block | None = None) -> NDArray[np.uint8]:
    """Render a task: n modulo 32 for each pixel, n being the last loop index, 0 … iterations − 1.

    The array has shape (height, width). It is a view of a C-contiguous one, its `base`, that has a
    few more columns and rows, to a multiple of the block. Other threads run meanwhile.
    """
    block = block or block_for(machine_features())
    image = render(kernel(block), task, block)
    return image[: task.height, : task.width]


def render(compiled: Kernel, task: Task, block: Block) -> NDArray[np.uint8]:
    """Render by a kernel for blocks of this shape, up to a multiple of the block."""
    rows, columns = block
    image = np.empty((-(-task.height // rows) * rows, -(-task.width // columns) * columns), np.uint8)
    ys, xs = (np.empty(pixels) for pixels in image.shape)
    pool = np.empty((POOL_COLUMNS, POOL + rows * columns))
    first = _address(pool)
    compiled(
        _address(image), *image.shape, task.height, task.width, task.iterations,
        _address(xs), _address(ys), task.xa, task.xb, task.ya, task.yb, task.cx, task.cy,
        *range(first, first + pool.nbytes, pool.strides[0]), POOL,
    )  # fmt: skip
    return image


def _address(array: NDArray[Any]) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(array.data))


def block_for(features: frozenset[str]) -> Block:
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
    """Have the kernel ready: from its file in an instant, else compiled and put there."""
    kernel(block_for(machine_features()))


def kernel(block: Block) -> Kernel:
    """Return the compiled kernel for blocks of this shape; other threads asking for it wait."""
    with _compiling:
        return _kernel(*block)


_compiling = threading.Lock()


@cache
def _kernel(rows: int, columns: int) -> Kernel:
    def llvm_code() -> tuple[str, str]:
        from oat.rendering.kernel import llvm_code  # noqa: PLC0415 (numba takes half a second, and is hardly ever needed)

        return llvm_code(rows, columns)

    sources = (Path(__file__).with_name(name) for name in ("kernel.py", "simd.py", "palette.py"))
    return callable_at(machine_code.load(f"kernel-{rows}x{columns}", sources, llvm_code))


def callable_at(address: int) -> Kernel:
    """Make Python call the kernel at this address, without Python's lock."""
    pointer, integer, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
    function = ctypes.CFUNCTYPE(
        ctypes.c_int32, pointer, pointer,
        pointer, integer, integer, integer, integer, integer,
        pointer, pointer, number, number, number, number, number, number,
        pointer, pointer, pointer, pointer, pointer, pointer, integer,
    )(address)  # fmt: skip

    def call(*arguments: object) -> None:
        # Numba's way to call: first come a place for what is returned, and one for what is raised.
        returned, raised = pointer(), pointer()
        function(ctypes.byref(returned), ctypes.byref(raised), *arguments)

    return call
