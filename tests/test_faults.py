"""Servers that die in the middle: the services wait for them, and the numbers add up afterwards."""

import signal

import pytest

from servers import MariaDB, RabbitMQ, wait_until
from system import System, terminate


@pytest.fixture
def mortal(tmp_path):
    """A RabbitMQ and a MariaDB that the test may kill, and the services on them."""
    servers = []
    try:
        for kind in (RabbitMQ, MariaDB):
            folder = tmp_path / kind.__name__
            folder.mkdir()
            servers.append(kind(folder).start())
        rabbitmq, mariadb = servers
        with System(tmp_path, rabbitmq.url, mariadb.database("mortal"), OAT_RESEND_AFTER="5") as system:
            yield system, *servers
    finally:
        for server in servers:
            server.stop()


@pytest.mark.parametrize("victim", [RabbitMQ, MariaDB])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_that_dies_and_comes_back_costs_nothing(mortal, victim, number):
    system, *servers = mortal
    [server] = [server for server in servers if isinstance(server, victim)]
    system.produce(300)
    worker, tracker = system.start("oat-worker", "--threads", 1), system.start("oat-tracker")
    wait_until(lambda: tracker.log.read_text().count("checksum") > 20, "some results")
    server.stop(number)
    service = worker if victim is RabbitMQ else tracker
    wait_until(lambda: "trying again" in service.log.read_text(), "the loss to be noticed")
    server.start()
    system.wait_for(300)
    terminate(worker)
    terminate(tracker)
    system.audit(300)
