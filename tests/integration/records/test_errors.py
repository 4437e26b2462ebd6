"""Errors of the real servers: each is waited for, refused with one line, or raised, as its code says."""

import contextlib
import threading
from uuid import uuid4

import psycopg
import pymysql
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from helpers.tasks import some_tasks
from helpers.waiting import wait_until
from oat.records.catalog import Catalog
from oat.records.database import Database
from oat.records.error_codes import MYSQL, MYSQL_CLASSES, POSTGRESQL, POSTGRESQL_CLASSES, ErrorKind
from oat.records.transactions import DatabaseError, Transactions

WAITS = "trying again"


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("oat.records.transactions.MIN_PAUSE", 0.001)


def raised_by(url, statement):
    """What a transaction does that meets the error of `statement` at its first attempt."""
    database = Transactions(url, threading.Event())
    attempts = []

    def work(connection):
        attempts.append(1)
        if len(attempts) == 1:
            connection.exec_driver_sql(statement)

    try:
        database._run(work)
    except DatabaseError:
        return ErrorKind.PERMANENT
    except DBAPIError:
        return ErrorKind.BUG
    finally:
        database.close()
    assert len(attempts) == 2
    return ErrorKind.TRANSIENT


def test_every_sqlstate_of_the_table_and_of_its_classes(postgresql, quick):
    url = postgresql.database(uuid4().hex[:8])
    expected = {f"{name}ZZ9": kind for name, (_, kind) in POSTGRESQL_CLASSES.items()}
    expected |= {code: kind for code, (_, kind) in POSTGRESQL.items()}
    expected |= dict.fromkeys(["22003", "23505", "25P02", "42601", "42883", "0A000", "P0001"], ErrorKind.BUG)
    raising = "DO $$ BEGIN RAISE EXCEPTION 'fault' USING ERRCODE = '{}'; END $$"
    assert {code: raised_by(url, raising.format(code)) for code in expected} == expected


def test_every_error_number_of_the_table(mariadb, quick):
    url = mariadb.database(uuid4().hex[:8])
    expected = {code: kind for code, (_, kind) in MYSQL.items() if code}
    expected |= dict.fromkeys([1048, 1062, 1064, 1406], ErrorKind.BUG)
    signal = "SIGNAL SQLSTATE '{}' SET MESSAGE_TEXT = 'fault', MYSQL_ERRNO = {}"
    assert {code: raised_by(url, signal.format("45000", code)) for code in expected} == expected
    states = {name: kind for name, (_, kind) in MYSQL_CLASSES.items()} | {"22": ErrorKind.BUG}
    assert {name: raised_by(url, signal.format(f"{name}ZZ9", 65000)) for name in states} == states


@pytest.fixture
def as_root(request):
    """Executes statements on a server as its administrator."""
    with contextlib.ExitStack() as stack:

        def execute(kind, *statements):
            server = request.getfixturevalue(kind)
            if kind == "postgresql":
                connection = psycopg.connect(server._dsn("postgres"), autocommit=True)
            else:
                connection = pymysql.connect(host="127.0.0.1", port=server.port, user="root", autocommit=True)
            with connection, connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)

        execute.later = lambda *arguments: stack.callback(execute, *arguments)
        yield execute


@pytest.fixture
def role(postgresql, as_root):
    """A role of PostgreSQL that has to tell its password."""
    name = f"r{uuid4().hex[:8]}"
    hba = postgresql.folder / "data" / "pg_hba.conf"
    before = hba.read_text()
    hba.write_text(f"host all {name} 127.0.0.1/32 scram-sha-256\nhost nohost {name}x 127.0.0.1/32 trust\n{before}")
    as_root("postgresql", f"CREATE ROLE {name} LOGIN PASSWORD 'secretsecret'", "SELECT pg_reload_conf()")
    yield name
    hba.write_text(before)
    as_root("postgresql", "SELECT pg_reload_conf()")


def refused(url):
    database = Database(url, threading.Event())
    try:
        with pytest.raises(DatabaseError, match="refuses") as raised:
            database.prepare()
    finally:
        database.close()
    assert "\n" not in str(raised.value)
    assert "secretsecret" not in str(raised.value)
    return str(raised.value)


def test_what_postgresql_refuses_is_one_line(postgresql, role, as_root):
    url = postgresql.database(role)
    own = url.replace("tutorial@", f"{role}:secretsecret@")
    wait_until(lambda: "wrong" in refused(own.replace(":secretsecret@", ":wrong@")) or True, "the new rules")
    refused(own.replace(":secretsecret@", "@"))
    refused(own.replace(f"tutorial_{role}", "nothing"))
    refused(url.replace("tutorial@", "nobody@"))
    refused(own)  # no right to make a table
    as_root("postgresql", f"REVOKE CONNECT ON DATABASE tutorial_{role} FROM PUBLIC")
    refused(own)
    as_root("postgresql", f"ALTER ROLE {role} NOLOGIN")
    refused(own)


