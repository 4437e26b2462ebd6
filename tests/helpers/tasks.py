"""Tasks for tests."""

import random
from typing import Any
from uuid import UUID

from oat.messages import Task
from oat.services import Ranges, random_task


def task(**changes: Any) -> Task:
    parameters: dict[str, Any] = dict(uuid=UUID(int=1), width=37, height=23, iterations=60)
    parameters |= dict(xa=-2.0, xb=2.0, ya=-1.5, yb=1.5, cx=-0.7, cy=0.3)
    return Task(**parameters | changes)


def some_tasks(count):
    rng = random.Random(3)
    return [random_task(Ranges(), rng) for _ in range(count)]


def small_tasks(count, rng):
    return [random_task(Ranges(width=(16, 64), height=(16, 64)), rng) for _ in range(count)]
