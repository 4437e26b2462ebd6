"""What PostgreSQL and PgBouncer say while a connection is made: told apart by its SQLSTATE, in any language."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import psycopg
import pytest

from helpers.missing import leave_out
from helpers.pgbouncer import PgBouncer
from helpers.servers import MissingError, PostgreSQL
from helpers.waiting import free_port, wait_until
from oat.records.database import Database
from oat.records.startup_errors import startup_sqlstate
from oat.records.transactions import DatabaseError

GERMAN = "de_DE.UTF-8"


@pytest.fixture(scope="module")
def folder():
    """A folder that the user of the servers may enter."""
    with tempfile.TemporaryDirectory(prefix="oat-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


@pytest.fixture(scope="module")
def german(folder):
    """A PostgreSQL that speaks German, with a role that has to tell its password."""
    locales = folder / "locales"
    locales.mkdir()
    if shutil.which("localedef") is None or not list(Path("/usr/share/locale/de").glob("*/postgres-*.mo")):
        leave_out("the system has no German for PostgreSQL")
    made = subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "UTF-8", locales / GERMAN], capture_output=True, check=False
    )
    if made.returncode:
        leave_out(f"localedef: {made.stderr}")
    server = PostgreSQL(folder, options=("-c", f"lc_messages={GERMAN}", "-c", "max_connections=13"))
    server.environment = os.environ | {"LOCPATH": str(locales)}
    try:
        server.start()
    except MissingError as missing:
        leave_out(str(missing))
    hba = folder / "data" / "pg_hba.conf"
    hba.write_text(
        f"host all reader 127.0.0.1/32 scram-sha-256\nhost all alien 127.0.0.1/32 reject\n{hba.read_text()}"
    )
    with psycopg.connect(server._dsn("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'geheimnis'")
        connection.execute("CREATE ROLE alien LOGIN")
        connection.execute("SELECT pg_reload_conf()")
    wait_until(lambda: _says(server, "reader") and _says(server, "alien"), "the new rules")
    yield server
    server.stop()


def _says(server, user):
    """What the server says to a `user` without a password; empty if it lets them in."""
    try:
        psycopg.connect(server._dsn("postgres").replace("tutorial@", f"{user}@")).close()
    except psycopg.OperationalError as error:
        return str(error)
    return ""


def refused(url):
    database = Database(url, threading.Event(), timeout=0.0)
    try:
        with pytest.raises(DatabaseError) as raised:
            database.prepare()
    finally:
        database.close()
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("user", "name", "parameters", "said"),
    [
        ("reader:falsch", "postgres", "", "Passwort-Authentifizierung"),
        ("tutorial", "nichts", "", "existiert nicht"),
        ("niemand", "postgres", "", "existiert nicht"),
        ("alien", "postgres", "", "pg_hba.conf"),
        ("tutorial", "postgres", "?options=-c%20nichts=1", "nichts"),
        ("tutorial", "postgres", "?options=-c%20work_mem=viel", "work_mem"),
    ],
)
def test_what_a_german_postgresql_refuses_is_not_waited_for(german, user, name, parameters, said):
    line = refused(f"postgresql+psycopg://{user}@127.0.0.1:{german.port}/{name}{parameters}")
    assert "refuses" in line
    assert said in line
    assert "falsch" not in line


def test_a_german_postgresql_without_a_free_connection_is_waited_for(german, caplog):
    dsn, kept = f"postgresql://reader:geheimnis@127.0.0.1:{german.port}/postgres", []
    with pytest.raises(psycopg.OperationalError, match="FATAL"):
        while True:
            kept.append(psycopg.connect(dsn))
    url = dsn.replace("postgresql:", "postgresql+psycopg:")
    database = Database(url, threading.Event())
    waiting = threading.Thread(target=database.now)
    waiting.start()
    wait_until(lambda: caplog.text.count("trying again") > 1, "two attempts")
    for connection in kept:
        connection.close()
    waiting.join()
    database.close()


def test_of_several_servers_all_have_to_refuse(german):
    nobody = {"user": "niemand", "dbname": "postgres", "host": "127.0.0.1,127.0.0.1"}
    closed = free_port()
    assert startup_sqlstate({**nobody, "port": str(german.port)}) == "28000"
    for ports in (f"{german.port},{closed}", f"{closed},{german.port}"):
        assert startup_sqlstate({**nobody, "port": ports}) is None


def test_a_server_that_says_nothing_has_no_sqlstate(monkeypatch):
    monkeypatch.setattr("oat.records.startup_errors.TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert startup_sqlstate({"host": "127.0.0.1", "port": silent.getsockname()[1]}) is None


@pytest.mark.parametrize("method", ["trust", "md5", "scram-sha-256"])
def test_what_pgbouncer_refuses_is_not_waited_for(german, folder, method):
    pooler = PgBouncer(folder / method, options=(f"auth_type = {method}",))
    pooler.port_behind = german.port
    pooler.folder.mkdir()
    try:
        pooler.start()
        url = f"postgresql+psycopg://{{}}@127.0.0.1:{pooler.port}/"
        assert "refuses" in refused(url.format("niemand:falsch") + "postgres")
        assert "refuses" in refused(url.format("tutorial:falsch") + "postgres?options=-c%20work_mem=1MB")
        if method == "trust":
            line = refused(url.format("tutorial") + "nichts")
            # PgBouncer 1.18 passes on what the server says without its SQLSTATE; what is unknown is waited for.
            assert "not available" in line or "refuses" in line
            assert "Datenbank »nichts« existiert nicht" in line
    except MissingError as missing:
        leave_out(str(missing))
    finally:
        pooler.stop()
