"""What broker, tracker and database carry: `make bench-scale`.

1. Worker processes that only sleep as long as an image takes here, 1 to 8 of them: so the processor belongs to
   producer, broker, tracker and database. Their rate grows with the number of workers until one part is full.
2. The cost of a message while 10 to 1,000 workers are connected that sleep: each has a connection, consumes, and
   has prefetched two tasks, which take longer than the run.
3. One quorum queue: messages a second that are published with confirms, and consumed with acknowledgements, by as
   many clients as there are cores, and which part of RabbitMQ's work is that of the queue's own process.
"""

import argparse
import contextlib
import multiprocessing
import random
import re
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import amqp
import psutil
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from folders import benchmark_folder
from usage import CORES, processor
from versions import this_version

from lab import TINY, Lab
from oat.messaging import TASKS, Broker, Delivery
from oat.rendering.png import render_png
from oat.services import Ranges, random_task
from oat.settings import Settings

HEARTBEAT = 30
"""Seconds of AMQP's heartbeat timeout, as `oat` has it; the private RabbitMQ of the tests has a shorter one."""

IDLE_SECONDS = 3.0
"""Seconds in which RabbitMQ's processor time without any tasks is measured."""

BATCH = 500
"""Messages of the queue's clients in flight."""

console = Console()


def image_seconds() -> float:
    """Return the median of the seconds of processor time that images of the usual size take here."""
    rng, times = random.Random(1), []
    for task in [random_task(Ranges(), rng) for _ in range(101)]:
        started = time.thread_time()
        render_png(task)
        times.append(time.thread_time() - started)
    return statistics.median(times)


def sleeping_workers(lab: Lab, counts: list[int], tasks: int, rounds: int) -> None:
    """Print the rate, and the busy cores of each part, with each number of workers."""
    seconds = image_seconds()
    version, parts = this_version(), ("producer", "worker", "tracker", "RabbitMQ", "MariaDB")
    table = Table(
        title=f"Workers that sleep {1000 * seconds:.1f} ms an image; {CORES} cores, medians of {rounds} rounds",
        caption="under each part: busy cores; producer and tracker are one process each, full at 1.00",
    )
    for heading in ("workers", "images/s", "of their most", *parts, "all"):
        table.add_column(heading, justify="right")
    script = [sys.executable, str(Path(__file__).with_name("sleeping_worker.py")), str(seconds), "--threads", "1"]
    for count in counts:
        runs = [lab.run(version, tasks, ("--seed", seed, *TINY), [script] * count) for seed in range(rounds)]
        rate = statistics.median(run.figure for run in runs)
        busy = [rate * statistics.median(run.processor[part] for run in runs) / 1000 for part in parts]
        row = [f"{rate:.0f}", f"{rate * seconds / count:.0%}", *(f"{each:.2f}" for each in (*busy, sum(busy)))]
        table.add_row(str(count), *row)
    console.print(table)


@contextlib.contextmanager
def connected(url: str, count: int) -> Iterator[None]:
    """Keep `count` workers connected that have prefetched two tasks each and sleep, until the block ends."""
    host = url.partition("@")[2].rstrip("/")
    connections = [amqp.Connection(host, heartbeat=HEARTBEAT) for _ in range(count)]
    awake = threading.Event()

    def send_heartbeats() -> None:
        while not awake.wait(HEARTBEAT / 3):
            for connection in connections:
                connection.send_heartbeat()

    for connection in connections:
        connection.connect()
    body = random_task(Ranges(), random.Random(1)).to_json()
    broker = Broker(Settings(broker_url=url), threading.Event())
    broker.serve(lambda: broker.publish_all(TASKS, [body] * 2 * count))
    for connection in connections:
        channel = connection.channel()
        channel.basic_qos(0, 2, False)
        channel.basic_consume(TASKS, callback=lambda _message: None)
        connection.drain_events(timeout=30)
    heartbeats = threading.Thread(target=send_heartbeats)
    heartbeats.start()
    try:
        yield
    finally:
        awake.set()
        heartbeats.join()
        for connection in connections:
            connection.collect()
        with amqp.Connection(host) as last:
            while last.channel().queue_declare(TASKS, passive=True).message_count < 2 * count:
                time.sleep(0.1)
            last.channel().queue_purge(TASKS)


