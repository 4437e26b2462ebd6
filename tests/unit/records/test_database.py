"""What the services do with the records.

On SQLite here; tests/integration runs the same on MariaDB and PostgreSQL.
"""

import sys
import threading
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from helpers.tasks import some_tasks
from helpers.tasks import task as task_with
from oat.messages import Result
from oat.records.catalog import Catalog
from oat.records.database import Database
from oat.records.migrations import _FOLDER as FOLDER
from oat.records.reconcile import MAX_ATTEMPTS
from oat.records.schema import fractals, metadata
from oat.records.states import Status
from oat.records.transactions import DatabaseError
from oat.settings import MAX_INTEGER, MAX_SIDE

DONE = {"duration": 0.5, "checksum": "0" * 64, "size": 9, "worker": "w"}


def test_the_migrations_make_the_tables_of_the_code(database, database_url):
    engine = sa.create_engine(database_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_many_services_may_prepare_an_empty_database_at_once(database_url):
    faults = []

    def prepare():
        try:
            opened = Database(database_url, threading.Event())
            opened.prepare()
            opened.close()
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=prepare) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_table_of_someone_else_and_a_newer_version_are_refused(database_url):
    engine = sa.create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE fractals (x INTEGER)"))
    with pytest.raises(DatabaseError, match="did not make"):
        Database(database_url, threading.Event()).prepare()
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE fractals"))
    Database(database_url, threading.Event()).prepare()
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match="newer version"):
        Database(database_url, threading.Event()).prepare()
    engine.dispose()


def test_the_records_of_an_older_version_can_be_cancelled(database_url):
    engine = sa.create_engine(database_url)
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
    [task] = some_tasks(1)
    now = datetime.now(UTC).replace(tzinfo=None)
    row = task.model_dump() | {"uuid": str(task.uuid), "status": "waiting", "attempts": 1}
    with engine.begin() as connection:
        connection.execute(fractals.insert().values(row | {"created_at": now, "sent_at": now}))
    engine.dispose()
    catalog = Catalog(database_url)
    catalog.prepare()
    assert catalog.get(task.uuid).task() == task
    catalog.cancel(task.uuid)
    assert catalog.get(task.uuid).status == Status.CANCELLED
    catalog.close()


def test_a_recorded_task_is_overdue_until_it_is_marked_published(database):
    tasks = some_tasks(5)
    database.record(tasks)
    assert database.overdue_tasks(lease=60) == []
    assert sorted(database.overdue_tasks(lease=-60), key=str) == sorted(tasks, key=str)
    database.mark_published(task.uuid for task in tasks[1:])
    assert database.overdue_tasks(lease=-60) == tasks[:1]


def test_the_largest_task_that_any_limits_allow_is_recorded_as_it_is(database):
    largest = task_with(
        width=MAX_SIDE, height=MAX_INTEGER // MAX_SIDE, iterations=MAX_INTEGER,
        xa=sys.float_info.max, xb=-sys.float_info.max, ya=5e-324, yb=-5e-324,
    )  # fmt: skip
    database.record([largest])
    assert database.overdue_tasks(-1) == [largest]


def test_results_are_applied_once_or_twice_and_unknown_ones_are_named(database):
    tasks = some_tasks(3)
    database.record(tasks)
    stranger = uuid4()
    results = [Result(uuid=uuid, **DONE) for uuid in (tasks[0].uuid, tasks[1].uuid, stranger)]
    failures = [Result(uuid=tasks[uuid].uuid, error="no") for uuid in (1, 2)]
    for _ in range(2):
        assert database.apply([*results, *failures]) == {stranger}
    states = database.statuses([*(task.uuid for task in tasks), stranger])
    assert [states.get(task.uuid) for task in tasks] == [Status.DONE, Status.DONE, Status.FAILED]
    assert stranger not in states


