"""What the pipeline itself costs: `make bench`.

`oat`, Celery and dramatiq do the same job in turn, round by round, on one private RabbitMQ and one private MariaDB:
record, send, render, store, update. What counts are the ratios, of medians.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from servers import MariaDB, RabbitMQ, wait_until

from oat.broker import Broker
from oat.database import Database
from oat.producer import Producer, Ranges, make_up
from oat.settings import Settings, configure_logging

BIN = Path(sys.executable).parent
CORES = len(os.sched_getaffinity(0))
TINY = replace(Ranges(), width=(16, 16), height=(16, 16))

console = Console()


@dataclass
class Measured:
    """One run: how many tasks in how many seconds, and what each process cost."""

    tasks: int
    seconds: float
    processor: dict[str, float]
    """Milliseconds a task."""

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
        self.rabbitmq.stop()
        self.mariadb.stop()

    def settings(self) -> Settings:
        self.runs += 1
        here = self._made(self.folder / f"run{self.runs}")
        return Settings(
            broker_url=self.rabbitmq.url,
            database_url=self.mariadb.database(f"run{self.runs}"),
            target=here / "images",
            log_file=here / "producer.log",
        )

    @contextmanager
    def processes(self, settings: Settings, *commands: list[str | Path]) -> Iterator[list[psutil.Process]]:
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

        def done() -> bool:
            with engine.connect() as connection:
                query = sa.text("SELECT COUNT(*) FROM fractals WHERE status = 'done'")
                return connection.execute(query).scalar() == count

        wait_until(done, f"{count} records done", patience=300)
        seconds = time.perf_counter() - started
        after = {name: processor(process) for name, process in services.items()} | {
            "producer": produced["producer"]
        }
        engine.dispose()
        return Measured(count, seconds, {name: 1000 * (after[name] - before[name]) / count for name in services})

    def oat(self, count: int, ranges: Ranges) -> Measured:
        """Our own services, as their commands start them."""
        settings = self.settings()
        producer = Producer(settings, replace(ranges, tasks=(count, count)), one_shot=True)
        producer.database.prepare()
        configure_logging(settings.log_file)
        with self.processes(settings, [BIN / "oat-worker"], [BIN / "oat-tracker"]) as (worker, tracker):
            wait_until(lambda: consumers(self.rabbitmq.url, "tasks", "results"), "the services")
            return self.measure(settings, count, producer.run, {"worker": worker, "tracker": tracker})

    def celery(self, count: int, ranges: Ranges) -> Measured:
        command = [BIN / "celery", "-A", "peers:celery", "worker", "--concurrency", str(CORES), "--without-gossip",
                   "--without-mingle", "--without-heartbeat", "-l", "INFO"]  # fmt: skip
        return self.peer("celery", command, count, ranges)

    def dramatiq(self, count: int, ranges: Ranges) -> Measured:
        command = [BIN / "dramatiq", "peers", "--processes", str(CORES), "--threads", "8"]
        return self.peer("default", command, count, ranges)

    def peer(self, queue: str, command: list[str | Path], count: int, ranges: Ranges) -> Measured:
        settings = self.settings()
        os.environ |= {"OAT_BROKER_URL": settings.broker_url, "OAT_TARGET": str(settings.target)}
        import peers

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


def consumers(url: str, *queues: str) -> bool:
    """Whether each of `queues` has someone who takes from it."""
    import amqp

    host = url.partition("@")[2].rstrip("/")
    try:
        with amqp.Connection(host) as connection:
            return all(connection.channel().queue_declare(q, passive=True).consumer_count for q in queues)
    except amqp.NotFound:
        return False


def processor(process: psutil.Process) -> float:
    """Seconds of processor time that `process` and its children have used."""
    total = 0.0
    mine = process.pid == os.getpid()
    for one in [process, *([] if mine else process.children(recursive=True))]:
        times = one.cpu_times()
        total += times.user + times.system + (times.children_user + times.children_system if one is process else 0)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--who", default="oat,celery,dramatiq")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="oat-bench-") as folder:
        Path(folder).chmod(0o755)
        bench = Bench(Path(folder))
        try:
            for _ in range(options.rounds):
                for who in options.who.split(","):
                    m = getattr(bench, who)(options.tasks, TINY)
                    console.print(
                        who,
                        f"{m.rate:.0f}/s",
                        {k: round(v, 3) for k, v in m.processor.items()},
                        f"sum {sum(m.processor.values()):.2f}",
                    )
        finally:
            bench.close()


if __name__ == "__main__":
    main()
