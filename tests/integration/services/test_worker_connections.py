"""A worker whose connections to RabbitMQ last less than an image takes."""

import contextlib
import threading
from collections import Counter
from uuid import UUID

import pytest

import oat.messaging.broker
import oat.services.worker
from helpers.proxy import Proxy
from helpers.tasks import task
from helpers.waiting import TIMEOUT, wait_until
from oat.messages import parse_result
from oat.messaging.broker import Broker
from oat.messaging.queues import DEAD_LETTERS, DELIVERY_LIMIT, RESULTS, TASKS
from oat.services.worker import Worker
from oat.settings import Settings

RENDERED = b"an image"


class Renderer:
    """Stands for images that take until `done`; counts how often each is begun."""

    def __init__(self):
        self.done = threading.Event()
        self.begun = Counter()

    def __call__(self, task):
        self.begun[task.uuid] += 1
        assert self.done.wait(TIMEOUT)
        return RENDERED


@pytest.fixture
def renderer(monkeypatch):
    renderer = Renderer()
    monkeypatch.setattr(oat.services.worker, "render_png", renderer)
    monkeypatch.setattr(oat.messaging.broker, "MIN_PAUSE", 0.01)
    yield renderer
    renderer.done.set()


@pytest.fixture
def proxy(rabbitmq):
    proxy = Proxy(rabbitmq.port)
    yield proxy
    proxy.close()


def run(worker):
    thread = threading.Thread(target=worker.run)
    thread.start()
    return thread


def in_session(settings, session):
    broker = Broker(settings, threading.Event())
    broker.serve(lambda: session(broker))


def sizes(settings):
    found = {}
    in_session(settings, lambda broker: found.update({name: broker.size(name) for name in (TASKS, DEAD_LETTERS)}))
    return found


def results(settings, count):
    """Take `count` results, as a tracker does."""
    taken = []

    def take(broker):
        broker.consume(RESULTS, 100, taken.append)
        while len(taken) < count:
            broker.wait(10)
        for delivery in taken:
            broker.ack(delivery)

    in_session(settings, take)
    return Counter(parse_result(delivery.body).uuid for delivery in taken)


def redelivered(worker, lost):
    """How many tasks the present connection has delivered, once those of the lost one are forgotten."""
    present = set(worker._in_flight._deliveries)
    return 0 if present & lost else len(present)


@pytest.mark.parametrize("threads", [1, 3])
def test_tasks_survive_more_lost_connections_than_redeliveries_are_allowed(
    vhost, rabbitmq, proxy, renderer, tmp_path, monkeypatch, threads
):
    """Each is rendered once and answered, also those that waited behind the first; none is dead-lettered."""
    monkeypatch.setattr(oat.messaging.broker, "MAX_PAUSE", 0.01)  # each connection is lost as soon as it is open
    tasks = [task(uuid=UUID(int=n)) for n in range(1, threads + 2)]
    in_session(
        Settings(broker_url=vhost), lambda broker: broker.publish_all(TASKS, [each.to_json() for each in tasks])
    )
    url = vhost.replace(f":{rabbitmq.port}", f":{proxy.port}")
    worker = Worker(Settings(broker_url=url, target=str(tmp_path)), threads)
    thread = run(worker)
    try:
        wait_until(lambda: len(renderer.begun) == threads, "images in flight")
        for _ in range(DELIVERY_LIMIT + 10):
            lost = set(worker._in_flight._deliveries)
            proxy.cut()
            wait_until(lambda lost=lost: redelivered(worker, lost) == len(tasks), "redeliveries", step=0.005)
        renderer.done.set()
        assert set(results(Settings(broker_url=vhost), len(tasks))) == {each.uuid for each in tasks}
        assert sizes(Settings(broker_url=vhost))[DEAD_LETTERS] == 0
        assert renderer.begun == Counter(each.uuid for each in tasks)
    finally:
        renderer.done.set()
        worker.stop()
        thread.join()
    assert sizes(Settings(broker_url=vhost)) == {TASKS: 0, DEAD_LETTERS: 0}


def test_a_result_finished_without_a_connection_is_published_by_a_worker_that_stops(
    vhost, rabbitmq, proxy, renderer, tmp_path
):
    only = task()
    in_session(Settings(broker_url=vhost), lambda broker: broker.publish_all(TASKS, [only.to_json()]))
    url = vhost.replace(f":{rabbitmq.port}", f":{proxy.port}")
    worker = Worker(Settings(broker_url=url, target=str(tmp_path)), 1)
    thread = run(worker)
    try:
        wait_until(lambda: renderer.begun, "the image in flight")
        worker.stop()
        proxy.cut()
    finally:
        renderer.done.set()
        thread.join()
    assert results(Settings(broker_url=vhost), 1) == {only.uuid: 1}


@pytest.fixture
def impatient(rabbitmq, vhost, request):
    """RabbitMQ that waits for an acknowledgement only as long as the test says, and checks that every second."""
    timeouts_before = timeouts(rabbitmq)
    set_environment(rabbitmq, consumer_timeout=1_000 * request.param, channel_tick_interval=1_000)
    yield lambda: timeouts(rabbitmq) - timeouts_before
    set_environment(rabbitmq, consumer_timeout=1_800_000, channel_tick_interval=60_000)


def set_environment(server, **milliseconds):
    """The tick is no setting of `rabbitmq.conf`. New channels heed both."""
    for name, value in milliseconds.items():
        server.control("eval", f"application:set_env(rabbit, {name}, {value}).")


def timeouts(server):
    """How often it closed a channel since an acknowledgement did not come in time."""
    return sum(file.read_text().count("Timeout value used") for file in (server.folder / "logs").glob("*.log"))


@pytest.fixture(params=["quorum", "classic"])
def busy_worker(request, impatient, vhost, renderer, tmp_path):
    """Starts a worker that renders the first of three tasks, and holds the second; stops it."""
    with contextlib.ExitStack() as stack:

        def start(**settings):
            settings |= dict(broker_url=vhost, target=str(tmp_path), queue_type=request.param)
            worker = Worker(Settings(**settings), threads=1)
            bodies = [task(uuid=UUID(int=n)).to_json() for n in range(3)]
            in_session(worker.settings, lambda broker: broker.publish_all(TASKS, bodies))
            thread = run(worker)
            stack.callback(thread.join)
            stack.callback(worker.stop)
            stack.callback(renderer.done.set)
            wait_until(lambda: renderer.begun, "an image in flight")
            return worker

        yield start


def assert_all_rendered_once(worker, renderer):
    renderer.done.set()
    assert set(results(worker.settings, 3)) == {UUID(int=n) for n in range(3)}
    assert renderer.begun == Counter(UUID(int=n) for n in range(3))


@pytest.mark.parametrize("impatient", [8], indirect=True)
def test_what_is_in_flight_returns_to_its_queue_before_the_consumer_timeout(busy_worker, impatient, renderer):
    """Two deliveries at a time, each for a second: twenty take longer than RabbitMQ waits."""
    worker, seen = busy_worker(ack_timeout=1.0), set()
    wait_until(lambda: seen.update(worker._in_flight._deliveries) or len(seen) >= 20, "redeliveries", step=0.01)
    assert_all_rendered_once(worker, renderer)
    assert impatient() == 0


@pytest.mark.parametrize("impatient", [1], indirect=True)
def test_an_image_in_progress_survives_the_consumer_timeout(busy_worker, impatient, renderer):
    worker = busy_worker()
    wait_until(lambda: impatient() >= 2, "two timeouts")
    assert_all_rendered_once(worker, renderer)
