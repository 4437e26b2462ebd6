"""What the pipeline itself costs: `make bench-load`.

`oat`, Celery and dramatiq do the same job in turn, round by round, on one private RabbitMQ and one private
MariaDB: record, send, render, store, update. Then images of the usual size, beside the bare renderer on the same
cores. What counts are the ratios, of medians.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import amqp
import psutil
import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from steps import STEPS

from oat.database import Database
from oat.logs import configure_logging
from oat.producer import Producer, Ranges, make_up
from oat.rendering import render_png
from oat.settings import Settings
from servers import MariaDB, RabbitMQ, wait_until

BIN = Path(sys.executable).parent
CORES = len(os.sched_getaffinity(0))
TINY = replace(Ranges(), width=(16, 16), height=(16, 16))

LOOK = 0.005
"""Seconds between two looks at whether all is done."""

ENOUGH = 10_000
"""Tasks after which a rate is taken for known; of fewer a run, there are several runs and their median."""

MEMORY, ROOM = Path("/dev/shm"), 8 * 2**30
"""A folder in memory, where a system has one, and the bytes that there should be: half of them are written."""

console = Console()


@dataclass
class Measured:
    """One run: how many tasks in how many seconds, and what each process took for it."""

    tasks: int
    seconds: float
    processor: dict[str, float]
    """Milliseconds of processor time a task."""

    @property
    def rate(self) -> float:
        """Tasks a second."""
        return self.tasks / self.seconds


class Bench:
    """The servers, and a database and a folder that each run gets fresh."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rabbitmq = RabbitMQ(self._made(folder / "rabbitmq")).start()
        self.mariadb = MariaDB(self._made(folder / "mariadb")).start()
        self.runs = 0

    @staticmethod
    def _made(folder: Path) -> Path:
        folder.mkdir()
        return folder

    def close(self) -> None:
        """Stop the servers."""
        self.rabbitmq.stop()
        self.mariadb.stop()

    def settings(self) -> Settings:
        """Return the addresses for the next run."""
        self.runs += 1
        here = self._made(self.folder / f"run{self.runs}")
        return Settings(
            broker_url=self.rabbitmq.url,
            database_url=self.mariadb.database(f"run{self.runs}"),
            target=str(here / "images"),
            log_file=here / "producer.log",
        )

    @contextmanager
    def processes(self, settings: Settings, *commands: list[str | Path]) -> Iterator[list[psutil.Process]]:
        """Run `commands` on what `settings` names, until the block ends."""
        environment = os.environ | {
            "OAT_BROKER_URL": settings.broker_url,
            "OAT_DATABASE_URL": settings.database_url,
            "OAT_TARGET": str(settings.target),
            "PYTHONPATH": str(Path(__file__).parent),
        }
        started = []
        for command in commands:
            log = (settings.log_file.parent / f"{Path(command[0]).name}.log").open("wb")
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        try:
            yield [psutil.Process(process.pid) for process in started]
        finally:
            for process in started:
                process.send_signal(signal.SIGTERM)
            for process in started:
                process.wait(60)

    def measure(
        self, settings: Settings, count: int, produce: Callable[[], None], services: dict[str, psutil.Process]
    ) -> Measured:
        """Run `produce` and wait until `count` records are done.

        Raises:
            RuntimeError: some of them have failed.
        """
        engine = sa.create_engine(settings.database_url)
        services |= {
            "RabbitMQ": psutil.Process(self.rabbitmq.process.pid),
            "MariaDB": psutil.Process(self.mariadb.process.pid),
            "producer": psutil.Process(),
        }
        before = {name: processor(process) for name, process in services.items()}
        started = time.perf_counter()
        produce()
        produced = {name: processor(process) for name, process in services.items()}

        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # Counting them all, 20 times a second, would take a tenth of what the services have.
            one_that_waits = sa.text("SELECT uuid FROM fractals WHERE status = 'waiting' LIMIT 1")
            wait_until(
                lambda: not connection.execute(one_that_waits).first(), f"{count} answers", patience=300, step=LOOK
            )
        seconds = time.perf_counter() - started
        after = {name: processor(process) for name, process in services.items()}
        after["producer"] = produced["producer"]
        with engine.connect() as connection:
            done = connection.execute(sa.text("SELECT COUNT(*) FROM fractals WHERE status = 'done'")).scalar()
        engine.dispose()
        if done != count:
            raise RuntimeError(f"{done} of {count} records are done")
        return Measured(
            tasks=count,
            seconds=seconds,
            processor={name: 1000 * (after[name] - before[name]) / count for name in services},
        )

    def oat(self, count: int, ranges: Ranges, seed: int | None = None) -> Measured:
        """Our own services, as their commands start them."""
        settings = self.settings()
        ours = producer(settings, count, ranges, seed)
        ours.database.prepare()
        configure_logging(settings.log_file)
        with self.processes(settings, [BIN / "oat-worker"], [BIN / "oat-tracker"]) as (worker, tracker):
            wait_until(lambda: consumers(self.rabbitmq.url, "tasks", "results"), "the services")
            return self.measure(settings, count, ours.run, {"worker": worker, "tracker": tracker})

    def behind(self, queued: int) -> tuple[float, dict[str, float]]:
        """Let `ENOUGH` tasks more come to `queued` that wait already; return tasks a second, and mebibytes."""
        settings = self.settings()
        configure_logging(settings.log_file)
        producer(settings, queued).run()
        more = producer(settings, ENOUGH)
        with self.processes(settings, [BIN / "oat-worker"], [BIN / "oat-tracker"]) as (worker, tracker):
            before = wait_until(lambda: answered(settings.database_url), "the first answers")
            started = time.perf_counter()
            more.run()
            wait_until(
                lambda: answered(settings.database_url) >= before + ENOUGH, f"{ENOUGH} answers", patience=300
            )
            rate = (answered(settings.database_url) - before) / (time.perf_counter() - started)
            services = {"worker": worker, "tracker": tracker, "producer": psutil.Process()}
            in_memory = {name: memory(process) for name, process in services.items()}
        with amqp.Connection(f"127.0.0.1:{self.rabbitmq.port}") as connection:
            for queue in ("tasks", "results"):
                connection.channel().queue_purge(queue)
        return rate, in_memory

    def steps(self, seconds: float) -> dict[str, dict[str, float]]:
        """Let sets of ten images flow for some seconds; return when each UUID had come through each of `STEPS`."""
        settings = self.settings()
        folder = settings.log_file.parent
        script = [sys.executable, Path(__file__).parent / "steps.py"]
        ten = ["--min-tasks", "10", "--max-tasks", "10", "--min-pause", "0.1", "--max-pause", "0.3"]
        services = {"tracker": [], "worker": [], "producer": ten}
        commands = [[*script, name, folder / f"{name}.json", *options] for name, options in services.items()]
        with self.processes(settings, *commands[:2]):
            wait_until(lambda: consumers(self.rabbitmq.url, "tasks", "results"), "the services")
            with self.processes(settings, commands[2]):
                time.sleep(seconds)
            wait_until(lambda: not waiting(settings.database_url), "all records done")
        files = [json.loads((folder / f"{name}.json").read_text()) for name in services]
        return {step: times for file in files for step, times in file.items()}

    def celery(self, count: int, ranges: Ranges) -> Measured:
        """Run Celery's workers, one process a core."""
        command = [BIN / "celery", "-A", "peers:celery", "worker", "--concurrency", str(CORES), "--without-gossip",
                   "--without-mingle", "--without-heartbeat", "-l", "INFO"]  # fmt: skip
        return self.peer("celery", command, count, ranges)

    def dramatiq(self, count: int, ranges: Ranges) -> Measured:
        """Run dramatiq's workers, as many processes, with eight threads each."""
        command = [BIN / "dramatiq", "peers", "--processes", str(CORES), "--threads", "8"]
        return self.peer("default", command, count, ranges)

    def peer(self, queue: str, command: list[str | Path], count: int, ranges: Ranges) -> Measured:
        """Send the same tasks to `command`, which takes them from `queue`."""
        settings = self.settings()
        os.environ |= {"OAT_BROKER_URL": settings.broker_url, "OAT_TARGET": str(settings.target)}
        import peers  # noqa: PLC0415 (it connects to where the environment, by now, says)

        send = peers.celery_answer.delay if queue == "celery" else peers.dramatiq_answer.send
        database = Database(settings.database_url, threading.Event())
        database.prepare()
        rng = random.Random()

        def produce() -> None:
            tasks = [make_up(ranges, rng) for _ in range(count)]
            database.record(tasks)
            for task in tasks:
                send(task.to_json().decode())

        with self.processes(settings, command) as (worker,):
            wait_until(lambda: consumers(self.rabbitmq.url, queue), queue)
            return self.measure(settings, count, produce, {"worker": worker})


