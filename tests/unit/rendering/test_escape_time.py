"""The kernel's pixels are the plain Python loop's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.pixels import BLOCKS, assert_same
from helpers.reference import escape_counts
from helpers.tasks import task
from oat.messages import Task
from oat.rendering.escape_time import POOL_CAPACITY, Block, block_for, palette_indices
from oat.rendering.kernel import C_SQUARED_LIMIT, COMPACTION_INTERVAL

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
def test_an_escaped_orbit_never_returns(angle: float, direction: float, distance: float) -> None:
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
def test_interior_points_are_cheap(c: tuple[float, float]) -> None:
    """Inner points run into a cycle: followed to their end, these would take longer than a test may."""
    few = task(width=1000, height=1000, iterations=20_000, cx=c[0], cy=c[1])
    many = few.model_copy(update={"iterations": 20_000 + 32 * 30_000})
    np.testing.assert_array_equal(palette_indices(many), palette_indices(few))


def test_periodic_orbits_match_the_reference() -> None:
    it = task(width=17, height=9, iterations=3000)
    for cx, cy in (0.0, 0.0), (-1.0, 0.0), (-0.123, 0.745), (-0.5, 0.5), (0.28, 0.008):
        assert_same(it.model_copy(update={"cx": cx, "cy": cy}))


@pytest.mark.parametrize("c", [(-0.8, 0.156), (-0.123, 0.745)], ids=str)
def test_more_unfinished_pixels_than_the_pool_holds(c: tuple[float, float]) -> None:
    it = task(width=160, height=130, iterations=400, xa=-1.6, xb=1.6, ya=-1.0, yb=1.0, cx=c[0], cy=c[1])
    assert sum(n >= COMPACTION_INTERVAL for row in escape_counts(it) for n in row) > 2 * POOL_CAPACITY
    assert_same(it, *BLOCKS)


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
