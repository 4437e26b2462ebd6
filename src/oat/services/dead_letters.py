"""Dead letters: messages that could not be processed, listed, requeued and dropped.

They stay in the queue `dead-letters`, each with its reason, the queue that it comes from and the time as headers;
where RabbitMQ itself dead-lettered a message, its header `x-death` says the same. A process that is killed in the
middle of what is here loses none, and with RabbitMQ leaves none twice: `sift`.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from oat.messages import find_uuid
from oat.messaging import DEAD_LETTERS, RESULTS, TASKS, Broker, Choose, Delivery, sift

ID_LENGTH = 12
"""Hexadecimal digits of a dead letter's ID: enough to tell millions apart, short enough to be typed."""


class DeadLetter(BaseModel):
    """A message in the queue `dead-letters`."""

    id: str = Field(description="Identifies it: a hash of its body and its headers; copies have the same.")
    queue: str | None = Field(description="The queue it comes from; null if the message does not say.")
    reason: str = Field(description="Why it could not be processed.")
    uuid: UUID | None = Field(description="The UUID in its body; null if there is none.")
    size: int = Field(description="Bytes of its body.")
    time: AwareDatetime | None = Field(description="When it was dead-lettered; null if the message does not say.")
    body: bytes = Field(exclude=True)


def dead_letter_headers(delivery: Delivery, reason: str) -> dict[str, str]:
    """Return the headers of a dead letter."""
    return {"reason": reason, "queue": delivery.queue, "time": datetime.now(UTC).isoformat()}


def list_dead_letters(broker: Broker) -> list[DeadLetter]:
    """Return all dead letters, in the order of their queue, where they stay."""
    found: list[DeadLetter] = []

    def keep(deliveries: Sequence[Delivery]) -> Sequence[str | None]:
        found.extend(map(dead_letter, deliveries))
        return [DEAD_LETTERS] * len(deliveries)

    sift(broker, DEAD_LETTERS, keep)
    return found


def requeue_dead_letters(
    broker: Broker, ids: Collection[str] | None, queue: str | None
) -> tuple[list[DeadLetter], list[DeadLetter]]:
    """Publish the bodies of the dead letters `ids`, None for all, again to the queues they come from.

    Args:
        broker: of the dead letters.
        ids: of those to requeue.
        queue: for those that do not say which queue they come from; None leaves these where they are.

    Returns:
        Those that were requeued, and those of `ids` that do not say where they come from.
    """
    requeued: list[DeadLetter] = []
    unknown: list[DeadLetter] = []

    def target(letter: DeadLetter) -> str | None:
        to = letter.queue if letter.queue in (TASKS, RESULTS) else queue
        (unknown if to is None else requeued).append(letter)
        return to or DEAD_LETTERS

    sift(broker, DEAD_LETTERS, _chooser(ids, target))
    return requeued, unknown


def drop_dead_letters(broker: Broker, ids: Collection[str] | None) -> list[DeadLetter]:
    """Remove the dead letters `ids`, None for all, and return them."""
    dropped: list[DeadLetter] = []
    sift(broker, DEAD_LETTERS, _chooser(ids, dropped.append))
    return dropped


def _chooser(ids: Collection[str] | None, target: Callable[[DeadLetter], str | None]) -> Choose:
    """Return a function for `sift` that keeps all but `ids`, of which `target` says where they go."""

    def choose(deliveries: Sequence[Delivery]) -> Sequence[str | None]:
        letters = map(dead_letter, deliveries)
        return [target(each) if ids is None or each.id in ids else DEAD_LETTERS for each in letters]

    return choose


def dead_letter(delivery: Delivery) -> DeadLetter:
    """Return what a message in the queue `dead-letters` says of itself."""
    body = delivery.body.encode() if isinstance(delivery.body, str) else bytes(delivery.body)
    queue, reason, time = _origin(delivery.headers)
    digest = hashlib.sha256(body + repr((queue, reason, time)).encode())
    return DeadLetter(
        id=digest.hexdigest()[:ID_LENGTH],
        queue=queue,
        reason=reason or "unknown",
        uuid=find_uuid(body),
        size=len(body),
        time=time,
        body=body,
    )


def _origin(headers: Mapping[str, Any]) -> tuple[str | None, str | None, datetime | None]:
    """Return the queue, the reason and the time that the headers of a dead letter say."""
    queue, reason, time = (headers.get(name) for name in ("queue", "reason", "time"))
    deaths = headers.get("x-death")
    if reason is None and isinstance(deaths, list) and deaths and isinstance(deaths[0], dict):
        queue, time = deaths[0].get("queue"), deaths[0].get("time")
        reason = f"dead-lettered by RabbitMQ: {deaths[0].get('reason')}"
    return (
        queue if isinstance(queue, str) else None,
        reason if isinstance(reason, str) else None,
        _time(time),
    )


def _time(value: object) -> datetime | None:
    """Return a time in a header, text or AMQP's own type, with its time zone; None if it is none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value
