"""The database: the record of each task, and what is still to be published.

With `schema` and `catalog`, the only module that knows SQLAlchemy.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError

from oat.messages import Result, Task
from oat.records.engine import is_permanent, make_engine
from oat.records.results import state_change, write
from oat.records.schema import DatabaseError, Status, fractals, migrate, outbox

log = logging.getLogger(__name__)

T = TypeVar("T")

LONGEST_PAUSE = 15.0
"""Seconds between two attempts at a transaction, once they have grown."""

BATCH_SIZE = 500
"""Rows named by key in one statement."""

MAX_ATTEMPTS = 10
"""How often a task that nobody answers is sent before its record becomes `failed`."""

LONG_AGO = 15
"""How many times `resend_after` a later task has been answered, until the earlier one's message is taken
to be lost: an image that takes a quarter of an hour shall not be rendered twice where there is enough to do."""


@dataclass(frozen=True, slots=True)
class Record:
    """What an audit has to know of a fractal."""

    uuid: UUID
    status: Status
    checksum: str | None
    error: str | None
    attempts: int
    sent_at: datetime
    unpublished: bool
    """Whether its task is still to be published."""


TASK_COLUMNS = [fractals.c[name] for name in Task.model_fields]


class Database:
    """The records, behind one connection pool.

    Every method is one transaction. One that meets a lost connection or a deadlock is tried again, with growing
    pauses, until `stopping` is set or `timeout` seconds have passed: a service waits for as long as it takes.

    Raises:
        SettingsError: the URL is none, or of a database without a driver here.
    """

    def __init__(self, url: str, stopping: threading.Event, timeout: float = math.inf) -> None:
        self.stopping = stopping
        self.timeout = timeout
        self._engine = make_engine(url)
        self.name = self._engine.url.render_as_string(hide_password=True)

    def prepare(self) -> None:
        """Create the tables, or upgrade those of an older version; several services may do so at once.

        Raises:
            DatabaseError: the tables are not ours, or of a newer version; the server refuses us.
        """
        self._run(migrate)

    def record(self, tasks: Sequence[Task]) -> None:
        """Record `tasks` as waiting, and that they are to be published."""
        now = utc_now()
        rows = [
            {**_row(task), "status": Status.WAITING, "attempts": 1, "created_at": now, "sent_at": now}
            for task in sorted(tasks, key=lambda task: str(task.uuid))
        ]

        def work(connection: sa.Connection) -> None:
            connection.execute(fractals.insert(), rows)
            connection.execute(outbox.insert(), [{"uuid": row["uuid"], "created_at": now} for row in rows])

        try:
            self._run(work)
        except IntegrityError:
            # Tried again because the answer to the commit was lost, the commit itself was not.
            if len(self.statuses(task.uuid for task in tasks)) < len(tasks):
                raise

    def overdue_tasks(self, lease: float, most: int = BATCH_SIZE) -> list[Task]:
        """Return up to `most` tasks that should have been published for more than `lease` seconds."""
        query = (
            sa.select(*TASK_COLUMNS)
            .join(outbox, outbox.c.uuid == fractals.c.uuid)
            .where(outbox.c.created_at < utc_now() - timedelta(seconds=lease))
            .limit(most)
        )
        return [_task(row) for row in self._read(lambda connection: connection.execute(query).mappings().all())]

    def mark_published(self, uuids: Iterable[UUID]) -> None:
        """Note that the tasks `uuids` have been published."""
        keys = sorted(map(str, uuids))

        def work(connection: sa.Connection) -> None:
            for chunk in _chunks(keys):
                connection.execute(outbox.delete().where(outbox.c.uuid.in_(chunk)))

        self._run(work)

    def apply(self, results: Sequence[Result]) -> set[UUID]:
        """Apply `results` to their records and return the UUIDs that have none."""
        by_key: dict[str, Result] = {}
        for result in results:
            if result.error is None or str(result.uuid) not in by_key:
                by_key[str(result.uuid)] = result

        def work(connection: sa.Connection) -> set[UUID]:
            known: dict[str, Status] = {}
            for chunk in _chunks(sorted(by_key)):
                query = sa.select(fractals.c.uuid, fractals.c.status).where(fractals.c.uuid.in_(chunk))
                known |= {key: Status(status) for key, status in connection.execute(query).all()}
            changes = [
                {"uuid": key, **change}
                for key in sorted(known)
                if (change := state_change(known[key], by_key[key])) is not None
            ]
            write(connection, changes, utc_now())
            return {UUID(key) for key in by_key.keys() - known.keys()}

        return self._run(work)

    def resend_lost(self, resend_after: float, queue_empty: bool, most: int = BATCH_SIZE) -> tuple[int, int]:
        """Note that tasks which nobody has answered are to be published once more.

        Each sending doubles the timeout, so that an image which takes long is not rendered over and over; after
        `MAX_ATTEMPTS` the record becomes `failed`.

        Args:
            resend_after: seconds without a result after which a task that was sent once is sent again.
            queue_empty: whether every task has been taken. While tasks wait, those before one that was answered
                have been: the queue keeps their order. Then the answer has to be `LONG_AGO`.
            most: how many to look at.

        Returns:
            How many are to be sent again, and how many were given up.
        """
        now = utc_now()
        timeout = timedelta(seconds=resend_after)
        # Where a task was sent twice, the answer may be to the first message, the time is the second's.
        last_answered = (
            sa.select(fractals.c.sent_at)
            .where(
                fractals.c.finished_at < now - LONG_AGO * timeout,
                fractals.c.status == Status.DONE,
                fractals.c.attempts == 1,
            )
            .order_by(fractals.c.finished_at.desc())
            .limit(1)
        )

        def work(connection: sa.Connection) -> tuple[int, int]:
            all_taken_before = now if queue_empty else connection.execute(last_answered).scalar()
            if all_taken_before is None:
                return 0, 0
            query = (
                sa.select(fractals.c.uuid, fractals.c.attempts, fractals.c.sent_at)
                .outerjoin(outbox, outbox.c.uuid == fractals.c.uuid)
                .where(
                    fractals.c.status == Status.WAITING,
                    fractals.c.sent_at < all_taken_before - timeout,
                    outbox.c.uuid.is_(None),
                )
                .order_by(fractals.c.sent_at)
                .limit(most)
            )
            overdue = [
                row
                for row in connection.execute(query)
                if row.sent_at + timedelta(seconds=resend_after * 2 ** (row.attempts - 1)) < now
            ]
            # Old enough to be taken over at once, by whoever publishes next.
            owed_since = datetime(1970, 1, 2)
            again = given_up = 0
            for row in sorted(overdue, key=lambda row: row.uuid):
                # Another tracker may be doing the same, or have an answer: who moves sent_at is the one who sends.
                ours = fractals.update().where(
                    fractals.c.uuid == row.uuid,
                    fractals.c.sent_at == row.sent_at,
                    fractals.c.status == Status.WAITING,
                )
                if row.attempts >= MAX_ATTEMPTS:
                    error = f"sent {MAX_ATTEMPTS} times, and nobody answered"
                    change = {"status": Status.FAILED, "error": error, "finished_at": now, "sent_at": now}
                    given_up += connection.execute(ours.values(change)).rowcount
                elif connection.execute(ours.values(attempts=row.attempts + 1, sent_at=now)).rowcount:
                    connection.execute(outbox.insert().values(uuid=row.uuid, created_at=owed_since))
                    again += 1
            return again, given_up

        return self._run(work)

    def statuses(self, uuids: Iterable[UUID]) -> dict[UUID, Status]:
        """Return the states of those of `uuids` that have a record."""
        by_key = {str(uuid): uuid for uuid in uuids}

        def work(connection: sa.Connection) -> dict[UUID, Status]:
            found: dict[UUID, Status] = {}
            for chunk in _chunks(sorted(by_key)):
                query = sa.select(fractals.c.uuid, fractals.c.status).where(fractals.c.uuid.in_(chunk))
                found |= {by_key[key]: Status(status) for key, status in connection.execute(query).all()}
            return found

        return self._read(work)

    def count(self) -> int:
        """Return how many records there are."""
        query = sa.select(sa.func.count()).select_from(fractals)
        return self._read(lambda connection: connection.execute(query).scalar_one())

    def orphaned_outbox_rows(self, most: int = BATCH_SIZE) -> list[str]:
        """Return the UUIDs of up to `most` tasks that are to be published and have no record."""
        query = sa.select(outbox.c.uuid).where(~sa.exists().where(fractals.c.uuid == outbox.c.uuid)).limit(most)
        return list(self._read(lambda connection: connection.execute(query).scalars().all()))

    def page(self, after: UUID | None, most: int = BATCH_SIZE) -> list[Record]:
        """Return the next `most` records behind `after`, or the first ones, in the order of their UUIDs."""
        columns = [fractals.c[name] for name in ("uuid", "status", "checksum", "error", "attempts", "sent_at")]
        unpublished = outbox.c.uuid.is_not(None).label("unpublished")
        query = sa.select(*columns, unpublished).outerjoin(outbox, outbox.c.uuid == fractals.c.uuid)
        if after is not None:
            query = query.where(fractals.c.uuid > str(after))
        query = query.order_by(fractals.c.uuid).limit(most)
        rows = self._read(lambda connection: connection.execute(query).mappings().all())
        return [Record(**{**row, "uuid": UUID(row["uuid"]), "status": Status(row["status"])}) for row in rows]

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work`, which changes nothing, beside whoever writes."""
        return self._run(work, reading=True)

    def _run(self, work: Callable[[sa.Connection], T], reading: bool = False) -> T:
        pause, deadline = 0.1, time.monotonic() + self.timeout
        while True:
            try:
                with self._engine.connect().execution_options(reading=reading) as connection, connection.begin():
                    return work(connection)
            except DBAPIError as error:
                reason = str(error.orig)
                if is_permanent(error):
                    raise DatabaseError(f"the database {self.name} refuses: {reason}") from error
                passing = isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated
                if not passing:
                    raise
                if self.stopping.is_set() or time.monotonic() + pause > deadline:
                    raise DatabaseError(f"the database {self.name} is not at hand: {reason}") from error
                log.warning(
                    "the database %s is not at hand (%s); trying again in %.1f seconds",
                    self.name, " ".join(reason.split()), pause,
                )  # fmt: skip
                self.stopping.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)


def utc_now() -> datetime:
    """Return the present moment as the records have it: UTC, without a time zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def _row(task: Task) -> dict[str, Any]:
    return {**task.model_dump(), "uuid": str(task.uuid)}


def _task(row: sa.RowMapping) -> Task:
    return Task.model_validate({**row, "uuid": UUID(row["uuid"])})


def _chunks(keys: list[str]) -> Iterable[list[str]]:
    return (keys[start : start + BATCH_SIZE] for start in range(0, len(keys), BATCH_SIZE))
