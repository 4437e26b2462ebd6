"""The catalog: what people ask of the records. Lists, counts, and a person's retry or delete.

Pages are found by key, never by counting rows: the hundredth page costs what the first one does.
"""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self
from uuid import UUID

import sqlalchemy as sa
from pydantic import AwareDatetime, BaseModel, Field

from oat.database import Database
from oat.messages import Task
from oat.schema import Status, fractals, outbox

PATIENCE = 5.0
"""Seconds a person waits for the database before being told that it is not at hand."""


CURSOR = r"^[0-9]{1,16}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
"""What a `Cursor` looks like as text: microseconds since 1970, and a UUID."""

EPOCH = datetime(1970, 1, 1)


class NotFoundError(LookupError):
    """There is no record of this UUID."""


class ConflictError(Exception):
    """The record is in a state in which this cannot be done to it."""


class Fractal(BaseModel):
    """The record of a task."""

    uuid: UUID
    status: Status
    width: int = Field(description="Pixels across.")
    height: int = Field(description="Pixels down.")
    iterations: int = Field(description="After how many steps an orbit is taken to stay.")
    xa: float = Field(description="The real part at the left edge.")
    xb: float = Field(description="The real part at the right edge.")
    ya: float = Field(description="The imaginary part at the top edge.")
    yb: float = Field(description="The imaginary part at the bottom edge.")
    cx: float = Field(description="The real part of c.")
    cy: float = Field(description="The imaginary part of c.")
    duration: float | None = Field(description="Seconds spent on rendering.")
    checksum: str | None = Field(description="SHA-256 of the PNG file, hexadecimal.")
    size: int | None = Field(description="Bytes of the PNG file.")
    worker: str | None = Field(description="The host that rendered it.")
    error: str | None = Field(description="Why there is no image.")
    sendings: int = Field(description="How often its task was handed to the broker.")
    created_at: AwareDatetime
    sent_at: AwareDatetime
    finished_at: AwareDatetime | None

    def task(self) -> Task:
        """The task that it is the record of."""
        return Task.model_validate(self.model_dump(include=set(Task.model_fields)))


class Cursor(NamedTuple):
    """A place in the order of the records: that of one record, whether it still exists or not."""

    created_at: datetime
    uuid: UUID

    @classmethod
    def of(cls, fractal: Fractal) -> Self:
        """The place of `fractal`."""
        return cls(fractal.created_at.replace(tzinfo=None), fractal.uuid)

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """Read what `str` wrote, known to match `CURSOR`; no text is no place."""
        if text is None:
            return None
        microseconds, _, uuid = text.partition("_")
        return cls(EPOCH + timedelta(microseconds=int(microseconds)), UUID(uuid))

    def __str__(self) -> str:
        return f"{(self.created_at - EPOCH) // timedelta(microseconds=1)}_{self.uuid}"


class Page(NamedTuple):
    """Some records, newest first, and where the ones before and after them are."""

    fractals: list[Fractal]
    newer: Cursor | None
    older: Cursor | None


class Finished(NamedTuple):
    """What the statistics want to know of a task that is done or failed."""

    status: Status
    worker: str | None
    created_at: datetime
    finished_at: datetime


