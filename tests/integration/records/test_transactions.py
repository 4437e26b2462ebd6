"""Two trackers at once, and connections that the server closes."""

import threading
from types import SimpleNamespace
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from helpers.tasks import some_tasks
from helpers.waiting import wait_until
from oat.messages import Result
from oat.records.clock import utc_now
from oat.records.database import Database
from oat.records.engine import IDLE_TIMEOUT
from oat.records.reconcile import MAX_ATTEMPTS
from oat.records.schema import fractals, outbox
from oat.records.states import Status

DONE = {"duration": 0.5, "checksum": "0" * 64, "size": 9, "worker": "w"}


@pytest.fixture(params=["mariadb", "postgresql"])
def two_trackers(request):
    """Two who share a database; what the second one does happens in the middle of the first one's transaction."""
    url = request.getfixturevalue(request.param).database(uuid4().hex[:8])
    first, second = Database(url, threading.Event()), Database(url, threading.Event())
    first.prepare()

    actions = []

    @sa.event.listens_for(first._engine, "after_cursor_execute")
    def after_select(_connection, _cursor, statement, *_):
        if actions and statement.startswith("SELECT"):
            actions.pop()(second)

    yield first, actions.append
    first.close()
    second.close()


@pytest.mark.parametrize("others", [0, 1])
def test_a_failure_is_ignored_if_another_tracker_has_just_recorded_the_image(two_trackers, others):
    first, meanwhile = two_trackers
    tasks = some_tasks(1 + others)
    first.record(tasks)
    image = Result(uuid=tasks[0].uuid, **DONE)
    meanwhile(lambda second: second.apply([image]))
    first.apply([Result(uuid=task.uuid, error="disk full") for task in tasks])
    found = {record.uuid: record for record in first.page(None)}
    assert found[image.uuid].status == Status.DONE
    assert found[image.uuid].checksum == image.checksum
    assert [found[task.uuid].error for task in tasks[1:]] == ["disk full"] * others


@pytest.mark.parametrize("attempts", [1, MAX_ATTEMPTS])
def test_a_task_that_another_tracker_has_just_finished_is_not_resent(two_trackers, attempts):
    first, meanwhile = two_trackers
    [task] = some_tasks(1)
    first.record([task])
    first.mark_published([task.uuid])
    with first._engine.begin() as connection:
        connection.execute(fractals.update().values(attempts=attempts))
    meanwhile(lambda second: second.apply([Result(uuid=task.uuid, **DONE)]))
    assert first.resend_lost(-0.001, queue_empty=True) == (0, 0)
    assert first.statuses([task.uuid]) == {task.uuid: Status.DONE}
    assert first.overdue_tasks(lease=60) == []


def test_an_idle_connection_closed_by_the_server_is_reopened_silently(mariadb, monkeypatch, caplog):
    url = mariadb.database(uuid4().hex[:8])
    monkeypatch.setattr("oat.records.engine.IDLE_TIMEOUT", 2)
    database = Database(url, threading.Event())
    database.prepare()
    idle = database._read(lambda connection: connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one())
    watching = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with watching.connect() as connection:
        listed = sa.text("SELECT COUNT(*) FROM information_schema.processlist WHERE id = :idle")
        wait_until(lambda: not connection.execute(listed, {"idle": idle}).scalar_one(), "its end")
    caplog.clear()
    assert database.count() == 0
    assert not caplog.records
    database.close()
    watching.dispose()


def test_a_connection_in_use_is_kept_and_one_that_was_idle_is_replaced(mariadb, monkeypatch):
    now = 1000.0
    monkeypatch.setattr("oat.records.engine.time", SimpleNamespace(monotonic=lambda: now))
    database = Database(mariadb.database(uuid4().hex[:8]), threading.Event())
    ids = []
    for pause in (0, 1, IDLE_TIMEOUT / 2, IDLE_TIMEOUT / 2, IDLE_TIMEOUT / 2 + 1, 1):
        now += pause
        ids.append(
            database._read(lambda connection: connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one())
        )
    database.close()
    first, second = ids[0], ids[-1]
    assert first != second
    assert ids == [first] * 4 + [second] * 2


def test_record_and_outbox_row_are_one_transaction(mariadb):
    """The row in the outbox cannot be written, since there is one: nothing of the set is recorded."""
    url = mariadb.database(uuid4().hex[:8])
    database = Database(url, threading.Event())
    database.prepare()
    tasks = some_tasks(3)
    with database._engine.begin() as connection:
        connection.execute(outbox.insert().values(uuid=str(tasks[1].uuid), created_at=utc_now()))
    with pytest.raises(IntegrityError):
        database.record(tasks)
    assert database.count() == 0
    database.close()


def test_a_transaction_whose_connection_is_lost_is_run_again(mariadb, caplog):
    url = mariadb.database(uuid4().hex[:8])
    database, other = Database(url, threading.Event()), sa.create_engine(url)
    database.prepare()
    killed = []

    @sa.event.listens_for(database._engine, "before_cursor_execute")
    def kill(connection, _cursor, statement, *_):
        if statement.startswith("INSERT INTO outbox") and not killed:
            killed.append(connection.connection.dbapi_connection.thread_id())
            with other.connect() as killer:
                killer.exec_driver_sql(f"KILL {killed[0]}")

    tasks = some_tasks(3)
    failures = []
    try:
        database.record(tasks)
    except DBAPIError as error:
        failures.append(error)
    assert failures == []
    assert killed
    assert "trying again" in caplog.text
    assert database.statuses(task.uuid for task in tasks) == {task.uuid: Status.WAITING for task in tasks}
    database.close()
    other.dispose()
