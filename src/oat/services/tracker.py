"""The tracker: takes results and updates the records; sees to it that no task is forgotten."""

import logging
import threading
import time
from dataclasses import dataclass

from oat.messages import InvalidMessageError, Result, parse_result
from oat.messaging import RESULTS, TASKS, Broker, Delivery
from oat.process import notify_ready
from oat.records import Database
from oat.services import metrics, outbox
from oat.settings import Settings

log = logging.getLogger(__name__)

BATCH = 500
"""Results applied in one transaction at most."""

ENOUGH = 50
"""Results that make a transaction worth its while: of fewer, each costs much more."""

SHORTEST, LONGEST = 0.03, 0.3
"""Seconds between two transactions, at least, while results keep coming; as many as bring `ENOUGH` of them."""

FOR_FEW = 0.1
"""Seconds between two transactions where `LONGEST` would not bring `ENOUGH`."""

TRIES = 5
"""How often a result without a record is tried, a second apart, before it is a dead letter."""


@dataclass
class _Held:
    """A result in our hands."""

    delivery: Delivery
    result: Result
    tries: int = 0


def next_flush_interval(results: int, seconds: float) -> float:
    """Return the seconds until the next transaction, when `results` came in the last `seconds`."""
    if seconds > LONGEST:
        return SHORTEST  # nobody knows yet how many are coming
    enough_after = ENOUGH * seconds / results
    wanted = enough_after if enough_after < LONGEST else FOR_FEW
    # The few at the beginning of a flood, or at its end, don't tell how many are coming.
    return max(SHORTEST, min(wanted, 2 * seconds))


class Tracker:
    """Applies results until it is stopped."""

    def __init__(self, settings: Settings) -> None:
        self.stopping = threading.Event()
        self.broker = Broker(settings, self.stopping, SHORTEST)
        self.database = Database(settings.database_url, self.stopping)
        self.settings = settings
        self._arrived: list[_Held] = []
        self._orphans: list[_Held] = []
        self._orphans_due = 0.0
        self._applied_at = 0.0
        self._reconcile_due = 0.0

    def run(self) -> None:
        """Track until `stop` is called; what has arrived by then is applied."""
        self.database.prepare()
        self.broker.serve(self._session)
        self.database.close()

    def stop(self) -> None:
        """Have `run` return; may be called from any thread or signal handler."""
        self.stopping.set()
        self.broker.wake()

    def _session(self) -> None:
        # What an earlier connection delivered is delivered again: forget it.
        self._arrived.clear()
        self._orphans.clear()
        self.broker.consume(RESULTS, BATCH, self._take)
        notify_ready()
        while not self.stopping.is_set():
            # Looking after the house may have brought results as well: they don't wait for the next ones.
            self.broker.wait(0.0 if self._arrived else 1.0)
            self._apply()
            self._reconcile()
        self.broker.wait_for_confirms()

    def _take(self, delivery: Delivery) -> None:
        try:
            result = parse_result(delivery.body)
        except InvalidMessageError as error:
            self._dead_letter(delivery, str(error))
            return
        self._arrived.append(_Held(delivery, result))

    def _dead_letter(self, delivery: Delivery, reason: str) -> None:
        metrics.DEAD_LETTERED.inc()
        log.warning("refused a message that is no result of ours: %s", reason)
        self.broker.dead_letter(delivery.body, reason, lambda: self.broker.ack(delivery))

    def _apply(self) -> None:
        now = time.monotonic()
        batch, self._arrived = self._arrived, []
        if self._orphans and now >= self._orphans_due:
            batch, self._orphans = self._orphans + batch, []
        if not batch:
            return
        self.broker.flush_interval = next_flush_interval(len(batch), now - self._applied_at)
        self._applied_at = now
        for held in batch:
            log.info("processing result %s", held.result.uuid)
        unknown = self.database.apply([held.result for held in batch])
        for held in batch:
            if held.result.uuid not in unknown:
                _tell(held.result)
                metrics.TRACKED.labels("failed" if held.result.error else "done").inc()
                self.broker.ack(held.delivery)
            elif (tries := held.tries + 1) < TRIES:
                self._orphans.append(_Held(held.delivery, held.result, tries))
                self._orphans_due = now + 1
            else:
                self._dead_letter(held.delivery, f"there is no record of {held.result.uuid}")

    def _reconcile(self) -> None:
        """Publish what died before it was sent, and send again what was lost on the way."""
        now = time.monotonic()
        if now < self._reconcile_due:
            return
        self._reconcile_due = now + min(5.0, self.settings.resend_after, self.settings.lease)
        again, given_up = self.database.resend_lost(self.settings.resend_after, self._is_quiet())
        metrics.RESENT.inc(again)
        if again or given_up:
            log.warning("%d task(s) without an answer are sent again, %d given up", again, given_up)
        if count := outbox.publish_overdue(self.settings.lease, self.database, self.broker):
            log.info("published %d task(s) that nobody had sent", count)

    def _is_quiet(self) -> bool:
        """Whether no message waits, neither in a queue nor on its way to us."""
        # Results that RabbitMQ no longer counts, because it sends them to us, are here before its second answer.
        if self.broker.size(RESULTS) or self.broker.size(TASKS):
            return False
        self.broker.wait(0)
        return not self._arrived


def _tell(result: Result) -> None:
    if result.error is not None:
        log.info("failed: %s", result.error)
    else:
        log.info("elapsed time %f seconds", result.duration)
        log.info("checksum %s", result.checksum)
