"""The base of the services: a loop on a connection to the broker, which ends when the service is stopped."""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

from oat.messaging import DEAD_LETTERS, FLUSH_INTERVAL, Broker, Delivery
from oat.services import metrics
from oat.services.dead_letters import dead_letter_headers
from oat.settings import Settings

log = logging.getLogger(__name__)


class Service(ABC):
    """Runs its session on a connection to the broker, again on a new connection whenever that one is lost.

    Args:
        settings: the addresses of broker, database and store, and the timeouts.
        flush_interval: seconds between two reads from the connection, at least.
    """

    def __init__(self, settings: Settings, flush_interval: float = FLUSH_INTERVAL) -> None:
        self.settings = settings
        self.stopping = threading.Event()
        self.broker = Broker(settings, self.stopping, flush_interval)

    def run(self) -> None:
        """Work until `stop` is called.

        Raises:
            PermanentError: the broker cannot be used as the settings say.
        """
        self.broker.serve(self._session)

    def stop(self) -> None:
        """Have `run` return; may be called from any thread or signal handler."""
        self.stopping.set()
        self.broker.wake()

    @abstractmethod
    def _session(self) -> None:
        """Work on one connection until the service is stopped; a lost connection ends it with an exception."""

    def _dead_letter(self, delivery: Delivery, reason: str, on_confirm: Callable[[], None] | None = None) -> None:
        """Move a message to the dead-letter queue, and acknowledge it once the broker has confirmed that.

        Args:
            delivery: the message.
            reason: why it cannot be processed; sent along as a header, with its queue and the time.
            on_confirm: what to do once it is confirmed, instead of acknowledging the message.
        """
        log.warning("dead-lettered a message: %s", reason)
        metrics.DEAD_LETTERED.inc()
        headers = dead_letter_headers(delivery, reason)
        on_confirm = on_confirm or partial(self.broker.ack, delivery)
        self.broker.publish_raw(DEAD_LETTERS, delivery.body, headers, on_confirm)
