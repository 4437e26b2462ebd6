"""Wishes: what someone asks to be drawn. What they leave open is made up, as the producer does it."""

import random
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from oat.constant import FALLBACK
from oat.messages import InvalidMessageError, Task, check_limits
from oat.services import Ranges, random_task
from oat.settings import Limits
from oat.web.problems import FieldError, ProblemError, field_errors

MOST_AT_ONCE = 1000
"""Fractals of one request."""

NARROWEST, WIDEST = 2.0, 8.0
"""How far the other edge is drawn from the one that is given."""

Edge = FiniteFloat | None


class FractalRequest(BaseModel):
    """One or many fractals; whatever is not given is drawn at random for each."""

    model_config = ConfigDict(
        strict=True, extra="forbid", json_schema_extra={"example": {"count": 3, "width": 640}}
    )

    count: Annotated[int, Field(ge=1, le=MOST_AT_ONCE, description="How many.")] = 1
    width: Annotated[int | None, Field(ge=2, description="Pixels across.")] = None
    height: Annotated[int | None, Field(ge=2, description="Pixels down.")] = None
    iterations: Annotated[
        int | None, Field(ge=1, description="After how many steps an orbit is taken to stay.")
    ] = None
    xa: Annotated[Edge, Field(description="The real part at the left edge.")] = None
    xb: Annotated[Edge, Field(description="The real part at the right edge.")] = None
    ya: Annotated[Edge, Field(description="The imaginary part at the top edge.")] = None
    yb: Annotated[Edge, Field(description="The imaginary part at the bottom edge.")] = None
    cx: Annotated[Edge, Field(description="The real part of c; comes with cy.")] = None
    cy: Annotated[Edge, Field(description="The imaginary part of c; comes with cx.")] = None

    @model_validator(mode="after")
    def _has_all_of_c(self) -> Self:
        if (self.cx is None) != (self.cy is None):
            raise ValueError("cx and cy belong together: give both or neither")
        return self

    def tasks(self, limits: Limits, rng: random.Random) -> list[Task]:
        """Return the tasks that fulfil this request.

        Raises:
            ProblemError: they would be no pictures, or ask for more than `limits` allow.
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
            fields = str(error).partition(": ")[0]
            errors = [FieldError(field=field, detail=str(error)) for field in fields.split(" times ")]
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors) from None
        except ValidationError as error:
            raise invalid(error) from None
        return tasks

    def _ranges(self) -> Ranges:
        given = {
            name: (value, value)
            for name in ("width", "height", "iterations", "xa", "xb", "ya", "yb")
            if (value := getattr(self, name)) is not None
        }
        for low, high in (("xa", "xb"), ("ya", "yb")):
            if low in given and high not in given:
                given[high] = given[low][0] + NARROWEST, given[low][0] + WIDEST
            elif high in given and low not in given:
                given[low] = given[high][0] - WIDEST, given[high][0] - NARROWEST
        return replace(Ranges(), **given)


def invalid(error: ValidationError) -> ProblemError:
    """The problem that says which fields pydantic found wrong."""
    errors = field_errors(error.errors())
    detail = "; ".join(f"{each.field}: {each.detail}" for each in errors)
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors)
