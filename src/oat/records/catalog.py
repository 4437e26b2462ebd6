"""The catalog: queries of the gallery and the API about the records; it cancels, retries and deletes them."""

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, NoReturn
from uuid import UUID

import sqlalchemy as sa

from oat.messages import Task
from oat.records import paging
from oat.records.database import Database
from oat.records.fractal import Fractal
from oat.records.lookup import BATCH_SIZE
from oat.records.paging import Cursor, Page
from oat.records.recent_tasks import TaskRow, recent_tasks
from oat.records.schema import fractals, outbox
from oat.records.states import RETRIED, Status

TIMEOUT = 5.0
"""Seconds until a request gets an error because the database is not available: nobody waits much longer."""

OVERLAP = timedelta(seconds=10)
"""How far news reach back: a record has the time at which its transaction began, and is visible when it is
committed."""


class NotFoundError(LookupError):
    """There is no record of this UUID."""


class ConflictError(Exception):
    """The record is in a state in which this cannot be done to it."""


class Finished(NamedTuple):
    """The columns that the statistics need of a record that is done or failed."""

    status: Status
    worker: str | None
    created_at: datetime
    finished_at: datetime


class Catalog(Database):
    """The records, for requests: a method raises `DatabaseError` if the database is not available in `TIMEOUT`."""

    def __init__(self, url: str) -> None:
        super().__init__(url, threading.Event(), TIMEOUT)

    def ping(self) -> None:
        """Raise `DatabaseError` if the database does not answer."""
        self._read(lambda connection: connection.execute(sa.select(1)))

    def get(self, uuid: UUID) -> Fractal:
        """Return the record of `uuid`.

        Raises:
            NotFoundError: there is none.
        """
        query = sa.select(fractals).where(fractals.c.uuid == str(uuid))
        row = self._read(lambda connection: connection.execute(query).mappings().one_or_none())
        if row is None:
            raise NotFoundError(f"there is no fractal {uuid}")
        return Fractal.from_row(row)

    def find(self, uuids: Sequence[UUID]) -> list[Fractal]:
        """Return the records of `uuids` that exist, in the same order."""
        query = sa.select(fractals).where(fractals.c.uuid.in_(list(map(str, uuids))))
        rows = self._read(lambda connection: connection.execute(query).mappings().all())
        found = {row["uuid"]: Fractal.from_row(row) for row in rows}
        return [found[str(uuid)] for uuid in uuids if str(uuid) in found]

    def browse(
        self, limit: int, status: Status | None = None, older: Cursor | None = None, newer: Cursor | None = None
    ) -> Page:
        """Return up to `limit` records, newest first: `paging.browse`."""
        return self._read(lambda connection: paging.browse(connection, limit, status, older, newer))

    def counts(self) -> dict[Status, int]:
        """Return how many records there are of each state."""
        query = sa.select(fractals.c.status, sa.func.count()).group_by(fractals.c.status)
        rows = self._read(lambda connection: connection.execute(query).all())
        return dict.fromkeys(Status, 0) | {Status(status): count for status, count in rows}

    def outbox_backlog(self) -> tuple[int, datetime | None]:
        """Return how many tasks are in the outbox, and since when the oldest is."""
        query = sa.select(sa.func.count(), sa.func.min(outbox.c.created_at))
        count, oldest = self._read(lambda connection: connection.execute(query).one())
        return count, oldest

    def finished(self, seconds: float, limit: int) -> list[Finished]:
        """Return the `limit` latest records that were done or failed in the last `seconds`, latest first."""
        columns = (fractals.c.status, fractals.c.worker, fractals.c.created_at, fractals.c.finished_at)

        def work(connection: sa.Connection) -> list[Finished]:
            since = self._clock.now(connection) - timedelta(seconds=seconds)
            query = (
                sa.select(*columns)
                .where(fractals.c.finished_at > since, fractals.c.status != Status.CANCELLED)
                .order_by(fractals.c.finished_at.desc())
                .limit(limit)
            )
            return [Finished(Status(row[0]), *row[1:]) for row in connection.execute(query).all()]

        return self._read(work)

    def news(self, since: datetime, limit: int) -> tuple[list[Fractal], datetime]:
        """Return the records created or finished after `since`, or shortly before, oldest first, and the time.

        Args:
            since: by the database's clock, such as the time that an earlier call returned.
            limit: how many of the created and of the finished ones; the latest.
        """

        def work(connection: sa.Connection) -> tuple[list[Fractal], datetime]:
            now = self._clock.now(connection)
            after = min(since, now) - OVERLAP  # the clock may have been set back
            created = sa.select(fractals).where(fractals.c.status == Status.WAITING, fractals.c.created_at > after)
            finished = sa.select(fractals).where(fractals.c.finished_at > after)
            queries = (
                created.order_by(fractals.c.created_at.desc()).limit(limit),
                finished.order_by(fractals.c.finished_at.desc()).limit(limit),
            )
            found = [Fractal.from_row(row) for query in queries for row in connection.execute(query).mappings()]
            return found, now

        found, now = self._read(work)
        return sorted(found, key=lambda fractal: fractal.finished_at or fractal.created_at), now

    def recent_tasks(self, limit: int, also: Iterable[UUID]) -> tuple[list[TaskRow], datetime]:
        """Return the tasks that moved last, are next, or are asked for, and the time: `recent_tasks`."""
        return self._read(lambda connection: (recent_tasks(connection, limit, also), self._clock.now(connection)))

    def cancel(self, uuid: UUID) -> None:
        """Set the waiting record `uuid` to `cancelled`, and take its task out of the outbox.

        Raises:
            NotFoundError: there is no such record.
            ConflictError: it is done or failed; nothing is changed in one that is cancelled already.
        """

        def work(connection: sa.Connection) -> None:
            if not _cancel(connection, [str(uuid)], self._clock.now(connection)):
                query = sa.select(fractals.c.status).where(fractals.c.uuid == str(uuid))
                if connection.execute(query).scalar_one_or_none() != Status.CANCELLED:
                    _raise_why_not(connection, uuid, "it can be cancelled while it is waiting")

        self._run(work)

    def cancel_all(self) -> int:
        """Set all waiting records to `cancelled`, as `cancel` does, and return how many there were.

        The oldest first, in transactions of `BATCH_SIZE`: what is recorded meanwhile may be cancelled or not.
        """
        query = (
            sa.select(fractals.c.uuid)
            .where(fractals.c.status == Status.WAITING)
            .order_by(fractals.c.created_at, fractals.c.uuid)
            .limit(BATCH_SIZE)
        )

        def work(connection: sa.Connection) -> tuple[int, int]:
            keys = connection.execute(query).scalars().all()
            return len(keys), _cancel(connection, sorted(keys), self._clock.now(connection))

        cancelled, found = 0, BATCH_SIZE
        while found == BATCH_SIZE:
            found, count = self._run(work)
            cancelled += count
        return cancelled

    def delete(self, uuid: UUID) -> None:
        """Delete the record of `uuid`.

        Raises:
            NotFoundError: there is none.
            ConflictError: it is waiting; the result of its task would find no record.
        """

        def work(connection: sa.Connection) -> None:
            finished = fractals.delete().where(fractals.c.uuid == str(uuid), fractals.c.status != Status.WAITING)
            if not connection.execute(finished).rowcount:
                _raise_why_not(connection, uuid, "it can be deleted once it is done, failed or cancelled")
            connection.execute(outbox.delete().where(outbox.c.uuid == str(uuid)))

        self._run(work)

    def retry(self, uuid: UUID, damaged: bool = False) -> Task:
        """Set the record `uuid` back to `waiting`, put its task into the outbox, and return it.

        Args:
            uuid: a record that has failed or was cancelled.
            damaged: whether its image is missing or has another checksum, so that it may also be done.

        Raises:
            NotFoundError: there is no such record.
            ConflictError: it is in another state.
        """
        states = [*RETRIED, Status.DONE] if damaged else [*RETRIED]

        def work(connection: sa.Connection) -> Task:
            now = self._clock.now(connection)
            this = fractals.c.uuid == str(uuid)
            change = {
                "status": Status.WAITING, "attempts": 1, "sent_at": now, "finished_at": None, "worker": None,
                "error": None, "duration": None, "checksum": None, "size": None,
            }  # fmt: skip
            update = fractals.update().where(this, fractals.c.status.in_(states)).values(change)
            if not connection.execute(update).rowcount:
                reason = "it can be retried if it failed, was cancelled, or its image is missing or damaged"
                _raise_why_not(connection, uuid, reason)
            connection.execute(outbox.delete().where(outbox.c.uuid == str(uuid)))
            connection.execute(outbox.insert().values(uuid=str(uuid), created_at=now))
            return Fractal.from_row(connection.execute(sa.select(fractals).where(this)).mappings().one()).task()

        return self._run(work)


