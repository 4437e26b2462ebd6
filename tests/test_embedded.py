"""The broker in a folder: what its files hold, and who gets them."""

import json
import subprocess
import sys
import threading
from queue import Empty

import pytest

from oat.messaging import embedded
from oat.messaging.broker import Broker
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


def test_two_takers_share_what_was_published_together(tmp_path):
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


def test_a_message_can_be_read_where_it_lies(tmp_path):
    publish(tmp_path, 1)
    [file] = (tmp_path / TASKS).iterdir()
    assert json.loads(file.read_text())[0]["body"] == "0"


def test_what_nobody_settled_comes_back_and_each_may_go_to_another(tmp_path):
    publish(tmp_path, TOGETHER)
    in_session(tmp_path, lambda broker: take(broker, 1, TOGETHER))
    assert len(list((tmp_path / TASKS).iterdir())) == TOGETHER

    def settle_one(broker):
        [delivery] = take(broker, 1, 1)
        broker.ack(delivery)
        assert broker.size(TASKS) == TOGETHER - 1

    in_session(tmp_path, settle_one)


def test_what_comes_back_goes_in_front_of_the_others(tmp_path):
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


def test_what_is_half_written_by_a_killed_process_is_removed(tmp_path):
    publish(tmp_path, 1)
    code = "from oat.process import temporary_name; print(temporary_name('x.part'))"
    name = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / TASKS / name).touch()
    with embedded.connection(str(tmp_path)) as connection:
        connection.channel()
    assert [file.suffix for file in (tmp_path / TASKS).iterdir()] == [".json"]


def test_the_files_of_others_are_left_alone(tmp_path):
    (tmp_path / TASKS).mkdir()
    strangers = [tmp_path / "notes.txt", tmp_path / TASKS / "notes.txt", tmp_path / TASKS / "notes-1.json"]
    for stranger in strangers:
        stranger.touch()
    with embedded.connection(str(tmp_path)) as connection:
        assert connection.channel().queue_declare(TASKS).message_count == 0
        with pytest.raises(Empty):
            connection.SimpleQueue(TASKS).get(block=False)
    assert all(stranger.exists() for stranger in strangers)


def test_a_file_that_holds_no_messages_stops_nobody(tmp_path):
    publish(tmp_path, 1)
    [file] = (tmp_path / TASKS).iterdir()
    file.with_name("0-broken-1.json").write_text("{")
    in_session(tmp_path, lambda broker: take(broker, 10, 1))
