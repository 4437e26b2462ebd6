"""The database, as the services use it: the record of each task, and the outbox of those still to be published."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from oat.messages import Result, Task
from oat.records import reconcile
from oat.records.clock import TOLERANCE
from oat.records.lookup import BATCH_SIZE, in_batches, select_statuses
from oat.records.migrations import migrate
from oat.records.results import apply_results
from oat.records.schema import fractals, outbox
from oat.records.states import Status
from oat.records.transactions import Transactions


@dataclass(frozen=True, slots=True)
class Record:
    """The columns of a record that an audit compares."""

    uuid: UUID
    status: Status
    checksum: str | None
    error: str | None
    attempts: int
    created_at: datetime
    sent_at: datetime
    finished_at: datetime | None
    unpublished: bool
    """Whether its task is in the outbox."""


class Database(Transactions):
    """The records and the outbox; every method is one transaction.

    A service has no timeout: it waits for its database as long as it takes, until it is stopped.
    """

    def prepare(self) -> None:
        """Create the tables, or upgrade those of an older version; several services may do so at once.

        Raises:
            DatabaseError: the tables are not oat's, or of a newer version; the server refuses the connection.
        """
        self._run(migrate)

    def record(self, tasks: Sequence[Task]) -> None:
        """Record `tasks` as waiting and put them into the outbox."""
        rows: list[dict[str, Any]] = [
            {**task.model_dump(), "uuid": str(task.uuid), "status": Status.WAITING, "attempts": 1}
            for task in sorted(tasks, key=lambda task: str(task.uuid))
        ]

        def work(connection: sa.Connection) -> None:
            now = self._clock.now(connection)
            for row in rows:
                row["created_at"] = row["sent_at"] = now
            connection.execute(fractals.insert(), rows)
            connection.execute(outbox.insert(), [{"uuid": row["uuid"], "created_at": now} for row in rows])

        try:
            self._run(work)
        except IntegrityError:
            # The transaction was run again because the connection was lost after the commit, not before it.
            if len(self.statuses(task.uuid for task in tasks)) < len(tasks):
                raise

    def overdue_tasks(self, lease: float) -> list[Task]:
        """Return up to `BATCH_SIZE` tasks that have been in the outbox for more than `lease` seconds.

        A row from the future is from before a clock was set back: it may have been there for as long.
        """

        def work(connection: sa.Connection) -> Sequence[sa.RowMapping]:
            now = self._clock.now(connection)
            overdue = sa.or_(
                outbox.c.created_at < now - timedelta(seconds=lease), outbox.c.created_at > now + TOLERANCE
            )
            query = (
                sa.select(*(fractals.c[name] for name in Task.model_fields))
                .join(outbox, outbox.c.uuid == fractals.c.uuid)
                .where(overdue)
                .limit(BATCH_SIZE)
            )
            return connection.execute(query).mappings().all()

        return [Task.model_validate({**row, "uuid": UUID(row["uuid"])}) for row in self._read(work)]

    def mark_published(self, uuids: Iterable[UUID]) -> None:
        """Take the tasks `uuids` out of the outbox."""
        keys = sorted(map(str, uuids))

        def work(connection: sa.Connection) -> None:
            for batch in in_batches(keys):
                connection.execute(outbox.delete().where(outbox.c.uuid.in_(batch)))

        self._run(work)

    def apply(self, results: Sequence[Result]) -> set[UUID]:
        """Apply `results` to their records and return the UUIDs that have none."""
        return self._run(lambda connection: apply_results(connection, results, self._clock.now(connection)))

    def resend_lost(self, resend_after: float, queue_empty: bool) -> tuple[int, int]:
        """Put up to `BATCH_SIZE` published tasks that have no result, and were lost, into the outbox again.

        Args:
            resend_after: seconds without a result after which a task that was published once is resent; each
                attempt doubles it. After `MAX_ATTEMPTS` the record becomes `failed`.
            queue_empty: whether every task has been consumed. While tasks wait, only those are taken to be lost
                that were sent before one that is done, as the queue keeps their order, and only when that was long
                ago: `OVERTAKEN_AFTER`.

        Returns:
            How many are to be published again, and how many have failed.
        """
        return self._run(
            lambda connection: reconcile.resend_lost(
                connection, resend_after, queue_empty, self._clock.now(connection)
            )
        )

    def correct_times(self) -> int:
        """Correct times that lie in the future, and return how many: `reconcile.correct_times`."""
        return self._run(lambda connection: reconcile.correct_times(connection, self._clock.now(connection)))

    def statuses(self, uuids: Iterable[UUID]) -> dict[UUID, Status]:
        """Return the states of those of `uuids` that have a record."""
        by_key = {str(uuid): uuid for uuid in uuids}
        found = self._read(lambda connection: select_statuses(connection, sorted(by_key)))
        return {by_key[key]: status for key, status in found.items()}

    def count(self, status: Status | None = None) -> int:
        """Return how many records there are, or how many of this `status`."""
        query = sa.select(sa.func.count()).select_from(fractals)
        if status is not None:
            query = query.where(fractals.c.status == status)
        return self._read(lambda connection: connection.execute(query).scalar_one())

    def orphaned_outbox_rows(self) -> list[str]:
        """Return the UUIDs of up to `BATCH_SIZE` tasks in the outbox that have no record."""
        recorded = sa.exists().where(fractals.c.uuid == outbox.c.uuid)
        query = sa.select(outbox.c.uuid).where(~recorded).limit(BATCH_SIZE)
        return list(self._read(lambda connection: connection.execute(query).scalars().all()))

    def page(self, after: UUID | None) -> list[Record]:
        """Return the next `BATCH_SIZE` records after the UUID `after`, or the first ones, ordered by UUID."""
        names = [field.name for field in fields(Record) if field.name in fractals.c]
        columns = [fractals.c[name] for name in names]
        unpublished = outbox.c.uuid.is_not(None).label("unpublished")
        query = sa.select(*columns, unpublished).outerjoin(outbox, outbox.c.uuid == fractals.c.uuid)
        if after is not None:
            query = query.where(fractals.c.uuid > str(after))
        query = query.order_by(fractals.c.uuid).limit(BATCH_SIZE)
        rows = self._read(lambda connection: connection.execute(query).mappings().all())
        return [Record(**{**row, "uuid": UUID(row["uuid"]), "status": Status(row["status"])}) for row in rows]
