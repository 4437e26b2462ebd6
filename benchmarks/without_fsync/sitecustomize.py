"""On `PYTHONPATH`, it takes away what makes writes durable, for `benchmarks/durability.py` to measure the cost."""

import os
import sqlite3.dbapi2
from functools import partial
from typing import Any


class Connection(sqlite3.dbapi2.Connection):
    """A connection to SQLite that never waits for the disk."""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """Execute `sql`, except that a commit shall be on the disk."""
        return super().execute(sql.replace("synchronous = FULL", "synchronous = OFF"), *parameters)


os.fsync = lambda _file: None
sqlite3.dbapi2.connect = partial(sqlite3.dbapi2.connect, factory=Connection)
