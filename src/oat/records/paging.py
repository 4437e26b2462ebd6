"""Paging: the records, newest first, a page at a time.

Pages are found by key, never by counting rows: the hundredth page costs what the first one does.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple, Self
from uuid import UUID

import sqlalchemy as sa

from oat.records.fractal import Fractal
from oat.records.schema import Status, fractals

CURSOR = r"^[0-9]{1,16}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
"""What a `Cursor` looks like as text: microseconds since 1970, and a UUID."""

EPOCH = datetime(1970, 1, 1)


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


def browse(
    connection: sa.Connection,
    limit: int,
    status: Status | None = None,
    older: Cursor | None = None,
    newer: Cursor | None = None,
) -> Page:
    """Return up to `limit` records, newest first.

    Args:
        connection: reads them.
        limit: at least 1.
        status: only those of this state.
        older: only those before this place.
        newer: only those after this place, the ones next to it; counts only without `older`.
    """
    place, ascending = (newer, True) if newer and not older else (older, False)
    found: list[Fractal] = []
    for state in Status if status is None else [status]:
        found += _next(connection, state, place, ascending, limit + 1)
    found.sort(key=Cursor.of, reverse=not ascending)
    more = len(found) > limit
    if ascending:
        if not more:  # the start is near: show all of the first page
            return browse(connection, limit, status)
        shown = found[limit - 1 :: -1]
        return Page(shown, Cursor.of(shown[0]), Cursor.of(shown[-1]))
    shown = found[:limit]
    return Page(
        shown,
        Cursor.of(shown[0]) if place and shown else None,
        Cursor.of(shown[-1]) if more else None,
    )


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
            found += map(Fractal.of, connection.execute(query, values | {"most": left}).mappings())
    return found
