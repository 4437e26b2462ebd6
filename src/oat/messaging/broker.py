"""The broker: one connection of a service, on which it publishes with confirms and consumes with acks.

A connection belongs to one thread. Only that thread calls the methods of its `Broker`; others may only `wake` it.
"""

import contextlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any
from uuid import uuid4

import amqp
from kombu.exceptions import KombuError

from oat.addresses import parse_broker
from oat.messaging import connection, embedded
from oat.messaging.confirms import Confirms
from oat.messaging.connection import PERMANENT_ERRORS, READ_TIMEOUT, BrokerError, ConnectionLostError
from oat.messaging.deliveries import Acknowledgements, Delivery, count_redeliveries
from oat.messaging.progress import ProgressReports, progress_reports
from oat.messaging.self_pipe import SelfPipe
from oat.process import exponential_backoff
from oat.settings import Settings

FLUSH_INTERVAL = 0.03
"""Seconds between two reads of the connection, at least, while messages keep coming: so each reads many."""

POLL_INTERVAL = 0.02
"""Seconds between two polls of the embedded broker's folder, at least, where its `FolderWatch` notices nothing."""

MIN_PAUSE, MAX_PAUSE = 0.5, 15.0
"""Seconds between the first two attempts to connect, and between two at most: a restart takes a while."""

CLOSE_TIMEOUT = 2.0
"""Seconds for each of the broker's last two replies, the confirms and the close; a service ends within five."""

log = logging.getLogger(__name__)


