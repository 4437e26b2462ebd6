"""The messages: a task asks for one image, a result answers it.

Both are JSON. What comes from outside is validated here, once; whoever holds a `Task` or a `Result` can trust it.
"""

import random
from typing import Annotated, Any, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator
from pydantic_core import from_json

from oat.constant import draw_constant
from oat.settings import Limits

MAX_BODY = 64 * 1024
"""Bytes of the longest message that is read at all; a task has some 400."""

MAX_REASON = 1000
"""Characters kept of the reason why something failed."""


class InvalidMessageError(ValueError):
    """What arrived cannot be a message; `uuid` is the one it names, where it names one."""

    def __init__(self, reason: str, uuid: UUID | None = None) -> None:
        super().__init__(reason[:MAX_REASON])
        self.uuid = uuid


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    def to_json(self) -> bytes:
        """The body of the message."""
        return self.model_dump_json(exclude_none=True).encode()


def _derived_constant(task: dict[str, Any]) -> tuple[float, float]:
    rng = random.Random(task["uuid"].int)  # noqa: S311 (the same picture each time, not a secret)
    return draw_constant(rng, task["xa"], task["xb"], task["ya"], task["yb"])


_M = TypeVar("_M", bound=_Message)


class Task(_Message):
    """Asks for the Julia set of z² + c, seen through a viewport on the complex plane."""

    uuid: UUID
    width: Annotated[int, Field(ge=2)]
    """Pixels."""
    height: Annotated[int, Field(ge=2)]
    """Pixels."""
    iterations: Annotated[int, Field(ge=1)]
    """After how many steps an orbit is taken to stay."""
    xa: FiniteFloat
    """The real part at the left edge."""
    xb: FiniteFloat
    """The real part at the right edge."""
    ya: FiniteFloat
    """The imaginary part at the top edge."""
    yb: FiniteFloat
    """The imaginary part at the bottom edge."""
    cx: FiniteFloat = Field(default_factory=lambda task: _derived_constant(task)[0])
    """The real part of c; a task without a constant gets one from its UUID, always the same."""
    cy: FiniteFloat = Field(default_factory=lambda task: _derived_constant(task)[1])
    """The imaginary part of c."""

    @model_validator(mode="after")
    def _is_a_picture(self) -> Self:
        if self.xa == self.xb or self.ya == self.yb:
            raise ValueError("the viewport is empty: xa equals xb, or ya equals yb")
        if len({"cx", "cy"} & self.model_fields_set) == 1:
            raise ValueError("cx and cy belong together: give both or neither")
        return self


_Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""Text that every database can keep: PostgreSQL has no NUL."""


class Result(_Message):
    """Answers a task: the image is stored, or why there is none."""

    uuid: UUID
    duration: Annotated[FiniteFloat, Field(ge=0)] | None = None
    """Seconds spent on rendering."""
    checksum: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the PNG file, hexadecimal."""
    size: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """Bytes of the PNG file."""
    worker: Annotated[_Text, Field(max_length=255)] | None = None
    """The host that rendered it."""
    error: Annotated[_Text, Field(min_length=1, max_length=MAX_REASON)] | None = None
    """Why there is no image."""

    @model_validator(mode="after")
    def _is_an_answer(self) -> Self:
        if self.error is None and (self.duration is None or self.checksum is None):
            raise ValueError("a result has a duration and a checksum, or an error")
        return self


def check_limits(task: Task, limits: Limits) -> None:
    """Raise `InvalidMessageError` if `task` asks for more than `limits` allow."""
    pixels = task.width * task.height
    for what, value, limit in (
        ("width", task.width, limits.side),
        ("height", task.height, limits.side),
        ("width times height", pixels, limits.pixels),
        ("iterations", task.iterations, limits.iterations),
        ("width times height times iterations", pixels * task.iterations, limits.work),
    ):
        if value > limit:
            raise InvalidMessageError(f"{what}: {value} is above the limit of {limit}", task.uuid)


def parse_task(body: bytes | str, limits: Limits) -> Task:
    """Return the task in `body`.

    Raises:
        InvalidMessageError: it is not JSON, a field is missing, of a wrong type or out of range.
    """
    task = _parse(Task, body)
    check_limits(task, limits)
    return task


def parse_result(body: bytes | str) -> Result:
    """Return the result in `body`.

    Raises:
        InvalidMessageError: it is not JSON, a field is missing, of a wrong type or out of range.
    """
    return _parse(Result, body)


def _parse(model: type[_M], body: bytes | str) -> _M:
    if len(body) > MAX_BODY:
        raise InvalidMessageError(f"the message has {len(body)} bytes, more than {MAX_BODY}")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        reason = "; ".join(
            ": ".join(filter(None, (".".join(map(str, fault["loc"])), fault["msg"])))
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        )
        raise InvalidMessageError(reason, _named_uuid(body)) from None


def _named_uuid(body: bytes | str) -> UUID | None:
    try:
        return UUID(from_json(body)["uuid"])
    except (ValueError, TypeError, LookupError, AttributeError):
        return None
