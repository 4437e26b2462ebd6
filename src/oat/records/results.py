"""What a result does to a record, as a rule and as SQL."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from oat.messages import Result
from oat.records.schema import Status, fractals

COLUMNS = ("status", "duration", "checksum", "size", "worker", "error")
"""What a result changes, beside the time."""

MOST = 64
"""Records changed by one statement, a power of two."""


def state_change(status: Status, result: Result) -> dict[str, Any] | None:
    """Return what `result` changes in a record of this `status`, None if nothing.

    An image counts whenever it comes, also after a failure; a failure counts only while there is no image.
    """
    if result.error is None:
        return {
            "status": Status.DONE,
            "duration": result.duration,
            "checksum": result.checksum,
            "size": result.size,
            "worker": result.worker,
            "error": None,
        }
    if status == Status.WAITING:
        return {
            "status": Status.FAILED,
            "duration": None,
            "checksum": None,
            "size": None,
            "worker": result.worker,
            "error": result.error,
        }
    return None


def write(connection: sa.Connection, changes: Sequence[dict[str, Any]], now: datetime) -> None:
    """Make `changes`, each a `uuid` and what `state_change` returned, at the time `now`.

    MySQL takes a third of the time for one statement about many records, and so do we; the other drivers send many
    of one kind together.
    """
    if connection.dialect.name in ("mysql", "mariadb"):
        for start in range(0, len(changes), MOST):
            some = list(changes[start : start + MOST])
            # Few sizes, so that each statement is built once: the last change fills the room that is left.
            size = 1 << (len(some) - 1).bit_length()
            some += some[-1:] * (size - len(some))
            values = {f"{name}{n}": change[name] for n, change in enumerate(some) for name in ("uuid", *COLUMNS)}
            connection.execute(_update_many(size), values | {"now": now})
    elif changes:
        connection.execute(
            _UPDATE, [{f"{name}0": change[name] for name in change} | {"now": now} for change in changes]
        )


def _value(name: str, n: int = 0) -> sa.BindParameter[Any]:
    return sa.bindparam(f"{name}{n}", type_=fractals.c[name].type)


def _still_counts(status: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether the new `status` counts by now: since ours was looked up, another tracker may have had an image."""
    return sa.or_(status == Status.DONE, fractals.c.status == Status.WAITING)


_UPDATE = (
    fractals.update()
    .where(fractals.c.uuid == _value("uuid"), _still_counts(_value("status")))
    .values({name: _value(name) for name in COLUMNS} | {"finished_at": sa.bindparam("now")})
)


@cache
def _update_many(size: int) -> sa.Update:
    """Return the statement that changes `size` records: a join with a table of the values."""
    rows = (sa.select(*(_value(name, n).label(name) for name in ("uuid", *COLUMNS))) for n in range(size))
    answers = sa.union_all(*rows).subquery("answers")
    return (
        fractals.update()
        .where(
            fractals.c.uuid == answers.c.uuid,
            # MySQL can't look the other table's keys up in the index, their character set being another.
            fractals.c.uuid.in_([_value("uuid", n) for n in range(size)]),
            _still_counts(answers.c.status),
        )
        .values({name: answers.c[name] for name in COLUMNS} | {"finished_at": sa.bindparam("now")})
    )
