"""The catalog: what people ask of the records. Lists, counts, and a person's retry or delete."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa

from oat.messages import Task
from oat.records import paging
from oat.records.database import Database, utc_now
from oat.records.fractal import Fractal
from oat.records.paging import Cursor, Page
from oat.records.schema import Status, fractals, outbox

TIMEOUT = 5.0
"""Seconds a person waits for the database before being told that it is not at hand."""


class NotFoundError(LookupError):
    """There is no record of this UUID."""


class ConflictError(Exception):
    """The record is in a state in which this cannot be done to it."""


class Finished(NamedTuple):
    """What the statistics want to know of a task that is done or failed."""

    status: Status
    worker: str | None
    created_at: datetime
    finished_at: datetime


class Catalog(Database):
    """The records, for people: every method answers within seconds or raises `DatabaseError`."""

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
        return Fractal.of(row)

    def find(self, uuids: Sequence[UUID]) -> list[Fractal]:
        """Return the records of `uuids`, in their order, those that exist."""
        query = sa.select(fractals).where(fractals.c.uuid.in_(list(map(str, uuids))))
        rows = self._read(lambda connection: connection.execute(query).mappings().all())
        found = {row["uuid"]: Fractal.of(row) for row in rows}
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
        """Return how many tasks are still to be published, and since when the oldest is."""
        query = sa.select(sa.func.count(), sa.func.min(outbox.c.created_at))
        count, oldest = self._read(lambda connection: connection.execute(query).one())
        return count, oldest

    def finished(self, seconds: float, most: int) -> list[Finished]:
        """Return what was done or failed in the last `seconds`, the `most` latest of it, latest first."""
        since = utc_now() - timedelta(seconds=seconds)
        columns = (fractals.c.status, fractals.c.worker, fractals.c.created_at, fractals.c.finished_at)
        query = (
            sa.select(*columns)
            .where(fractals.c.finished_at > since)
            .order_by(fractals.c.finished_at.desc())
            .limit(most)
        )
        rows = self._read(lambda connection: connection.execute(query).all())
        return [Finished(Status(row[0]), *row[1:]) for row in rows]

    def news(self, since: datetime, most: int) -> list[Fractal]:
        """Return what was recorded or finished after `since`, the `most` latest of both, oldest first."""
        recorded = sa.select(fractals).where(
            fractals.c.status == Status.WAITING, fractals.c.created_at > since
        )  # fmt: skip
        finished = sa.select(fractals).where(fractals.c.finished_at > since)

        def work(connection: sa.Connection) -> list[Fractal]:
            queries = (
                recorded.order_by(fractals.c.created_at.desc()).limit(most),
                finished.order_by(fractals.c.finished_at.desc()).limit(most),
            )
            return [Fractal.of(row) for query in queries for row in connection.execute(query).mappings()]

        return sorted(self._read(work), key=lambda fractal: fractal.finished_at or fractal.created_at)

    def delete(self, uuid: UUID) -> None:
        """Delete the record of `uuid`.

        Raises:
            NotFoundError: there is none.
            ConflictError: its task is still on the way, and its result would find no record.
        """

        def work(connection: sa.Connection) -> None:
            ours = fractals.c.uuid == str(uuid)
            if not connection.execute(
                fractals.delete().where(ours, fractals.c.status != Status.WAITING)
            ).rowcount:  # fmt: skip
                self._explain(connection, uuid, "it is waiting to be rendered: it can be deleted afterwards")
            connection.execute(outbox.delete().where(outbox.c.uuid == str(uuid)))

        self._run(work)

    def retry(self, uuid: UUID, damaged: bool = False) -> Task:
        """Have the task `uuid` wait again, and note that it is to be published.

        Args:
            uuid: one that has failed.
            damaged: whether its image is missing or another one, so that it may also be done.

        Raises:
            NotFoundError: there is no such record.
            ConflictError: it is in another state.
        """
        moment = utc_now()
        states = [Status.FAILED, Status.DONE] if damaged else [Status.FAILED]

        def work(connection: sa.Connection) -> Task:
            ours = fractals.c.uuid == str(uuid)
            change = {
                "status": Status.WAITING, "attempts": 1, "sent_at": moment, "finished_at": None, "worker": None,
                "error": None, "duration": None, "checksum": None, "size": None,
            }  # fmt: skip
            if not connection.execute(
                fractals.update().where(ours, fractals.c.status.in_(states)).values(change)
            ).rowcount:  # fmt: skip
                self._explain(connection, uuid, "only what has failed, or has no good image, can be sent again")
            connection.execute(outbox.delete().where(outbox.c.uuid == str(uuid)))
            connection.execute(outbox.insert().values(uuid=str(uuid), created_at=moment))
            return Fractal.of(connection.execute(sa.select(fractals).where(ours)).mappings().one()).task()

        return self._run(work)

    def _explain(self, connection: sa.Connection, uuid: UUID, reason: str) -> None:
        query = sa.select(fractals.c.status).where(fractals.c.uuid == str(uuid))
        status = connection.execute(query).scalar_one_or_none()
        if status is None:
            raise NotFoundError(f"there is no fractal {uuid}")
        raise ConflictError(f"fractal {uuid} is {status}; {reason}")
