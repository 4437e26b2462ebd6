"""Random tasks and their ranges."""

import random

from oat.constant import FALLBACK, MAX_ITERATIONS, MIN_ESCAPE_TIME, escape_time
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
        assert MIN_ESCAPE_TIME < escape_time(task.cx, task.cy) < MAX_ITERATIONS
    assert found > 190


def test_a_seed_gives_the_same_parameters_and_new_uuids():
    first, second = (random_task(Ranges(), random.Random(7)) for _ in range(2))
    assert first.model_dump(exclude={"uuid"}) == second.model_dump(exclude={"uuid"})
    assert first.uuid != second.uuid
