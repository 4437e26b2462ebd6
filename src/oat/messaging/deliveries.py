"""Deliveries: messages that were received, and their acknowledgement."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from amqp import spec


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """A message that was delivered to this connection; the broker keeps it until the `ack`."""

    body: bytes | str
    tag: Any
    """The broker's name for this delivery: an integer of RabbitMQ, a string of the embedded broker."""
    redeliveries: int = 0
    """How often a quorum queue has delivered the message before, without an `ack`; always 0 elsewhere."""
    redelivered: bool = False
    """Whether RabbitMQ has delivered the message before, to whomever; always False with the embedded broker."""
    queue: str = ""
    """The queue that it comes from."""
    headers: Mapping[str, Any] = field(default_factory=dict)
    received_at: float = field(default_factory=time.monotonic)
    """When it was received, in seconds of the monotonic clock."""


def count_redeliveries(headers: Mapping[str, Any]) -> int:
    """Return how often a quorum queue says in `headers` that it has delivered the message before."""
    count = headers.get("x-delivery-count")
    return count if isinstance(count, int) else 0


Choose = Callable[[Sequence[Delivery]], Sequence[str | None]]
"""Returns for each message the queue where it is to be: its own keeps it, another one moves it, None drops it."""


class Acknowledgements:
    """The unacknowledged deliveries of a channel to RabbitMQ, and the acknowledgements that are still to be sent.

    They are collected and sent together: one method acknowledges all deliveries up to a tag.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._in_flight: dict[int, None] = {}  # in the order of delivery, as a set is not
        self._unsent: set[int] = set()

    def delivered(self, tag: int) -> None:
        """Note that the delivery `tag` is in flight."""
        self._in_flight[tag] = None

    def ack(self, tag: int) -> None:
        """Acknowledge the delivery `tag` with the next `send`."""
        self._unsent.add(tag)

    def requeue(self, tag: int) -> None:
        """Return the delivery `tag` to its queue."""
        del self._in_flight[tag]
        # Not basic.reject, which RabbitMQ 4.3 and newer count as a failure of the message.
        self._channel.send_method(spec.Basic.Nack, "Lbb", (tag, False, True))

    def send(self) -> None:
        """Send the acknowledgements: one for the oldest deliveries in a row, one for each of the others."""
        tags, self._unsent = self._unsent, set()
        oldest = list(takewhile(tags.__contains__, self._in_flight))
        if oldest:
            self._channel.basic_ack(oldest[-1], multiple=True)
        for tag in tags.difference(oldest):
            self._channel.basic_ack(tag)
        for tag in tags:
            del self._in_flight[tag]
