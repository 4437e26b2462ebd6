"""All tests of tests/unit/records/test_clock.py, on MariaDB and PostgreSQL."""

from unit.records.test_clock import *  # noqa: F403 (whichever there are)
