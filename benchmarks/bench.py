"""One private RabbitMQ and one private MariaDB, on which `oat`, Celery and dramatiq do the same job in turn."""

import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import amqp
import psutil
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from running import running
from usage import CORES, memory, processor

from helpers.servers import MariaDB, RabbitMQ
from helpers.waiting import wait_until
from oat.process.logs import configure_logging
from oat.records.database import Database
from oat.services import Producer, Ranges, random_task
from oat.settings import Settings

BIN = Path(sys.executable).parent
TINY = replace(Ranges(), width=(16, 16), height=(16, 16))
"""Images that take next to no time to render: what is left is the cost of the pipeline."""

POLL_INTERVAL = 0.005
"""Seconds between two polls whether all tasks are done: short beside the seconds of a run."""

ENOUGH_TASKS = 10_000
"""Tasks after which a rate is stable; of runs of fewer tasks, several are made and the median counts."""


@dataclass
class Measured:
    """The result of one run."""

    tasks: int
    seconds: float
    processor: dict[str, float]
    """Milliseconds of processor time per task, of each process."""

    @property
    def rate(self) -> float:
        """Tasks per second."""
        return self.tasks / self.seconds


class Bench:
    """The servers, with a new database and a new folder for each run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rabbitmq = RabbitMQ(self._new_folder(folder / "rabbitmq")).start()
        self.mariadb = MariaDB(self._new_folder(folder / "mariadb")).start()
        self.runs = 0

    @staticmethod
    def _new_folder(folder: Path) -> Path:
        folder.mkdir()
        return folder

    def close(self) -> None:
        """Stop the servers."""
        self.rabbitmq.stop()
        self.mariadb.stop()

    def settings(self) -> Settings:
        """Return the settings of the next run."""
        self.runs += 1
        folder = self._new_folder(self.folder / f"run{self.runs}")
        return Settings(
            broker_url=self.rabbitmq.url,
            database_url=self.mariadb.database(f"run{self.runs}"),
            target=str(folder / "images"),
            log_file=folder / "producer.log",
        )

    @contextmanager
    def processes(self, settings: Settings, *commands: list[str | Path]) -> Iterator[list[psutil.Process]]:
        """Run `commands` with `settings` until the block ends."""
        environment = os.environ | {
            "OAT_BROKER_URL": settings.broker_url,
            "OAT_DATABASE_URL": settings.database_url,
            "OAT_TARGET": str(settings.target),
            "PYTHONPATH": str(Path(__file__).parent),
        }
        with ExitStack() as stack:
            logs = [settings.log_file.parent / f"{Path(command[0]).name}.log" for command in commands]
            yield [
                stack.enter_context(running(command, environment, log))
                for command, log in zip(commands, logs, strict=True)
            ]

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
            # Counting all records at each poll would take a tenth of the processor time of the services.
            any_waiting = sa.text("SELECT uuid FROM fractals WHERE status = 'waiting' LIMIT 1")
            wait_until(
                lambda: not connection.execute(any_waiting).first(),
                f"{count} results",
                timeout=300,
                step=POLL_INTERVAL,
            )
        seconds = time.perf_counter() - started
        after = {name: processor(process) for name, process in services.items()}
        after["producer"] = produced["producer"]
        engine.dispose()
        done = done_count(settings.database_url)
        if done != count:
            raise RuntimeError(f"{done} of {count} records are done")
        return Measured(
            tasks=count,
            seconds=seconds,
            processor={name: 1000 * (after[name] - before[name]) / count for name in services},
        )

    def oat(self, count: int, ranges: Ranges, seed: int | None = None) -> Measured:
        """Run our own services, as their commands start them."""
        settings = self.settings()
        ours = producer(settings, count, ranges, seed)
        ours.database.prepare()
        configure_logging(settings.log_file)
        with self.processes(settings, [BIN / "oat-worker"], [BIN / "oat-tracker"]) as (worker, tracker):
            wait_until(lambda: consumers(self.rabbitmq.url, "tasks", "results"), "the services")
            return self.measure(settings, count, ours.run, {"worker": worker, "tracker": tracker})

    def backlog(self, queued: int) -> tuple[float, dict[str, float]]:
        """Publish `ENOUGH_TASKS` tasks behind a backlog of `queued`; return tasks per second, and mebibytes."""
        settings = self.settings()
        configure_logging(settings.log_file)
        producer(settings, queued).run()
        more = producer(settings, ENOUGH_TASKS)
        with self.processes(settings, [BIN / "oat-worker"], [BIN / "oat-tracker"]) as (worker, tracker):
            before = wait_until(lambda: done_count(settings.database_url), "the first results")
            started = time.perf_counter()
            more.run()
            wait_until(
                lambda: done_count(settings.database_url) >= before + ENOUGH_TASKS,
                f"{ENOUGH_TASKS} results",
                timeout=300,
            )
            rate = (done_count(settings.database_url) - before) / (time.perf_counter() - started)
            services = {"worker": worker, "tracker": tracker, "producer": psutil.Process()}
            in_memory = {name: memory(process) for name, process in services.items()}
        with amqp.Connection(f"127.0.0.1:{self.rabbitmq.port}") as connection:
            for queue in ("tasks", "results"):
                connection.channel().queue_purge(queue)
        return rate, in_memory

    def steps(self, seconds: float) -> dict[str, dict[str, float]]:
        """Produce sets of ten images for some seconds; return when each UUID had completed each of `STEPS`."""
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
            wait_until(lambda: not waiting_count(settings.database_url), "all records done")
        files = [json.loads((folder / f"{name}.json").read_text()) for name in services]
        return {step: times for file in files for step, times in file.items()}

    def celery(self, count: int, ranges: Ranges) -> Measured:
        """Run Celery's workers, one process per core."""
        command = [BIN / "celery", "-A", "peers:celery", "worker", "--concurrency", str(CORES), "--without-gossip",
                   "--without-mingle", "--without-heartbeat", "-l", "INFO"]  # fmt: skip
        return self.peer("celery", command, count, ranges)

    def dramatiq(self, count: int, ranges: Ranges) -> Measured:
        """Run dramatiq's workers, one process per core, with eight threads each."""
        command = [BIN / "dramatiq", "peers", "--processes", str(CORES), "--threads", "8"]
        return self.peer("default", command, count, ranges)

    def peer(self, queue: str, command: list[str | Path], count: int, ranges: Ranges) -> Measured:
        """Send the same tasks to the workers of `command`, which consume `queue`."""
        settings = self.settings()
        os.environ |= {"OAT_BROKER_URL": settings.broker_url, "OAT_TARGET": str(settings.target)}
        import peers  # noqa: PLC0415 (it reads the environment when it is imported)

        send = peers.celery_task.delay if queue == "celery" else peers.dramatiq_actor.send
        database = Database(settings.database_url, threading.Event())
        database.prepare()
        rng = random.Random()

        def produce() -> None:
            tasks = [random_task(ranges, rng) for _ in range(count)]
            database.record(tasks)
            for task in tasks:
                send(task.to_json().decode())

        with self.processes(settings, command) as (worker,):
            wait_until(lambda: consumers(self.rabbitmq.url, queue), queue)
            return self.measure(settings, count, produce, {"worker": worker})


def producer(settings: Settings, count: int, ranges: Ranges = TINY, seed: int | None = None) -> Producer:
    """Return a producer that publishes one set of `count` tasks."""
    return Producer(settings, replace(ranges, tasks=(count, count)), seed, one_shot=True)


def consumers(url: str, *queues: str) -> bool:
    """Return whether each of `queues` has a consumer."""
    try:
        with amqp.Connection(url.partition("@")[2].rstrip("/")) as connection:
            return all(connection.channel().queue_declare(q, passive=True).consumer_count for q in queues)
    except amqp.NotFound:
        return False


def waiting_count(url: str) -> int:
    """Return how many tasks have no result yet."""
    return _count(url, "waiting")


def done_count(url: str) -> int:
    """Return how many tasks are done."""
    return _count(url, "done")


def _count(url: str, status: str) -> int:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        query = sa.text("SELECT COUNT(*) FROM fractals WHERE status = :status")
        return connection.execute(query, {"status": status}).scalar_one()
