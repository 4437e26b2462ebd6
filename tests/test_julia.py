"""The kernel's pixels are the plain Python loop's."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oat.messages import Task
from oat.rendering.escape_time import POOL_CAPACITY, Block, block_for, palette_indices
from oat.rendering.kernel import C_SQUARED_LIMIT, COMPACTION_INTERVAL
from oat.rendering.machine_code import cpu_features
from reference import escape_counts

BLOCKS: list[Block] = [(1, 2), (2, 1), (2, 2), (1, 8), (2, 4), (4, 4), (4, 8)]

INSTRUCTION_SETS = {
    "sse2": "+sse,+sse2,+cx16",
    "avx": "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+cx16,+popcnt,+avx",
    "avx2": "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+cx16,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2",
}


def task(**changes: Any) -> Task:
    parameters: dict[str, Any] = dict(uuid=UUID(int=1), width=37, height=23, iterations=60)
    parameters |= dict(xa=-2.0, xb=2.0, ya=-1.5, yb=1.5, cx=-0.7, cy=0.3)
    return Task(**parameters | changes)


def assert_same(it: Task, block: Block | None = None) -> None:
    expected = np.array(escape_counts(it)) % 32
    np.testing.assert_array_equal(palette_indices(it, block), expected)


anything = st.floats(-1e300, 1e300)
nearby = st.floats(-4, 4)
coordinate = st.one_of(nearby, nearby, st.floats(-1e-3, 1e-3), anything)


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    xa, ya = draw(coordinate), draw(coordinate)
    return task(
        width=draw(st.integers(2, 100)),
        height=draw(st.integers(2, 12)),
        iterations=draw(st.one_of(st.integers(1, 4), st.integers(1, 200))),
        xa=xa,
        xb=draw(coordinate.filter(lambda xb: xb != xa)),
        ya=ya,
        yb=draw(coordinate.filter(lambda yb: yb != ya)),
        cx=draw(coordinate),
        cy=draw(coordinate),
    )


@settings(max_examples=300, deadline=None)
@given(tasks(), st.sampled_from(BLOCKS))
def test_any_task(it: Task, block: Block) -> None:
    assert_same(it, block)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_remainder_of_every_block(block: Block) -> None:
    for width in range(2, 101):
        assert_same(task(width=width, height=2 + width % 9, iterations=50), block)


@pytest.mark.parametrize(
    "changes",
    [
        dict(cx=0.0, cy=0.0),
        dict(cx=-1.0, cy=0.0),
        dict(cx=-0.123, cy=0.745),
        dict(cx=0.25, cy=0.0),
        dict(cx=-2.0, cy=0.0),
        dict(cx=2.0, cy=0.0, xa=-2.0, xb=2.0, ya=-2.0, yb=2.0),
        dict(cx=-1.9974, cy=0.0, xa=-2.0, xb=2.0, ya=-1e-3, yb=1e-3),
        dict(cx=-1.9976, cy=0.0, xa=-2.0, xb=2.0, ya=-1e-3, yb=1e-3),
        dict(cx=1.4, cy=-1.4),
        dict(cx=-3.0, cy=0.0),
        dict(cx=-4.0, cy=1e-9, xa=-2.5, xb=2.5, ya=-1e-3, yb=1e-3),
        dict(cx=-6.0, cy=0.0, xa=-3.2, xb=3.2, ya=-1e-9, yb=1e-9),
        dict(cx=0.0, cy=3.0),
        dict(cx=1e300, cy=-1e300),
        dict(cx=1e-310, cy=-5e-324),
        dict(cx=0.0, cy=0.0, xa=-1e-160, xb=1e-160, ya=-1e-162, yb=1e-162),
        dict(xa=3.0, xb=4.0),
        dict(ya=2.1, yb=30.0),
        dict(xa=2.0, xb=-2.0, ya=1.0, yb=-1.0),
        dict(xa=-1e-300, xb=1e-300, ya=-1e-300, yb=1e-300),
        dict(xa=-1e300, xb=1e300),
        dict(xa=-1e300, xb=1e300, ya=-1e300, yb=1e300),
        dict(xa=-1e308, xb=1e308),
        dict(ya=-1e308, yb=1e308),
        dict(xa=-1e308, xb=1e308, ya=-1e308, yb=1e308, cx=-6.0),
        dict(xa=-1e308, xb=1e308, ya=-4.0, yb=4.0),
        dict(width=2, height=2),
        dict(width=3, height=99),
    ],
    ids=str,
)
@pytest.mark.parametrize("iterations", [1, 2, 32, 33, 34, 65, 129, 161, 1000])
def test_special_tasks(changes: dict[str, float], iterations: int) -> None:
    assert_same(task(**{"width": 19, "height": 11, **changes, "iterations": iterations}))


@settings(max_examples=500)
@given(st.floats(0, 2 * np.pi), st.floats(0, 2 * np.pi), st.sampled_from([1.0, 1 + 1e-15, 1.01, 1e10, 1e154]))
def test_who_left_never_comes_back(angle: float, direction: float, distance: float) -> None:
    radius = C_SQUARED_LIMIT**0.5
    cx, cy = radius * np.cos(angle), radius * np.sin(angle)
    zr, zi = 2 * distance * np.cos(direction), 2 * distance * np.sin(direction)
    with np.errstate(all="ignore"):
        while zr * zr + zi * zi <= 4:
            zr, zi = np.nextafter(zr, 3 * zr), np.nextafter(zi, 3 * zi)
        for _ in range(20):
            zr, zi = zr * zr - zi * zi + cx, zr * zi + zr * zi + cy
            assert not zr * zr + zi * zi <= 4


@pytest.mark.parametrize("c", [(0.0, 0.0), (-1.0, 0.0), (-0.123, 0.745), (-0.5, 0.5)], ids=str)
def test_an_interior_costs_little(c: tuple[float, float]) -> None:
    """Inner points run into a cycle: followed to their end, these would take longer than a test may."""
    few = task(width=1000, height=1000, iterations=20_000, cx=c[0], cy=c[1])
    many = few.model_copy(update={"iterations": 20_000 + 32 * 30_000})
    np.testing.assert_array_equal(palette_indices(many), palette_indices(few))


def test_the_cycle_is_the_reference_s() -> None:
    it = task(width=17, height=9, iterations=3000)
    for cx, cy in (0.0, 0.0), (-1.0, 0.0), (-0.123, 0.745), (-0.5, 0.5), (0.28, 0.008):
        assert_same(it.model_copy(update={"cx": cx, "cy": cy}))


@pytest.mark.parametrize("c", [(-0.8, 0.156), (-0.123, 0.745)], ids=str)
def test_more_pixels_than_a_pool_holds(c: tuple[float, float]) -> None:
    it = task(width=160, height=130, iterations=400, xa=-1.6, xb=1.6, ya=-1.0, yb=1.0, cx=c[0], cy=c[1])
    assert sum(n >= COMPACTION_INTERVAL for row in escape_counts(it) for n in row) > 2 * POOL_CAPACITY
    for block in BLOCKS:
        assert_same(it, block)


@pytest.mark.parametrize("instructions", INSTRUCTION_SETS)
def test_other_machines(instructions: str) -> None:
    """The same pixels from the instructions of older machines, as far as this one has them."""
    wanted = INSTRUCTION_SETS[instructions]
    if not {name[1:] for name in wanted.split(",")} <= cpu_features() | {"sse", "cx16"}:
        pytest.skip(f"this machine can't do {instructions}")
    environment = os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": wanted}
    python = [sys.executable, "-c", "import test_julia; test_julia.check_this_machine()"]
    subprocess.run(python, env=environment, cwd=Path(__file__).parent, check=True)


def check_this_machine() -> None:
    """Compare some tasks in this process, for all blocks."""
    for block in {block_for(cpu_features()), *BLOCKS}:
        for width in 2, 3, 5, 8, 19, 64:
            assert_same(task(width=width), block)
        for c in (0.0, 0.0), (-1.0, 0.0), (-3.0, 0.0), (-0.123, 0.745):
            assert_same(task(cx=c[0], cy=c[1], iterations=500), block)
        assert_same(task(xa=-1e308, xb=1e308), block)


@pytest.mark.parametrize(
    ("features", "block"),
    [
        ({"sse2", "avx", "avx2", "avx512f"}, (4, 8)),
        ({"sse2", "avx", "avx2"}, (2, 4)),
        ({"neon"}, (2, 4)),
        ({"sse2"}, (2, 2)),
        (set(), (2, 2)),
    ],
)
def test_block_for(features: set[str], block: Block) -> None:
    assert block_for(features) == block


def warm_up(cache: Path) -> bytes:
    """Return what a new process logs."""
    code = "import logging; logging.basicConfig(level=20); from oat.rendering import warm_up; warm_up()"
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=True, timeout=200
    ).stderr


def test_says_that_it_compiles_and_only_then(tmp_path: Path) -> None:
    said = warm_up(tmp_path)
    assert said.count(b"compiling the renderer") == 1
    assert said.count(b"\n") == 1
    assert warm_up(tmp_path) == b""


def test_damaged_machine_code_is_made_again(tmp_path: Path) -> None:
    warm_up(tmp_path)
    (file,) = tmp_path.glob("oat/*")
    good = file.read_bytes()
    for damaged in b"", good[:-1], good[:-1] + bytes([good[-1] ^ 1]):
        file.write_bytes(damaged)
        assert b"compiling the renderer" in warm_up(tmp_path)
        assert file.read_bytes() == good


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    no_folder = tmp_path / "file"
    no_folder.touch()
    assert b"can't be kept" in warm_up(no_folder)


def test_numba_is_not_needed_once_compiled() -> None:
    code = "import sys; from oat.rendering import warm_up; warm_up(); sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", "from oat.rendering import warm_up; warm_up()"], check=True)
    subprocess.run([sys.executable, "-c", code], check=True)
