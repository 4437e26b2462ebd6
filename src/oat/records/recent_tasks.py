"""The tasks that move: those recorded or finished last, those that are next, and some that are asked for."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa

from oat.records.lookup import in_batches
from oat.records.schema import fractals, outbox
from oat.records.states import Status


class TaskRow(NamedTuple):
    """The columns of a record that tell where its task is."""

    uuid: UUID
    status: Status
    attempts: int
    sent_at: datetime
    finished_at: datetime | None
    worker: str | None
    unpublished: bool
    """Whether the task is in the outbox."""


_COLUMNS = tuple(fractals.c[name] for name in TaskRow._fields if name in fractals.c)

_SELECT = sa.select(*_COLUMNS, outbox.c.uuid.is_not(None).label("unpublished")).outerjoin(
    outbox, outbox.c.uuid == fractals.c.uuid
)

_WAITING = _SELECT.where(fractals.c.status == Status.WAITING).limit(sa.bindparam("limit", type_=sa.Integer))

_QUERIES = (
    _WAITING.order_by(fractals.c.sent_at),
    _WAITING.order_by(fractals.c.sent_at.desc()),
    _SELECT.where(fractals.c.finished_at.is_not(None))
    .order_by(fractals.c.finished_at.desc())
    .limit(sa.bindparam("limit", type_=sa.Integer)),
)
"""Each reads one end of an index; built once, as building a query takes longer than running it."""


def recent_tasks(connection: sa.Connection, limit: int, also: Iterable[UUID]) -> list[TaskRow]:
    """Return the `limit` waiting tasks sent first, those sent last, those finished last, and the tasks `also`."""
    rows = {row.uuid: row for query in _QUERIES for row in connection.execute(query, {"limit": limit})}
    missing = sorted({str(uuid) for uuid in also} - rows.keys())
    for batch in in_batches(missing):
        rows |= {row.uuid: row for row in connection.execute(_SELECT.where(fractals.c.uuid.in_(batch)))}
    return [TaskRow(UUID(row[0]), Status(row[1]), *row[2:6], bool(row[6])) for row in rows.values()]
