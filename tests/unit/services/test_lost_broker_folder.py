"""A worker whose embedded broker cannot be written for a while: the same as a lost connection."""

import threading
from collections import Counter

import pytest

import oat.messaging.broker
import oat.services.worker
from helpers.tasks import task
from helpers.waiting import TIMEOUT, wait_until
from oat.messages import parse_result
from oat.messaging.broker import Broker
from oat.messaging.queues import RESULTS, TASKS
from oat.services.worker import Worker
from oat.settings import Settings


@pytest.mark.parametrize("threads", [1, 3])
def test_a_result_that_cannot_be_published_is_published_later(tmp_path, monkeypatch, caplog, threads):
    """The image is rendered once, though its task was redelivered meanwhile."""
    monkeypatch.setattr(oat.messaging.broker, "MIN_PAUSE", 0.01)
    settings = Settings(broker_url=f"filesystem://{tmp_path}/broker", target=str(tmp_path / "images"))
    begun, done = Counter(), threading.Event()

    def render(task):
        begun[task.uuid] += 1
        assert done.wait(TIMEOUT)
        return b"an image"

    monkeypatch.setattr(oat.services.worker, "render_png", render)
    only, results = task(), []
    broker = Broker(settings, threading.Event())
    broker.serve(lambda: broker.publish_all(TASKS, [only.to_json()]))
    worker = Worker(settings, threads)
    thread = threading.Thread(target=worker.run)
    thread.start()
    folder = tmp_path / "broker" / RESULTS
    try:
        wait_until(lambda: begun, "the image in flight")
        folder.rename(tmp_path / "away")
        folder.touch()
        done.set()
        wait_until(lambda: "lost the broker" in caplog.text, "the fault to be noticed")
        assert list((tmp_path / "broker" / TASKS).glob("[!.]*.json")), "its task is in the queue again"
        folder.unlink()
        (tmp_path / "away").rename(folder)

        def take():
            broker.consume(RESULTS, 10, results.append)
            while not results:
                broker.wait(10)
            broker.ack(results[0])

        broker.serve(take)
        wait_until(lambda: not list((tmp_path / "broker" / TASKS).glob("[!.]*.json")), "its task, taken again")
        wait_until(lambda: not worker._in_flight, "the redelivery, acknowledged")
    finally:
        done.set()
        worker.stop()
        thread.join()
    assert parse_result(results[0].body).uuid == only.uuid
    assert begun == {only.uuid: 1}
    assert not list((tmp_path / "broker" / TASKS).glob("[!.]*.json"))
