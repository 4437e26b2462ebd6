"""What people ask of the records: pages, counts, cancel, retry, delete.

On SQLite here; tests/integration runs the same on MariaDB and PostgreSQL.
"""

import random
import re
from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from oat.messages import Result
from oat.records.catalog import Catalog, ConflictError, NotFoundError
from oat.records.lookup import BATCH_SIZE
from oat.records.paging import Cursor
from oat.records.states import Status
from oat.services import Ranges, random_task

DONE = {"duration": 0.5, "checksum": "0" * 64, "size": 9, "worker": "w"}


@pytest.fixture
def catalog(database_url):
    opened = Catalog(database_url)
    opened.prepare()
    yield opened
    opened.close()


def record(catalog, count):
    rng = random.Random(7)
    tasks = [random_task(Ranges(), rng) for _ in range(count)]
    catalog.record(tasks)
    return [task.uuid for task in tasks]


def everything(catalog, limit, **filters):
    """Walk to the last page and back, and return what was seen on the way there."""
    page, there, pages = catalog.browse(limit, **filters), [], []
    while True:
        there += page.fractals
        pages.append([fractal.uuid for fractal in page.fractals])
        if page.older is None:
            break
        page = catalog.browse(limit, older=Cursor.parse(str(page.older)), **filters)
    for expected in reversed(pages[:-1]):
        page = catalog.browse(limit, newer=Cursor.parse(str(page.newer)), **filters)
        assert [fractal.uuid for fractal in page.fractals] == expected
    assert page.newer is None
    return there


def test_pages_show_every_record_once_newest_first_in_both_directions(catalog):
    sets = [record(catalog, count) for count in (1, 20, 7)]  # each set at one moment
    catalog.apply([Result(uuid=uuid, **DONE) for uuid in sets[1][::2]])
    seen = everything(catalog, 5)
    assert [fractal.uuid for fractal in seen] == [
        uuid for uuids in reversed(sets) for uuid in sorted(uuids, reverse=True)
    ]
    done = everything(catalog, 3, status=Status.DONE)
    assert [fractal.uuid for fractal in done] == sorted(sets[1][::2], reverse=True)
    assert everything(catalog, 3, status=Status.FAILED) == []


def test_a_page_of_newer_ones_is_full_when_the_start_is_near(catalog):
    record(catalog, 10)
    second = catalog.browse(6, older=catalog.browse(6).older)
    record(catalog, 1)
    first = catalog.browse(6, newer=second.newer)
    assert len(first.fractals) == 6
    assert catalog.browse(8, newer=second.newer).fractals == catalog.browse(8).fractals


def test_a_page_goes_on_where_a_deleted_record_was(catalog):
    uuids = record(catalog, 6)
    catalog.apply([Result(uuid=uuid, **DONE) for uuid in uuids])
    first = catalog.browse(3)
    catalog.delete(first.fractals[-1].uuid)
    rest = catalog.browse(3, older=first.older)
    assert len(rest.fractals) == 3
    assert not {f.uuid for f in rest.fractals} & {f.uuid for f in first.fractals}


def test_a_record_has_all_its_fields(catalog):
    [uuid] = record(catalog, 1)
    catalog.apply([Result(uuid=uuid, **DONE)])
    fractal = catalog.get(uuid)
    assert fractal.status == Status.DONE
    assert fractal.created_at <= fractal.finished_at
    assert {name: getattr(fractal, name) for name in DONE} == DONE
    assert fractal.task().uuid == uuid
    with pytest.raises(NotFoundError):
        catalog.get(uuid4())


def test_counts_outbox_backlog_and_finished(catalog):
    uuids = record(catalog, 5)
    catalog.apply([Result(uuid=uuids[0], **DONE), Result(uuid=uuids[1], error="no")])
    catalog.cancel(uuids[2])
    assert catalog.counts() == dict.fromkeys(Status, 1) | {Status.WAITING: 2}
    assert catalog.outbox_backlog()[0] == 4
    catalog.mark_published(uuids)
    assert catalog.outbox_backlog() == (0, None)
    assert {each.status for each in catalog.finished(60, 10)} == {Status.DONE, Status.FAILED}
    assert len(catalog.finished(60, 1)) == 1
    assert catalog.finished(-60, 10) == []


def test_news_are_records_created_or_finished_since(catalog, monkeypatch):
    monkeypatch.setattr("oat.records.catalog.OVERLAP", timedelta(0))
    uuids = record(catalog, 3)
    found, since = catalog.news(catalog.now() - timedelta(minutes=1), 10)
    assert {each.uuid for each in found} == set(uuids)
    catalog.apply([Result(uuid=uuids[0], **DONE)])
    assert [each.uuid for each in catalog.news(since, 10)[0]] == [uuids[0]]


def test_news_after_the_clock_was_set_back_are_those_from_now_on(catalog):
    uuids = record(catalog, 3)
    found, since = catalog.news(catalog.now() + timedelta(hours=1), 10)
    assert {each.uuid for each in found} == set(uuids)
    assert since <= catalog.now()


