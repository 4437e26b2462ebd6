"""Keyset pagination: the records, newest first, a page at a time.

Pages are found by key, never by an OFFSET: the hundredth page costs what the first one does.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple, Self
from uuid import UUID

import sqlalchemy as sa

from oat.records.fractal import Fractal
from oat.records.schema import fractals
from oat.records.states import Status

CURSOR = r"^[0-9]{1,16}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
"""The regular expression of a `Cursor` as text: microseconds since 1970, and a UUID."""

_EPOCH = datetime(1970, 1, 1)


class Cursor(NamedTuple):
    """A position in the order of the records: that of one record, whether it still exists or not."""

    created_at: datetime
    uuid: UUID

    @classmethod
    def of(cls, fractal: Fractal) -> Self:
        """Return the position of `fractal`."""
        return cls(fractal.created_at.replace(tzinfo=None), fractal.uuid)

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """Return the cursor that `str` wrote as `text`, which matches `CURSOR`; None for None."""
        if text is None:
            return None
        microseconds, _, uuid = text.partition("_")
        return cls(_EPOCH + timedelta(microseconds=int(microseconds)), UUID(uuid))

    def __str__(self) -> str:
        return f"{(self.created_at - _EPOCH) // timedelta(microseconds=1)}_{self.uuid}"


class Page(NamedTuple):
    """Some records, newest first, and the cursors of the pages before and after them, where there are any."""

    fractals: list[Fractal]
    newer: Cursor | None
    older: Cursor | None


def browse(
    connection: sa.Connection,
    limit: int,
    status: Status | None = None,
    older: Cursor | None = None,
    newer: Cursor | None = None,
) -> Page:
    """Return up to `limit` records, newest first.

    Args:
        connection: in a transaction.
        limit: how many records, at least 1.
        status: only those of this state.
        older: only those older than this position.
        newer: only those newer than this position, the ones next to it; ignored with `older`.
    """
    cursor, ascending = (newer, True) if newer and not older else (older, False)
    found: list[Fractal] = []
    for state in Status if status is None else [status]:
        found += _next(connection, state, cursor, ascending, limit + 1)
    found.sort(key=Cursor.of, reverse=not ascending)
    more = len(found) > limit
    if ascending:
        if not more:  # fewer than a page are newer: show the whole first page
            return browse(connection, limit, status)
        shown = found[limit - 1 :: -1]
        return Page(shown, Cursor.of(shown[0]), Cursor.of(shown[-1]))
    shown = found[:limit]
    return Page(
        shown,
        Cursor.of(shown[0]) if cursor and shown else None,
        Cursor.of(shown[-1]) if more else None,
    )


def _queries(ascending: bool) -> tuple[sa.Select[Any], sa.Select[Any], sa.Select[Any]]:
    """Return the queries for the records of one state: the first ones, and the two for those after a cursor.

    A whole set of tasks is recorded at the same time, so first come those of the cursor's time, ordered by UUID,
    and then the rest. (One query for both, by a row value or an OR, is a full scan on some databases.)
    """
    created_at, uuid = fractals.c.created_at, fractals.c.uuid
    order = (created_at, uuid) if ascending else (created_at.desc(), uuid.desc())
    cursor_time: sa.BindParameter[datetime] = sa.bindparam("cursor_time")
    cursor_uuid: sa.BindParameter[str] = sa.bindparam("cursor_uuid")
    first = sa.select(fractals).where(fractals.c.status == sa.bindparam("status"))
    first = first.order_by(*order).limit(sa.bindparam("limit", type_=sa.Integer))
    return (
        first,
        first.where(created_at == cursor_time, uuid > cursor_uuid if ascending else uuid < cursor_uuid),
        first.where(created_at > cursor_time if ascending else created_at < cursor_time),
    )


_QUERIES = {ascending: _queries(ascending) for ascending in (True, False)}
"""Built once: building a query takes longer than running it."""


def _next(
    connection: sa.Connection, status: Status, cursor: Cursor | None, ascending: bool, limit: int
) -> list[Fractal]:
    """Return up to `limit` records of one state after `cursor`, or the first ones."""
    first, *following = _QUERIES[ascending]
    values: dict[str, Any] = {"status": status}
    if cursor is not None:
        values |= {"cursor_time": cursor.created_at, "cursor_uuid": str(cursor.uuid)}
    found: list[Fractal] = []
    for query in following if cursor else [first]:
        if missing := limit - len(found):
            found += map(Fractal.from_row, connection.execute(query, values | {"limit": missing}).mappings())
    return found