@pytest.mark.parametrize("count", [1, 2, 3, 65])
def test_an_image_without_a_record_is_named_among_others(database, count):
    tasks = some_tasks(count)
    database.record(tasks)
    stranger = uuid4()
    images = [Result(uuid=uuid, **DONE) for uuid in (*(task.uuid for task in tasks), stranger)]
    for _ in range(2):
        assert database.apply(images) == {stranger}
        assert database.apply(images[:-1]) == set()
    assert set(database.statuses(task.uuid for task in tasks).values()) == {Status.DONE}


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 200])
def test_each_of_many_results_goes_to_its_own_record(database, count):
    tasks = some_tasks(count)
    database.record(tasks)
    results = [
        Result(uuid=task.uuid, error=f"fault {n}")
        if n % 3 == 0
        else Result(uuid=task.uuid, duration=n / 7, checksum=f"{n:064x}", size=n, worker=f"w{n}")
        for n, task in enumerate(tasks)
    ]
    database.apply([result for result in results if result.error])
    database.apply(results)
    found = {record.uuid: record for record in database.page(None)}
    for result in results:
        record = found[result.uuid]
        assert (record.status == Status.FAILED) == (result.error is not None)
        assert (record.checksum, record.error) == (result.checksum, result.error)


def test_a_task_without_a_result_is_resent_with_backoff_and_fails_at_last(database):
    [task] = some_tasks(1)
    database.record([task])
    assert database.resend_lost(-1, queue_empty=True) == (0, 0)  # still in the outbox: unpublished
    database.mark_published([task.uuid])
    assert database.resend_lost(60, queue_empty=True) == (0, 0)
    for _ in range(MAX_ATTEMPTS - 1):
        assert database.resend_lost(-0.001, queue_empty=True) == (1, 0)
        assert database.overdue_tasks(lease=60) == [task]
        database.mark_published([task.uuid])
    assert database.resend_lost(-0.001, queue_empty=True) == (0, 1)
    assert database.statuses([task.uuid]) == {task.uuid: Status.FAILED}


def test_a_cancelled_task_is_never_resent_and_its_image_still_counts(database):
    tasks = some_tasks(3)
    database.record(tasks)
    database.mark_published(task.uuid for task in tasks)
    with database._engine.begin() as connection:
        connection.execute(fractals.update().values(status=Status.CANCELLED))
    assert database.resend_lost(-0.001, queue_empty=True) == (0, 0)
    assert database.overdue_tasks(lease=-60) == []
    image, failure, _ = (task.uuid for task in tasks)
    database.apply([Result(uuid=image, **DONE), Result(uuid=failure, error="no")])
    assert database.statuses([image, failure]) == {image: Status.DONE, failure: Status.CANCELLED}


@pytest.mark.parametrize(
    ("attempts", "answer", "lost"),
    [(1, {**DONE}, True), (2, {**DONE}, False), (1, {"worker": "w", "error": "e"}, False)],
)
def test_a_task_overtaken_by_a_later_one_is_resent_while_the_queue_is_not_empty(database, attempts, answer, lost):
    overtaken, answered, later = tasks = some_tasks(3)
    for task in tasks:
        database.record([task])
        database.mark_published([task.uuid])
    now = datetime.now(UTC).replace(tzinfo=None)
    with database._engine.begin() as connection:
        for task, age in ((overtaken, 600), (answered, 500), (later, 450)):
            change = fractals.update().where(fractals.c.uuid == str(task.uuid))
            connection.execute(change.values(sent_at=now - timedelta(seconds=age), attempts=attempts))
    assert database.resend_lost(30, queue_empty=False) == (0, 0)
    database.apply([Result(uuid=answered.uuid, **answer)])
    with database._engine.begin() as connection:
        connection.execute(fractals.update().values(finished_at=now - timedelta(seconds=400)))
    assert database.resend_lost(30, queue_empty=False) == (0, 0)  # the answer is too young
    with database._engine.begin() as connection:
        connection.execute(fractals.update().values(finished_at=now - timedelta(seconds=451)))
    assert database.resend_lost(30, queue_empty=False) == (int(lost), 0)
    assert [task.uuid for task in database.overdue_tasks(lease=60)] == [overtaken.uuid] * lost


@pytest.mark.parametrize(("attempts", "minutes"), [(1, 1), (2, 2), (5, 16)])
def test_each_attempt_doubles_the_time_until_a_task_is_resent(database, attempts, minutes):
    [task] = some_tasks(1)
    database.record([task])
    database.mark_published([task.uuid])
    now = datetime.now(UTC).replace(tzinfo=None)
    for seconds, resent in ((60 * minutes - 20, 0), (60 * minutes + 20, 1)):
        with database._engine.begin() as connection:
            sent_at = now - timedelta(seconds=seconds)
            connection.execute(fractals.update().values(attempts=attempts, sent_at=sent_at))
        assert database.resend_lost(60, queue_empty=True) == (resent, 0)
