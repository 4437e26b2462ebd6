"""The power goes: what was confirmed is still there, and only what was in flight is sent again.

Broker, database and images lie on a file system that forgets what was not synced (`helpers/forgetful_disk.py`).
"""

import contextlib
import hashlib
import signal
import sqlite3
import threading
import time
from uuid import uuid4

import pytest

from helpers.power import messages
from helpers.system import System
from helpers.tasks import some_tasks
from helpers.waiting import wait_until
from oat.messages import parse_result
from oat.messaging.broker import Broker
from oat.records.database import Database
from oat.settings import Settings
from oat.storage.store import Store

LONG = pytest.mark.long

FULL_FILE = 50
"""Results in a file at most: after a full one, another may have been written at the same time."""


@pytest.fixture
def system(disk, tmp_path):
    with System(tmp_path) as running:
        running.produce(100)
        yield running


def patient(system):
    """Nothing is sent again, but what was recorded and not published is published soon."""
    system.environment |= {"OAT_LEASE": "1", "OAT_RESEND_AFTER": "600"}


PILES_UP = {"oat-worker": "tasks", "oat-tracker": "results"}
"""The queue that gets long when a service is stopped."""


def stall(system, process):
    """Stop `process`, but not in a transaction, in which it would keep all others from the database."""
    while True:
        process.send_signal(signal.SIGSTOP)
        with contextlib.closing(sqlite3.connect(system.broker_folder.parent / "oat.db", timeout=3)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                process.send_signal(signal.SIGCONT)


def cut_at_work(system, disk, rng, chance, stalled):
    """Cut the power while all services are at work; return the records of just before.

    Args:
        chance: that a change which was not synced is on the disk nevertheless.
        stalled: the service that takes nothing any more for a while, so that its queue gets long; or None.
    """
    patient(system)
    before = system.counts().get("done", 0)
    services = system.start_services(tasks=50, pause=0.1)
    wait_until(lambda: system.counts().get("done", 0) > before + 20, "some images")
    if stalled:
        stall(system, services[stalled])
        queue = f"{PILES_UP[stalled]}/[!.]*"
        before = len(list(system.broker_folder.glob(queue)))
        wait_until(lambda: len(list(system.broker_folder.glob(queue))) > before + 3, "messages that wait")
    seen = system.records()
    time.sleep(rng.uniform(0, 0.5))
    disk.cut(rng.random(), chance)
    for process in list(system.processes):
        system.kill(process)
    disk.plug_in()
    return seen


def confirmed(folder):
    """The tasks in the queues of the broker in `folder` whose messages must not get lost.

    Those of the tasks queue: if one is not confirmed, its record is in the outbox. (Not those that were requeued.)
    Of the results of each worker all but the last ones, with which it may have been busy.
    """
    tasks = {
        uuid
        for file, bodies in messages(folder / "tasks")
        if not file.name.startswith("0" * 20)
        for uuid in bodies
    }
    results = list(messages(folder / "results"))
    while results:
        _, last = results.pop()
        if len(last) < FULL_FILE and not (results and len(results[-1][1]) == FULL_FILE):
            break
    return tasks | {uuid for _, bodies in results for uuid in bodies}


def assert_nothing_lost(system, disk, seen):
    """Compare the disk after a cut with what was `seen` before it; return the tasks whose messages are gone."""
    records = {record["uuid"]: record["status"] for record in system.records()}
    assert {record["uuid"] for record in seen} <= records.keys(), "records are lost"
    forgotten = [r["uuid"] for r in seen if r["status"] == "done" and records[r["uuid"]] != "done"]
    assert not forgotten, "results are lost that were applied"
    queued = {}
    for queue in ("tasks", "results"):
        for _, bodies in messages(system.broker_folder / queue):
            queued |= {uuid: (queue, body) for uuid, body in bodies.items()}
    for queue, body in queued.values():
        if queue == "results":
            result = parse_result(body)
            image = system.images / f"{result.uuid}.png"
            assert image.exists(), "a result is there and its image is not"
            assert hashlib.sha256(image.read_bytes()).hexdigest() == result.checksum, "an image is damaged"
    waiting = {uuid for uuid, status in records.items() if status == "waiting"}
    lost = waiting - queued.keys() - system.unpublished()
    assert not lost & confirmed(disk.before / "oat" / "broker"), "messages are lost that were confirmed"
    system.environment["OAT_LEASE"] = "600"
    problems = system.report()["problems"]
    patient(system)
    assert problems.keys() <= {"STALE_TEMPORARY_FILE"}, problems
    return lost


def assert_only_resent(system, lost):
    """All services work again: only what was in flight has to be sent again; then the sums are right."""
    services = system.start_services("oat-worker", "oat-tracker")
    wait_until(
        lambda: {r["uuid"] for r in system.records() if r["status"] == "waiting"} == lost and not system.outbox(),
        "results of all others",
    )
    system.stop(services["oat-tracker"])
    system.environment["OAT_RESEND_AFTER"] = "5"
    system.start_services("oat-tracker")
    system.finish()


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("cuts", [3, pytest.param(20, marks=LONG)])
def test_power_cuts_at_random_moments(system, disk, rng, cuts):
    all_lost = set()
    for number in range(cuts):
        chance = rng.choice([0, 0.5, 0.9, 1])
        seen = cut_at_work(system, disk, rng, chance, rng.choice([None, *PILES_UP]))
        lost = assert_nothing_lost(system, disk, seen)
        print(f"cut {number + 1}: {len(system.records())} records, {len(lost)} in flight, chance {chance}")
        all_lost |= lost
        assert_only_resent(system, lost)
        assert {record["uuid"] for record in system.records() if record["attempts"] > 1} <= all_lost
        disk.unplug()
        disk.plug_in()


@pytest.mark.parametrize(
    ("ignored", "stalled", "noticed"),
    [
        pytest.param(r"/images/\..*\.part$", "oat-tracker", "an image is damaged", id="images", marks=LONG),
        pytest.param(r"/images$", "oat-tracker", "its image is not", id="names of images"),
        pytest.param(r"/tasks/\..*\.part$", "oat-worker", "that were confirmed", id="tasks", marks=LONG),
        pytest.param(r"/tasks$", "oat-worker", "that were confirmed", id="names of tasks", marks=LONG),
        pytest.param(r"/results/\..*\.part$", "oat-tracker", "that were confirmed", id="results", marks=LONG),
        pytest.param(r"/results$", "oat-tracker", "that were confirmed", id="names of results"),
        pytest.param(r"/oat\.db", None, "are lost", id="records"),
    ],
)
def test_a_missing_fsync_is_noticed(system, disk, rng, ignored, stalled, noticed):
    disk.ignore(ignored)
    seen = cut_at_work(system, disk, rng, 0, stalled)
    with pytest.raises(AssertionError, match=noticed):
        assert_nothing_lost(system, disk, seen)


def use_new_folders(folder):
    """Store, publish and record something in folders that do not exist yet; return what must be there."""
    uuid, [task] = uuid4(), some_tasks(1)
    store = Store(str(folder / "a" / "images"))
    store.prepare()
    store.put(uuid, b"an image")
    broker = Broker(Settings(broker_url=f"filesystem://{folder}/b/broker"), threading.Event())
    broker.serve(lambda: broker.publish_all("tasks", [task.to_json()]))
    database = Database(f"sqlite:///{folder}/c/oat.db", threading.Event())
    database.prepare()
    database.record([task])
    database.close()
    return {"images": [f"{uuid}.png"], "messages": [str(task.uuid)], "records": 1}


def found_in(folder):
    database = Database(f"sqlite:///{folder}/c/oat.db", threading.Event())
    database.prepare()
    try:
        return {
            "images": list(Store(str(folder / "a" / "images")).names()),
            "messages": [uuid for _, bodies in messages(folder / "b" / "broker" / "tasks") for uuid in bodies],
            "records": database.count(),
        }
    finally:
        database.close()


@pytest.mark.parametrize(
    ("ignored", "lost"),
    [
        pytest.param("(?!)", set(), id="nothing ignored"),
        pytest.param("^/$", {"images", "messages", "records"}, id="names of the first folders"),
        pytest.param("^/[ab]$", {"images", "messages"}, id="names of the folders in them"),
        pytest.param("^/b/broker$", {"messages"}, id="names of the queues"),
        pytest.param("^/c/", {"records"}, id="database"),
    ],
)
def test_new_folders_and_what_is_in_them_is_there_after_a_cut(disk, ignored, lost):
    disk.ignore(ignored)
    expected = use_new_folders(disk.mountpoint)
    disk.cut(0, 0)
    disk.plug_in()
    found = found_in(disk.mountpoint)
    assert {kind for kind in expected if found[kind] != expected[kind]} == lost


def test_a_deleted_image_stays_deleted(disk):
    store = Store(str(disk.mountpoint / "images"))
    store.prepare()
    uuid = uuid4()
    store.put(uuid, b"an image")
    store.delete(uuid)
    disk.cut(0, 0)
    disk.plug_in()
    assert not list(store.names())
