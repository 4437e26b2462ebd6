"""A private RabbitMQ and a private MariaDB, on which the three services run one time after the other."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import sqlalchemy as sa
from running import running
from usage import processor
from versions import Version

from helpers.servers import MariaDB, RabbitMQ
from helpers.waiting import wait_until

TINY = ("--min-width", 16, "--max-width", 16, "--min-height", 16, "--max-height", 16)
"""Images that take next to no time to render: what is left is the cost of their way."""

POLL_INTERVAL = 0.02
"""Seconds between two looks whether all tasks are done: the times are those of the records."""


@dataclass
class Measured:
    """The result of one run: the figure that is compared, and milliseconds of processor time for each image."""

    figure: float
    processor: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Milliseconds of processor time for an image, of all parts."""
        return sum(self.processor.values())


class Lab:
    """The servers, with a new database and a new folder for each run.

    Args:
        folder: for all files.
        rabbitmq: further lines of RabbitMQ's configuration.
    """

    def __init__(self, folder: Path, *rabbitmq: str) -> None:
        self.folder = folder
        self.runs = 0
        for name in ("rabbitmq", "mariadb"):
            (folder / name).mkdir()
        self.rabbitmq = RabbitMQ(folder / "rabbitmq", options=rabbitmq).start()
        self.mariadb = MariaDB(folder / "mariadb").start()

    def close(self) -> None:
        """Stop the servers."""
        self.rabbitmq.stop()
        self.mariadb.stop()

    def new_folder(self) -> Path:
        """Return a folder for the next run."""
        self.runs += 1
        folder = self.folder / f"run{self.runs}"
        folder.mkdir()
        return folder

    def addresses(self, folder: Path) -> dict[str, str]:
        """Return the settings of a run on the servers."""
        return {
            "OAT_BROKER_URL": self.rabbitmq.url,
            "OAT_DATABASE_URL": self.mariadb.database(folder.name),
            "OAT_TARGET": str(folder / "images"),
        }

    def run(
        self, version: Version, tasks: int, options: Sequence[object], workers: Sequence[list[str]] = ()
    ) -> Measured:
        """Return the images per second of the services of `version`, from the first record to the last result.

        Args:
            version: of the services.
            tasks: how many images.
            options: further ones of the producer.
            workers: the commands of the workers; one worker if there are none.
        """
        folder = self.new_folder()
        environment = version.environment(**self.addresses(folder))
        engine = sa.create_engine(environment["OAT_DATABASE_URL"], isolation_level="AUTOCOMMIT")
        produce = version.command(
            "oat-producer", "--one-shot", "--min-tasks", tasks, "--max-tasks", tasks, *options
        )
        commands = {
            "worker": workers or [version.command("oat-worker")],
            "tracker": [version.command("oat-tracker")],
        }
        with contextlib.ExitStack() as stack:
            parts = {
                name: [
                    stack.enter_context(running(command, environment, folder / "log", folder)) for command in some
                ]
                for name, some in commands.items()
            }
            for process in (*parts["worker"], *parts["tracker"]):
                wait_until(lambda p=process: has_connection(p, self.rabbitmq.port), "a service")
            producer = stack.enter_context(running(produce, environment, folder / "log", folder))
            parts |= {
                "producer": [producer],
                "RabbitMQ": [psutil.Process(self.rabbitmq.process.pid)],
                "MariaDB": [psutil.Process(self.mariadb.process.pid)],
            }
            connection = stack.enter_context(engine.connect())
            waiting = sa.text("SELECT uuid FROM fractals WHERE status = 'waiting' LIMIT 1")
            wait_until(lambda: connection.execute(waiting).first(), "a record", step=POLL_INTERVAL)
            before = {name: sum(map(processor, some)) for name, some in parts.items()}
            wait_until(lambda: producer.status() == psutil.STATUS_ZOMBIE, "the producer", 300, POLL_INTERVAL)
            wait_until(lambda: not connection.execute(waiting).first(), "all results", 300, POLL_INTERVAL)
            spent = {name: sum(map(processor, some)) - before[name] for name, some in parts.items()}
            done = "SELECT COUNT(*), MIN(created_at), MAX(finished_at) FROM fractals WHERE status = 'done'"
            count, first, last = connection.execute(sa.text(done)).one()
        engine.dispose()
        if count != tasks:
            raise RuntimeError(f"{count} of {tasks} records are done")
        rate = tasks / (last - first).total_seconds()
        return Measured(rate, {name: 1000 * seconds / tasks for name, seconds in spent.items()})


def has_connection(process: psutil.Process, port: int) -> bool:
    """Return whether `process` is connected to `port`."""
    return any(each.raddr and each.raddr.port == port for each in process.net_connections("tcp"))
