"""The messages: a task requests one image, a result reports that it is stored or why it is not.

A progress report says what a worker has in flight. All are JSON objects. The body of a message is validated here,
once: every `Task`, `Result` and `ProgressReport` is valid.
"""

import random
from typing import Annotated, Any, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator
from pydantic_core import from_json

from oat.constant import draw_constant
from oat.settings import Limits

MAX_MESSAGE_SIZE = 64 * 1024
"""Bytes. A longer body is rejected before it is parsed; a task has about 400."""

MAX_REASON = 1000
"""Characters. A longer error text is truncated: it is a column of the database and a message header."""


class InvalidMessageError(ValueError):
    """The body of a message is invalid.

    Args:
        reason: what is wrong with it, truncated to `MAX_REASON` characters.
        uuid: the UUID in the message, None if it has no valid one.
    """

    def __init__(self, reason: str, uuid: UUID | None = None) -> None:
        super().__init__(reason[:MAX_REASON])
        self.uuid = uuid


class _Message(BaseModel):
    """What tasks and results have in common: no type conversions, no changes, and unknown fields are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    def to_json(self) -> bytes:
        """Return the body of the message; fields that are None are left out."""
        return self.model_dump_json(exclude_none=True).encode()


def _constant_from_uuid(task: dict[str, Any]) -> tuple[float, float]:
    """Draw the constant c of a task that has none, with the UUID as seed: every attempt renders the same image."""
    rng = random.Random(task["uuid"].int)  # noqa: S311 (a seed, not a secret)
    return draw_constant(rng, task["xa"], task["xb"], task["ya"], task["yb"])


_MessageT = TypeVar("_MessageT", bound=_Message)


class Task(_Message):
    """Requests an image of the Julia set of z² + c, seen through a viewport on the complex plane."""

    uuid: UUID
    """Identifies the task, its record and its image."""
    width: Annotated[int, Field(ge=2)]
    """Pixels, at least 2."""
    height: Annotated[int, Field(ge=2)]
    """Pixels, at least 2."""
    iterations: Annotated[int, Field(ge=1)]
    """Maximum number of iterations of a pixel, at least 1."""
    xa: FiniteFloat
    """The real part at the left edge."""
    xb: FiniteFloat
    """The real part at the right edge, not equal to `xa`."""
    ya: FiniteFloat
    """The imaginary part at the top edge."""
    yb: FiniteFloat
    """The imaginary part at the bottom edge, not equal to `ya`."""
    cx: FiniteFloat = Field(default_factory=lambda task: _constant_from_uuid(task)[0])
    """The real part of c; by default drawn from the viewport, with the UUID as seed."""
    cy: FiniteFloat = Field(default_factory=lambda task: _constant_from_uuid(task)[1])
    """The imaginary part of c; given if and only if `cx` is."""

    @model_validator(mode="after")
    def _check_viewport_and_constant(self) -> Self:
        if self.xa == self.xb or self.ya == self.yb:
            raise ValueError("the viewport is empty: xa equals xb, or ya equals yb")
        if len({"cx", "cy"} & self.model_fields_set) == 1:
            raise ValueError("cx and cy belong together: give both or neither")
        return self


_Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""Text without NUL characters, which PostgreSQL cannot store."""


class Result(_Message):
    """Reports that the image of a task is stored, by `duration` and `checksum`; or why it is not, by `error`."""

    uuid: UUID
    """The UUID of the task."""
    duration: Annotated[FiniteFloat, Field(ge=0)] | None = None
    """Seconds spent on rendering, at least 0."""
    checksum: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the PNG file, 64 lower-case hexadecimal digits."""
    size: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """Size of the PNG file in bytes."""
    worker: Annotated[_Text, Field(max_length=255)] | None = None
    """Host name of the worker, at most 255 characters."""
    error: Annotated[_Text, Field(min_length=1, max_length=MAX_REASON)] | None = None
    """Why there is no image, 1 to `MAX_REASON` characters."""

    @model_validator(mode="after")
    def _check_image_or_error(self) -> Self:
        if self.error is None and (self.duration is None or self.checksum is None):
            raise ValueError("a result has a duration and a checksum, or an error")
        return self


MAX_REPORTED = 500
"""Tasks in flight that a progress report names at most, and results: with all of them it has some 40 KiB."""

_ReportedTasks = Annotated[list[UUID], Field(max_length=MAX_REPORTED)]


class ProgressReport(_Message):
    """Says which tasks a worker has in flight, and which results it has published lately, to those who watch."""

    worker: Annotated[_Text, Field(max_length=255)]
    """Host name of the worker, at most 255 characters."""
    pid: Annotated[int, Field(ge=1, lt=2**31)]
    """Its process ID: a host may run several workers."""
    prefetched: _ReportedTasks = []
    """Tasks that it has taken and not begun, the oldest first."""
    rendering: _ReportedTasks = []
    """Tasks whose images are being rendered, or are to be stored."""
    stored: _ReportedTasks = []
    """Tasks whose images are stored, and whose results are to be confirmed."""
    finished: Annotated[dict[UUID, Annotated[FiniteFloat, Field(ge=0)]], Field(max_length=MAX_REPORTED)] = {}
    """Tasks whose results the broker has confirmed lately: seconds since then."""
    killed: bool = False
    """Whether it was killed, and what it had in flight is lost: only the embedded broker can tell."""


def check_limits(task: Task, limits: Limits) -> None:
    """Check that `task` is within `limits`.

    Raises:
        InvalidMessageError: it exceeds one of them.
    """
    pixels = task.width * task.height
    for quantity, value, limit in (
        ("width", task.width, limits.side),
        ("height", task.height, limits.side),
        ("width times height", pixels, limits.pixels),
        ("iterations", task.iterations, limits.iterations),
        ("width times height times iterations", pixels * task.iterations, limits.work),
    ):
        if value > limit:
            raise InvalidMessageError(f"{quantity}: {value} is above the limit of {limit}", task.uuid)


def parse_task(body: bytes | str, limits: Limits) -> Task:
    """Parse and validate the body of a task.

    Raises:
        InvalidMessageError: it is not JSON; a field is missing, of a wrong type or out of range; or the task
            exceeds `limits`.
    """
    task = _parse(Task, body)
    check_limits(task, limits)
    return task


def parse_result(body: bytes | str) -> Result:
    """Parse and validate the body of a result.

    Raises:
        InvalidMessageError: it is not JSON, or a field is missing, of a wrong type or out of range.
    """
    return _parse(Result, body)


def parse_progress_report(body: bytes | str) -> ProgressReport:
    """Parse and validate the body of a progress report.

    Raises:
        InvalidMessageError: it is not JSON, or a field is missing, of a wrong type or out of range.
    """
    return _parse(ProgressReport, body)


def _parse(model: type[_MessageT], body: bytes | str) -> _MessageT:
    if len(body) > MAX_MESSAGE_SIZE:
        raise InvalidMessageError(f"the message has {len(body)} bytes, more than {MAX_MESSAGE_SIZE}")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        reason = "; ".join(
            ": ".join(filter(None, (".".join(map(str, detail["loc"])), detail["msg"])))
            for detail in error.errors(include_url=False, include_context=False, include_input=False)
        )
        raise InvalidMessageError(reason, find_uuid(body)) from None


def find_uuid(body: bytes | str) -> UUID | None:
    """Return the UUID in the body of a message that may be invalid, None if there is no valid one."""
    try:
        return UUID(from_json(body)["uuid"])
    except (ValueError, TypeError, LookupError, AttributeError):
        return None
