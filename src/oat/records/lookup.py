"""Lookup by primary key, in batches, so that no statement grows without limit."""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from oat.records.schema import fractals
from oat.records.states import Status

BATCH_SIZE = 500
"""Rows named or returned by one statement at most: it keeps statements, and the locks they take, small."""


def in_batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield `keys` in their order, up to `BATCH_SIZE` at once."""
    return (keys[start : start + BATCH_SIZE] for start in range(0, len(keys), BATCH_SIZE))


def select_statuses(connection: sa.Connection, keys: Sequence[str]) -> dict[str, Status]:
    """Return the state of each of the records `keys` that exists."""
    found: dict[str, Status] = {}
    for batch in in_batches(keys):
        query = sa.select(fractals.c.uuid, fractals.c.status).where(fractals.c.uuid.in_(batch))
        found |= {key: Status(status) for key, status in connection.execute(query).all()}
    return found
