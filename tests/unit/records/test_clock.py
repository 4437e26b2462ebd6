"""The clock of the records, and what becomes of times in the future.

On SQLite here; tests/integration runs the same on MariaDB and PostgreSQL.
"""

from datetime import timedelta

import pytest

from helpers.tasks import some_tasks
from oat.messages import Result
from oat.records import clock
from oat.records.clock import LONG_AGO, TOLERANCE, DatabaseClock, is_in_future, utc_now
from oat.records.schema import fractals, outbox

DONE = {"duration": 0.5, "checksum": "0" * 64, "size": 9, "worker": "w"}
YEAR = timedelta(days=366)


def move(database, table, **changes):
    """Add to the columns of all rows of `table`."""
    with database._engine.begin() as connection:
        for name, change in changes.items():
            rows = connection.execute(table.select().with_only_columns(table.c.uuid, table.c[name])).all()
            for uuid, value in rows:
                update = table.update().where(table.c.uuid == uuid).values({name: value + change})
                connection.execute(update)


def test_the_times_of_a_record_are_the_databases(database, monkeypatch):
    before = database.now()
    if database._engine.dialect.name != "sqlite":
        monkeypatch.setattr(clock, "utc_now", None)  # the clock of this host is not asked
    tasks = some_tasks(2)
    database.record(tasks)
    database.apply([Result(uuid=task.uuid, **DONE) for task in tasks])
    after = database.now()
    for record in database.page(None):
        assert before <= record.created_at == record.sent_at <= record.finished_at <= after


def test_the_database_is_asked_for_its_time_now_and_then(database, monkeypatch):
    steady = [1000.0]
    monkeypatch.setattr(clock.time, "clock_gettime", lambda _: steady[0])
    asked = DatabaseClock()
    if database._engine.dialect.name == "sqlite":
        return

    def now():
        return database._read(asked.now)

    first = now()
    assert now() == first
    steady[0] += clock.MAX_AGE - 1
    assert now() == first + timedelta(seconds=clock.MAX_AGE - 1)
    steady[0] += 1
    assert first < now() < first + timedelta(seconds=clock.MAX_AGE - 1)  # real time: less has passed


@pytest.mark.parametrize(("ahead", "due"), [(YEAR, True), (TOLERANCE / 2, False), (-YEAR, True)])
def test_an_outbox_row_from_the_future_is_overdue(database, ahead, due):
    [task] = some_tasks(1)
    database.record([task])
    move(database, outbox, created_at=ahead)
    assert database.overdue_tasks(60) == [task] * due


def test_a_lost_task_from_the_future_is_resent_at_once(database):
    tasks = some_tasks(3)
    database.record(tasks)
    database.mark_published([task.uuid for task in tasks])
    move(database, fractals, sent_at=YEAR, created_at=YEAR)
    assert database.resend_lost(60, queue_empty=True) == (0, 0)
    assert database.correct_times() == 6
    assert database.resend_lost(60, queue_empty=True) == (3, 0)
    assert database.correct_times() == 0
    assert len(database.overdue_tasks(60)) == 3
    database.mark_published([task.uuid for task in tasks])
    assert database.resend_lost(60, queue_empty=True) == (0, 0)


def test_times_in_the_future_become_the_present(database):
    tasks = some_tasks(3)
    database.record(tasks)
    database.apply([Result(uuid=tasks[0].uuid, **DONE), Result(uuid=tasks[1].uuid, error="no")])
    with database._engine.begin() as connection:
        finished = fractals.c.finished_at.is_not(None)
        connection.execute(fractals.update().where(finished).values(finished_at=database.now() + YEAR))
    move(database, fractals, sent_at=YEAR, created_at=YEAR)
    assert database.correct_times() == 8
    now = database.now()
    for record in database.page(None):
        times = [record.created_at, record.sent_at, record.finished_at]
        assert not [time for time in times if time is not None and is_in_future(time, now)]
        assert (record.sent_at == LONG_AGO) == (record.finished_at is None)


def test_times_within_the_tolerance_stay(database):
    database.record(some_tasks(2))
    move(database, fractals, sent_at=TOLERANCE / 2, created_at=TOLERANCE / 2)
    assert database.correct_times() == 0


def test_what_is_in_the_future():
    now = utc_now()
    assert not is_in_future(now + TOLERANCE, now)
    assert is_in_future(now + TOLERANCE + timedelta(seconds=1), now)
