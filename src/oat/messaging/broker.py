"""The broker: exchanges, queues, publishing with confirms, consuming. The only module that knows kombu.

A connection belongs to one thread. That thread alone calls the methods of its `Broker`; another one may only
`wake` it.
"""

import contextlib
import logging
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any
from uuid import uuid4

import amqp
from kombu.exceptions import KombuError

from oat.messaging.connection import HEARTBEAT, PERMANENT_ERRORS, READ_TIMEOUT, check_url, connect
from oat.messaging.queues import DEAD_LETTERS, declare, supports_quorum_queues
from oat.messaging.self_pipe import SelfPipe
from oat.settings import PermanentError, Settings, mask_password

POLL = 0.02
"""Seconds between two looks into an embedded broker, which cannot call."""

LONGEST_PAUSE = 15.0
"""Seconds between two attempts to connect, once they have grown."""

FLUSH_INTERVAL = 0.03
"""Seconds between two looks at what has arrived, when it arrives all the time: one system call serves many."""

CLOSE_TIMEOUT = 2.0
"""Seconds a peer may take for each of its last two answers."""

log = logging.getLogger(__name__)


class BrokerError(PermanentError):
    """The broker cannot be used as it was asked to; trying again would not help."""


class _ConnectionLostError(Exception):
    """The connection is of no use any more."""


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """A message that is ours until we settle it."""

    body: bytes | str
    tag: Any
    redeliveries: int = 0
    """How often it came back to a quorum queue from someone who had not settled it."""


