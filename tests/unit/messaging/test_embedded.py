"""The broker in a folder: what its files hold, and who gets them."""

import json
import shutil
import subprocess
import sys
import threading
from queue import Empty, Queue

import pytest

from oat.messaging import embedded
from oat.messaging.broker import Broker
from oat.messaging.connection import BrokerError
from oat.messaging.folder_watch import FolderWatch
from oat.messaging.queues import TASKS
from oat.settings import Settings

TOGETHER = embedded.BATCH_SIZES[TASKS][0]


def in_session(folder, session):
    broker = Broker(Settings(broker_url=f"filesystem://{folder}"), threading.Event(), flush_interval=0)
    broker.serve(lambda: session(broker))


def publish(folder, count):
    in_session(folder, lambda broker: broker.publish_all(TASKS, (b"%d" % n for n in range(count))))


def take(broker, prefetch, count):
    """Consume until there are `count` messages at least; return them without settling any."""
    taken = []
    broker.consume(TASKS, prefetch, taken.append)
    while len(taken) < count:
        broker.wait(10)
    return taken


def test_two_consumers_share_a_batch(tmp_path):
    publish(tmp_path, 10)
    files = sorted((tmp_path / TASKS).iterdir())
    assert len(files) == -(-10 // TOGETHER)
    shares = []

    def first(broker):
        assert broker.size(TASKS) == 10
        shares.append(take(broker, 1, 1))
        in_session(tmp_path, lambda other: shares.append(take(other, 10, 10 - TOGETHER)))

    in_session(tmp_path, first)
    bodies = [[delivery.body for delivery in share] for share in shares]
    assert bodies == [[b"%d" % n for n in range(TOGETHER)], [b"%d" % n for n in range(TOGETHER, 10)]]


def test_a_message_is_readable_json_in_its_file(tmp_path):
    publish(tmp_path, 1)
    [file] = (tmp_path / TASKS).iterdir()
    assert json.loads(file.read_text())[0]["body"] == "0"


def test_unacknowledged_messages_are_requeued_one_by_one(tmp_path):
    publish(tmp_path, TOGETHER)
    in_session(tmp_path, lambda broker: take(broker, 1, TOGETHER))
    assert len(list((tmp_path / TASKS).iterdir())) == TOGETHER

    def settle_one(broker):
        [delivery] = take(broker, 1, 1)
        broker.ack(delivery)
        assert broker.size(TASKS) == TOGETHER - 1

    in_session(tmp_path, settle_one)


def test_requeued_messages_go_to_the_head_of_the_queue(tmp_path):
    publish(tmp_path, 3 * TOGETHER)

    def take_one_twice(broker):
        taken = take(broker, 1, 1)
        broker.cancel()
        for delivery in taken:
            broker.requeue(delivery)
        again = take(broker, 1, 1)
        assert again[0].body in [delivery.body for delivery in taken]

    in_session(tmp_path, take_one_twice)
    in_session(tmp_path, take_one_twice)


def test_partial_files_of_a_killed_process_are_removed(tmp_path):
    publish(tmp_path, 1)
    code = "from oat.process import temporary_name; print(temporary_name('x.part'))"
    name = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / TASKS / name).touch()
    with embedded.connection(str(tmp_path)) as connection:
        connection.channel().queue_declare(TASKS)
    assert [file.suffix for file in (tmp_path / TASKS).iterdir()] == [".json"]


def test_foreign_files_are_left_alone(tmp_path):
    (tmp_path / TASKS).mkdir()
    strangers = [tmp_path / "notes.txt", tmp_path / TASKS / "notes.txt", tmp_path / TASKS / "notes-1.json"]
    for stranger in strangers:
        stranger.touch()
    with embedded.connection(str(tmp_path)) as connection:
        assert connection.channel().queue_declare(TASKS).message_count == 0
        with pytest.raises(Empty):
            connection.SimpleQueue(TASKS).get(block=False)
    assert all(stranger.exists() for stranger in strangers)


def test_an_unreadable_file_does_not_stop_a_consumer(tmp_path):
    publish(tmp_path, 1)
    [file] = (tmp_path / TASKS).iterdir()
    file.with_name("0-broken-1.json").write_text("{")
    in_session(tmp_path, lambda broker: take(broker, 10, 1))


@pytest.mark.parametrize("name", [TASKS, "dead-letters"])
def test_a_file_in_the_place_of_a_queue_is_not_waited_for(tmp_path, name):
    publish(tmp_path, 1)
    shutil.rmtree(tmp_path / name)
    (tmp_path / name).touch()
    with pytest.raises(BrokerError, match=f"refuses: {name}: File exists; OAT_BROKER_URL"):
        publish(tmp_path, 1)


def test_messages_stay_in_their_order_when_the_clock_is_set_back(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded.time, "time_ns", lambda: 4 * 10**18)
    publish(tmp_path, 1)
    monkeypatch.setattr(embedded.time, "time_ns", lambda: 10**18)
    in_session(tmp_path, lambda broker: broker.publish_all(TASKS, [b"10"]))
    in_session(tmp_path, lambda broker: broker.publish_all(TASKS, [b"11"]))
    taken = []
    in_session(tmp_path, lambda broker: taken.extend(take(broker, 3, 3)))
    assert [int(each.body) for each in taken] == [0, 10, 11]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has inotify")
def test_a_consumer_that_waits_is_woken_by_each_message(tmp_path, monkeypatch):
    monkeypatch.setattr("oat.messaging.broker.POLL_INTERVAL", 3600.0)
    taken = Queue()

    def consume(broker):
        broker.consume(TASKS, 10, lambda delivery: taken.put(delivery.body))
        for _ in range(5):
            broker.wait(3600)

    consumer = threading.Thread(target=in_session, args=(tmp_path, consume))
    consumer.start()
    for _ in range(5):
        publish(tmp_path, 1)
        assert taken.get(timeout=60) == b"0"
    consumer.join()


def test_a_consumer_polls_where_nothing_wakes_it(tmp_path, monkeypatch):
    monkeypatch.setattr(FolderWatch, "add", lambda *_: None)
    broker = Broker(Settings(broker_url=f"filesystem://{tmp_path}"), threading.Event(), flush_interval=0)

    def session():
        broker.consume(TASKS, 1, taken.append)
        publisher = threading.Thread(target=publish, args=(tmp_path, 1))
        publisher.start()
        while not taken:
            broker.wait(3600)
        publisher.join()

    taken = []
    broker.serve(session)
    assert taken[0].body in (b"0", "0")
