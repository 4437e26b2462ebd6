"""One private RabbitMQ and one private MariaDB, on which `oat` and its peers do the same job in turn."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import amqp
import psutil
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from usage import CORES, memory, processor

from helpers.servers import MariaDB, RabbitMQ
from helpers.waiting import wait_until
from oat.process.logs import configure_logging
from oat.records.database import Database
from oat.services import Producer, Ranges, random_task
from oat.settings import Settings

BIN = Path(sys.executable).parent
TINY = replace(Ranges(), width=(16, 16), height=(16, 16))

LOOK = 0.005
"""Seconds between two looks at whether all is done."""

ENOUGH = 10_000
"""Tasks after which a rate is taken for known; of fewer a run, there are several runs and their median."""


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
                lambda: not connection.execute(one_that_waits).first(), f"{count} answers", timeout=300, step=LOOK
            )
        seconds = time.perf_counter() - started
        after = {name: processor(process) for name, process in services.items()}
        after["producer"] = produced["producer"]
        engine.dispose()
        done = answered(settings.database_url)
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
                lambda: answered(settings.database_url) >= before + ENOUGH, f"{ENOUGH} answers", timeout=300
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
            tasks = [random_task(ranges, rng) for _ in range(count)]
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
