import random

from oat.constant import EARLIEST, FALLBACK, LATEST, LEFT, RIGHT, TOP, draw_constant, escape_index, is_interior
from oat.services import Ranges, random_task


def test_every_value_lies_in_its_range_and_the_constant_is_interesting():
    ranges, rng = Ranges(), random.Random(1)
    found = 0
    for _ in range(200):
        task = random_task(ranges, rng)
        for name in ("width", "height", "iterations", "xa", "xb", "ya", "yb"):
            low, high = getattr(ranges, name)
            assert low <= getattr(task, name) <= high
        if (task.cx, task.cy) != FALLBACK:
            assert task.xa <= task.cx <= task.xb
            assert task.ya <= task.cy <= task.yb
            found += 1
        assert EARLIEST < escape_index(task.cx, task.cy) < LATEST
    assert found > 190


def test_a_seed_gives_the_same_parameters_and_new_uuids():
    first, second = (random_task(Ranges(), random.Random(7)) for _ in range(2))
    assert first.model_dump(exclude={"uuid"}) == second.model_dump(exclude={"uuid"})
    assert first.uuid != second.uuid


def test_a_viewport_without_an_interesting_constant_does_not_hang():
    assert draw_constant(random.Random(1), 5.0, 6.0, 5.0, 6.0) == FALLBACK


def test_who_is_said_to_stay_does_stay():
    rng = random.Random(5)
    constants = [(rng.uniform(-2, 0.5), rng.uniform(-1.2, 1.2)) for _ in range(20_000)]
    staying = [constant for constant in constants if is_interior(*constant)]
    assert all(escape_index(*constant) == LATEST for constant in staying)
    assert len(staying) > 0.8 * sum(escape_index(*constant) == LATEST for constant in constants)


def test_no_interesting_constant_lies_outside_of_where_they_are_looked_for():
    grid = [(x / 100, y / 100) for x in range(-200, 201) for y in range(201)]  # of y and -y, the orbits are alike
    late = [(cx, cy) for cx, cy in grid if escape_index(cx, cy) > EARLIEST]
    assert min(cx for cx, _ in late) >= LEFT
    assert max(cx for cx, _ in late) < RIGHT - 0.02
    assert max(cy for _, cy in late) < TOP - 0.02
