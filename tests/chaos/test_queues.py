"""Messages that come twice, too early, never, or are none; queues that are not ours; many writers at once."""

import json
from collections import Counter

import pytest

from helpers.marks import embedded_and_servers
from helpers.tasks import small_tasks
from helpers.waiting import wait_until
from oat.services.tracker import MAX_RETRIED


@pytest.mark.long
@embedded_and_servers
def test_every_task_and_every_result_delivered_twice(system):
    system.produce(300)
    system.duplicate("tasks")
    [worker] = system.start_services("oat-worker").values()
    # One for each copy, but for two that the worker has in flight at a time: they get one.
    wait_until(lambda: system.queued("results") >= 300, "results of both copies")
    system.stop(worker)
    results = system.queued("results")
    system.duplicate("results")
    wait_until(lambda: system.queued("results") == 2 * results, "twice as many")
    system.start_services("oat-worker", "oat-tracker")
    assert system.finish() == 300


@pytest.mark.long
@embedded_and_servers
def test_results_whose_records_come_late_or_never(system, rng):
    half = MAX_RETRIED // 2  # more at once are dead letters at once
    late, never = small_tasks(half, rng), small_tasks(half, rng)
    system.produce(1)
    system.push("tasks", [task.to_json() for task in never + late])
    system.start_services("oat-worker")
    wait_until(lambda: system.queued("results") >= 2 * half - 10, "results")
    [tracker] = system.start_services("oat-tracker").values()
    wait_until(lambda: "processing result" in tracker.log.read_text(), "a result without a record")
    system.record(late)
    wait_until(lambda: system.queued("dead-letters") == half, "dead letters")
    assert system.finish(dead=half, orphaned=half) == half + 1
    dead = {json.loads(body)["uuid"] for body in system.dead_letters()}
    assert dead == {str(task.uuid) for task in never}
    for task in never:
        (system.images / f"{task.uuid}.png").unlink()
    system.audit(half + 1)


def nothing_is_resent(system):
    """Only messages of the test decide: a waiting record is resent as a good task, whatever named it before."""
    system.environment["OAT_RESEND_AFTER"] = "600"


def bad_messages(rng, good):
    """1,000 bodies that are no tasks, in an order of chance; 200 of them name a record of ours."""
    task = json.loads(good.to_json())
    kinds = [
        lambda n: b"%d is no task" % n,
        lambda n: rng.randbytes(rng.randint(1, 300)),
        lambda n: json.dumps([n]).encode(),
        lambda n: json.dumps({k: v for k, v in task.items() if k != "uuid"} | {"n": n}).encode(),
        lambda n: json.dumps(task | {"uuid": f"../{n}"}).encode(),
        lambda n: b"[" * (1000 + n),
        lambda n: b"\xff\xfe" + b"%d" % n,
        lambda n: b'{"uuid": "' + b"x" * (70_000 + n) + b'"}',
    ]
    return [rng.choice(kinds)(n) for n in range(800)]


@embedded_and_servers
def test_a_thousand_bad_messages_among_a_thousand_good_ones(system, rng):
    nothing_is_resent(system)
    good, named = small_tasks(1000, rng), small_tasks(200, rng)
    bad_tasks = bad_messages(rng, good[0]) + [
        json.dumps(
            json.loads(task.to_json()) | rng.choice([{"width": "9"}, {"iterations": 0}, {"xa": None}])
        ).encode()
        for task in named
    ]
    result = {"uuid": str(named[0].uuid), "duration": 1, "checksum": "00"}
    bad_results = [json.dumps(result | {"n": n}).encode() for n in range(100)] + [
        b"\x00%d" % n for n in range(100)
    ]
    system.record(good + named)
    everything = [task.to_json() for task in good] + bad_tasks
    rng.shuffle(everything)
    system.push("tasks", everything)
    with system.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM outbox")
    system.push("results", bad_results)
    system.start_services("oat-worker", "oat-tracker")
    assert system.finish(failed=200, dead=1200) == 1200
    assert Counter(system.dead_letters()) == Counter(bad_tasks + bad_results)


@pytest.mark.parametrize("order", [1, -1])
def test_a_record_that_a_bad_message_names_is_done_by_its_good_one(embedded, rng, order):
    """Whichever comes first: the good one may be a task that was resent while the bad one was in flight."""
    [task] = small_tasks(1, rng)
    bad = json.dumps(json.loads(task.to_json()) | {"width": "9"}).encode()
    embedded.record([task])
    with embedded.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM outbox")
    embedded.push("tasks", [bad, task.to_json()][::order])
    embedded.start_services("oat-worker", "oat-tracker")
    assert embedded.finish(dead=1) == 1


@pytest.mark.long
@embedded_and_servers
def test_a_result_that_the_database_cannot_keep_stops_nobody(system, rng):
    """Text outside of the database's alphabet, numbers at the edge of what it holds."""
    nothing_is_resent(system)
    odd = small_tasks(300, rng)
    system.record(odd)
    with system.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM outbox")
    answers = [
        {"worker": "wörker-☃-𝕏", "error": "Платте voll 💾"},
        {"worker": "w", "error": "e" * 1000},
        {"worker": "☃" * 255, "error": "💾" * 1000},
    ]
    system.push("results", [json.dumps({"uuid": str(t.uuid), **rng.choice(answers)}).encode() for t in odd])
    system.start_services("oat-worker", "oat-tracker")
    assert system.finish(failed=300) == 300


def differently(channel, what):
    channel.queue_delete("tasks")
    if what == "queue":
        channel.queue_declare("tasks", durable=True, auto_delete=False, arguments={"x-max-length": 5})
    else:
        channel.exchange_delete("tasks")
        channel.exchange_declare("tasks", "topic", durable=True, auto_delete=False)


@pytest.mark.parametrize("what", ["queue", pytest.param("exchange", marks=pytest.mark.long)])
def test_queues_declared_differently_are_a_clear_error(on_servers, what):
    on_servers.produce(300)
    with on_servers.amqp() as connection:
        differently(connection.channel(), what)
    for command in ("oat-worker", "oat-tracker", "oat-producer"):
        done = on_servers.call(command)
        assert done.returncode == 1
        assert "refuses" in done.stderr.splitlines()[-1]
        assert "'tasks'" in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
    with on_servers.amqp() as connection:
        channel = connection.channel()
        channel.queue_delete("tasks")
        channel.exchange_delete("tasks")
    on_servers.start_services("oat-worker", "oat-tracker")
    assert on_servers.finish() == 300


def deadlocks(system):
    if system.broker_url is None:
        return 0
    with system.engine.connect() as connection:
        return connection.exec_driver_sql("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'").one()


@pytest.mark.long
@pytest.mark.timeout(600)
@embedded_and_servers
def test_producers_and_trackers_writing_thousands_of_records_at_once_never_deadlock(system):
    system.produce(1)
    before = deadlocks(system)
    services = system.start_services("oat-worker", "oat-tracker", "oat-producer")
    services |= {
        f"{n}": s for n, s in enumerate(system.start_services("oat-tracker", "oat-producer", tasks=250).values())
    }
    wait_until(lambda: system.counts().get("done", 0) > 3000, "thousands of images", 200)
    system.stop(*(s for s in system.processes if "oat-producer" in s.log.name))
    assert system.finish() > 3000
    assert deadlocks(system) == before
    for service in services.values():
        assert "not available" not in service.log.read_text()
