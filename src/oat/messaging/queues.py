"""The queues: their names, the arguments they are declared with, and what becomes of dead letters.

A message is dead when a service says so: the worker if it is no valid task or was redelivered too often, the
tracker if it is no valid result or names no record. The service publishes it to the queue `dead-letters`, with the
reason, its queue and the time as headers, and acknowledges it. RabbitMQ counts the redeliveries
(`Delivery.redeliveries`); by itself it dead-letters a message only beyond `DELIVERY_LIMIT`.
"""

from typing import Any

from kombu.utils.text import version_string_as_tuple

TASKS = "tasks"
RESULTS = "results"
DEAD_LETTERS = "dead-letters"
QUEUES = (TASKS, RESULTS, DEAD_LETTERS)
"""Each is the name of a direct exchange, of the durable queue bound to it and of the routing key between them."""

MIN_QUORUM_VERSION = (3, 10)
"""The oldest version of RabbitMQ whose quorum queues are used; older ones get classic queues."""

DELIVERY_LIMIT = 100
"""How often a quorum queue redelivers a message before RabbitMQ dead-letters it; twice the worker's own limit,
which is the one that gives a reason and a result."""


def supports_quorum_queues(connection: Any) -> bool:
    """Return whether the RabbitMQ at the other end of `connection` has the quorum queues that oat needs."""
    version = connection.connection.server_properties.get("version", "0")
    return version_string_as_tuple(version)[:2] >= MIN_QUORUM_VERSION


def declare(channel: Any, quorum: bool) -> None:
    """Declare all exchanges, queues and bindings on `channel`, the queues as quorum queues or as classic ones.

    Raises:
        amqp.PreconditionFailed: they exist with other properties.
    """
    for name in QUEUES:
        channel.exchange_declare(exchange=name, type="direct", durable=True, auto_delete=False)
        channel.queue_declare(
            queue=name, durable=True, exclusive=False, auto_delete=False,
            arguments=_quorum_arguments(name) if quorum else {},
        )  # fmt: skip
        channel.queue_bind(queue=name, exchange=name, routing_key=name)


def _quorum_arguments(name: str) -> dict[str, object]:
    arguments: dict[str, object] = {"x-queue-type": "quorum"}
    if name != DEAD_LETTERS:
        arguments |= {
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": DEAD_LETTERS,
            "x-dead-letter-routing-key": DEAD_LETTERS,
        }
    return arguments
