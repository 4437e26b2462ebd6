"""Servers that are not there yet, or that do not let the services in."""

import pytest

from helpers.processes import terminate
from helpers.servers import RabbitMQ
from helpers.system import System
from helpers.waiting import free_port, wait_until


def test_services_wait_for_servers_that_are_not_there_yet(tmp_path):
    port = free_port()
    folder = tmp_path / "broker"
    folder.mkdir()
    with System(tmp_path, f"amqp://guest:guest@127.0.0.1:{port}//") as system:
        worker, tracker = system.start("oat-worker"), system.start("oat-tracker")
        for service in (worker, tracker):
            wait_until(lambda s=service: "cannot reach the broker" in s.log.read_text(), "a log line")
            assert "guest:guest" not in service.log.read_text()
        server = RabbitMQ(folder, port)
        try:
            server.start()
            system.produce(10)
            system.wait_for(10)
            terminate(worker)
            terminate(tracker)
            system.audit(10)
        finally:
            server.discard()


def test_a_service_stops_at_once_while_it_waits_for_a_server(tmp_path):
    with System(tmp_path, f"amqp://guest:guest@127.0.0.1:{free_port()}//") as system:
        worker = system.start("oat-worker")
        wait_until(lambda: "cannot reach the broker" in worker.log.read_text(), "a log line")
        terminate(worker)


def test_a_stop_while_the_database_is_away_is_no_failure(tmp_path):
    url = f"mysql+pymysql://tutorial:secretsecret@127.0.0.1:{free_port()}/tutorial"
    with System(tmp_path, None, url) as system:
        tracker = system.start("oat-tracker")
        wait_until(lambda: "is not available" in tracker.log.read_text(), "a log line")
        terminate(tracker)
        assert "secretsecret" not in tracker.log.read_text()


@pytest.mark.parametrize("server", ["rabbitmq", "mariadb"])
def test_a_wrong_password_is_one_line(server, rabbitmq, mariadb, tmp_path):
    broker_url = rabbitmq.url.replace("guest@", "wrong@") if server == "rabbitmq" else None
    database_url = f"mysql+pymysql://tutorial:wrong@127.0.0.1:{mariadb.port}/x" if server == "mariadb" else None
    with System(tmp_path, broker_url, database_url) as system:
        done = system.call("oat-tracker")
    assert done.returncode == 1
    assert "refuses" in done.stderr.splitlines()[-1]
    assert "wrong@" not in done.stderr
    assert "Traceback" not in done.stderr
