"""Chaos: faults at random moments, the same ones for the same CHAOS_SEED."""

import os
import random

import pytest

from helpers.power import forgetful_disk
from helpers.servers import MariaDB, RabbitMQ
from helpers.system import System

SEED = os.environ.get("CHAOS_SEED") or str(random.randrange(10**6))


def pytest_report_header():
    return f"the moments of the faults: CHAOS_SEED={SEED}"


@pytest.fixture
def rng(request):
    """Random moments, the same ones for the same seed and test."""
    print(f"CHAOS_SEED={SEED}")
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture
def settings():
    """Lost tasks are resent within seconds; with shorter intervals, tasks are only sent more often than needed."""
    return {"OAT_LEASE": "3", "OAT_RESEND_AFTER": "3"}


@pytest.fixture
def embedded(tmp_path, settings):
    with System(tmp_path, **settings) as running:
        yield running


@pytest.fixture
def killable(tmp_path, settings):
    """A RabbitMQ and a MariaDB that the test may harm, and the services on them."""
    servers = []
    try:
        for kind in (RabbitMQ, MariaDB):
            folder = tmp_path / kind.__name__
            folder.mkdir()
            servers.append(kind(folder).start())
        rabbitmq, mariadb = servers
        with System(tmp_path, rabbitmq.url, mariadb.database("killable"), **settings) as running:
            yield running, rabbitmq, mariadb
    finally:
        for server in servers:
            server.discard()


@pytest.fixture
def disk(tmp_path):
    """A disk under the data folder of the services that forgets at a power cut what was not synced."""
    with forgetful_disk(tmp_path / "disk", tmp_path / "data") as disk:
        yield disk
