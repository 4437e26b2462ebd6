"""Other implementations of the kernel to compare with, and one that counts iterations."""

import ctypes
import shutil
import subprocess
import tempfile
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numba import njit

import oat.rendering.kernel
from oat.messages import Task
from oat.rendering import machine_code
from oat.rendering.escape_time import KERNEL_ARGUMENTS, Kernel, block_for
from oat.rendering.machine_code import cpu_features
from oat.rendering.palette import PALETTE_SIZE


@njit(nogil=True, error_model="numpy")
def fill(indices, iterations, xa, xb, ya, yb, cx, cy):
    """Fill `indices` pixel by pixel, with the loop of the tutorial's first version."""
    height, width = indices.shape
    for y in range(height):
        top = y * (yb - ya) / (height - 1) + ya
        for x in range(width):
            zr, zi = x * (xb - xa) / (width - 1) + xa, top
            last = iterations - 1
            for n in range(iterations):
                if zr * zr + zi * zi > 4.0:
                    last = n
                    break
                zr, zi = zr * zr - zi * zi + cx, zr * zi + zr * zi + cy
            indices[y, x] = last % PALETTE_SIZE


def plain_python(task: Task) -> np.ndarray:
    """Render by `fill`, interpreted by Python."""
    return _filled(fill.py_func, task)


def plain_numba(task: Task) -> np.ndarray:
    """Render by `fill`, compiled by numba."""
    return _filled(fill, task)


def _filled(function: Callable[..., None], task: Task) -> np.ndarray:
    indices = np.empty((task.height, task.width), np.uint8)
    function(indices, task.iterations, task.xa, task.xb, task.ya, task.yb, task.cx, task.cy)
    return indices


@njit(nogil=True, error_model="numpy")
def count_iterations(width, height, iterations, xa, xb, ya, yb, cx, cy):
    """Return the sum of the iterations of all pixels, without any periodicity check."""
    total = 0
    for y in range(height):
        for x in range(width):
            zr, zi = x * (xb - xa) / (width - 1) + xa, y * (yb - ya) / (height - 1) + ya
            for _ in range(iterations):
                total += 1
                if zr * zr + zi * zi > 4.0:
                    break
                zr, zi = zr * zr - zi * zi + cx, zr * zi + zr * zi + cy
    return total


def avx2_in_c() -> Callable[[Task], np.ndarray] | None:
    """Compile `kernel.c`; None where there is no C compiler or the machine has no AVX2."""
    compiler = shutil.which("cc")
    if compiler is None or "avx2" not in cpu_features():
        return None
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "kernel.so")
        source = Path(__file__).with_name("kernel.c")
        flags = ["-O3", "-mavx2", "-ffp-contract=off", "-shared", "-fPIC"]
        subprocess.run([compiler, *flags, source, "-o", library], check=True)
        julia = ctypes.CDLL(str(library)).julia

    def render(task: Task) -> np.ndarray:
        indices = np.empty((task.height, task.width), np.uint8)
        parameters = (task.xa, task.xb, task.ya, task.yb, task.cx, task.cy)
        julia(
            task.width, task.height, task.iterations, *map(ctypes.c_double, parameters),
            ctypes.c_void_p(indices.ctypes.data),
        )  # fmt: skip
        return indices

    return render


def without_periodicity_check() -> Kernel:
    """Compile our kernel from its source with the periodicity check switched off."""
    source = Path(oat.rendering.kernel.__file__).read_text()
    switch = "check_periodicity = done >= PERIODICITY_CHECK_AFTER"
    if switch not in source:
        raise SystemExit(f"the kernel has no {switch!r} any more")
    source = source.replace(switch, "check_periodicity = False")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "kernel_without_periodicity_check.py")
        file.write_text(source)
        module = types.ModuleType("kernel_without_periodicity_check")
        exec(compile(source, file, "exec"), module.__dict__)
        block = block_for(cpu_features())
        return machine_code.load("no-periodicity", [file], lambda: module.llvm_code(*block), KERNEL_ARGUMENTS)
