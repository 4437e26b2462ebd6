"""Services that migrate at once, and one that is killed while it does."""

import threading
from uuid import uuid4

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from helpers.waiting import wait_until
from oat.records.database import Database
from oat.records.migrations import _MYSQL_LOCK
from oat.records.schema import metadata


@pytest.fixture(params=["mariadb", "postgresql"])
def server(request):
    """A server that makes empty databases."""
    return request.getfixturevalue(request.param)


def test_the_next_service_begins_when_the_first_ones_migrations_are_committed(server):
    """The first one is held up before its commit until the second one waits for it, or has gone past it."""
    url = server.database(uuid4().hex[:8])
    first, second = Database(url, threading.Event()), Database(url, threading.Event())
    begun, faults = threading.Event(), []

    @sa.event.listens_for(first._engine, "commit")
    def hold_up(_connection):
        begun.set()
        thread.join(0.5)

    def prepare():
        begun.wait()
        try:
            second.prepare()
        except Exception as fault:
            faults.append(fault)

    thread = threading.Thread(target=prepare)
    thread.start()
    first.prepare()
    thread.join()
    assert faults == []
    first.close()
    second.close()


def test_a_migration_that_another_service_holds_up_is_waited_for(mariadb, monkeypatch, caplog):
    monkeypatch.setattr("oat.records.migrations.LOCK_TIMEOUT", 1)
    url = mariadb.database(uuid4().hex[:8])
    holder = sa.create_engine(url)
    database = Database(url, threading.Event())
    thread = threading.Thread(target=database.prepare)
    with holder.connect() as connection:
        connection.execute(sa.select(sa.func.get_lock(_MYSQL_LOCK, 60)))
        thread.start()
        wait_until(lambda: "another service upgrades the tables" in caplog.text, "a wait")
    holder.dispose()  # with its session the lock ends
    thread.join()
    assert database.count() == 0
    database.close()


def test_a_service_killed_after_any_statement_leaves_what_the_next_one_can_upgrade(server):
    killed = 0
    while _is_killed_after(killed + 1, url := server.database(uuid4().hex[:8])):
        killed += 1
        next_one = Database(url, threading.Event())
        next_one.prepare()
        next_one.close()
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        engine.dispose()
    assert killed > 10


class _KilledError(Exception):
    pass


def _is_killed_after(count, url):
    """Upgrade, and lose the connection after `count` statements that write; return whether there were so many."""
    database = Database(url, threading.Event())
    written = []

    @sa.event.listens_for(database._engine, "after_cursor_execute")
    def kill(connection, _cursor, statement, *_):
        if statement.lstrip().startswith(("CREATE", "ALTER", "INSERT", "UPDATE")):
            written.append(statement)
            if len(written) == count:
                connection.invalidate()
                raise _KilledError

    try:
        database.prepare()
    except _KilledError:
        return True
    finally:
        database.close()
    return False
