"""PostgreSQL databases of any encoding, clients that are told another one, and passwords in any language."""

import threading
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pymysql
import pytest

from helpers.tasks import some_tasks
from oat.messages import Result
from oat.records.catalog import Catalog
from oat.records.database import Database

REASON = "café ☃ 😀"

ENCODINGS = {"UTF8": REASON, "SQL_ASCII": REASON, "LATIN1": "café ? ?"}
"""Encodings of databases, and what they can have of `REASON`."""


def database_of(server, encoding):
    """The URL of a new database with `encoding`."""
    name = f"encoding_{uuid4().hex[:8]}"
    with psycopg.connect(server._dsn("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    return server._dsn(name).replace("postgresql:", "postgresql+psycopg:")


def recorded_reason(url):
    """What the record of a task has that failed because of `REASON`."""
    [task] = some_tasks(1)
    database, catalog = Database(url, threading.Event()), Catalog(url)
    try:
        database.prepare()
        database.record([task])
        assert database.apply([Result(uuid=task.uuid, error=REASON, worker="w")]) == set()
        return catalog.get(task.uuid).error
    finally:
        database.close()
        catalog.close()


@pytest.mark.parametrize("client", [None, "SQL_ASCII", "LATIN1", "auto"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_failure_is_recorded_whatever_the_encodings_are(postgresql, monkeypatch, encoding, client):
    if client:
        monkeypatch.setenv("PGCLIENTENCODING", client)
    assert recorded_reason(database_of(postgresql, encoding)) == ENCODINGS[encoding]


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_failure_is_recorded_through_pgbouncer(postgresql, pooled, encoding):
    pooler = pooled.rpartition("/")[0]
    url = f"{pooler}/{database_of(postgresql, encoding).rpartition('/')[2]}"
    assert [recorded_reason(url) for _ in range(5)] == [ENCODINGS[encoding]] * 5


@pytest.mark.parametrize("password", ["café", "☃", "пароль"])
def test_mariadb_takes_a_password_in_any_language(mariadb, password):
    url = mariadb.database(uuid4().hex[:8])
    user = f"ü☃{uuid4().hex[:8]}"
    with pymysql.connect(host="127.0.0.1", port=mariadb.port, user="root", autocommit=True) as connection:
        connection.cursor().execute(f"CREATE USER '{user}'@localhost IDENTIFIED BY %s", [password])
        connection.cursor().execute(f"GRANT ALL ON `tutorial%`.* TO '{user}'@localhost")
    own = url.replace("tutorial:secretsecret@", f"{quote(user)}:{quote(password)}@")
    parameters = f"{url.replace('tutorial:secretsecret@', '')}?user={quote(user)}&password={quote(password)}"
    assert [recorded_reason(each) for each in (own, parameters)] == [REASON] * 2
