"""Compares what the kernel draws with the reference, pixel by pixel."""

import numpy as np

from helpers.reference import escape_counts
from helpers.tasks import task
from oat.messages import Task
from oat.rendering.escape_time import Block, block_for, palette_indices
from oat.rendering.machine_code import cpu_features

BLOCKS: list[Block] = [(1, 2), (2, 1), (2, 2), (1, 8), (2, 4), (4, 4), (4, 8)]


def assert_same(it: Task, *blocks: Block) -> None:
    """Each of `blocks`, or the one that this machine would use, gives the reference's pixels."""
    expected = np.array(escape_counts(it)) % 32
    for block in blocks or (None,):
        np.testing.assert_array_equal(palette_indices(it, block), expected)


def check_this_machine() -> None:
    """Compare some tasks in this process, for all blocks."""
    for block in {block_for(cpu_features()), *BLOCKS}:
        for width in 2, 3, 5, 8, 19, 64:
            assert_same(task(width=width), block)
        for c in (0.0, 0.0), (-1.0, 0.0), (-3.0, 0.0), (-0.123, 0.745):
            assert_same(task(cx=c[0], cy=c[1], iterations=500), block)
        assert_same(task(xa=-1e308, xb=1e308), block)
