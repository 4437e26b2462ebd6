"""The whole system, as real processes on real servers."""

import io
import json
import random
import re
from pathlib import Path
from uuid import uuid4

import amqp
import numpy as np
import pytest
from PIL import Image

from oat.messages import parse_task
from oat.services import Ranges, random_task
from oat.settings import Limits
from reference import colour, escape_counts
from servers import free_port, wait_until
from siegel import disc
from system import System, terminate

TINY = Ranges(width=(16, 16), height=(16, 16))
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def has_lines(log, *patterns):
    for pattern in patterns:
        assert re.search(f"^{STAMP}{pattern}$", log, re.MULTILINE), (pattern, log[-2000:])


def test_every_task_ends_with_its_record_its_file_and_its_checksum(system):
    worker, tracker = system.start("oat-worker"), system.start("oat-tracker")
    log = system.produce(60)
    has_lines(log, r"generating 60 task\(s\)", r"generated task: \{'uuid': UUID\('.*\}")
    system.wait_for(60)
    terminate(worker)
    terminate(tracker)
    system.audit(60)
    number = r"\d+\.\d{6}"
    has_lines(
        worker.log.read_text(),
        f"processing task {UUID}", f"task {UUID} processed in {number} seconds",
        rf"saved result of task {UUID} to file /.*\.png", r"pushed result: \{'uuid': UUID\('.*\}",
    )  # fmt: skip
    has_lines(
        tracker.log.read_text(),
        f"processing result {UUID}",
        f"elapsed time {number} seconds",
        "checksum [0-9a-f]{64}",
    )


def test_the_images_are_those_of_the_reference(system):
    system.start("oat-worker")
    system.start("oat-tracker")
    system.produce(6)
    system.wait_for(6)
    for record in system.records():
        fields = {
            name: record[name] for name in ("width", "height", "iterations", "xa", "xb", "ya", "yb", "cx", "cy")
        }
        task = parse_task(json.dumps(fields | {"uuid": record["uuid"]}), Limits())
        pixels = np.asarray(Image.open(system.images / f"{record['uuid']}.png").convert("RGB"))
        assert (pixels == np.array([[colour(n) for n in row] for row in escape_counts(task)])).all()


def test_two_workers_and_two_trackers_share_the_load(on_servers):
    services = [on_servers.start("oat-worker", "--threads", 1) for _ in range(2)]
    services += [on_servers.start("oat-tracker") for _ in range(2)]
    for service in services[:2]:
        wait_until(lambda service=service: "images" in service.log.read_text(), "a start")
    on_servers.produce(200)
    on_servers.wait_for(200)
    for service in services:
        terminate(service)
    on_servers.audit(200)
    logs = [service.log.read_text() for service in services]
    assert sum(log.count("pushed result") for log in logs[:2]) == 200
    assert sum(log.count("processing result") for log in logs[2:]) == 200


def test_a_stop_in_the_middle_loses_nothing(system):
    for _ in range(3):
        system.produce(300)
        worker, tracker = system.start("oat-worker"), system.start("oat-tracker")
        wait_until(lambda w=worker: w.log.read_text().count("pushed result") >= 20, "some results")
        terminate(worker)
        terminate(tracker)
    system.start("oat-worker")
    system.start("oat-tracker")
    system.wait_for(900)
    system.audit(900)


def test_a_killed_workers_tasks_are_rendered_by_another(system):
    system.environment |= {"OAT_RESEND_AFTER": "1"}
    system.start("oat-tracker")
    system.produce(200)
    victim = system.start("oat-worker")
    wait_until(lambda: "pushed result" in victim.log.read_text(), "a result")
    victim.kill()
    victim.wait()
    system.processes.remove(victim)
    system.start("oat-worker")
    system.wait_for(200)
    system.audit(200)