class Catalog(Database):
    """The records, for people: every method answers within seconds or raises `DatabaseError`."""

    def __init__(self, url: str) -> None:
        super().__init__(url, threading.Event(), PATIENCE)

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
        return _fractal(row)

    def find(self, uuids: Sequence[UUID]) -> list[Fractal]:
        """Return the records of `uuids`, in their order, those that exist."""
        query = sa.select(fractals).where(fractals.c.uuid.in_(list(map(str, uuids))))
        rows = self._read(lambda connection: connection.execute(query).mappings().all())
        found = {row["uuid"]: _fractal(row) for row in rows}
        return [found[str(uuid)] for uuid in uuids if str(uuid) in found]

    def browse(
        self, limit: int, status: Status | None = None, older: Cursor | None = None, newer: Cursor | None = None
    ) -> Page:
        """Return up to `limit` records, newest first.

        Args:
            limit: at least 1.
            status: only those of this state.
            older: only those before this place.
            newer: only those after this place, the ones next to it; counts only without `older`.
        """
        place, ascending = (newer, True) if newer and not older else (older, False)

        def work(connection: sa.Connection) -> list[Fractal]:
            found: list[Fractal] = []
            for state in Status if status is None else [status]:
                found += _next(connection, state, place, ascending, limit + 1)
            return sorted(found, key=Cursor.of, reverse=not ascending)

        found = self._read(work)
        more = len(found) > limit
        if ascending:
            if not more:  # the start is near: show all of the first page
                return self.browse(limit, status)
            shown = found[limit - 1 :: -1]
            return Page(shown, Cursor.of(shown[0]), Cursor.of(shown[-1]))
        shown = found[:limit]
        return Page(
            shown,
            Cursor.of(shown[0]) if place and shown else None,
            Cursor.of(shown[-1]) if more else None,
        )

    def counts(self) -> dict[Status, int]:
        """Return how many records there are of each state."""
        query = sa.select(fractals.c.status, sa.func.count()).group_by(fractals.c.status)
        rows = self._read(lambda connection: connection.execute(query).all())
        return dict.fromkeys(Status, 0) | {Status(status): count for status, count in rows}

    def unsent(self) -> tuple[int, datetime | None]:
        """Return how many tasks are still to be published, and since when the oldest is."""
        query = sa.select(sa.func.count(), sa.func.min(outbox.c.created_at))
        count, oldest = self._read(lambda connection: connection.execute(query).one())
        return count, oldest

    def finished(self, seconds: float, most: int) -> list[Finished]:
        """Return what was done or failed in the last `seconds`, the `most` latest of it, latest first."""
        since = now() - timedelta(seconds=seconds)
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
            return [_fractal(row) for query in queries for row in connection.execute(query).mappings()]

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
        moment = now()
        states = [Status.FAILED, Status.DONE] if damaged else [Status.FAILED]

        def work(connection: sa.Connection) -> Task:
            ours = fractals.c.uuid == str(uuid)
            change = {
                "status": Status.WAITING, "sendings": 1, "sent_at": moment, "finished_at": None, "worker": None,
                "error": None, "duration": None, "checksum": None, "size": None,
            }  # fmt: skip
            if not connection.execute(
                fractals.update().where(ours, fractals.c.status.in_(states)).values(change)
            ).rowcount:  # fmt: skip
                self._explain(connection, uuid, "only what has failed, or has no good image, can be sent again")
            connection.execute(outbox.delete().where(outbox.c.uuid == str(uuid)))
            connection.execute(outbox.insert().values(uuid=str(uuid), created_at=moment))
            return _fractal(connection.execute(sa.select(fractals).where(ours)).mappings().one()).task()

        return self._run(work)

    def _explain(self, connection: sa.Connection, uuid: UUID, reason: str) -> None:
        query = sa.select(fractals.c.status).where(fractals.c.uuid == str(uuid))
        status = connection.execute(query).scalar_one_or_none()
        if status is None:
            raise NotFoundError(f"there is no fractal {uuid}")
        raise ConflictError(f"fractal {uuid} is {status}; {reason}")


def now() -> datetime:
    """The present moment as the records have it: UTC, without a time zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def _stretches(ascending: bool) -> tuple[sa.Select[Any], sa.Select[Any], sa.Select[Any]]:
    """Return the queries for the records of one state: from the start, and the two that follow a place.

    A whole set of tasks is recorded at one moment, so first come those of the moment of the place, ordered by
    UUID, and then the rest. (One query for both, by a row value or an OR, is a full scan on some database.)
    """
    created_at, uuid = fractals.c.created_at, fractals.c.uuid
    order = (created_at, uuid) if ascending else (created_at.desc(), uuid.desc())
    moment: sa.BindParameter[datetime] = sa.bindparam("moment")
    key: sa.BindParameter[str] = sa.bindparam("key")
    start = sa.select(fractals).where(fractals.c.status == sa.bindparam("state"))
    start = start.order_by(*order).limit(sa.bindparam("most", type_=sa.Integer))
    return (
        start,
        start.where(created_at == moment, uuid > key if ascending else uuid < key),
        start.where(created_at > moment if ascending else created_at < moment),
    )


_STRETCHES = {ascending: _stretches(ascending) for ascending in (True, False)}
"""Made once: putting a query together takes longer than running it."""


def _next(
    connection: sa.Connection, status: Status, place: Cursor | None, ascending: bool, limit: int
) -> list[Fractal]:
    """Return up to `limit` records of one state that follow `place`."""
    start, *following = _STRETCHES[ascending]
    values: dict[str, Any] = {"state": status}
    if place is not None:
        values |= {"moment": place.created_at, "key": str(place.uuid)}
    found: list[Fractal] = []
    for query in following if place else [start]:
        if left := limit - len(found):
            found += map(_fractal, connection.execute(query, values | {"most": left}).mappings())
    return found


def _fractal(row: sa.RowMapping) -> Fractal:
    times = {
        name: moment and moment.replace(tzinfo=UTC)
        for name in ("created_at", "sent_at", "finished_at")
        for moment in [row[name]]
    }
    return Fractal.model_validate({**row, **times})
