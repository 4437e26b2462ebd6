import os
import signal
import tempfile
import warnings
from pathlib import Path
from uuid import uuid4

import pytest

from servers import MariaDB, MissingError, PostgreSQL, RabbitMQ, SeaweedFS
from system import System


@pytest.fixture
def hears_ctrl_c():
    """Who is started in the background of a shell script doesn't hear Ctrl-C, nor do its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _left_out(missing):
    if os.environ.get("CI") == "true":
        raise MissingError(missing)
    warnings.warn(f"LEFT OUT: tests that need {missing}, which is not installed here", stacklevel=1)
    pytest.skip(f"{missing} is not installed; tests/install-servers brings it")


def _private(kind):
    with tempfile.TemporaryDirectory(prefix="oat-") as folder:
        Path(folder).chmod(0o755)
        server = kind(Path(folder))
        try:
            server.start()
        except MissingError as missing:
            _left_out(str(missing))
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def rabbitmq():
    yield from _private(RabbitMQ)


@pytest.fixture(scope="session")
def mariadb():
    yield from _private(MariaDB)


@pytest.fixture(scope="session")
def postgresql():
    yield from _private(PostgreSQL)


@pytest.fixture(scope="session")
def seaweedfs():
    yield from _private(SeaweedFS)


@pytest.fixture
def bucket(seaweedfs, monkeypatch):
    """A target in an object store, under a prefix of the test's own, with its variables in the environment."""
    for name, value in seaweedfs.variables.items():
        monkeypatch.setenv(name, value)
    return f"s3://{seaweedfs.BUCKET}/{uuid4().hex[:8]}"


CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="session")
def chromium():
    """The system's Chromium, which talks to nobody but us."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (only here)

    if not CHROMIUM.exists():
        _left_out("chromium")
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic", *quiet]
        )
        yield browser
        browser.close()


@pytest.fixture
def vhost(rabbitmq):
    """A RabbitMQ whose queues are gone before the next test."""
    import amqp  # noqa: PLC0415 (only here)

    yield rabbitmq.url
    with amqp.Connection(f"127.0.0.1:{rabbitmq.port}") as connection:
        for name in ("tasks", "results", "dead-letters"):
            connection.channel().queue_delete(name)
            connection.channel().exchange_delete(name)


@pytest.fixture(params=["sqlite", "mariadb", "postgresql"])
def database_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'oat.db'}"
    return request.getfixturevalue(request.param).database(uuid4().hex[:8])


@pytest.fixture(params=["embedded", "rabbitmq+mariadb", "rabbitmq+postgresql", "rabbitmq+sqlite"])
def system(request, tmp_path):
    """The services on a broker, a database and a folder of the test's own."""
    broker, _, database = request.param.partition("+")
    broker_url = request.getfixturevalue("vhost") if broker == "rabbitmq" else None
    database_url = (
        request.getfixturevalue(database).database(uuid4().hex[:8])
        if database
        in (
            "mariadb",
            "postgresql",
        )
        else None
    )
    with System(tmp_path, broker_url, database_url) as running:
        yield running


@pytest.fixture
def on_servers(vhost, mariadb, tmp_path):
    """The same on RabbitMQ and MariaDB alone, where one combination is enough."""
    with System(tmp_path, vhost, mariadb.database(uuid4().hex[:8])) as running:
        yield running