def producer(settings: Settings, count: int, ranges: Ranges = TINY, seed: int | None = None) -> Producer:
    """Return one of our own producers, of one set of `count` tasks."""
    return Producer(settings, replace(ranges, tasks=(count, count)), seed, one_shot=True)


def consumers(url: str, *queues: str) -> bool:
    """Whether each of `queues` has someone who takes from it."""
    try:
        with amqp.Connection(url.partition("@")[2].rstrip("/")) as connection:
            return all(connection.channel().queue_declare(q, passive=True).consumer_count for q in queues)
    except amqp.NotFound:
        return False


def waiting(url: str) -> int:
    """Return how many records have no answer yet."""
    return _count(url, "waiting")


def answered(url: str) -> int:
    """Return how many images are done."""
    return _count(url, "done")


def _count(url: str, status: str) -> int:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        query = sa.text("SELECT COUNT(*) FROM fractals WHERE status = :status")
        return connection.execute(query, {"status": status}).scalar_one()


def family(process: psutil.Process) -> list[psutil.Process]:
    """Return `process` and its children; of ourselves, who started them all, only us."""
    return [process, *([] if process.pid == os.getpid() else process.children(recursive=True))]


def processor(process: psutil.Process) -> float:
    """Seconds of processor time that `process` and its children have used."""
    return sum(sum(one.cpu_times()[:2]) for one in family(process))


