"""What watching costs: the pipeline alone, and with 200 event streams and 50 requests a second; and deep pages.

    python benchmarks/web.py [--rounds 3] [--tasks 2000] [--records 100000]

Everything runs on this machine, on the embedded default or on what OAT_BROKER_URL and OAT_DATABASE_URL say. Speeds
are compared side by side: each round renders pictures of the same kind both ways, in changing order. The watchers
are on this machine too, and a part of what is lost is theirs: the table tells what each process had of the
processors. A round in which all others had a part of them is no measurement.
"""

import argparse
import asyncio
import itertools
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import httpx
import psutil
import sqlalchemy as sa
import uvloop

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from helpers.system import System

STREAMS = 200
REQUESTS = 50
"""A second."""

PATHS = ("/", "/v1/fractals", "/v1/statistics", "/system", "/v1/fractals?status=done&limit=24")


class Listener(asyncio.Protocol):
    """Counts the events of one stream. On a bare socket, like `Look`: watching itself shall cost little."""

    def __init__(self, request):
        self.request, self.events = request, 0

    def connection_made(self, transport):
        """Ask."""
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data):
        """Count."""
        self.events += data.count(b"event: ")


class Look(asyncio.Protocol):
    """Times one request."""

    def __init__(self, request, latencies):
        self.request, self.latencies = request, latencies
        self.started, self.head = time.perf_counter(), b""

    def connection_made(self, transport):
        """Ask."""
        transport.write(self.request)

    def data_received(self, data):
        """Keep the first line."""
        self.head = self.head or data[:12]

    def connection_lost(self, _error):
        """Note how long it took, or that it was not answered well."""
        good = self.head == b"HTTP/1.1 200"
        self.latencies.append(time.perf_counter() - self.started if good else None)


class Watchers:
    """Open streams and steady requests."""

    def __init__(self, url):
        self.host, port = url.removeprefix("http://").split(":")
        self.port = int(port)
        self.events = 0
        self.latencies = []

    async def ask(self, path, make):
        """Send a request for `path` over a connection of its own."""
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        return await asyncio.get_running_loop().create_connection(lambda: make(request), self.host, self.port)

    async def during(self, work):
        """Watch while `work` runs in a thread, and return what it returns."""
        listeners = [(await self.ask("/v1/events", Listener))[1] for _ in range(STREAMS)]
        while not all(listener.events for listener in listeners):  # all streams are open
            await asyncio.sleep(0.05)
        job = asyncio.create_task(asyncio.to_thread(work))
        due, paths = time.monotonic(), itertools.cycle(PATHS)
        while not job.done():
            await self.ask(next(paths), lambda request: Look(request, self.latencies))
            due += 1 / REQUESTS
            await asyncio.sleep(max(0, due - time.monotonic()))
        for listener in listeners:
            assert not listener.transport.is_closing(), "a stream ended"
            self.events += listener.events
            listener.transport.close()
        return await job


class Measured(NamedTuple):
    """What came of a round."""

    speed: float
    """Images a second."""
    cores: dict[str, float]
    """How many processors each process kept busy."""


class Pipeline:
    """The system, and what its processes cost."""

    def __init__(self, system, url):
        self.system = system
        names = {"oat-worker": "worker", "oat-tracker": "tracker", "oat": "oat web"}
        self.processes = {
            names[Path(process.args[0]).name]: psutil.Process(process.pid) for process in system.processes
        }
        self.processes["watchers"] = psutil.Process()
        self.url = url

    def measure(self, tasks):
        """Record and send `tasks` tasks of the usual kind, and measure until all are done."""
        before = self.done()
        arguments = ("--one-shot", "--min-tasks", tasks, "--max-tasks", tasks, "--seed", 3)
        assert self.system.call("oat-producer", *arguments).returncode == 0
        started, first, busy = time.monotonic(), self.done(), self.busy()
        while (now := self.done()) < before + tasks:
            time.sleep(0.2)
        seconds, after = time.monotonic() - started, self.busy()
        return Measured((now - first) / seconds, {name: (after[name] - busy[name]) / seconds for name in busy})

    def busy(self):
        """Return the processor seconds that each process has had, and all others of this machine together."""
        ours = {name: sum(process.cpu_times()[:2]) for name, process in self.processes.items()}
        machine = psutil.cpu_times()
        return ours | {"all others": machine.user + machine.nice + machine.system - sum(ours.values())}

    def done(self):
        """Return how many images the pipeline has made."""
        with self.system.engine.connect() as connection:
            return connection.execute(sa.text("SELECT COUNT(*) FROM fractals WHERE status = 'done'")).scalar()


