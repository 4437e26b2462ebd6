"""The outcome: what a result does to a record, as a rule and as SQL."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

from oat.messages import Result
from oat.schema import Status, fractals

COLUMNS = ("status", "duration", "checksum", "size", "worker", "error")
"""What a result changes, beside the time."""

MOST = 64
"""Records changed by one statement, a power of two."""


def outcome(status: Status, result: Result) -> dict[str, Any] | None:
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


def updates(changes: Sequence[dict[str, Any]]) -> Iterator[tuple[sa.Update, dict[str, Any]]]:
    """Yield statements that make `changes`, each a `uuid` and what `outcome` returned, with their values.

    What is missing is `finished_at`. A statement for many records takes the server and us a third of the time of
    one for each record.
    """
    for start in range(0, len(changes), MOST):
        some = list(changes[start : start + MOST])
        # There are few sizes, so that each statement is built once: the last change fills the room that is left.
        size = 1 << (len(some) - 1).bit_length()
        some += some[-1:] * (size - len(some))
        yield (
            _update(size),
            {f"{name}{n}": change[name] for n, change in enumerate(some) for name in ("uuid", *COLUMNS)},
        )


@cache
def _update(size: int) -> sa.Update:
    """Return the statement that changes `size` records: a join with a table of the values."""

    def value(name: str, n: int) -> sa.ColumnElement[Any]:
        bound = sa.bindparam(f"{name}{n}", type_=fractals.c[name].type)
        # PostgreSQL takes a NULL for text. SQLAlchemy tells it what others are; MySQL has no CAST for this one.
        return bound + sa.literal_column("0.0") if name == "duration" else bound

    rows = (sa.select(*(value(name, n).label(name) for name in ("uuid", *COLUMNS))) for n in range(size))
    answers = sa.union_all(*rows).subquery("answers")
    return (
        fractals.update()
        .where(
            fractals.c.uuid == answers.c.uuid,
            # MySQL can't look the other table's keys up in the index, their character set being another.
            fractals.c.uuid.in_([value("uuid", n) for n in range(size)]),
        )
        .values({name: answers.c[name] for name in COLUMNS})
        .values(finished_at=sa.bindparam("finished_at"))
    )