def test_what_mariadb_refuses_is_one_line(mariadb, as_root):
    url = mariadb.database(uuid4().hex[:8])
    refused(url.replace("secretsecret", "wrong"))
    refused(url.replace("tutorial_", "elsewhere_"))
    refused(url + "x" * 300)
    refused(f"{url}?collation=latin1_bin")
    name = f"u{uuid4().hex[:8]}"
    schema = sa.make_url(url).database
    own = url.replace("tutorial:", f"{name}:")
    as_root("mariadb", f"CREATE USER {name}@localhost IDENTIFIED BY 'secretsecret'")
    refused(own)
    as_root("mariadb", f"GRANT SELECT ON {schema}.* TO {name}@localhost")
    refused(own)
    as_root("mariadb", f"ALTER USER {name}@localhost ACCOUNT LOCK")
    refused(own)


LIMIT = "ALTER USER tutorial@localhost WITH MAX_UPDATES_PER_HOUR"
FAULTS = {
    "postgresql": (
        ("ALTER DATABASE {db} SET default_transaction_read_only = on", "ALTER DATABASE {db} RESET ALL"),
        ("ALTER DATABASE {db} CONNECTION LIMIT 0", "ALTER DATABASE {db} CONNECTION LIMIT -1"),
        ("ALTER DATABASE {db} ALLOW_CONNECTIONS false", "ALTER DATABASE {db} ALLOW_CONNECTIONS true"),
    ),
    "mariadb": (
        ("SET GLOBAL read_only = ON", "SET GLOBAL read_only = OFF"),
        (f"{LIMIT} 1", f"{LIMIT} 0"),
        (
            "CREATE TRIGGER {db}.slow BEFORE INSERT ON {db}.fractals FOR EACH ROW DO SLEEP(60);"
            "SET GLOBAL max_statement_time = 0.05",
            "SET GLOBAL max_statement_time = 0; DROP TRIGGER IF EXISTS {db}.slow",
        ),
    ),
}  # fmt: skip
END_ALL = {
    "postgresql": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{db}'",
    "mariadb": "KILL USER tutorial",
}


@pytest.mark.parametrize(
    ("kind", "fault", "remedy"), [(kind, *each) for kind, faults in FAULTS.items() for each in faults]
)
def test_a_server_that_takes_no_changes_for_a_while_is_waited_for(
    request, kind, fault, remedy, as_root, caplog, monkeypatch
):
    monkeypatch.setattr("oat.records.catalog.TIMEOUT", 0.5)
    url = request.getfixturevalue(kind).database(uuid4().hex[:8])
    schema = sa.make_url(url).database
    owner = f"o{uuid4().hex[:8]}"
    if kind == "postgresql":  # an administrator is let in where others are not
        as_root(kind, f"CREATE ROLE {owner} LOGIN", f"ALTER DATABASE {schema} OWNER TO {owner}")
        url = url.replace("tutorial@", f"{owner}@")
    database, catalog = Database(url, threading.Event()), Catalog(url)
    database.prepare()
    as_root.later(kind, *remedy.format(db=schema).split(";"))
    as_root(kind, *fault.format(db=schema).split(";"), END_ALL[kind].format(db=schema))
    tasks = some_tasks(3)
    recording = threading.Thread(target=lambda: [database.record([task]) for task in tasks])
    recording.start()
    wait_until(lambda: caplog.text.count(WAITS) > 2, "some attempts")
    with pytest.raises(DatabaseError, match="not available"):
        catalog.record(some_tasks(1))
    as_root(kind, *remedy.format(db=schema).split(";"))
    recording.join()
    assert set(database.statuses(task.uuid for task in tasks)) == {task.uuid for task in tasks}
    database.close()
    catalog.close()


def test_a_deadlock_is_run_again(database_url):
    database = Database(database_url, threading.Event())
    database.prepare()
    tasks = some_tasks(2)
    database.record(tasks)
    both_have_one = threading.Barrier(2)
    met = []

    def update(first, second, waiting):
        def work(connection):
            for task in (first, second):
                connection.exec_driver_sql(f"UPDATE fractals SET error = 'x' WHERE uuid = '{task.uuid}'")
                if waiting:
                    waiting.pop()
                    both_have_one.wait()

        database._run(work)
        met.append(first)

    threads = [threading.Thread(target=update, args=(*pair, [1])) for pair in (tasks, tasks[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(met) == 2
    database.close()


@pytest.mark.parametrize("kind", ["sqlite", "mariadb", "postgresql"])
@pytest.mark.parametrize("change", ["DROP TABLE fractals", "ALTER TABLE fractals DROP COLUMN error"])
def test_tables_dropped_in_use_are_one_line(request, tmp_path, kind, change):
    database_url = f"sqlite:///{tmp_path}/oat.db"
    if kind != "sqlite":
        database_url = request.getfixturevalue(kind).database(uuid4().hex[:8])
    database = Database(database_url, threading.Event())
    database.prepare()
    engine = sa.create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(sa.text(change))
    engine.dispose()
    with pytest.raises(DatabaseError, match="refuses"):
        database.page(None)
    database.close()
