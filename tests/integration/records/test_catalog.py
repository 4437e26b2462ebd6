"""All tests of tests/unit/records/test_catalog.py, on MariaDB and PostgreSQL."""

from unit.records.test_catalog import *  # noqa: F403 (whichever there are)
