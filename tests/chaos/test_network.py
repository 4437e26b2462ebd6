"""Connections that are cut, fall silent, stall or crawl."""

import time

import pytest

from helpers.proxy import DOWN, UP
from helpers.servers import HEARTBEAT
from helpers.slow_tasks import slow
from helpers.waiting import TIMEOUT, wait_until

LONG = pytest.mark.long

NOTICED = "trying again"


@pytest.mark.parametrize("server", ["broker", pytest.param("database", marks=LONG)])
def test_connections_cut_at_random_moments(on_servers, proxies, server, rng):
    services = on_servers.start_with_backlog()
    for _ in range(10):
        time.sleep(rng.uniform(0, 0.5))
        on_servers.fill_queue()
        proxies[server].cut()
    on_servers.assert_recovers(services)


@LONG
@pytest.mark.parametrize("ways", [(UP, DOWN), (UP,), (DOWN,)])
def test_a_broker_that_falls_silent_is_left(on_servers, proxies, ways):
    services = on_servers.start_with_backlog()
    proxies["broker"].silence(*ways)
    for service in services.values():
        wait_until(lambda s=service: NOTICED in s.log.read_text(), "the silence to be noticed")
    proxies["broker"].flow()
    on_servers.assert_recovers(services)


@LONG
@pytest.mark.parametrize("ways", [(UP, DOWN), (UP,), (DOWN,)])
def test_a_database_that_falls_silent_is_left(on_servers, proxies, ways):
    services = on_servers.start_with_backlog()
    proxies["database"].silence(*ways)
    for command in ("oat-tracker", "oat-producer"):
        log = services[command].log
        wait_until(lambda f=log: NOTICED in f.read_text(), "the silence to be noticed")
    proxies["database"].flow()
    on_servers.assert_recovers(services)


@LONG
@pytest.mark.parametrize("heartbeats", [0.5, 4])
@pytest.mark.parametrize("server", ["broker", "database"])
def test_traffic_that_stalls_and_goes_on(on_servers, proxies, server, heartbeats):
    services = on_servers.start_with_backlog()
    for _ in range(3):
        on_servers.fill_queue()
        proxies[server].stall()
        time.sleep(heartbeats * HEARTBEAT)
        proxies[server].flow()
    on_servers.assert_recovers(services)


@LONG
@pytest.mark.parametrize("server", ["broker", "database"])
def test_traffic_that_crawls(on_servers, proxies, server):
    proxies[server].delay = 0.005
    services = on_servers.start_with_backlog()
    on_servers.assert_recovers(services)


@LONG
def test_an_image_that_takes_longer_than_the_heartbeats(on_servers):
    on_servers.environment["OAT_RESEND_AFTER"] = "60"  # else it is sent again and again on a slow machine
    on_servers.record([slow(3.5 * HEARTBEAT)])
    on_servers.produce(300)
    services = on_servers.start_services("oat-tracker")
    wait_until(lambda: on_servers.queued("tasks") >= 301, "the long task, sent by the tracker")
    services |= on_servers.start_services("oat-worker")
    assert on_servers.finish() == 301
    assert max(record["duration"] for record in on_servers.records()) > 2 * HEARTBEAT
    assert "lost the broker" not in services["oat-worker"].log.read_text()


@LONG
def test_a_broker_that_nacks_because_its_queues_are_full(on_servers, rabbitmq):
    services = on_servers.start_with_backlog()
    rabbitmq.control("set_policy", "full", "^(tasks|results)$", '{"max-length": 5, "overflow": "reject-publish"}')
    try:
        for publisher, consumer in (("oat-producer", "oat-worker"), ("oat-worker", "oat-tracker")):
            on_servers.stop(services[consumer])  # who takes enough at once keeps the queue short
            log = services[publisher].log
            wait_until(lambda f=log: NOTICED in f.read_text(), "a nack")
            services |= on_servers.start_services(consumer)
    finally:
        rabbitmq.control("clear_policy", "full")
    on_servers.assert_recovers(services)


