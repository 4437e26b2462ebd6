"""Messages of other AMQP clients, good and bad."""

import json
from uuid import uuid4

import amqp
import pytest

from helpers.processes import terminate
from helpers.system import System
from helpers.waiting import wait_until


def get(channel, queue):
    return wait_until(lambda: channel.basic_get(queue, no_ack=True), f"a message in {queue}")


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_a_bare_amqp_client_sends_the_specs_eight_fields_and_gets_a_result(vhost, tmp_path, queue_type):
    """It may also declare classic queues itself; a quorum queue it takes as it is there."""
    with System(tmp_path, vhost, OAT_QUEUE_TYPE=queue_type) as system:
        connection = system.amqp()
        channel = connection.channel()
        if queue_type == "classic":
            for name in ("tasks", "results"):
                channel.exchange_declare(name, "direct", durable=True, auto_delete=False)
                channel.queue_declare(name, durable=True, auto_delete=False)
                channel.queue_bind(name, name, name)
        else:
            system.produce(1)
            channel.queue_purge("tasks")
        worker = system.start("oat-worker")
        task = {"uuid": str(uuid4()), "width": 64, "height": 48, "iterations": 128,
                "xa": -2.0, "xb": 2, "ya": -1.5, "yb": 1.5}  # fmt: skip
        channel.basic_publish(amqp.Message(json.dumps(task)), "tasks", "tasks")
        answer = get(channel, "results")
        assert answer.properties["content_type"] == "application/json"
        assert answer.properties["delivery_mode"] == 2
        result = json.loads(answer.body)
        assert result["uuid"] == task["uuid"]
        assert (system.images / f"{task['uuid']}.png").stat().st_size == result["size"]
        connection.close()
        terminate(worker)


def test_invalid_tasks_are_dead_lettered_with_a_reason(on_servers):
    import pickle  # noqa: PLC0415 (only here)

    on_servers.produce(2)
    good, bad = (record["uuid"] for record in on_servers.records())
    connection = on_servers.amqp()
    channel = connection.channel()
    channel.queue_purge("tasks")
    valid = {"width": 9, "height": 9, "iterations": 9, "xa": -1.0, "xb": 1.0, "ya": -1.0, "yb": 1.0}
    bodies = [
        b"no json", pickle.dumps(valid), json.dumps(valid), json.dumps(valid | {"uuid": "../../etc/passwd"}),
        json.dumps(valid | {"uuid": bad, "xa": float("nan")}), json.dumps(valid | {"uuid": bad, "width": "9"}),
        json.dumps(valid | {"uuid": bad, "iterations": 10**12}), "[" * 10_000,
    ]  # fmt: skip
    for body in bodies:
        channel.basic_publish(amqp.Message(body), "tasks", "tasks")
    channel.basic_publish(amqp.Message(json.dumps(valid | {"uuid": good})), "tasks", "tasks")
    channel.basic_publish(amqp.Message("nonsense"), "results", "results")
    stranger = {"uuid": str(uuid4()), "duration": 1.0, "checksum": "0" * 64}
    channel.basic_publish(amqp.Message(json.dumps(stranger)), "results", "results")
    worker, tracker = on_servers.start("oat-worker"), on_servers.start("oat-tracker")
    on_servers.wait_for(1)
    on_servers.wait_for(1, "failed")
    letters = [get(channel, "dead-letters") for _ in range(len(bodies) + 2)]
    assert channel.basic_get("dead-letters") is None
    assert all(letter.headers["reason"] for letter in letters)
    as_bytes = [letter.body if isinstance(letter.body, bytes) else letter.body.encode() for letter in letters]
    assert bodies[1] in as_bytes
    assert {record["uuid"]: record["status"] for record in on_servers.records()} == {good: "done", bad: "failed"}
    assert all("no valid task" in r["error"] for r in on_servers.records() if r["uuid"] == bad)
    assert "dead-lettered a message" in worker.log.read_text()
    connection.close()
    terminate(worker)
    terminate(tracker)
