"""Hosts whose clocks are wrong: nothing is lost, and nothing is sent again that is not lost."""

import contextlib

import pytest
import sqlalchemy as sa

from helpers import http
from helpers.clocks import clock
from helpers.marks import embedded_and_servers
from helpers.waiting import wait_until


@pytest.fixture
def settings():
    return {"OAT_RESEND_AFTER": "1", "OAT_LEASE": "1"}


@contextlib.contextmanager
def wrong(system, variables):
    """Processes that are started in here have a wrong clock."""
    system.environment |= variables
    try:
        yield
    finally:
        for name in variables:
            del system.environment[name]


def lose_tasks(system):
    if system.broker_url is None:
        for file in system.broker_folder.glob("tasks/[!.]*.json"):
            file.unlink()
        return
    with system.amqp() as connection:
        connection.channel().queue_purge("tasks")


def problems(system):
    return system.report()["problems"]


def test_tasks_of_a_clock_that_was_a_year_ahead_are_sent_again_when_they_are_lost(system, wrong_clocks):
    with wrong(system, clock("+1y")):
        system.produce(10)
    lose_tasks(system)
    on_sqlite = system.database_url.startswith("sqlite")
    if on_sqlite:
        assert problems(system) == {"IN_FUTURE": 10}
    tracker = system.start("oat-tracker")
    wait_until(lambda: system.queued("tasks") == 10, "the tasks, resent")
    assert ("were in the future" in tracker.log.read_text()) == on_sqlite
    system.stop(tracker)
    system.environment["OAT_RESEND_AFTER"] = "600"  # or a busy machine's worker gets them once more
    system.start_services("oat-tracker", "oat-worker")
    system.wait_for(10)
    assert {record["attempts"] for record in system.records()} == {2}
    assert system.finish() == 10


def test_tasks_of_a_killed_producer_whose_clock_was_a_year_ahead_are_published(system):
    system.produce(1)
    with system.engine.begin() as connection:  # as such a producer leaves them
        for table, column in (("fractals", "created_at"), ("fractals", "sent_at")):
            connection.exec_driver_sql(f"UPDATE {table} SET {column} = '2099-01-01 00:00:00.000000'")
        [uuid] = connection.exec_driver_sql("SELECT uuid FROM fractals").scalars()
        connection.exec_driver_sql(f"INSERT INTO outbox VALUES ('{uuid}', '2099-01-01 00:00:00.000000')")
    lose_tasks(system)
    assert problems(system) == {"IN_FUTURE": 1}
    system.start("oat-tracker")
    system.start("oat-worker")
    system.wait_for(1)
    assert system.finish() == 1


@embedded_and_servers
def test_hosts_whose_clocks_differ_by_minutes_send_nothing_twice(system, wrong_clocks):
    system.environment |= {"OAT_RESEND_AFTER": "100", "OAT_LEASE": "100"}
    with wrong(system, clock("-2m")):
        system.start("oat-worker")
    with wrong(system, clock("+2m")):
        system.produce(50)
    services = [system.start("oat-tracker")]
    with wrong(system, clock("-3m") if system.broker_url else clock("+0s")):
        services.append(system.start("oat-tracker"))
        url = system.gallery()
        assert http.post(f"{url}/v1/fractals", json={"count": 50, "width": 16, "height": 16}).is_success
    system.wait_for(100)
    assert {record["attempts"] for record in system.records()} == {1}
    for service in services:
        assert "overdue" not in service.log.read_text()
    assert system.finish() == 100


@embedded_and_servers
def test_a_clock_that_is_set_between_two_starts(system, wrong_clocks):
    for offset in ("+1y", "-1h", "+0s"):
        done = images(system)
        with wrong(system, clock(offset)):
            services = system.start_services()
            wait_until(lambda n=done: images(system) > n + 40, f"work at {offset}")
        for service in services.values():
            system.kill(service)
    system.start("oat-tracker")
    system.start("oat-worker")
    assert system.finish() > 120


def images(system):
    with contextlib.suppress(sa.exc.DBAPIError):  # the tables are not there yet
        return system.counts().get("done", 0)
    return 0