def connections(lab: Lab, counts: list[int], tasks: int, rounds: int) -> None:
    """Print the cost of a task's two messages with each number of connected workers that sleep."""
    version, server = this_version(), psutil.Process(lab.rabbitmq.process.pid)
    idle: dict[int, list[float]] = {count: [] for count in counts}
    spent: dict[int, list[float]] = {count: [] for count in counts}
    for seed in range(rounds):
        for count in counts:
            with connected(lab.rabbitmq.url, count):
                before = processor(server)
                time.sleep(IDLE_SECONDS)
                idle[count].append((processor(server) - before) / IDLE_SECONDS)
                run = lab.run(version, tasks, ("--seed", seed, *TINY))
                spent[count].append(run.processor["RabbitMQ"] - 1000 * idle[count][-1] / run.figure)
    first = statistics.median(spent[counts[0]])
    table = Table(
        title=f"RabbitMQ with connected workers that sleep; {tasks} tiny tasks, medians of {rounds} rounds",
        caption="ms of processor time for a task's two messages, beyond what RabbitMQ uses without any",
    )
    for heading in ("connected", "without tasks, cores", "ms a task", f"of that with {counts[0]}"):
        table.add_column(heading, justify="right")
    for count, costs in spent.items():
        cost = statistics.median(costs)
        table.add_row(str(count), f"{statistics.median(idle[count]):.3f}", f"{cost:.3f}", f"{cost / first:.0%}")
    console.print(table)


def publish(url: str, left: "Synchronized[int]") -> None:
    """Publish tasks with confirms, `BATCH` in flight, until none is `left` to be published by any client."""
    rng = random.Random()
    bodies = [random_task(Ranges(), rng).to_json() for _ in range(BATCH)]
    broker = Broker(Settings(broker_url=url), threading.Event(), 0.005)

    def session() -> None:
        while left.value > 0:
            with left.get_lock():
                left.value -= BATCH
            broker.publish_all(TASKS, bodies)

    broker.serve(session)


def consume(url: str, left: "Synchronized[int]") -> None:
    """Consume and acknowledge tasks, `BATCH` in flight, until none is `left` to be consumed by any client."""
    broker = Broker(Settings(broker_url=url), threading.Event(), 0.005)

    def take(delivery: Delivery) -> None:
        broker.ack(delivery)
        with left.get_lock():
            left.value -= 1

    def session() -> None:
        broker.consume(TASKS, BATCH, take)
        while left.value > 0:
            broker.wait(0.05)

    broker.serve(session)


def one_queue(lab: Lab, messages: int) -> None:
    """Print how many messages a second one quorum queue takes in and gives out."""
    table = Table(title=f"One quorum queue, {messages} messages, {CORES} client processes")
    for heading in ("", "messages/s", "RabbitMQ, cores", "clients, cores", "of RabbitMQ's reductions: the queue"):
        table.add_column(heading, justify="left" if not heading else "right")
    server = psutil.Process(lab.rabbitmq.process.pid)
    Broker(Settings(broker_url=lab.rabbitmq.url), threading.Event()).serve(lambda: None)  # declares the queue
    for name, work in (("published and confirmed", publish), ("consumed and acknowledged", consume)):
        left = multiprocessing.Value("i", messages)
        clients = [multiprocessing.Process(target=work, args=(lab.rabbitmq.url, left)) for _ in range(CORES)]
        queue, total = reductions(lab)
        before, started = processor(server), time.perf_counter()
        for client in clients:
            client.start()
        spent = 0.0
        while any(client.is_alive() for client in clients):
            spent = max(spent, sum(processor(psutil.Process(c.pid)) for c in clients if c.is_alive()))
            time.sleep(0.01)
        seconds = time.perf_counter() - started
        busy = (processor(server) - before) / seconds
        queue_after, total_after = reductions(lab)
        share = (queue_after - queue) / (total_after - total)
        table.add_row(name, f"{messages / seconds:.0f}", f"{busy:.2f}", f"{spent / seconds:.2f}", f"{share:.0%}")
    console.print(table)


def reductions(lab: Lab) -> tuple[int, int]:
    """Return the reductions (units of Erlang's work) of the process of the queue `tasks`, and of all processes."""
    ask = "{element(2, process_info(whereis('%2F_tasks'), reductions)), element(1, statistics(reductions))}."
    found = re.search(r"\{(\d+),(\d+)\}", lab.rabbitmq.control("eval", ask))
    assert found
    return int(found[1]), int(found[2])


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4, 8], help="numbers of sleeping workers")
    parser.add_argument("--connected", type=int, nargs="*", default=[10, 100, 1000], help="numbers of connections")
    parser.add_argument("--tasks", type=int, default=5000, help="tasks in a run")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the medians are printed")
    parser.add_argument("--messages", type=int, default=50_000, help="messages through the one queue")
    options = parser.parse_args()
    with benchmark_folder() as folder:
        lab = Lab(folder, f"heartbeat = {HEARTBEAT}")
        try:
            if options.workers:
                sleeping_workers(lab, options.workers, options.tasks, options.rounds)
            if options.connected:
                connections(lab, options.connected, options.tasks, options.rounds)
            if options.messages:
                one_queue(lab, options.messages)
        finally:
            lab.close()


if __name__ == "__main__":
    main()
