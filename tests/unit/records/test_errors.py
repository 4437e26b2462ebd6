"""The tables of error codes, and SQLite's errors: how each is told apart by its code."""

import random
import shutil
import sqlite3
import threading

import psycopg
import pymysql.constants.CR
import pymysql.constants.ER
import pytest
import sqlalchemy as sa
import trustme
from sqlalchemy.exc import DBAPIError

from helpers.tasks import small_tasks
from oat.records.database import Database
from oat.records.engine import make_engine
from oat.records.error_codes import MYSQL, POSTGRESQL, SQLITE, ErrorKind
from oat.records.errors import error_kind
from oat.records.transactions import DatabaseError, Transactions
from oat.settings import SettingsError


def test_the_names_in_the_tables_are_those_of_the_drivers():
    assert {code: psycopg.errors.lookup(code).__name__ for code in POSTGRESQL} == {
        code: name for code, (name, _) in POSTGRESQL.items()
    }
    assert {code: getattr(sqlite3, name) for code, (name, _) in SQLITE.items()} == {code: code for code in SQLITE}
    known = {**vars(pymysql.constants.ER), **vars(pymysql.constants.CR)}
    named = {code: name for code, (name, _) in MYSQL.items() if name in known}
    assert {code: known[name] for code, name in named.items()} == {code: code for code in named}
    assert not [code for code in MYSQL if code in known.values() and code not in named]


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'oat.db'}"


def the_error(url, *statements):
    """The error of the last of `statements`, each in a transaction of its own."""
    engine = make_engine(url)
    try:
        for statement in statements:
            with engine.begin() as connection:
                connection.exec_driver_sql(statement)
    except DBAPIError as error:
        return error
    finally:
        engine.dispose()
    raise AssertionError("no error")


def test_a_locked_sqlite_database_is_waited_for(url, monkeypatch):
    monkeypatch.setattr("oat.records.engine.READ_TIMEOUT", 0)
    engine = make_engine(url)
    with engine.begin():
        assert error_kind(the_error(url, "SELECT 1")) == ErrorKind.TRANSIENT
    engine.dispose()


def test_a_full_sqlite_database_is_waited_for(url):
    engine = make_engine(url)
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
        connection.exec_driver_sql("PRAGMA max_page_count = 10")
        with pytest.raises(DBAPIError) as raised:
            connection.exec_driver_sql("INSERT INTO t VALUES (zeroblob(100000))")
    engine.dispose()
    assert error_kind(raised.value) == ErrorKind.TRANSIENT


@pytest.mark.parametrize("content", [b"no database" * 100, b"SQLite format 3\0" + bytes(5000)])
def test_a_file_that_is_no_sqlite_database_is_refused(tmp_path, url, content):
    (tmp_path / "oat.db").write_bytes(content)
    with pytest.raises(DatabaseError, match="refuses"):
        Transactions(url, threading.Event())._read(
            lambda connection: connection.execute(sa.text("SELECT 1 FROM x"))
        )


def test_a_sqlite_file_that_cannot_be_opened_is_refused(tmp_path, url):
    (tmp_path / "oat.db").mkdir()
    with pytest.raises(DatabaseError, match="refuses"):
        Transactions(url, threading.Event())._read(lambda _: None)


@pytest.mark.parametrize("copied", [False, True])
def test_a_sqlite_file_that_is_deleted_or_replaced_is_not_written_any_more(tmp_path, url, copied):
    database = Database(url, threading.Event())
    database.prepare()
    database.record(small_tasks(2, random.Random()))
    if copied:
        shutil.copy(tmp_path / "oat.db", tmp_path / "copy.db")
        (tmp_path / "copy.db").replace(tmp_path / "oat.db")
    else:
        (tmp_path / "oat.db").unlink()
    for work in (lambda: database.record(small_tasks(1, random.Random())), database.count):
        with pytest.raises(DatabaseError, match="refuses: its file was deleted or replaced"):
            work()
    database.close()
    assert (tmp_path / "oat.db").exists() == copied


@pytest.mark.parametrize(
    ("rest", "complaint"),
    [
        ("mysql+pymysql://h/n?ssl_ca=/nowhere", "No such file"),
        ("mysql+pymysql://h/n?ssl_ca=/dev/null", "cannot be used"),
        ("mysql+pymysql://h/n?ssl_cert=/nowhere&ssl_ca={certificate}", "cannot be used"),
        ("mysql+pymysql://h/n?ssl_cipher=nonsense", "cipher"),
        ("postgresql+psycopg://h/n?sslrootcert=/nowhere&sslmode=verify-full", "sslrootcert"),
        ("postgresql+psycopg://h/n?sslkey=/nowhere&sslcert=/dev/null", "sslkey"),
        ("postgresql+psycopg://h/n?sslrootcert=relative.pem", "sslrootcert"),
        ("postgresql+psycopg://h/n?passfile=/nowhere", "passfile"),
        ("postgresql+psycopg://h/n?require_auth=nonsense", "require_auth"),
        ("postgresql+psycopg://h/n?ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1", "range"),
        ("postgresql+psycopg://h/n?service=nowhere", "nowhere"),
        ("sqlite:////dev/null", "no file"),
    ],
)
def test_what_cannot_be_used_is_named_before_a_connection_is_made(rest, complaint, tmp_path):
    certificate = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(certificate))
    with pytest.raises(SettingsError, match=complaint):
        make_engine(rest.format(certificate=certificate))


@pytest.mark.parametrize(
    "variable", ["PGSSLMODE", "PGSERVICE", "PGREQUIREAUTH", "PGGSSENCMODE", "PGTARGETSESSIONATTRS"]
)
def test_variables_of_libpq_are_named_before_a_connection_is_made(monkeypatch, variable):
    monkeypatch.setenv(variable, "nonsense")
    with pytest.raises(SettingsError, match="nonsense"):
        make_engine("postgresql+psycopg://h/n")


@pytest.mark.parametrize(
    "query",
    [
        "", "?host=a,b&port=1,2", "?hostaddr=127.0.0.1,::1&host=a,b", "?requirepeer=nobody", "?gssencmode=require",
        "?sslmode=verify-full&sslrootcert=system", "?channel_binding=require", "?options=-c%20work_mem%3D1MB",
    ],
)  # fmt: skip
def test_options_that_only_a_server_can_judge_are_left_to_it(query):
    make_engine(f"postgresql+psycopg://u:p'%20w@/n{query}").dispose()


def test_a_violated_constraint_is_a_bug(url):
    statements = ("CREATE TABLE t (x UNIQUE)", *["INSERT INTO t VALUES (1)"] * 2)
    assert error_kind(the_error(url, *statements)) == ErrorKind.BUG
