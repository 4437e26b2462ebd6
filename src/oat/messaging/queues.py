"""The queues: what they are called, and what the broker is told of them."""

from typing import Any

from kombu.utils.text import version_string_as_tuple

TASKS = "tasks"
RESULTS = "results"
DEAD_LETTERS = "dead-letters"
QUEUES = (TASKS, RESULTS, DEAD_LETTERS)
"""Each is the name of a direct exchange, of the durable queue behind it and of the routing key between them."""

OLDEST_WITH_QUORUM = (3, 10)
"""The version of RabbitMQ from which on its quorum queues can do what we need."""

DELIVERY_LIMIT = 100
"""How often a quorum queue delivers a message before it is a dead letter: a net below the worker's own check."""


def supports_quorum_queues(connection: Any) -> bool:
    """Whether the RabbitMQ at the other end of `connection` has quorum queues that do."""
    version = connection.connection.server_properties.get("version", "0")
    return version_string_as_tuple(version)[:2] >= OLDEST_WITH_QUORUM


def declare(channel: Any, quorum: bool) -> None:
    """Have all exchanges and queues on the broker behind `channel`, as quorum queues where that is wanted.

    Raises:
        amqp.PreconditionFailed: they are there, with other properties.
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
