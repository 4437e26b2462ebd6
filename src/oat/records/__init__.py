"""Records: the database, with a row for each task and an outbox of those still to be published.

The only package that knows SQLAlchemy. `Database` is what the services do, `Catalog` what people ask.
"""

from oat.records.catalog import Catalog, ConflictError, Finished, NotFoundError
from oat.records.database import BATCH_SIZE, Database, Record, utc_now
from oat.records.fractal import Fractal
from oat.records.paging import CURSOR, Cursor, Page
from oat.records.schema import DatabaseError, Status

__all__ = [
    "BATCH_SIZE",
    "CURSOR",
    "Catalog",
    "ConflictError",
    "Cursor",
    "Database",
    "DatabaseError",
    "Finished",
    "Fractal",
    "NotFoundError",
    "Page",
    "Record",
    "Status",
    "utc_now",
]
