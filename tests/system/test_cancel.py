"""`oat cancel`: what is cancelled is not rendered, and can be retried and deleted."""

import json
import random

import pytest

from helpers.slow_tasks import slow
from helpers.tasks import small_tasks
from helpers.waiting import free_port, wait_until


def call(system, *arguments):
    done = system.call("oat", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def status_of(system, task):
    return next(record["status"] for record in system.records() if record["uuid"] == str(task.uuid))


@pytest.mark.parametrize("how", ["database", "api"])
def test_cancelled_tasks_are_not_rendered_and_the_others_are(either, how):
    tasks = small_tasks(12, random.Random(1))
    either.send(tasks)
    if how == "api":
        either.environment["OAT_API_URL"] = either.gallery()
    chosen = tasks[2:8:2]
    said = call(either, "cancel", *(task.uuid for task in chosen))
    assert said.splitlines() == [f"cancelled {task.uuid}" for task in chosen]
    assert either.queued("tasks") == 9
    assert either.outbox() == 0
    either.start("oat-worker")
    either.start("oat-tracker")
    either.wait_for(9)
    assert not {f"{task.uuid}.png" for task in chosen} & set(either.store.names())
    listed = json.loads(call(either, "list", "--status", "cancelled", "--json"))
    assert {each["uuid"] for each in listed} == {str(task.uuid) for task in chosen}
    assert json.loads(call(either, "status", "--json"))["cancelled"] == 3
    refused = either.call("oat", "cancel", tasks[0].uuid)
    assert refused.returncode == 1
    assert "it can be cancelled while it is waiting" in refused.stderr
    call(either, "retry", chosen[0].uuid)
    either.wait_for(10)
    call(either, "delete", chosen[1].uuid)
    either.audit(11, cancelled=1)


def test_all_that_wait_are_cancelled_and_messages_of_others_stay(either):
    tasks, [foreign] = small_tasks(700, random.Random(2)), small_tasks(1, random.Random(3))
    either.send(tasks)
    either.push("tasks", [b"no task", foreign.to_json()])
    said = call(either, "cancel", "--all")
    assert said == "cancelled 700 task(s); messages removed from the queue: 700\n"
    assert either.queued("tasks") == 2
    assert either.counts() == {"cancelled": 700}
    assert call(either, "cancel", "--all") == "cancelled 0 task(s); messages removed from the queue: 0\n"
    report = json.loads(call(either, "audit", "--json"))
    assert (report["records"]["cancelled"], report["problems"]) == (700, {})


def test_a_task_that_is_being_rendered_is_done_in_the_end(either):
    task = slow(3)
    either.send([task])
    worker = either.start("oat-worker", "--threads", 1)
    wait_until(lambda: "processing task" in worker.log.read_text(), "its start")
    assert call(either, "cancel", task.uuid) == f"cancelled {task.uuid}\n"
    assert status_of(either, task) == "cancelled"
    either.start("oat-tracker")
    either.wait_for(1)
    either.audit(1)


def test_without_the_broker_it_says_so_and_can_be_done_again(on_servers):
    on_servers.send(small_tasks(5, random.Random(4)))
    nowhere = f"amqp://guest:guest@127.0.0.1:{free_port()}//"
    done = on_servers.call("oat", "cancel", "--all", "--broker-url", nowhere)
    assert done.returncode == 0, done.stderr
    assert "still to be removed" in done.stdout
    assert "cancel again when the broker is reachable" in done.stderr
    assert (on_servers.counts(), on_servers.queued("tasks")) == ({"cancelled": 5}, 5)
    assert "cancelled 0 task(s); messages removed from the queue: 5" in call(on_servers, "cancel", "--all")
    assert on_servers.queued("tasks") == 0


@pytest.mark.parametrize("arguments", [(), ("--all", "00000000-0000-0000-0000-000000000000")])
def test_either_some_or_all_are_named(tmp_path, arguments, either):
    refused = either.call("oat", "cancel", *arguments)
    assert refused.returncode == 2
    assert "or --all" in refused.stderr
