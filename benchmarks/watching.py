"""Benchmark of the system page: what it costs the pipeline that somebody looks at it, and that nobody does.

    python benchmarks/watching.py [--rounds 6] [--tasks 2000]

Everything runs on this machine, on the embedded default or on what OAT_BROKER_URL and OAT_DATABASE_URL say. Each
round renders the same images alone and with the two event streams of one open page, in alternating order. What
counts is the processor time of the gallery and of a worker's reports, as a part of what this machine has: other
processes hardly change it, and where all processors are busy it is taken from the images. Images/s are shown
beside it; on a machine that does something else as well they are no measurement. A browser, on another machine as
a rule, is left out.
"""

import argparse
import os
import statistics
import threading
import time
from uuid import uuid4

import uvloop
import web
from usage import CORES

from helpers.guard import temporary_folder
from helpers.slow_tasks import disc
from helpers.system import System
from oat.messaging import Delivery
from oat.messaging.broker import Broker
from oat.services.in_flight import InFlight
from oat.services.prefetch import MAX_PREFETCH
from oat.services.reporter import PROBE_INTERVAL, REPORT_INTERVAL, Reporter
from oat.settings import Settings

STREAMS = ("/v1/events", "/v1/progress")
"""The event streams of the page."""

REPEAT = 200
"""Reports that are timed."""


def report_time(broker_url):
    """Return the seconds of processor time of a report that the broker returns to a worker.

    With as many tasks in flight as one render thread has at most.
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
    return statistics.median(seconds)


def compare(pipeline, rounds, tasks):
    """Measure alone and watched in turn; print both, and return the cores that watching takes the gallery."""
    extra, rates = [], []
    for number in range(rounds):
        pair = {}
        for watched in (False, True)[:: -1 if number % 2 else 1]:
            work = lambda: pipeline.measure(tasks)  # noqa: E731 (it is called in both ways)
            pair[watched] = uvloop.run(web.Clients(pipeline.url, STREAMS, 0).during(work)) if watched else work()
        extra.append(pair[True].cores["oat web"] - pair[False].cores["oat web"])
        rates.append(pair[True].rate / pair[False].rate)
        for watched, measured in pair.items():
            cores = {name: round(used, 3) for name, used in measured.cores.items()}
            print(f"{'watched' if watched else 'alone':8}{measured.rate:6.1f} images/s; cores {cores}")
    print(f"images/s, watched / alone: {statistics.median(rates):.3f}   {[round(rate, 3) for rate in rates]}")
    print(f"gallery: {statistics.median(extra):+.4f} cores   {[round(cores, 4) for cores in extra]}")
    return statistics.median(extra)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--tasks", type=int, default=2000, help="images per measurement")
    options = parser.parse_args()
    with temporary_folder() as folder:
        urls = os.environ.get("OAT_BROKER_URL"), os.environ.get("OAT_DATABASE_URL")
        broker_url = urls[0] or f"filesystem://{folder}/broker"
        report = report_time(broker_url)
        with System(folder, *urls, OAT_READ_RATE="1000000/minute") as system:
            url = system.gallery()
            system.start("oat-worker")
            system.start("oat-tracker")
            pipeline = web.Pipeline(system, url)
            pipeline.measure(300)
            gallery = compare(pipeline, options.rounds, options.tasks)
    print(f"nobody looks: {report / PROBE_INTERVAL / CORES:.3%} of this machine's {CORES} cores, for each worker")
    worker = report / REPORT_INTERVAL / CORES
    print(f"somebody does: {gallery / CORES + worker:.2%}, of which the gallery {gallery / CORES:.2%}")


if __name__ == "__main__":
    main()
