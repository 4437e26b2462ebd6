"""The states of a fractal, and the rules by which a result or a person changes them."""

from enum import StrEnum
from typing import TypedDict

from oat.messages import Result


class Status(StrEnum):
    """The state of a fractal: `waiting` at first, then `done`, `failed` or `cancelled`."""

    WAITING = "waiting"
    """It is recorded, and there is no result yet: its task is in the outbox, in a queue, or with a worker."""
    DONE = "done"
    """Its image is stored; duration and checksum are known."""
    FAILED = "failed"
    """It has no image; the error says why. An image that comes later still makes it `done`."""
    CANCELLED = "cancelled"
    """Its task is not published again, and is removed from its queue. An image that comes later, of a worker that
    had the task already, still makes it `done`; a failure changes nothing."""


RETRIED = frozenset({Status.FAILED, Status.CANCELLED})
"""The states from which a record can be retried; a done one only if its image is missing or damaged."""


class StateChange(TypedDict):
    """The columns of a record that a result changes, with their new values."""

    status: Status
    duration: float | None
    checksum: str | None
    size: int | None
    worker: str | None
    error: str | None


def state_change(status: Status, result: Result) -> StateChange | None:
    """Return what `result` changes in a record of this `status`, None if nothing.

    An image counts whenever it comes, also after a failure or a cancellation; a failure counts only while the
    record is waiting. So results may be redelivered, or overtake each other, and the record ends in the same
    state.
    """
    if result.error is None:
        return image_change(result)
    if status == Status.WAITING:
        return StateChange(
            status=Status.FAILED, duration=None, checksum=None, size=None, worker=result.worker, error=result.error
        )
    return None


def image_change(result: Result) -> StateChange:
    """Return what the `result` of an image changes in a record, of whatever status."""
    return StateChange(
        status=Status.DONE,
        duration=result.duration,
        checksum=result.checksum,
        size=result.size,
        worker=result.worker,
        error=None,
    )
