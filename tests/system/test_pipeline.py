"""The whole system, as real processes on real servers."""

import json
import random
import re

import numpy as np
from PIL import Image

from helpers.marks import embedded_and_servers
from helpers.processes import terminate
from helpers.reference import colour, escape_counts
from helpers.slow_tasks import disc
from helpers.system import System
from helpers.waiting import wait_until
from oat.messages import parse_task
from oat.services import Ranges, random_task
from oat.settings import Limits

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


def test_sigterm_in_the_middle_loses_nothing(system):
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
    killed = system.start("oat-worker")
    wait_until(lambda: "pushed result" in killed.log.read_text(), "a result")
    killed.kill()
    killed.wait()
    system.processes.remove(killed)
    system.start("oat-worker")
    system.wait_for(200)
    assert system.finish() == 200  # on a slow machine, copies of resent tasks are still queued


@embedded_and_servers
def test_tasks_behind_a_slow_image_are_requeued_for_other_workers(system):
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


def test_a_killed_producers_tasks_are_published_by_the_next(on_servers):
    on_servers.produce(3)
    with on_servers.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO outbox SELECT uuid, '2020-01-01' FROM fractals")
    with on_servers.amqp() as connection:
        connection.channel().queue_purge("tasks")
    on_servers.start("oat-worker")
    on_servers.start("oat-tracker")
    on_servers.wait_for(3)
    on_servers.audit(3)


def test_a_seed_repeats_the_parameters(tmp_path):
    with System(tmp_path) as system:
        seed = str(random.randrange(1000))
        logs = [re.sub(STAMP + "|" + UUID, "", system.produce(3, "--seed", seed)) for _ in range(2)]
        generated = [[line for line in log.splitlines() if "generated" in line] for log in logs]
        assert len(generated[0]) == 3
        assert generated[0] == generated[1]


def test_a_full_or_read_only_folder_is_waited_for(tmp_path):
    with System(tmp_path) as system:
        system.start("oat-tracker")
        worker = system.start("oat-worker")
        system.produce(1)
        system.wait_for(1)
        moved = system.images.with_name("away")
        system.images.rename(moved)
        system.produce(5)
        wait_until(lambda: "trying again" in worker.log.read_text(), "an attempt")
        moved.rename(system.images)
        system.wait_for(6)
        system.audit(6)
