"""Which constants are interesting, and where they are looked for."""

import random

from oat.constant import (
    FALLBACK,
    MAX_IMAGINARY,
    MAX_ITERATIONS,
    MAX_REAL,
    MIN_ESCAPE_TIME,
    MIN_REAL,
    draw_constant,
    escape_time,
    in_cardioid_or_bulb,
)


def test_a_viewport_without_an_interesting_constant_does_not_hang():
    assert draw_constant(random.Random(1), 5.0, 6.0, 5.0, 6.0) == FALLBACK


def test_constants_called_interior_never_escape():
    rng = random.Random(5)
    constants = [(rng.uniform(-2, 0.5), rng.uniform(-1.2, 1.2)) for _ in range(20_000)]
    staying = [constant for constant in constants if in_cardioid_or_bulb(*constant)]
    assert all(escape_time(*constant) == MAX_ITERATIONS for constant in staying)
    assert len(staying) > 0.8 * sum(escape_time(*constant) == MAX_ITERATIONS for constant in constants)


def test_interesting_constants_lie_within_the_search_rectangle():
    grid = [(x / 100, y / 100) for x in range(-200, 201) for y in range(201)]  # of y and -y, the orbits are alike
    late = [(cx, cy) for cx, cy in grid if escape_time(cx, cy) > MIN_ESCAPE_TIME]
    assert min(cx for cx, _ in late) >= MIN_REAL
    assert max(cx for cx, _ in late) < MAX_REAL - 0.02
    assert max(cy for _, cy in late) < MAX_IMAGINARY - 0.02
