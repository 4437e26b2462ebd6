"""The servers that tests start privately, and the services on them.

Tests whose server is missing are skipped with a warning; with CI=true they fail.
"""

import gc
import signal
import threading
import warnings
from uuid import uuid4

import pytest

from helpers.browser import CHROMIUM, launched
from helpers.clocks import library, remove_shared_memory
from helpers.guard import temporary_folder
from helpers.missing import require
from helpers.pgbouncer import PgBouncer
from helpers.proxy import Proxy
from helpers.s3 import Moto
from helpers.servers import STARTED, MariaDB, MissingError, PostgreSQL, RabbitMQ, SeaweedFS
from helpers.system import System
from oat.records.database import Database


@pytest.fixture
def database(database_url):
    """The records at the URL of the folder's own fixture `database_url`, with their tables."""
    opened = Database(database_url, threading.Event())
    opened.prepare()
    yield opened
    opened.close()


@pytest.fixture(autouse=True, scope="session")
def default_sigint():
    """SIGINT interrupts: in the background of a shell script, a process and its children would ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_collection_finish():
    """Exempt what is loaded from garbage collection, which would go through it again and again."""
    gc.freeze()
    gc.set_threshold(20_000)


def pytest_collection_modifyitems(items):
    """Begin with the test that takes longest, the chapters of the tutorial: the others are done beside it."""
    items.sort(key=lambda item: item.path.name != "test_chapters.py")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """Start shared servers again that have ended by themselves: only one test is to fail of it."""
    for server in list(STARTED):
        if server.has_ended():
            warnings.warn(server.account(), stacklevel=1)
            server.stop()
            server.folder.mkdir(exist_ok=True)
            server.start()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Say with a failure which servers have ended, and why; and what the services have logged."""
    report = yield
    if report.failed:
        report.sections += [("a server that has ended", each.account()) for each in STARTED if each.has_ended()]
        folder = getattr(item, "funcargs", {}).get("tmp_path")
        for log in sorted(folder.glob("*.log")) if folder and folder.exists() else ():
            report.sections.append((f"the end of {log.name}", log.read_text(errors="replace")[-2000:]))
    return report


def _private(kind):
    with temporary_folder() as folder:
        server = kind(folder)
        try:
            server.start()
        except MissingError as missing:
            require(str(missing))
        try:
            yield server
        finally:
            server.discard()


@pytest.fixture(scope="session")
def rabbitmq():
    yield from _private(RabbitMQ)


@pytest.fixture(scope="session")
def mariadb():
    yield from _private(MariaDB)


@pytest.fixture(scope="session")
def postgresql():
    yield from _private(PostgreSQL)


@pytest.fixture(params=["session", "transaction"])
def pooled(request, postgresql):
    """The URL of an empty database through PgBouncer, in both of its modes that services can work with.

    It has fewer connections to the server than the services have to it, where the mode allows that.
    """
    size = 2 if request.param == "transaction" else 50

    def kind(folder):
        pooler = PgBouncer(folder, options=(f"pool_mode = {request.param}", f"default_pool_size = {size}"))
        pooler.port_behind = postgresql.port
        return pooler

    url = postgresql.database(uuid4().hex[:8])
    for pooler in _private(kind):
        yield url.replace(f":{postgresql.port}/", f":{pooler.port}/")


@pytest.fixture(scope="session")
def seaweedfs():
    yield from _private(SeaweedFS)


@pytest.fixture(scope="session")
def moto():
    yield from _private(Moto)


@pytest.fixture
def bucket(seaweedfs, monkeypatch):
    """A target in an object store, under a prefix of the test's own, with its variables in the environment."""
    for name, value in seaweedfs.variables.items():
        monkeypatch.setenv(name, value)
    return f"s3://{seaweedfs.BUCKET}/{uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def chromium():
    """The system's Chromium, which talks to nobody but us."""
    if not CHROMIUM.exists():
        require("chromium")
    with launched() as browser:
        yield browser


@pytest.fixture
def wrong_clocks():
    """The library with which `helpers.clocks` sets the clock of a process."""
    try:
        yield library()
    except MissingError as missing:
        require(str(missing))
    remove_shared_memory()


@pytest.fixture
def vhost(rabbitmq):
    """A RabbitMQ whose queues are gone before the next test."""
    import amqp  # noqa: PLC0415 (only here)

    yield rabbitmq.url
    with amqp.Connection(f"127.0.0.1:{rabbitmq.port}") as connection:
        for name in ("tasks", "results", "dead-letters"):
            connection.channel().queue_delete(name)
            connection.channel().exchange_delete(name)


@pytest.fixture
def settings():
    """Environment variables of all services of a `system`; a folder of tests may have its own."""
    return {}


@pytest.fixture(params=["embedded", "rabbitmq+mariadb", "rabbitmq+postgresql", "rabbitmq+sqlite"])
def system(request, tmp_path, settings):
    """The services on a broker, a database and a folder of the test's own."""
    broker, _, database = request.param.partition("+")
    broker_url = request.getfixturevalue("vhost") if broker == "rabbitmq" else None
    on_server = database in ("mariadb", "postgresql")
    database_url = request.getfixturevalue(database).database(uuid4().hex[:8]) if on_server else None
    with System(tmp_path, broker_url, database_url, **settings) as running:
        yield running


@pytest.fixture(params=["embedded", "on_servers"])
def either(request, tmp_path, settings):
    """The embedded default, and RabbitMQ with MariaDB, where two combinations are enough."""
    if request.param == "embedded":
        with System(tmp_path, **settings) as running:
            yield running
    else:
        yield request.getfixturevalue("on_servers")


@pytest.fixture
def on_servers(vhost, mariadb, tmp_path, settings):
    """The same on RabbitMQ and MariaDB alone, where one combination is enough."""
    with System(tmp_path, vhost, mariadb.database(uuid4().hex[:8]), **settings) as running:
        yield running


@pytest.fixture
def proxies(on_servers, rabbitmq, mariadb):
    """The broker's and the database's proxy; the services see the servers through them alone.

    Without TLS, which MariaDB offers by itself from 11.4 on: the database's proxy looks for statements.
    """
    broker, database = Proxy(rabbitmq.port), Proxy(mariadb.port)
    on_servers.environment |= {
        "OAT_BROKER_URL": on_servers.broker_url.replace(f":{rabbitmq.port}", f":{broker.port}"),
        "OAT_DATABASE_URL": on_servers.database_url.replace(f":{mariadb.port}", f":{database.port}")
        + "?ssl_disabled=true",
    }
    yield {"broker": broker, "database": database}
    broker.close()
    database.close()