class Broker:
    """One connection to the broker, opened again whenever it is lost.

    Args:
        settings: `broker_url` and what else is about the broker.
        stopping: once it is set, a lost connection is not opened again, unless `serve` is told otherwise.
        flush_interval: seconds between two reads of the connection, at least, while messages keep coming.
    """

    def __init__(
        self, settings: Settings, stopping: threading.Event, flush_interval: float = FLUSH_INTERVAL
    ) -> None:
        self.address = parse_broker(settings.broker_url)
        self.stopping = stopping
        self.flush_interval = flush_interval
        self._is_rabbitmq = self.address.folder is None
        self._quorum = self._is_rabbitmq and settings.queue_type == "quorum"
        self.ack_timeout = settings.ack_timeout if self._is_rabbitmq else math.inf
        """Seconds a delivery may stay unacknowledged; the embedded broker has no limit."""
        self._self_pipe = SelfPipe()
        self._received: deque[Callable[[], None]] = deque()
        """Calls of `on_message` and `on_confirm` that the next `wait` makes."""
        self._read_at = self._heartbeat_due = 0.0
        self._connection: Any = None
        self._channel: Any = None
        self._consumers: list[str] = []
        self._confirms = Confirms()
        self._acknowledgements = Acknowledgements(None)
        self.progress: ProgressReports
        """Progress reports on this connection; there are some once it is open."""

    def serve(self, session: Callable[[], None], has_unfinished: Callable[[], bool] = lambda: False) -> None:
        """Run `session` on a connection, again on a new one whenever that is lost, until it returns.

        A stopping service gets another one only while `has_unfinished`: it has something to publish.

        Raises:
            BrokerError: the broker refuses the first connection, or has the queues with other properties.
        """
        pauses, pause, connected_once = exponential_backoff(MIN_PAUSE, MAX_PAUSE), 0.0, False
        while not self.stopping.is_set() or has_unfinished():
            connected_at = math.inf
            try:
                self._open()
                connected_at, connected_once = time.monotonic(), True
                session()
                self.close()
                return
            except (*PERMANENT_ERRORS, OSError, KombuError, amqp.AMQPError, ConnectionLostError) as error:
                if isinstance(error, PERMANENT_ERRORS) and not connected_once:
                    raise BrokerError(f"the broker {self.address.name} refuses: {error}") from error
                reason = error
            self._abandon()
            if time.monotonic() - connected_at > pause:  # not where it fails as soon as it is open
                pauses = exponential_backoff(MIN_PAUSE, MAX_PAUSE)
            pause, what = next(pauses), "lost" if connected_once else "cannot reach"
            log.warning(
                "%s the broker %s (%s); trying again in %.1f seconds",
                what, self.address.name, reason or type(reason).__name__, pause,
            )  # fmt: skip
            if self.stopping.wait(pause) and has_unfinished():
                self._self_pipe.wait(pause)  # until an image is finished
                self._self_pipe.drain()

    @property
    def embedded_channel(self) -> embedded.Channel | None:
        """The channel to the embedded broker; None on RabbitMQ."""
        return None if self._is_rabbitmq else self._channel

    def new_channel(self) -> Any:
        """Return another channel of the connection."""
        return self._connection.channel()

    def wake(self) -> None:
        """End the connection thread's `wait`; may be called from any thread or signal handler."""
        self._self_pipe.wake()

    def consume(self, queue: str, prefetch: int, on_message: Callable[[Delivery], None]) -> None:
        """Consume `queue`: `wait` calls `on_message`, with up to `prefetch` messages unacknowledged at a time."""
        self._channel.basic_qos(0, prefetch, False)

        def deliver(message: Any) -> None:
            tag, headers = message.delivery_tag, message.headers or {}
            redelivered = message.delivery_info.get("redelivered", False)
            if self._is_rabbitmq:
                self._acknowledgements.delivered(tag)
            delivery = Delivery(message.body, tag, count_redeliveries(headers), redelivered, queue, headers)
            self._received.append(partial(on_message, delivery))

        # A new tag each time: quorum queues of RabbitMQ 3.10 mistake one that is used again for the cancelled one.
        self._consumers.append(f"oat-{queue}-{uuid4()}")
        self._channel.basic_consume(queue=queue, no_ack=False, callback=deliver, consumer_tag=self._consumers[-1])

    def cancel(self) -> None:
        """Stop consuming; what was delivered is still to be acknowledged or requeued."""
        while self._consumers:
            self._channel.basic_cancel(self._consumers.pop(), **({"nowait": True} if self._is_rabbitmq else {}))

    def ack(self, delivery: Delivery) -> None:
        """Acknowledge `delivery`: the broker may forget it. RabbitMQ is told by the next `wait`."""
        if self._is_rabbitmq:
            self._acknowledgements.ack(delivery.tag)
        else:
            self._channel.basic_ack(delivery.tag)

    def requeue(self, delivery: Delivery) -> None:
        """Return `delivery` to its queue, for any consumer."""
        if self._is_rabbitmq:
            self._acknowledgements.requeue(delivery.tag)
        else:
            self._channel.basic_reject(delivery.tag, requeue=True)

    def publish(self, exchange: str, body: bytes, on_confirm: Callable[[], None]) -> None:
        """Publish the JSON document `body` to `exchange`; a later `wait` calls `on_confirm`, once it is stored.

        Args:
            exchange: one of `QUEUES`, which also is the routing key.
            body: what a `to_json` returned.
            on_confirm: not called if the connection is lost before the broker's confirm.
        """
        self._confirms.published(on_confirm)
        self._channel.publish(exchange, body)

    def publish_all(
        self, exchange: str, bodies: Iterable[bytes], on_confirm: Callable[[bytes], None] = lambda _: None
    ) -> None:
        """Publish `bodies` to `exchange`, call `on_confirm` for each that is stored, and wait for all of them."""
        for body in bodies:
            self.publish(exchange, body, partial(on_confirm, body))
        self.wait_for_all_confirms()

    def publish_raw(
        self, exchange: str, body: bytes | str, headers: Mapping[str, Any], on_confirm: Callable[[], None]
    ) -> None:
        """Publish `body`, whatever was received, to `exchange`, with `headers`."""
        kind = None, "application/json", "utf-8" if isinstance(body, str) else "binary"
        message = self._channel.prepare_message(body, *kind, dict(headers), {"delivery_mode": 2})
        self._confirms.published(on_confirm)
        self._channel.basic_publish(message, exchange=exchange, routing_key=exchange, mandatory=True)

    def wait_for_all_confirms(self) -> None:
        """Wait until the broker has confirmed all that was published, or raise `ConnectionLostError`."""
        started = time.monotonic()
        while self._confirms or self._received:
            self.wait(1.0)
            if time.monotonic() > started + (timeout := CLOSE_TIMEOUT if self.stopping.is_set() else READ_TIMEOUT):
                raise ConnectionLostError(
                    f"{len(self._confirms)} messages were not confirmed in {timeout:g} seconds"
                )

    def wait_for_confirms(self) -> None:
        """Wait for the missing confirms before closing, but `CLOSE_TIMEOUT` at most."""
        deadline = time.monotonic() + CLOSE_TIMEOUT
        while (self._confirms or self._received) and (left := deadline - time.monotonic()) > 0:
            self.wait(left)

    def size(self, queue: str) -> int:
        """Return how many messages of `queue` are ready, the unacknowledged ones not counted."""
        return int(self._channel.queue_declare(queue, passive=True).message_count)

    def wait(self, timeout: float) -> None:
        """Call `on_message` and `on_confirm` for what was received; if nothing was, wait up to `timeout` for it.

        It also returns after a `wake`. Nothing else calls these functions: what is received along with the reply
        to a synchronous method, such as that of `size`, is kept for the next `wait`.
        """
        if not self._received:
            if self._is_rabbitmq:
                self._wait_for_rabbitmq(timeout)
            else:
                self._poll_embedded(timeout)
        while self._received:
            self._received.popleft()()

    def close(self) -> None:
        """Close the connection; unacknowledged deliveries return to their queue."""
        if self._connection is None:
            return
        try:
            if self._is_rabbitmq:
                self._acknowledgements.send()
                self._connection.connection.sock.settimeout(CLOSE_TIMEOUT)
            self._connection.close()
        except (OSError, KombuError, amqp.AMQPError):
            self._abandon()
        self._connection = None

    def _open(self) -> None:
        """Open a connection, declare the queues, and forget the deliveries and messages of the last connection."""
        self._received.clear()
        self._connection = connection.connect(self.address)
        self._channel = connection.open_channel(self._connection, self.address, self._quorum)
        self._consumers = []
        self._confirms = Confirms()
        self._acknowledgements = Acknowledgements(self._channel)
        self.progress = progress_reports(self._connection, self.address.folder)
        if self._is_rabbitmq:
            self._channel.confirm_select()
            self._channel.events["basic_ack"].add(self._on_confirm)
            self._channel.events["basic_nack"].add(self._on_nack)

    def _abandon(self) -> None:
        """Drop the connection without a word to the broker, which may not reply."""
        if self._connection is not None:
            self._connection.collect()
            self._connection = None

    def _on_confirm(self, tag: int, multiple: bool) -> None:
        self._received.extend(self._confirms.confirmed(tag, multiple))

    def _on_nack(self, tag: int, _multiple: bool) -> None:
        raise ConnectionLostError(f"the broker could not store message {tag}")

    def _wait_for_rabbitmq(self, timeout: float) -> None:
        connection, now = self._connection.connection, time.monotonic()
        if now >= self._heartbeat_due:
            self._connection.heartbeat_check()
            self._heartbeat_due = now + connection.heartbeat_check_interval
        self._acknowledgements.send()
        connection.flush()
        if not connection.has_buffered_input:
            timeout = min(timeout, self._heartbeat_due - now)
            ready, readable = self._self_pipe.wait(timeout, connection.sock)
            if ready:
                self._pause_between_reads()
            self._read_at = time.monotonic()
            self._self_pipe.drain()
            if not readable:
                return
        try:
            connection.read(READ_TIMEOUT)
        except TimeoutError as error:
            raise ConnectionLostError("the broker stopped sending in the middle of a frame") from error

    def _poll_embedded(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        self._channel.flush()
        self._received.extend(self._confirms.all_confirmed())
        while True:
            self._pause_between_reads()
            woken, changed = self._self_pipe.drain(), self._channel.watch.drain()
            with contextlib.suppress(TimeoutError):
                while self._consumers:
                    self._connection.drain_events(timeout=0)
            now = time.monotonic()
            if woken or changed or self._received:
                self._read_at = now
            if woken or self._received or now >= deadline:
                return
            interval = min(max(POLL_INTERVAL, self.flush_interval), deadline - now)
            self._self_pipe.wait(interval, self._channel.watch.file)

    def _pause_between_reads(self) -> None:
        """Sleep until `flush_interval` has passed since the last read."""
        time.sleep(max(0.0, self._read_at + self.flush_interval - time.monotonic()))
