"""All tests of tests/unit/records/test_database.py, on MariaDB and PostgreSQL."""

from unit.records.test_database import *  # noqa: F403 (whichever there are)
