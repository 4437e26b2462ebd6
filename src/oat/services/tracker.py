"""The tracker: takes results and updates the records; has tasks resent that were lost."""

import logging
import time
from dataclasses import dataclass

from oat.messages import InvalidMessageError, Result, parse_result
from oat.messaging import RESULTS, TASKS, Delivery
from oat.process import notify_ready
from oat.services import metrics, outbox
from oat.services.recent import Recent
from oat.services.recording_service import RecordingService
from oat.settings import Settings

log = logging.getLogger(__name__)

PREFETCH = 500
"""Results delivered before one is acknowledged, and so the largest batch of one transaction."""

EFFICIENT_BATCH = 50
"""Results that make a transaction worth its cost: of fewer, each costs much more."""

MIN_FLUSH_INTERVAL, MAX_FLUSH_INTERVAL = 0.03, 0.3
"""Seconds between two transactions while results keep coming: as many as bring `EFFICIENT_BATCH` of them."""

SLOW_FLUSH_INTERVAL = 0.1
"""Seconds between two transactions where `MAX_FLUSH_INTERVAL` would not bring `EFFICIENT_BATCH` results."""

MAX_ATTEMPTS = 5
"""Attempts to apply a result that has no record, before it is dead-lettered."""

RETRY_DELAY = 1.0
"""Seconds between two attempts to apply a result that has no record."""

MAX_RETRIED = PREFETCH // 2
"""Results without a record that are retried, at most: unacknowledged, they take from the prefetch of others."""

RECONCILE_INTERVAL = 5.0
"""Seconds between two searches for lost and for overdue tasks, at most."""

POLL_TIMEOUT = 1.0
"""Seconds to wait for results before looking for what else is due."""


@dataclass
class _Received:
    """An unacknowledged result."""

    delivery: Delivery
    result: Result
    attempts: int = 0


def next_flush_interval(results: int, seconds: float) -> float:
    """Return the seconds until the next transaction, when `results` came in the last `seconds`."""
    if seconds > MAX_FLUSH_INTERVAL:
        return MIN_FLUSH_INTERVAL  # after a pause, it is unknown how many are coming
    efficient_after = EFFICIENT_BATCH * seconds / results
    wanted = efficient_after if efficient_after < MAX_FLUSH_INTERVAL else SLOW_FLUSH_INTERVAL
    # The few at the beginning of many, or at their end, don't tell how many are coming.
    return max(MIN_FLUSH_INTERVAL, min(wanted, 2 * seconds))


class Tracker(RecordingService):
    """Applies results to the records until it is stopped; those received by then are applied."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, MIN_FLUSH_INTERVAL)
        self._received: list[_Received] = []
        self._orphaned: list[_Received] = []
        """Results without a record, to be tried again."""
        self._applied: Recent[None] = Recent(2 * PREFETCH)
        """Results whose acknowledgement may have been lost with a connection."""
        self._retry_due = 0.0
        self._applied_at = 0.0
        self._reconcile_due = 0.0

    def _session(self) -> None:
        # What an earlier connection delivered is delivered again: forget it.
        self._received.clear()
        self._orphaned.clear()
        self.broker.consume(RESULTS, PREFETCH, self._take)
        notify_ready()
        while not self.stopping.is_set():
            # Reconciling asks the broker, and results may have come with its answer: don't wait for more.
            self.broker.wait(0.0 if self._received else POLL_TIMEOUT)
            self._apply()
            self._reconcile()
        self.broker.wait_for_confirms()

    def _take(self, delivery: Delivery) -> None:
        if delivery.redelivered and delivery.body in self._applied:
            self.broker.ack(delivery)
            return
        try:
            result = parse_result(delivery.body)
        except InvalidMessageError as error:
            self._dead_letter(delivery, f"no valid result: {error}")
            return
        self._received.append(_Received(delivery, result))

    def _apply(self) -> None:
        """Apply the received results in one transaction, and acknowledge them."""
        now = time.monotonic()
        batch, self._received = self._received, []
        if self._orphaned and now >= self._retry_due:
            batch, self._orphaned = self._orphaned + batch, []
        if not batch:
            return
        self.broker.flush_interval = next_flush_interval(len(batch), now - self._applied_at)
        self._applied_at = now
        for each in batch:
            log.info("processing result %s", each.result.uuid)
        unknown = self.database.apply([each.result for each in batch])
        for each in batch:
            if each.result.uuid not in unknown:
                _report(each.result)
                self._applied.add(each.delivery.body, None)
                self.broker.ack(each.delivery)
            elif (attempts := each.attempts + 1) < MAX_ATTEMPTS and len(self._orphaned) < MAX_RETRIED:
                self._orphaned.append(_Received(each.delivery, each.result, attempts))
                self._retry_due = now + RETRY_DELAY
            else:
                self._dead_letter(each.delivery, f"there is no record of {each.result.uuid}")

    def _reconcile(self) -> None:
        """Have tasks resent that were lost on the way, and publish those that are overdue."""
        now = time.monotonic()
        if now < self._reconcile_due:
            return
        self._reconcile_due = now + min(RECONCILE_INTERVAL, self.settings.resend_after, self.settings.lease)
        if corrected := self.database.correct_times():
            log.warning(
                "%d time(s) of records were in the future, and are corrected: was a clock set back?", corrected
            )
        resent, given_up = self.database.resend_lost(self.settings.resend_after, self._queues_empty())
        metrics.RESENT.inc(resent)
        if resent or given_up:
            log.warning("%d task(s) without a result are sent again, %d given up", resent, given_up)
        outbox.publish_overdue(self.settings.lease, self.database, self.broker)

    def _queues_empty(self) -> bool:
        """Tell whether no task waits in its queue, and no result in its queue or on its way here."""
        # Results that RabbitMQ no longer counts, because it has delivered them, are here before its second answer.
        if self.broker.size(RESULTS) or self.broker.size(TASKS):
            return False
        self.broker.wait(0)
        return not self._received


def _report(result: Result) -> None:
    if result.error is not None:
        log.info("failed: %s", result.error)
    else:
        log.info("elapsed time %f seconds", result.duration)
        log.info("checksum %s", result.checksum)
    metrics.TRACKED.labels("failed" if result.error else "done").inc()
