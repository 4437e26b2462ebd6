"""Reconciling records with the queues: which waiting tasks were lost on their way, and are to be published again.

The database is the source of truth and the queue only transport, so a task without a result may have been lost
with its broker. This module decides when that is so, and when to give up: after `MAX_ATTEMPTS`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from oat.records.clock import LONG_AGO, TOLERANCE
from oat.records.lookup import BATCH_SIZE
from oat.records.schema import fractals, outbox
from oat.records.states import Status

MAX_ATTEMPTS = 10
"""How often a task is published before its record becomes `failed`, if none of these attempts has a result."""

OVERTAKEN_AFTER = 15
"""How many times `resend_after` ago a later task must have been done, for an earlier one to be taken to be lost.
At the default of a minute: an image that takes a quarter of an hour is not rendered twice while there is work
enough."""


def resend_timeout(resend_after: float, attempts: int) -> timedelta:
    """Return how long a task that was published `attempts` times may be without a result.

    Each attempt doubles the `resend_after` seconds, so that a slow image is not rendered over and over.
    """
    return timedelta(seconds=resend_after * 2.0 ** (attempts - 1))


def resend_lost(
    connection: sa.Connection, resend_after: float, queue_empty: bool, now: datetime
) -> tuple[int, int]:
    """Put up to `BATCH_SIZE` tasks that were lost into the outbox again: `Database.resend_lost`."""
    timeout = timedelta(seconds=resend_after)
    consumed_before = (
        now if queue_empty else connection.execute(_last_done(now - OVERTAKEN_AFTER * timeout)).scalar()
    )
    if consumed_before is None:
        return 0, 0
    resent = failed = 0
    for row in _waiting_since(connection, consumed_before - timeout):
        if row.sent_at + resend_timeout(resend_after, row.attempts) >= now:
            continue
        if row.attempts >= MAX_ATTEMPTS:
            error = f"published {MAX_ATTEMPTS} times without a result"
            failed += _update(connection, row, status=Status.FAILED, error=error, finished_at=now, sent_at=now)
        elif _update(connection, row, attempts=row.attempts + 1, sent_at=now):
            # The next service that looks for overdue tasks publishes it.
            connection.execute(outbox.insert().values(uuid=row.uuid, created_at=LONG_AGO))
            resent += 1
    return resent, failed


def correct_times(connection: sa.Connection, now: datetime) -> int:
    """Correct the times of records that are further in the future than `TOLERANCE`, and return how many were.

    They were written before a clock was set back. A task that waits counts as sent long ago, so that it is due at
    once; all other times become `now`, so that the newest records and the latest rates are right again.
    """
    future = now + TOLERANCE
    corrected = 0
    for status in Status:  # the indices begin with the state
        this = fractals.c.status == status
        sent_at = LONG_AGO if status == Status.WAITING else now
        for column, correction in ((fractals.c.sent_at, sent_at), (fractals.c.created_at, now)):
            update = fractals.update().where(this, column > future).values({column: correction})
            corrected += connection.execute(update).rowcount
    finished = fractals.update().where(fractals.c.finished_at > future).values(finished_at=now)
    return corrected + connection.execute(finished).rowcount


def _last_done(before: datetime) -> sa.Select[Any]:
    """Return the query for when the task was sent that was the last one to be done `before` that time.

    Only of tasks sent once: the result of another may belong to its first message, and its time is the last one's.
    """
    return (
        sa.select(fractals.c.sent_at)
        .where(fractals.c.finished_at < before, fractals.c.status == Status.DONE, fractals.c.attempts == 1)
        .order_by(fractals.c.finished_at.desc())
        .limit(1)
    )


def _waiting_since(connection: sa.Connection, before: datetime) -> Sequence[sa.Row[Any]]:
    """Return the oldest published tasks without a result sent `before` that time, sorted by UUID.

    Sorted, so that two trackers lock rows in the same order and do not deadlock.
    """
    query = (
        sa.select(fractals.c.uuid, fractals.c.attempts, fractals.c.sent_at)
        .outerjoin(outbox, outbox.c.uuid == fractals.c.uuid)
        .where(
            fractals.c.status == Status.WAITING,
            fractals.c.sent_at < before,
            outbox.c.uuid.is_(None),
        )
        .order_by(fractals.c.sent_at)
        .limit(BATCH_SIZE)
    )
    return sorted(connection.execute(query), key=lambda row: row.uuid)


def _update(connection: sa.Connection, row: sa.Row[Any], **values: Any) -> int:
    """Change the record of `row` and return 1, or 0 if it has changed since it was read.

    Another tracker may have stored a result, or be resending the same task: the one that moves `sent_at` resends
    it.
    """
    unchanged = (
        fractals.c.uuid == row.uuid,
        fractals.c.sent_at == row.sent_at,
        fractals.c.status == Status.WAITING,
    )
    return connection.execute(fractals.update().where(*unchanged).values(values)).rowcount
