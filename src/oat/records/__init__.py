"""Records: the database, with a row for each task, and the outbox of the tasks still to be published.

The only package that knows SQLAlchemy. The services use `Database`, the gallery and the API use `Catalog`.
"""

from oat.records.catalog import Catalog, ConflictError, Finished, NotFoundError
from oat.records.clock import is_in_future
from oat.records.database import Database, Record
from oat.records.fractal import Fractal
from oat.records.lookup import BATCH_SIZE
from oat.records.paging import CURSOR, Cursor
from oat.records.recent_tasks import TaskRow
from oat.records.reconcile import resend_timeout
from oat.records.states import Status
from oat.records.transactions import DatabaseError

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
    "Record",
    "Status",
    "TaskRow",
    "is_in_future",
    "resend_timeout",
]
