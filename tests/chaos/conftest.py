import os
import random
from uuid import uuid4

import pytest

from proxy import Proxy
from servers import MariaDB, RabbitMQ
from system import System

SEED = os.environ.get("CHAOS_SEED") or str(random.randrange(10**6))

IMPATIENT = {"OAT_LEASE": "3", "OAT_RESEND_AFTER": "3"}
"""What is lost is sent again within seconds: with less patience, tasks are only sent more often than needed."""


def pytest_report_header():
    return f"the moments of the faults: CHAOS_SEED={SEED}"


@pytest.fixture
def rng(request):
    """Random moments, the same ones for the same seed and test."""
    print(f"CHAOS_SEED={SEED}")
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture
def on_servers(vhost, mariadb, tmp_path):
    with System(tmp_path, vhost, mariadb.database(uuid4().hex[:8]), **IMPATIENT) as running:
        yield running


@pytest.fixture
def embedded(tmp_path):
    with System(tmp_path, **IMPATIENT) as running:
        yield running


@pytest.fixture(params=["embedded", "on_servers"], ids=["embedded", "servers"])
def system(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def mortal(tmp_path):
    """A RabbitMQ and a MariaDB that the test may harm, and the services on them."""
    servers = []
    try:
        for kind in (RabbitMQ, MariaDB):
            folder = tmp_path / kind.__name__
            folder.mkdir()
            servers.append(kind(folder).start())
        rabbitmq, mariadb = servers
        with System(tmp_path, rabbitmq.url, mariadb.database("mortal"), **IMPATIENT) as running:
            yield running, rabbitmq, mariadb
    finally:
        for server in servers:
            server.stop()


@pytest.fixture
def proxies(on_servers, rabbitmq, mariadb):
    """The broker's and the database's proxy; the services see the servers through them alone."""
    broker, database = Proxy(rabbitmq.port), Proxy(mariadb.port)
    on_servers.environment |= {
        "OAT_BROKER_URL": on_servers.broker_url.replace(f":{rabbitmq.port}", f":{broker.port}"),
        "OAT_DATABASE_URL": on_servers.database_url.replace(f":{mariadb.port}", f":{database.port}"),
    }
    yield {"broker": broker, "database": database}
    broker.close()
    database.close()
