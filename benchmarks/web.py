"""What watching costs: the pipeline alone, and with 200 event streams and 50 requests a second; and deep pages.

    python benchmarks/web.py [--rounds 3] [--tasks 1500] [--records 100000]

Everything runs on this machine, on the embedded default or on what OAT_BROKER_URL and OAT_DATABASE_URL say. Speeds
are compared side by side: each round measures both ways, in changing order. The watchers are on this machine
too: a part of what is lost is theirs.
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
from uuid import uuid4

import httpx
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from system import System

STREAMS = 200
REQUESTS = 50
"""A second."""

PATHS = ("/", "/v1/fractals", "/v1/statistics", "/system", "/v1/fractals?status=done&limit=24")


class Watchers:
    """Open streams and steady requests, on bare sockets: they shall cost little themselves."""

    def __init__(self, url):
        self.host, port = url.removeprefix("http://").split(":")
        self.port = int(port)
        self.events = 0
        self.latencies = []
        self.faults = []

    async def ask(self, path):
        """Send a request for `path`, and return its two streams."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return reader, writer

    async def listen(self):
        """Count the events of one stream."""
        reader, writer = await self.ask("/v1/events")
        try:
            while got := await reader.read(1 << 16):
                self.events += got.count(b"event: ")
            self.faults.append("a stream ended")
        finally:
            writer.close()

    async def look(self, path):
        """Time one request."""
        started = time.perf_counter()
        reader, writer = await self.ask(path)
        if not (await reader.read()).startswith(b"HTTP/1.1 200"):
            self.faults.append(path)
        writer.close()
        self.latencies.append(time.perf_counter() - started)

    async def during(self, work):
        """Watch while `work` runs in a thread, and return what it returns."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.listen()) for _ in range(STREAMS)]
            while self.events < STREAMS:  # all streams are open
                await asyncio.sleep(0.05)
            job = asyncio.create_task(asyncio.to_thread(work))
            due, paths = time.monotonic(), itertools.cycle(PATHS)
            while not job.done():
                group.create_task(self.look(next(paths)))
                due += 1 / REQUESTS
                await asyncio.sleep(max(0, due - time.monotonic()))
            for task in tasks:
                task.cancel()
            return await job


def produce(system, count):
    """Record and send `count` tasks of the usual kind, and return images/s until all are done."""
    before = done(system)
    arguments = ("--one-shot", "--min-tasks", count, "--max-tasks", count, "--seed", 3)
    assert system.call("oat-producer", *arguments).returncode == 0
    started, first = time.monotonic(), done(system)
    while (now := done(system)) < before + count:
        time.sleep(0.1)
    return (now - first) / (time.monotonic() - started)


def done(system):
    """Return how many images the pipeline has made."""
    with system.engine.connect() as connection:
        query = "SELECT COUNT(*) FROM fractals WHERE status = 'done' AND worker <> 'bench'"
        return connection.execute(sa.text(query)).scalar()


def fill(system, count):
    """Insert `count` finished records, as if the system had worked for weeks."""
    row = (
        "INSERT INTO fractals (uuid, width, height, iterations, xa, xb, ya, yb, cx, cy, status, duration,"
        " checksum, size, worker, sendings, created_at, sent_at, finished_at) VALUES (:uuid, 800, 600, 256, -2, 2,"
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


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=1500)
    parser.add_argument("--records", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        urls = os.environ.get("OAT_BROKER_URL"), os.environ.get("OAT_DATABASE_URL")
        with System(Path(folder), *urls, OAT_READ_RATE="1000000/minute") as system:
            url = system.gallery()
            system.start("oat-worker")
            system.start("oat-tracker")
            produce(system, 100)
            alone, watched = [], []
            watchers = Watchers(url)
            for number in range(options.rounds):
                for who in (alone, watched)[:: 1 if number % 2 else -1]:
                    watchers.events = 0
                    if who is alone:
                        who.append(produce(system, options.tasks))
                    else:
                        who.append(asyncio.run(watchers.during(lambda: produce(system, options.tasks))))
            ratios = [with_ / without for with_, without in zip(watched, alone, strict=True)]
            print(f"alone    {statistics.median(alone):7.1f} images/s  {[round(x) for x in alone]}")
            print(f"watched  {statistics.median(watched):7.1f} images/s  {[round(x) for x in watched]}")
            print(f"ratio    {statistics.median(ratios):7.3f}  ({STREAMS} streams, {REQUESTS} requests/s)")
            slow = sorted(watchers.latencies)
            print(
                f"requests {len(slow)}, p50 {slow[len(slow) // 2] * 1000:.0f} ms, "
                f"p95 {slow[int(len(slow) * 0.95)] * 1000:.0f} ms, faults {len(watchers.faults)}"
            )
            fill(system, options.records)
            times = deep_pages(url)
            tenth = max(1, len(times) // 10)
            print(
                f"pages of 200 among {options.records} records: first tenth "
                f"{statistics.median(times[:tenth]):.1f} ms, last tenth {statistics.median(times[-tenth:]):.1f} ms"
            )


if __name__ == "__main__":
    main()
