"""Requests: what someone asks to be drawn, over the API, by the form of the gallery or with `oat create`.

What a request leaves open is drawn at random, as the producer does it.
"""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from oat.constant import FALLBACK
from oat.messages import InvalidMessageError, Task, check_limits
from oat.services.random_tasks import Ranges, random_task
from oat.settings import Limits

MAX_COUNT = 1000
"""Fractals of one request: all are recorded in one transaction, and returned, while the client waits."""

MIN_EXTENT, MAX_EXTENT = 2.0, 8.0
"""Width or height of the viewport on the complex plane, drawn from between the two where only one of two edges is
given: every connected Julia set lies within 2 of the origin."""

Edge = FiniteFloat | None


class InvalidRequestError(ValueError):
    """A request cannot be fulfilled; `fields` has the wrong fields, and what is wrong with each.

    The field is `body` where the request as a whole is wrong.
    """

    def __init__(self, detail: str, fields: Mapping[str, str]) -> None:
        super().__init__(detail)
        self.fields = fields

    @classmethod
    def from_validation(cls, error: ValidationError) -> Self:
        """Return what pydantic found as such an error."""
        fields: dict[str, str] = {}
        for fault in error.errors(include_url=False, include_context=False, include_input=False):
            name = ".".join(map(str, fault["loc"])) or "body"
            detail = fault["msg"].removeprefix("Value error, ")
            fields[name] = f"{fields[name]}; {detail}" if name in fields else detail
        return cls("; ".join(f"{name}: {detail}" for name, detail in fields.items()), fields)


class FractalRequest(BaseModel):
    """One or many fractals; whatever is not given is drawn at random for each."""

    model_config = ConfigDict(
        strict=True, extra="forbid", json_schema_extra={"example": {"count": 3, "width": 640}}
    )

    count: Annotated[int, Field(ge=1, le=MAX_COUNT, description="How many.")] = 1
    width: Annotated[int | None, Field(ge=2, description="Pixels across.")] = None
    height: Annotated[int | None, Field(ge=2, description="Pixels down.")] = None
    iterations: Annotated[int | None, Field(ge=1, description="Steps an orbit is followed.")] = None
    xa: Annotated[Edge, Field(description="Real part at the left edge.")] = None
    xb: Annotated[Edge, Field(description="Real part at the right edge.")] = None
    ya: Annotated[Edge, Field(description="Imaginary part at the top edge.")] = None
    yb: Annotated[Edge, Field(description="Imaginary part at the bottom edge.")] = None
    cx: Annotated[Edge, Field(description="Real part of c; comes with cy.")] = None
    cy: Annotated[Edge, Field(description="Imaginary part of c; comes with cx.")] = None

    @model_validator(mode="after")
    def _has_both_parts_of_c(self) -> Self:
        if (self.cx is None) != (self.cy is None):
            raise ValueError("cx and cy belong together: give both or neither")
        return self

    def tasks(self, limits: Limits, rng: random.Random) -> list[Task]:
        """Return the tasks that fulfil this request.

        Raises:
            InvalidRequestError: their viewport would be empty, or they ask for more than `limits` allow.
        """
        ranges = self._ranges()
        constant = None if self.cx is None or self.cy is None else (self.cx, self.cy)
        tasks = []
        try:
            for _ in range(self.count):
                task = random_task(ranges, rng, constant)
                check_limits(task, limits)
                tasks.append(task)
                if (task.cx, task.cy) == FALLBACK:  # a viewport without an interesting c: search it only once
                    constant = FALLBACK
        except InvalidMessageError as error:
            names = str(error).partition(": ")[0].split(" times ")
            raise InvalidRequestError(str(error), dict.fromkeys(names, str(error))) from None
        except ValidationError as error:
            raise InvalidRequestError.from_validation(error) from None
        return tasks

    def _ranges(self) -> Ranges:
        given = {
            name: (value, value)
            for name in ("width", "height", "iterations", "xa", "xb", "ya", "yb")
            if (value := getattr(self, name)) is not None
        }
        for low, high in (("xa", "xb"), ("ya", "yb")):
            if low in given and high not in given:
                given[high] = given[low][0] + MIN_EXTENT, given[low][0] + MAX_EXTENT
            elif high in given and low not in given:
                given[low] = given[high][0] - MAX_EXTENT, given[high][0] - MIN_EXTENT
        return replace(Ranges(), **given)