def fill(system, count):
    """Insert `count` finished records, as if the system had worked for weeks."""
    row = (
        "INSERT INTO fractals (uuid, width, height, iterations, xa, xb, ya, yb, cx, cy, status, duration,"
        " checksum, size, worker, attempts, created_at, sent_at, finished_at) VALUES (:uuid, 800, 600, 256, -2, 2,"
        " -1.5, 1.5, -0.8, 0.156, 'done', 0.02, :checksum, 9000, 'bench', 1, :at, :at, :at)"
    )
    for start in range(0, count, 5000):
        rows = [
            {
                "uuid": str(uuid4()),
                "checksum": "0" * 64,
                "at": f"2026-01-01 {(start // 5000) % 24:02d}:00:00.000000",
            }
            for _ in range(min(5000, count - start))
        ]
        with system.engine.begin() as connection:
            connection.execute(sa.text(row), rows)


def deep_pages(url):
    """Walk from the newest to the oldest page, and return the milliseconds of each."""
    times, older = [], None
    with httpx.Client(base_url=url) as client:
        while True:
            started = time.perf_counter()
            page = client.get("/v1/fractals", params={"limit": 200} | ({"older": older} if older else {})).json()
            times.append((time.perf_counter() - started) * 1000)
            older = page["older"]
            if older is None:
                return times


def compare(pipeline, rounds, tasks):
    """Measure both ways, and print the table."""
    alone, watched, watchers = [], [], Watchers(pipeline.url)
    for number in range(rounds):
        for who in (alone, watched)[:: 1 if number % 2 else -1]:
            if who is alone:
                who.append(pipeline.measure(tasks))
            else:
                who.append(uvloop.run(watchers.during(lambda: pipeline.measure(tasks))))
    ratios = [with_.speed / without.speed for with_, without in zip(watched, alone, strict=True)]

    def row(name, value, unit):
        each = [[value(measured) for measured in way] for way in (alone, watched)]
        print(f"{name:16}{statistics.median(each[0]):9.2f}{statistics.median(each[1]):9.2f} {unit} {each}")

    print(f"{STREAMS} streams and {REQUESTS} requests/s; medians of {rounds} rounds of {tasks} images each way")
    print(f"{'':16}{'alone':>9}{'watched':>9}")
    row("pipeline", lambda measured: round(measured.speed, 1), "images/s  ")
    for name in alone[0].cores:
        row(name, lambda measured, name=name: round(measured.cores[name], 3), "processors")
    print(f"watched / alone {statistics.median(ratios):.3f}   {[round(ratio, 3) for ratio in ratios]}")
    good = sorted(latency for latency in watchers.latencies if latency is not None)
    print(
        f"requests {len(good)}, p50 {good[len(good) // 2] * 1000:.0f} ms, "
        f"p95 {good[int(len(good) * 0.95)] * 1000:.0f} ms, p99 {good[int(len(good) * 0.99)] * 1000:.0f} ms, "
        f"faults {len(watchers.latencies) - len(good)}; events a stream {watchers.events / STREAMS / rounds:.0f}"
    )


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=2000, help="images of a measurement")
    parser.add_argument("--records", type=int, default=100_000, help="finished records to page through; 0: don't")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        urls = os.environ.get("OAT_BROKER_URL"), os.environ.get("OAT_DATABASE_URL")
        with System(Path(folder), *urls, OAT_READ_RATE="1000000/minute") as system:
            url = system.gallery()
            system.start("oat-worker")
            system.start("oat-tracker")
            pipeline = Pipeline(system, url)
            pipeline.measure(300)
            compare(pipeline, options.rounds, options.tasks)
            if not options.records:
                return
            fill(system, options.records)
            times = deep_pages(url)
            tenth = max(1, len(times) // 10)
            print(
                f"pages of 200 among {options.records} records: first tenth "
                f"{statistics.median(times[:tenth]):.1f} ms, last tenth {statistics.median(times[-tenth:]):.1f} ms"
            )


if __name__ == "__main__":
    main()