def memory(process: psutil.Process) -> float:
    """Mebibytes that `process` and its children have in memory."""
    return sum(one.memory_info().rss for one in family(process)) / 2**20


def place() -> Path:
    """Return where to write: `TMPDIR` where that is set, else into memory, where there is enough.

    What a disk takes for a new file says nothing of us, and is not the same twice: on ext4 without a journal it is
    15 microseconds, and 200 to 500 where thousands of files were deleted in the minutes before.
    """
    enough = psutil.virtual_memory().available > ROOM and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if enough and "TMPDIR" not in os.environ else Path(tempfile.gettempdir())


def bare(count: int, seed: int) -> float:
    """Return the images a second of the renderer alone, on all cores: no broker, no database, no file."""
    rng = random.Random(seed)
    rng.randint(count, count)  # as a producer draws the size of its set, before it draws the same images
    tasks = [make_up(Ranges(), rng) for _ in range(count)]
    with ThreadPoolExecutor(CORES) as pool:
        started = time.perf_counter()
        list(pool.map(lambda task: hashlib.sha256(render_png(task)).digest(), tasks))
        return count / (time.perf_counter() - started)


def embedded(bench: Bench, count: int, seed: int) -> float:
    """Return the images a second that `oat run` names."""
    data = bench.settings().log_file.parent
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OAT_")}
    run = subprocess.run(
        [BIN / "oat", "run", "--tasks", str(count), "--seed", str(seed)],
        env=environment | {"XDG_DATA_HOME": str(data)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(run.stdout.partition("speed")[2].split()[1])


def compare(bench: Bench, tasks: int, rounds: int) -> None:
    """Print the rates of tiny tasks, ours and the others', and what each process took."""
    runs: dict[str, list[Measured]] = {"oat": [], "Celery": [], "dramatiq": []}
    for _ in range(rounds):
        for name, run in runs.items():
            run.append(getattr(bench, name.lower())(tasks, TINY))
            console.print(f"{name}: {run[-1].rate:.0f} tasks a second")
    table = Table(title=f"{tasks} tasks of 16 × 16 pixels, {CORES} cores, medians of {rounds} rounds")
    parts = ("producer", "worker", "tracker", "RabbitMQ", "MariaDB")
    for heading in ("", "tasks/s", "oat is times as fast", *(f"{part}, ms" for part in parts)):
        table.add_column(heading, justify="right" if heading else "left")
    ours = statistics.median(m.rate for m in runs["oat"])
    for name, run in runs.items():
        rate = statistics.median(m.rate for m in run)
        costs = [statistics.median(m.processor.get(part, 0.0) for m in run) for part in parts]
        table.add_row(name, f"{rate:.0f}", f"{ours / rate:.2f}", *(f"{cost:.2f}" for cost in costs))
    console.print(table)


def usual(bench: Bench, tasks: int, rounds: int) -> None:
    """Print the rates of images of the usual size as parts of the bare renderer's."""
    rates: dict[str, list[float]] = {"the bare renderer": [], "RabbitMQ and MariaDB": [], "oat run, embedded": []}
    for seed in range(rounds):
        rates["the bare renderer"].append(bare(tasks, seed))
        rates["RabbitMQ and MariaDB"].append(bench.oat(tasks, Ranges(), seed).rate)
        rates["oat run, embedded"].append(embedded(bench, tasks, seed))
    table = Table(title=f"{tasks} images of the usual size, medians of {rounds} rounds")
    for heading in ("", "images/s", "of the bare renderer"):
        table.add_column(heading, justify="right" if heading else "left")
    whole = statistics.median(rates["the bare renderer"])
    for name, some in rates.items():
        table.add_row(name, f"{statistics.median(some):.0f}", f"{statistics.median(some) / whole:.0%}")
    console.print(table)


def many(bench: Bench, counts: list[int]) -> None:
    """Print how rates and memory change with the number of records and queued tasks."""
    table = Table(title=f"Tiny tasks, tasks/s: that many at once, and {ENOUGH} more while that many wait")
    for heading in ("tasks", "at once", "while they wait", "worker, MiB", "tracker, MiB", "producer, MiB"):
        table.add_column(heading, justify="right")
    for count in counts:
        rates = [bench.oat(count, TINY).rate for _ in range(max(1, ENOUGH // count))]
        standing = [bench.behind(count) for _ in range(3)]
        rates_behind, in_memory = [rate for rate, _ in standing], standing[-1][1]
        table.add_row(
            str(count), f"{statistics.median(rates):.0f}", f"{statistics.median(rates_behind):.0f}",
            *(f"{in_memory[name]:.0f}" for name in ("worker", "tracker", "producer")),
        )  # fmt: skip
    console.print(table)


def way(bench: Bench, seconds: float) -> None:
    """Print how long a task spends in each step of its way, while the queues are short."""
    passed = bench.steps(seconds)
    table = Table(title=f"A task's way: {len(passed['commit'])} images of the usual size in {seconds:g} seconds")
    for heading in ("", "p50, ms", "p95, ms", "p99, ms", "of the whole"):
        table.add_column(heading, justify="right" if heading else "left")
    spent: dict[str, list[float]] = {}
    for before, step in pairwise(STEPS):
        # A worker may have a task before the producer hears of the confirm: such a one didn't wait.
        spent[step] = [max(0.0, passed[step][uuid] - passed[before][uuid]) for uuid in passed["commit"]]
    whole = sum(map(sum, spent.values()))
    for step, some in spent.items():
        cuts = statistics.quantiles(some, n=100)
        table.add_row(step, *(f"{1000 * cuts[p - 1]:.1f}" for p in (50, 95, 99)), f"{sum(some) / whole:.0%}")
    console.print(table)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000, help="tiny tasks a round")
    parser.add_argument("--images", type=int, default=6000, help="images of the usual size a round")
    parser.add_argument("--rounds", type=int, default=3, help="the medians are of so many rounds")
    parser.add_argument(
        "--many", type=int, nargs="*", default=[1000, 10_000, 100_000], help="numbers of queued tasks"
    )
    options = parser.parse_args()
    parent = place()
    console.print(f"All that is written goes to {parent}.")
    with tempfile.TemporaryDirectory(prefix="oat-bench-", dir=parent) as folder:
        Path(folder).chmod(0o755)
        bench = Bench(Path(folder))
        try:
            compare(bench, options.tasks, options.rounds)
            usual(bench, options.images, options.rounds)
            many(bench, options.many)
            way(bench, 20)
        finally:
            bench.close()


if __name__ == "__main__":
    main()
