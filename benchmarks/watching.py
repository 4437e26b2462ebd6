"""Benchmark of the system page: what it costs the pipeline that somebody looks at it, and that nobody does.

    python benchmarks/watching.py [--rounds 6] [--tasks 2000]

Everything runs on this machine, on the embedded default or on what OAT_BROKER_URL and OAT_DATABASE_URL say. Each
round renders the same images alone and with the two event streams of one open page, in alternating order. What
counts is the processor time of an image in worker, tracker and gallery together: other processes that use the
processors change it less than the images/s. A browser runs on another machine, as a rule, and is left out.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path
from uuid import uuid4

import uvloop
import web

from helpers.slow_tasks import disc
from helpers.system import System
from oat.messaging import Delivery
from oat.messaging.broker import Broker
from oat.services.in_flight import InFlight
from oat.services.prefetch import MAX_PREFETCH
from oat.services.reporter import PROBE_INTERVAL, Reporter
from oat.settings import Settings

STREAMS = ("/v1/events", "/v1/progress")
"""The event streams of the page."""

REPEAT = 200
"""Reports that are timed."""

PARTS = ("worker", "tracker", "oat web")


def unwatched(broker_url):
    """Return the share of a processor that it takes a worker to ask whether anybody watches.

    With as many tasks in flight as one render thread has at most, and the reply of the broker.
    """
    broker = Broker(Settings(**({"broker_url": broker_url} if broker_url else {})), threading.Event())
    in_flight = InFlight(1)
    for _ in range(MAX_PREFETCH):
        task = disc(10).model_copy(update={"uuid": uuid4()})
        in_flight.add(Delivery(task.to_json(), 1), task)
    seconds = []

    def session():
        reporter = Reporter(broker, in_flight, "benchmark")
        for _ in range(REPEAT):
            reporter._reported_at = 0.0
            started = time.thread_time()
            reporter.report()
            broker.wait(0.05)
            seconds.append(time.thread_time() - started)

    broker.serve(session)
    return statistics.median(seconds) / PROBE_INTERVAL


def cost(measured):
    """Return the milliseconds of processor time of an image, in all parts together."""
    return sum(measured.cores[part] for part in PARTS) / measured.rate * 1000


def compare(pipeline, rounds, tasks):
    """Measure alone and watched in turn, and print the table."""
    pairs = []
    for number in range(rounds):
        pair = {}
        for watched in (False, True)[:: -1 if number % 2 else 1]:
            work = lambda: pipeline.measure(tasks)  # noqa: E731 (it is called in both ways)
            pair[watched] = uvloop.run(web.Clients(pipeline.url, STREAMS, 0).during(work)) if watched else work()
        pairs.append(pair)
        print(
            f"round {number}: alone {pair[False].rate:6.1f} images/s, {cost(pair[False]):6.3f} ms each;"
            f"  watched {pair[True].rate:6.1f} images/s, {cost(pair[True]):6.3f} ms each"
        )
        print(
            "        cores",
            {part: [round(pair[w].cores[part], 3) for w in (False, True)] for part in pair[True].cores},
        )
    costs = [cost(pair[True]) / cost(pair[False]) - 1 for pair in pairs]
    rates = [pair[True].rate / pair[False].rate - 1 for pair in pairs]
    print(f"processor time of an image, watched / alone: {statistics.median(costs):+.2%}  {fmt(costs)}")
    print(f"images/s, watched / alone: {statistics.median(rates):+.2%}  {fmt(rates)}")


def fmt(ratios):
    """Return ratios as text."""
    return " ".join(f"{ratio:+.1%}" for ratio in ratios)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--tasks", type=int, default=2000, help="images per measurement")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        urls = os.environ.get("OAT_BROKER_URL"), os.environ.get("OAT_DATABASE_URL")
        broker_url = urls[0] or f"filesystem://{folder}/broker"
        print(f"nobody looks: {unwatched(broker_url):.4%} of a processor for each worker")
        with System(Path(folder), *urls, OAT_READ_RATE="1000000/minute") as system:
            url = system.gallery()
            system.start("oat-worker")
            system.start("oat-tracker")
            pipeline = web.Pipeline(system, url)
            pipeline.measure(300)
            compare(pipeline, options.rounds, options.tasks)


if __name__ == "__main__":
    main()