def test_only_failed_and_cancelled_records_can_be_retried(catalog):
    done, failed, waiting, cancelled = record(catalog, 4)
    catalog.cancel(cancelled)
    catalog.apply([Result(uuid=done, **DONE), Result(uuid=failed, error="no")])
    catalog.mark_published([done, failed, waiting])
    for uuid in (done, waiting):
        with pytest.raises(ConflictError):
            catalog.retry(uuid)
    with pytest.raises(NotFoundError):
        catalog.retry(uuid4())
    assert catalog.retry(failed).uuid == failed
    fractal = catalog.get(failed)
    assert (fractal.status, fractal.error, fractal.finished_at) == (Status.WAITING, None, None)
    assert [task.uuid for task in catalog.overdue_tasks(-1)] == [failed]
    assert catalog.retry(cancelled).uuid == cancelled
    fractal = catalog.get(cancelled)
    assert (fractal.status, fractal.finished_at) == (Status.WAITING, None)
    assert {task.uuid for task in catalog.overdue_tasks(-1)} == {failed, cancelled}


def test_a_waiting_record_is_cancelled_with_its_outbox_row(catalog):
    done, failed, cancelled, waiting = record(catalog, 4)
    catalog.apply([Result(uuid=done, **DONE), Result(uuid=failed, error="no")])
    for _ in range(2):  # twice is once
        catalog.cancel(cancelled)
        assert catalog.get(cancelled).status == Status.CANCELLED
    assert catalog.get(cancelled).finished_at is not None
    assert cancelled not in {task.uuid for task in catalog.overdue_tasks(-60)}
    assert waiting in {task.uuid for task in catalog.overdue_tasks(-60)}
    for uuid in (done, failed):
        with pytest.raises(ConflictError):
            catalog.cancel(uuid)
    with pytest.raises(NotFoundError):
        catalog.cancel(uuid4())
    assert [each.status for each in catalog.find([done, failed, waiting])] == ["done", "failed", "waiting"]


@pytest.mark.parametrize("count", [0, 3, BATCH_SIZE, BATCH_SIZE + 1])
def test_all_waiting_records_are_cancelled_and_no_others(catalog, count):
    done, failed = record(catalog, 2)
    catalog.apply([Result(uuid=done, **DONE), Result(uuid=failed, error="no")])
    catalog.mark_published([done, failed])
    if count:
        record(catalog, count)
    assert catalog.cancel_all() == count
    assert catalog.cancel_all() == 0
    counts = {Status.WAITING: 0, Status.DONE: 1, Status.FAILED: 1, Status.CANCELLED: count}
    assert catalog.counts() == counts
    assert catalog.outbox_backlog() == (0, None)


def test_a_cancelled_record_is_news_is_no_failure_and_can_be_deleted(catalog):
    [uuid] = record(catalog, 1)
    _, since = catalog.news(catalog.now(), 10)
    catalog.cancel(uuid)
    assert [each.status for each in catalog.news(since, 10)[0]] == [Status.CANCELLED]
    assert catalog.finished(60, 10) == []
    assert [each.uuid for each in catalog.browse(5, Status.CANCELLED).fractals] == [uuid]
    catalog.delete(uuid)
    assert catalog.browse(5).fractals == []


def test_waiting_records_cannot_be_deleted_and_others_only_once(catalog):
    done, waiting = record(catalog, 2)
    catalog.apply([Result(uuid=done, **DONE)])
    with pytest.raises(ConflictError):
        catalog.delete(waiting)
    catalog.delete(done)
    with pytest.raises(NotFoundError):
        catalog.delete(done)
    assert catalog.outbox_backlog()[0] == 1


def test_a_deep_page_reads_no_more_rows_than_the_first(catalog):
    """Each query of a page is one stretch of an index, on every database: as its own plan says."""
    uuids = record(catalog, 95) + record(catalog, 205)  # the page begins in one set and ends in the other
    catalog.apply([Result(uuid=uuid, **DONE) for uuid in uuids])
    place = Cursor.of(catalog.browse(200).fractals[-1])
    statements = []

    @sa.event.listens_for(catalog._engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, parameters, *_):
        statements.append((statement, parameters))

    catalog.browse(10, Status.DONE, older=place)
    queries = [each for each in statements if "FROM fractals" in each[0]]
    assert len(queries) == 2
    with catalog._engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE fractals")
            connection.exec_driver_sql("SET enable_seqscan = off")  # a table as small as this is read whole
            connection.exec_driver_sql("SET enable_bitmapscan = off")
        for statement, parameters in queries:
            explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
            plan = str(connection.exec_driver_sql(explain + statement, parameters).all())
            assert re.search(r"ix_fractals_status_created_at|Index Scan", plan), plan
            assert not any(sign in plan for sign in ("TEMP B-TREE", "filesort", "Sort")), plan


def test_recent_tasks_are_both_ends_of_the_queue_those_finished_last_and_those_asked_for(catalog):
    sets = [record_task(catalog) for _ in range(9)]
    asked, cancelled, done = sets[4], sets[8], sets[0]
    catalog.apply([Result(uuid=done, **DONE)])
    catalog.cancel(cancelled)
    catalog.mark_published(sets[1:4])
    rows, now = catalog.recent_tasks(2, [asked, uuid4()])
    found = {row.uuid: row for row in rows}
    assert set(found) == {*sets[1:3], *sets[6:8], asked, cancelled, done}
    assert [found[uuid].unpublished for uuid in (sets[1], sets[7], done)] == [False, True, True]
    assert (found[done].status, found[done].worker, found[cancelled].status) == ("done", "w", "cancelled")
    assert found[done].finished_at <= now
    assert found[sets[1]].finished_at is None


def record_task(catalog):
    """Record one task, later than those before, and return its UUID."""
    task = random_task(Ranges(), random.Random())
    catalog.record([task])
    return task.uuid
