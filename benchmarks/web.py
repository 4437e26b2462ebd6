"""Benchmark of the web service: the pipeline alone and with 200 event streams and 50 requests/s; deep pages.

    python benchmarks/web.py [--rounds 3] [--tasks 2000] [--records 100000]

Everything runs on this machine, on the embedded default or on what OAT_BROKER_URL and OAT_DATABASE_URL say. Rates
are compared side by side: each round renders the same kind of images both ways, in alternating order. The clients
run on this machine too, and cost a part of the rate: the table has the processor time of each process. A round in
which other processes used the processors is no measurement.
"""

import argparse
import asyncio
import itertools
import os
import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import httpx
import psutil
import sqlalchemy as sa
import uvloop

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from usage import processor

from helpers.guard import temporary_folder
from helpers.system import System

STREAMS = 200
"""Event streams open at once."""

REQUEST_RATE = 50
"""Requests per second."""

PATHS = ("/", "/v1/fractals", "/v1/statistics", "/system", "/v1/fractals?status=done&limit=24")


class StreamClient(asyncio.Protocol):
    """Counts the events of one stream. On a bare transport, like `RequestClient`: the clients must cost little."""

    def __init__(self, request):
        self.request, self.events = request, 0

    def connection_made(self, transport):
        """Send the request."""
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data):
        """Count the events."""
        self.events += data.count(b"event: ")


class RequestClient(asyncio.Protocol):
    """Times one request."""

    def __init__(self, request, latencies):
        self.request, self.latencies = request, latencies
        self.started, self.head = time.perf_counter(), b""

    def connection_made(self, transport):
        """Send the request."""
        transport.write(self.request)

    def data_received(self, data):
        """Keep the start of the status line."""
        self.head = self.head or data[:12]

    def connection_lost(self, _error):
        """Record the latency, or None if the status was not 200."""
        ok = self.head == b"HTTP/1.1 200"
        self.latencies.append(time.perf_counter() - self.started if ok else None)


class Clients:
    """Open event streams, and requests at a constant rate."""

    def __init__(self, url, streams=("/v1/events",) * STREAMS, rate=REQUEST_RATE):
        self.streams, self.rate = streams, rate
        self.host, port = url.removeprefix("http://").split(":")
        self.port = int(port)
        self.events = 0
        self.latencies = []

    async def connect(self, path, protocol):
        """Send a request for `path` on a new connection."""
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        return await asyncio.get_running_loop().create_connection(lambda: protocol(request), self.host, self.port)

    async def during(self, work):
        """Keep streams and requests going while `work` runs in a thread, and return its result."""
        streams = [(await self.connect(path, StreamClient))[1] for path in self.streams]
        while not all(stream.events for stream in streams):  # all streams are open
            await asyncio.sleep(0.05)
        job = asyncio.create_task(asyncio.to_thread(work))
        due, paths = time.monotonic(), itertools.cycle(PATHS)
        while self.rate and not job.done():
            await self.connect(next(paths), lambda request: RequestClient(request, self.latencies))
            due += 1 / self.rate
            await asyncio.sleep(max(0, due - time.monotonic()))
        result = await job
        for stream in streams:
            assert not stream.transport.is_closing(), "a stream ended"
            self.events += stream.events
            stream.transport.close()
        return result


class Measured(NamedTuple):
    """The result of one measurement."""

    rate: float
    """Images per second."""
    cores: dict[str, float]
    """Cores that each process used, on average."""


class Pipeline:
    """The system, with the processor time of its processes."""

    def __init__(self, system, url):
        self.system = system
        names = {"oat-worker": "worker", "oat-tracker": "tracker", "oat": "oat web"}
        self.processes = {
            names[Path(process.args[0]).name]: psutil.Process(process.pid) for process in system.processes
        }
        self.processes["clients"] = psutil.Process()
        self.url = url

    def measure(self, tasks):
        """Produce `tasks` tasks of the usual size, and measure until all are done."""
        before = self.done()
        arguments = ("--one-shot", "--min-tasks", tasks, "--max-tasks", tasks, "--seed", 3)
        assert self.system.call("oat-producer", *arguments).returncode == 0
        started, first, busy = time.monotonic(), self.done(), self.busy()
        if first >= before + tasks:
            raise SystemExit(f"{tasks} images are done before the producer is: take more --tasks")
        while (now := self.done()) < before + tasks:
            time.sleep(0.2)
        seconds, after = time.monotonic() - started, self.busy()
        return Measured((now - first) / seconds, {name: (after[name] - busy[name]) / seconds for name in busy})

    def busy(self):
        """Return the seconds of processor time of each process, and of all others of this machine together."""
        ours = {name: processor(process) for name, process in self.processes.items()}
        machine = psutil.cpu_times()
        return ours | {"all others": machine.user + machine.nice + machine.system - sum(ours.values())}

    def done(self):
        """Return how many tasks are done."""
        with self.system.engine.connect() as connection:
            return connection.execute(sa.text("SELECT COUNT(*) FROM fractals WHERE status = 'done'")).scalar()


def fill(system, count):
    """Insert `count` finished records, like those of weeks."""
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
    """Request all pages from the newest to the oldest, and return the milliseconds of each."""
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
    """Measure alone and watched in turn, and print the table."""
    alone, watched, clients = [], [], Clients(pipeline.url)
    for number in range(rounds):
        for runs in (alone, watched)[:: 1 if number % 2 else -1]:
            if runs is alone:
                runs.append(pipeline.measure(tasks))
            else:
                runs.append(uvloop.run(clients.during(lambda: pipeline.measure(tasks))))
    ratios = [with_.rate / without.rate for with_, without in zip(watched, alone, strict=True)]

    def row(name, value, unit):
        each = [[value(measured) for measured in runs] for runs in (alone, watched)]
        print(f"{name:16}{statistics.median(each[0]):9.2f}{statistics.median(each[1]):9.2f} {unit} {each}")

    print(f"{STREAMS} streams and {REQUEST_RATE} requests/s; medians of {rounds} rounds of {tasks} images each")
    print(f"{'':16}{'alone':>9}{'watched':>9}")
    row("pipeline", lambda measured: round(measured.rate, 1), "images/s  ")
    for name in alone[0].cores:
        row(name, lambda measured, name=name: round(measured.cores[name], 3), "cores")
    print(f"watched / alone {statistics.median(ratios):.3f}   {[round(ratio, 3) for ratio in ratios]}")
    good = sorted(latency for latency in clients.latencies if latency is not None)
    print(
        f"requests {len(good)}, p50 {good[len(good) // 2] * 1000:.0f} ms, "
        f"p95 {good[int(len(good) * 0.95)] * 1000:.0f} ms, p99 {good[int(len(good) * 0.99)] * 1000:.0f} ms, "
        f"failed {len(clients.latencies) - len(good)}; events per stream {clients.events / STREAMS / rounds:.0f}"
    )


def main():
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=2000, help="images per measurement")
    parser.add_argument(
        "--records", type=int, default=100_000, help="finished records to page through; 0 leaves this out"
    )
    options = parser.parse_args()
    with temporary_folder() as folder:
        urls = os.environ.get("OAT_BROKER_URL"), os.environ.get("OAT_DATABASE_URL")
        with System(folder, *urls, OAT_READ_RATE="1000000/minute") as system:
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