@LONG
def test_a_broker_that_reads_nothing_because_its_memory_is_full(on_servers, rabbitmq):
    services = on_servers.start_with_backlog()
    rabbitmq.control("set_vm_memory_high_watermark", "0.00001")
    try:
        time.sleep(4 * HEARTBEAT)
        assert not any("lost the broker" in service.log.read_text() for service in services.values())
        worker = services["oat-worker"]
        on_servers.stop(worker)  # what it has not got rid of is rendered again
    finally:
        rabbitmq.control("set_vm_memory_high_watermark", "0.4")
    on_servers.start_services("oat-worker")
    on_servers.assert_recovers(services)


@pytest.mark.parametrize(
    ("what", "missing"),
    [
        ("queue", "tasks"),
        *(
            pytest.param(what, missing, marks=LONG)
            for what in ("queue", "exchange", "binding")
            for missing in ("tasks", "results")
            if (what, missing) != ("queue", "tasks")
        ),
    ],
)
def test_queues_and_exchanges_deleted_in_use_are_declared_again(on_servers, what, missing):
    services = on_servers.start_with_backlog()
    with on_servers.amqp() as connection:
        channel = connection.channel()
        match what:
            case "queue":
                channel.queue_delete(missing)
            case "exchange":
                channel.exchange_delete(missing)
            case "binding":
                channel.queue_unbind(missing, missing, missing)
    on_servers.assert_recovers(services)


@pytest.mark.parametrize(
    ("command", "statement", "state"),
    [
        ("oat-producer", b"INSERT INTO outbox", "waiting"),
        pytest.param("oat-tracker", b"UPDATE fractals", "done", marks=LONG),
    ],
)
def test_a_commit_whose_answer_is_lost(on_servers, proxies, command, statement, state):
    """The service cannot know whether it was the commit or its answer, and must not care."""
    on_servers.produce(300)
    on_servers.start_services("oat-worker")
    wait_until(lambda: on_servers.queued("results") == 300, "the results")
    before = on_servers.counts().get(state, 0)
    proxy = proxies["database"]
    proxy.flow(trap=statement)
    services = on_servers.start_services(command, tasks=300, pause=60)
    assert proxy.trapped.wait(TIMEOUT)
    proxy.flow(trap=b"COMMIT")
    assert proxy.trapped.wait(TIMEOUT)
    proxy.silence(DOWN)
    proxy.flow_up()
    wait_until(lambda: on_servers.counts().get(state, 0) > before, "the commit")
    proxy.cut()
    proxy.flow()
    wait_until(lambda: NOTICED in services[command].log.read_text(), "the loss to be noticed")
    if command == "oat-producer":
        wait_until(lambda: "sleeping for" in services[command].log.read_text(), "a set that is out")
        on_servers.stop(services[command])
        on_servers.start_services("oat-tracker")
    assert on_servers.finish() == (600 if command == "oat-producer" else 300)


@LONG
def test_locks_of_a_lost_transaction_are_released(on_servers, proxies):
    """The server hears no more of who has recorded a set and not committed it; the same set is recorded again."""
    on_servers.produce(300)
    proxy = proxies["database"]
    proxy.flow(trap=b"INSERT INTO outbox")
    [producer] = on_servers.start_services("oat-producer", tasks=300, pause=60).values()
    assert proxy.trapped.wait(TIMEOUT)
    proxy.silence(UP)
    proxy.flow_up()
    wait_until(lambda: NOTICED in producer.log.read_text(), "the silence to be noticed")
    proxy.flow()
    wait_until(lambda: "sleeping for" in producer.log.read_text(), "a set that is out")
    on_servers.start_services("oat-worker", "oat-tracker")
    assert on_servers.finish() == 600


@LONG
def test_a_service_killed_while_it_makes_the_tables(on_servers, proxies):
    proxies["database"].flow(trap=b"CREATE TABLE IF NOT EXISTS outbox")
    [killed] = on_servers.start_services("oat-tracker").values()
    assert proxies["database"].trapped.wait(TIMEOUT)
    on_servers.kill(killed)
    proxies["database"].cut()
    proxies["database"].flow()
    on_servers.produce(300)
    on_servers.start_services("oat-worker", "oat-tracker")
    assert on_servers.finish() == 300
