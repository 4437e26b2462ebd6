"""Cursors of the pages."""

from datetime import datetime
from uuid import uuid4

from oat.records.paging import Cursor


def test_a_cursor_is_exact_to_the_microsecond():
    place = Cursor(datetime(2026, 11, 24, 5, 6, 7, 123457), uuid4())
    assert Cursor.parse(str(place)) == place