@pytest.mark.parametrize("system", ["embedded", "rabbitmq+mariadb"], indirect=True)
def test_tasks_behind_a_slow_image_are_given_to_others(system):
    """A worker that has tiny tasks holds many of them, but keeps none from the others for long."""
    busy = system.start("oat-worker", "--threads", 1)
    system.produce(300)
    wait_until(lambda: len(list(system.images.glob("*.png"))) == 300, "300 images")
    slow = disc(1_000_000, side=1000)
    rng = random.Random(1)
    tiny = [random_task(TINY, rng) for _ in range(30)]
    system.push("tasks", [task.to_json() for task in (slow, *tiny)])
    wait_until(lambda: f"processing task {slow.uuid}" in busy.log.read_text(), "the slow image")
    system.start("oat-worker", "--threads", 1)
    names = {f"{task.uuid}.png" for task in tiny}
    # Two it may keep: the one to go on with, of the time before and after it found the image to be slow.
    wait_until(lambda: len(names - {p.name for p in system.images.glob("*.png")}) <= 2, "the tiny images")
    assert not (system.images / f"{slow.uuid}.png").exists()


def test_what_a_dead_producer_had_recorded_is_sent_by_the_next_one(on_servers):
    on_servers.produce(3)
    with on_servers.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO outbox SELECT uuid, '2020-01-01' FROM fractals")
    with amqp_channel(on_servers) as channel:
        channel.queue_purge("tasks")
    on_servers.start("oat-worker")
    on_servers.start("oat-tracker")
    on_servers.wait_for(3)
    on_servers.audit(3)


def amqp_channel(system):
    return amqp_connection(system).channel()


def amqp_connection(system):
    host = re.search(r"@([^/]+)", system.broker_url)[1]
    connection = amqp.Connection(host)
    connection.connect()
    return connection


def get(channel, queue):
    return wait_until(lambda: channel.basic_get(queue, no_ack=True), f"a message in {queue}")


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_a_bare_amqp_client_sends_the_specs_eight_fields_and_is_answered(vhost, tmp_path, queue_type):
    """It may also declare classic queues itself; a quorum queue it takes as it is there."""
    with System(tmp_path, vhost, OAT_QUEUE_TYPE=queue_type) as system:
        connection = amqp_connection(system)
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


def test_bad_tasks_are_dead_letters_with_a_reason_and_the_worker_goes_on(on_servers):
    import pickle  # noqa: PLC0415 (only here)

    on_servers.produce(2)
    good, bad = (record["uuid"] for record in on_servers.records())
    connection = amqp_connection(on_servers)
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


def test_services_wait_for_servers_that_are_not_there_yet(tmp_path):
    from servers import RabbitMQ  # noqa: PLC0415 (only here)

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
            server.stop()


def test_a_service_stops_at_once_while_it_waits_for_a_server(tmp_path):
    with System(tmp_path, f"amqp://guest:guest@127.0.0.1:{free_port()}//") as system:
        worker = system.start("oat-worker")
        wait_until(lambda: "cannot reach the broker" in worker.log.read_text(), "a log line")
        terminate(worker)


def test_a_stop_while_the_database_is_away_is_no_failure(tmp_path):
    url = f"mysql+pymysql://tutorial:secretsecret@127.0.0.1:{free_port()}/tutorial"
    with System(tmp_path, None, url) as system:
        tracker = system.start("oat-tracker")
        wait_until(lambda: "is not at hand" in tracker.log.read_text(), "a log line")
        terminate(tracker)
        assert "secretsecret" not in tracker.log.read_text()


@pytest.mark.parametrize("server", ["rabbitmq", "mariadb"])
def test_a_wrong_password_is_one_clear_line(server, rabbitmq, mariadb, tmp_path):
    broker_url = rabbitmq.url.replace("guest@", "wrong@") if server == "rabbitmq" else None
    database_url = f"mysql+pymysql://tutorial:wrong@127.0.0.1:{mariadb.port}/x" if server == "mariadb" else None
    with System(tmp_path, broker_url, database_url) as system:
        done = system.call("oat-tracker")
    assert done.returncode == 1
    assert "refuses" in done.stderr.splitlines()[-1]
    assert "wrong@" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_or_read_only_folder_is_waited_for(tmp_path):
    with System(tmp_path) as system:
        system.start("oat-tracker")
        worker = system.start("oat-worker")
        wait_until(system.images.exists, "the worker")
        moved = system.images.with_name("away")
        system.images.rename(moved)
        system.produce(5)
        wait_until(lambda: "trying again" in worker.log.read_text(), "an attempt")
        moved.rename(system.images)
        system.wait_for(5)
        system.audit(5)