class Broker:
    """One connection to the broker, made again whenever it is lost.

    Args:
        settings: `broker_url` is `amqp[s]://user:password@host:port/vhost` or `filesystem:///folder`.
        stopping: set by whoever wants everything to end.
        flush_interval: seconds between two `wait`s that return, at least, unless nothing came for longer.
    """

    def __init__(
        self, settings: Settings, stopping: threading.Event, flush_interval: float = FLUSH_INTERVAL
    ) -> None:
        check_url(settings.broker_url)
        self.url = settings.broker_url
        self.stopping = stopping
        self.flush_interval = flush_interval
        self._server = self.url.startswith("amqp")
        self._quorum = self._server and settings.queue_type == "quorum"
        self._self_pipe = SelfPipe()
        self._returned = 0.0
        self._connection: Any = None
        self._channel: Any = None
        self._consumers: list[str] = []
        self._published = 0
        self._unconfirmed: dict[int, Callable[[], None]] = {}
        self._held: dict[int, None] = {}
        self._settled: set[int] = set()
        self._arrived: deque[Callable[[], None]] = deque()
        self._heartbeat_due = 0.0

    def serve(self, session: Callable[[], None]) -> None:
        """Run `session` on a connection, again on a new one whenever that is lost, until it returns.

        Raises:
            BrokerError: the broker refuses us, or has our queues with other properties.
        """
        pause, connected_once = 0.5, False
        while not self.stopping.is_set():
            try:
                self._open()
                pause, connected_once = 0.5, True
                session()
                self.close()
                return
            except PERMANENT_ERRORS as error:
                if not connected_once:
                    raise BrokerError(f"the broker {mask_password(self.url)} refuses: {error}") from error
                reason: Exception = error
            except (OSError, KombuError, amqp.AMQPError, _ConnectionLostError) as error:
                reason = error
            self._abandon()
            verb = "lost" if connected_once else "cannot reach"
            log.warning(
                "%s the broker %s (%s); trying again in %.1f seconds",
                verb, mask_password(self.url), reason or type(reason).__name__, pause,
            )  # fmt: skip
            self.stopping.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def wake(self) -> None:
        """End the `wait` of the connection's thread; may be called from any thread or signal handler."""
        self._self_pipe.wake()

    def consume(self, queue: str, prefetch: int, on_message: Callable[[Delivery], None]) -> None:
        """Have `on_message` called, from `wait`, with up to `prefetch` unsettled messages."""
        self._channel.basic_qos(0, prefetch, False)

        def deliver(message: Any) -> None:
            if self._server:
                self._held[message.delivery_tag] = None
            count = (message.headers or {}).get("x-delivery-count")
            delivery = Delivery(message.body, message.delivery_tag, count if isinstance(count, int) else 0)
            self._arrived.append(partial(on_message, delivery))

        # A new name each time: RabbitMQ 3.10's quorum queues mistake one that comes back for the one that left.
        self._consumers.append(f"oat-{queue}-{uuid4()}")
        self._channel.basic_consume(queue=queue, no_ack=False, callback=deliver, consumer_tag=self._consumers[-1])

    def cancel(self) -> None:
        """Take no more messages."""
        while self._consumers:
            self._channel.basic_cancel(self._consumers.pop(), **({"nowait": True} if self._server else {}))

    def ack(self, delivery: Delivery) -> None:
        """Settle `delivery`: it is done. RabbitMQ is told with the next `wait`."""
        if self._server:
            self._settled.add(delivery.tag)
        else:
            self._channel.basic_ack(delivery.tag)

    def requeue(self, delivery: Delivery) -> None:
        """Return `delivery` to its queue, for others to take."""
        self._held.pop(delivery.tag, None)
        self._channel.basic_reject(delivery.tag, requeue=True)

    def publish(
        self, name: str, body: bytes | str, on_confirm: Callable[[], None], reason: str | None = None
    ) -> None:
        """Publish `body` into the exchange `name`; `on_confirm` is called once the broker has it safe.

        Args:
            name: one of `QUEUES`.
            body: a JSON document; for dead letters, whatever came.
            on_confirm: called from a later `wait`.
            reason: why it is a dead letter, sent as a header.
        """
        self._published += 1
        self._unconfirmed[self._published] = on_confirm
        if reason is None:
            self._channel.publish(name, body)
        else:
            message = self._channel.prepare_message(
                body,
                content_type="application/json",
                content_encoding="utf-8" if isinstance(body, str) else "binary",
                headers={"reason": reason},
                properties={"delivery_mode": 2},
            )
            self._channel.basic_publish(message, exchange=name, routing_key=name, mandatory=True)

    def publish_all(self, name: str, bodies: Iterable[bytes]) -> None:
        """Publish `bodies` and wait, once, until the broker has confirmed all of them."""
        open_confirms = 0

        def confirmed() -> None:
            nonlocal open_confirms
            open_confirms -= 1

        for body in bodies:
            open_confirms += 1
            self.publish(name, body, confirmed)
        started = time.monotonic()
        while open_confirms:
            self.wait(1.0)
            timeout = CLOSE_TIMEOUT if self.stopping.is_set() else READ_TIMEOUT
            if time.monotonic() > started + timeout:
                raise _ConnectionLostError(
                    f"{open_confirms} publications were not confirmed in {timeout:g} seconds"
                )

    def wait_for_confirms(self) -> None:
        """Before the end: wait for the confirms that are missing, but not for a broker that does not answer."""
        deadline = time.monotonic() + CLOSE_TIMEOUT
        while (self._unconfirmed or self._arrived) and (left := deadline - time.monotonic()) > 0:
            self.wait(left)

    def dead_letter(self, body: bytes | str, reason: str, on_confirm: Callable[[], None]) -> None:
        """Keep `body` in the dead-letter queue, for people to look at, with the `reason` as a header."""
        self.publish(DEAD_LETTERS, body, on_confirm, reason)

    def size(self, queue: str) -> int:
        """Return how many messages wait in `queue`, those in someone's hands not counted."""
        count: int = self._channel.queue_declare(queue, passive=True).message_count
        return count

    def wait(self, timeout: float) -> None:
        """Deliver what has arrived; if there is nothing, wait until there is, a `wake`, or `timeout` seconds."""
        # What came with the answer to a question of ours is dealt with here, not in the middle of something else.
        if not self._arrived:
            if self._server:
                self._wait_for_server(timeout)
            else:
                self._poll_embedded(timeout)
        while self._arrived:
            self._arrived.popleft()()

    def close(self) -> None:
        """Say goodbye to the broker: what we hold unsettled goes back to its queue."""
        if self._connection is None:
            return
        try:
            if self._server:
                self._acknowledge()
                self._connection.connection.sock.settimeout(CLOSE_TIMEOUT)
            self._connection.close()
        except (OSError, KombuError, amqp.AMQPError):
            self._abandon()
        self._connection = None

    def _open(self) -> None:
        self._consumers.clear()
        self._unconfirmed.clear()
        self._arrived.clear()
        self._held.clear()
        self._settled.clear()
        self._published = 0
        self._connection = connect(self.url)
        self._channel = self._connection.channel()
        declare(self._channel, self._quorum and supports_quorum_queues(self._connection))
        if self._server:
            self._channel.confirm_select()
            self._channel.events["basic_ack"].add(self._on_confirm)
            self._channel.events["basic_nack"].add(self._on_refusal)

    def _abandon(self) -> None:
        if self._connection is not None:
            self._connection.collect()
            self._connection = None

    def _on_confirm(self, tag: int, multiple: bool) -> None:
        confirmed = [t for t in self._unconfirmed if t <= tag] if multiple else [tag]
        self._arrived.extend(map(self._unconfirmed.pop, confirmed))

    def _on_refusal(self, tag: int, _multiple: bool) -> None:
        raise _ConnectionLostError(f"the broker could not take publication {tag}")

    def _acknowledge(self) -> None:
        settled, self._settled = self._settled, set()
        together = list(takewhile(settled.__contains__, self._held))
        if together:
            self._channel.basic_ack(together[-1], multiple=True)
        for tag in settled.difference(together):
            self._channel.basic_ack(tag)
        for tag in settled:
            del self._held[tag]

    def _wait_for_server(self, timeout: float) -> None:
        now = time.monotonic()
        if now >= self._heartbeat_due:
            self._connection.heartbeat_check()
            # The server may have asked for a shorter one.
            self._heartbeat_due = now + (self._connection.connection.heartbeat or HEARTBEAT) / 6
        self._acknowledge()
        connection = self._connection.connection
        connection.flush()
        if not connection.has_read_ahead:
            longest = min(timeout, self._heartbeat_due - now)
            ready, _, _ = select.select([connection.sock, self._self_pipe], [], [], max(longest, 0))
            time.sleep(max(0.0, self._returned + self.flush_interval - time.monotonic()) if ready else 0.0)
            self._returned = time.monotonic()
            self._self_pipe.drain()
            if connection.sock not in ready:
                return
        try:
            connection.read(READ_TIMEOUT)
        except TimeoutError as error:
            raise _ConnectionLostError("the broker fell silent in the middle of a frame") from error

    def _poll_embedded(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        self._channel.flush()
        self._arrived.extend(self._unconfirmed.values())
        self._unconfirmed.clear()
        while True:
            time.sleep(max(0.0, self._returned + self.flush_interval - time.monotonic()))
            woken = self._self_pipe.drain()
            with contextlib.suppress(TimeoutError):
                while self._consumers:
                    self._connection.drain_events(timeout=0)
            self._returned = time.monotonic()
            left = deadline - self._returned
            if woken or self._arrived or left <= 0:
                return
            select.select([self._self_pipe], [], [], min(max(POLL, self.flush_interval), left))
