"""Random tasks: what the producer draws, and from which ranges."""

import random
from dataclasses import dataclass
from uuid import UUID, uuid4

from pydantic import ValidationError

from oat.constant import draw_constant
from oat.messages import InvalidMessageError, Task, check_limits
from oat.settings import Limits, SettingsError


@dataclass(frozen=True)
class Ranges:
    """The least and the greatest value of everything that is drawn at random, both included."""

    tasks: tuple[int, int] = (1, 10)
    """Tasks in a set."""
    pause: tuple[float, float] = (1, 10)
    """Seconds between two sets."""
    width: tuple[int, int] = (256, 1024)
    height: tuple[int, int] = (256, 1024)
    iterations: tuple[int, int] = (128, 512)
    xa: tuple[float, float] = (-4, -1)
    xb: tuple[float, float] = (1, 4)
    ya: tuple[float, float] = (-3, -0.5)
    yb: tuple[float, float] = (0.5, 3)

    def check(self, limits: Limits) -> None:
        """Check that each range has a least and a greatest value, and that every task drawn from them is valid.

        Raises:
            SettingsError: one is not; it names the option of `oat producer`.
        """
        for name, (low, high) in vars(self).items():
            if not low <= high:
                raise SettingsError(f"--min-{name} {low} is above --max-{name} {high}")
        for low, high in (("xa", "xb"), ("ya", "yb")):
            highest, lowest = getattr(self, low)[1], getattr(self, high)[0]
            if not highest < lowest:
                raise SettingsError(f"--max-{low} {highest} is not below --min-{high} {lowest}")
        try:
            largest = Task(
                uuid=UUID(int=0),
                **{name: getattr(self, name)[1] for name in ("width", "height", "iterations")},
                **{name: getattr(self, name)[end] for name, end in (("xa", 0), ("xb", 1), ("ya", 0), ("yb", 1))},
            )
            check_limits(largest, limits)
        except (ValidationError, InvalidMessageError) as error:
            raise SettingsError(f"the largest task would be rejected: {error}") from None


def random_task(ranges: Ranges, rng: random.Random, constant: tuple[float, float] | None = None) -> Task:
    """Return a task with a new UUID and parameters drawn from `ranges`; c is drawn as well, or is `constant`."""
    width, height, iterations = (rng.randint(*r) for r in (ranges.width, ranges.height, ranges.iterations))
    xa, xb, ya, yb = (rng.uniform(*r) for r in (ranges.xa, ranges.xb, ranges.ya, ranges.yb))
    cx, cy = constant or draw_constant(rng, xa, xb, ya, yb)
    return Task(
        uuid=uuid4(), width=width, height=height, iterations=iterations,
        xa=xa, xb=xb, ya=ya, yb=yb, cx=cx, cy=cy,
    )  # fmt: skip