def test_oat_run_renders_what_it_was_asked_for_and_shows_it(tmp_path):
    with System(tmp_path) as system:
        for total in (5, 10):
            done = system.call("oat", "run", "--tasks", 5)
            assert done.returncode == 0, done.stderr
            assert "5 of 5" in done.stdout
            sheet = system.folder / "data" / "oat" / "contact-sheet.png"
            with Image.open(io.BytesIO(sheet.read_bytes())) as image:
                assert len(image.convert("RGB").getcolors(1 << 24)) > 8
            sheet.unlink()
            system.audit(total)


def test_a_seed_repeats_the_parameters(tmp_path):
    with System(tmp_path) as system:
        seed = str(random.randrange(1000))
        logs = [re.sub(STAMP + "|" + UUID, "", system.produce(3, "--seed", seed)) for _ in range(2)]
        generated = [[line for line in log.splitlines() if "generated" in line] for log in logs]
        assert len(generated[0]) == 3
        assert generated[0] == generated[1]


@pytest.mark.parametrize(
    ("command", "status", "complaint"),
    [
        (["oat-producer", "--min-width", "2000"], 2, "--min-width 2000 is above --max-width 1024"),
        (["oat-producer", "--min-pause", "11"], 2, "--min-pause"),
        (["oat-producer", "--max-xa", "2"], 2, "--max-xa"),
        (["oat-producer", "--max-width", "100000"], 2, "limit"),
        (["oat-producer", "--nope"], 2, "--nope"),
        (["oat-worker", "--threads", "none"], 2, "--threads"),
        (["oat-worker", "--broker-url", "http://u:secret@x/"], 2, "broker URL"),
        (["oat-tracker", "--broker-url", "amqp://u:secret@x:port/"], 2, "broker URL"),
        (["oat-tracker", "--database-url", "oracle://u:secret@x/"], 2, "database URL"),
        (["oat-tracker", "--database-url", "not a url"], 2, "database URL"),
        (["oat-worker", "--target", "/dev/null/images"], 2, "/dev/null/images"),
        (["oat-worker", "--log-file", "/dev/null/log"], 1, "/dev/null/log"),
        (["oat", "run", "--tasks", "0"], 2, "--tasks"),
    ],
)
def test_a_mistake_is_one_clear_line(tmp_path, command, status, complaint):
    with System(tmp_path) as system:
        done = system.call(*command)
    assert done.returncode == status
    last = done.stderr.splitlines()[-1]
    assert last.startswith(command[0])
    assert complaint in last
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_help_and_the_module(tmp_path):
    with System(tmp_path) as system:
        for command in ("oat", "oat-producer", "oat-worker", "oat-tracker"):
            done = system.call(command, "--help")
            assert done.returncode == 0
            assert "--" in done.stdout
        assert "run" in system.call("python", "-m", "oat", "--help").stdout


def test_the_embedded_default_opens_no_port(tmp_path):
    with System(tmp_path) as system:
        worker = system.start("oat-worker")
        wait_until(system.images.exists, "the worker")
        tables = [Path(table).read_text().splitlines()[1:] for table in ("/proc/net/tcp", "/proc/net/tcp6")]
        listening = {f"socket:[{row.split()[9]}]" for table in tables for row in table if row.split()[3] == "0A"}
        files = {str(link.readlink()) for link in Path(f"/proc/{worker.pid}/fd").iterdir()}
        assert not listening & files