def _cancel(connection: sa.Connection, keys: Sequence[str], now: datetime) -> int:
    """Set those of the records `keys`, which are sorted, to `cancelled` that are waiting; return how many were."""
    if not keys:
        return 0
    waiting = fractals.c.uuid.in_(keys), fractals.c.status == Status.WAITING
    change = {"status": Status.CANCELLED, "finished_at": now}
    cancelled = connection.execute(fractals.update().where(*waiting).values(change)).rowcount
    # Only of those that are cancelled now: a result or another transaction may have changed the others.
    now_cancelled = sa.select(fractals.c.uuid).where(
        fractals.c.uuid.in_(keys), fractals.c.status == Status.CANCELLED
    )
    connection.execute(outbox.delete().where(outbox.c.uuid.in_(connection.execute(now_cancelled).scalars().all())))
    return cancelled


def _raise_why_not(connection: sa.Connection, uuid: UUID, reason: str) -> NoReturn:
    """Raise `NotFoundError` if there is no record `uuid`, else `ConflictError` with its state and `reason`."""
    query = sa.select(fractals.c.status).where(fractals.c.uuid == str(uuid))
    status = connection.execute(query).scalar_one_or_none()
    if status is None:
        raise NotFoundError(f"there is no fractal {uuid}")
    raise ConflictError(f"fractal {uuid} is {status}; {reason}")
