"""The services as real processes, started by their commands, and an audit of what they leave behind."""

import hashlib
import os
import signal
import subprocess
import sys
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa

from servers import wait_until

BIN = Path(sys.executable).parent


class System:
    """Processes that share a broker, a database and a folder for images; None stands for the embedded default."""

    def __init__(self, folder, broker_url=None, database_url=None, **settings):
        self.folder = folder
        self.images = folder / "data" / "oat" / "images"
        self.database_url = database_url or f"sqlite:///{folder / 'data' / 'oat' / 'oat.db'}"
        self.broker_url = broker_url
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OAT_")}
        self.environment = inherited | {"XDG_DATA_HOME": str(folder / "data"), "OAT_TARGET": str(self.images)}
        self.environment |= {"OAT_BROKER_URL": broker_url} if broker_url else {}
        self.environment |= {"OAT_DATABASE_URL": database_url} if database_url else {}
        self.environment |= settings
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.engine.dispose()

    @cached_property
    def engine(self):
        return sa.create_engine(self.database_url)

    def start(self, command, *arguments):
        """Start a service in the background; its log is in `logs(process)`."""
        log = self.folder / f"{command}-{len(self.processes)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [BIN / command, *map(str, arguments)],
                env=self.environment,
                stdout=file,
                stderr=file,
                cwd=self.folder,
            )
        process.log = log
        self.processes.append(process)
        return process

    def call(self, command, *arguments):
        """Run a command to its end."""
        return subprocess.run(
            [BIN / command, *map(str, arguments)],
            env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def produce(self, count, *arguments):
        sizes = ("--min-width", 16, "--max-width", 64, "--min-height", 16, "--max-height", 64)
        done = self.call(
            "oat-producer", "--one-shot", "--min-tasks", count, "--max-tasks", count, *sizes, *arguments
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def records(self):
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text("SELECT * FROM fractals")).mappings())

    def outbox(self):
        with self.engine.connect() as connection:
            return connection.execute(sa.text("SELECT COUNT(*) FROM outbox")).scalar()

    def wait_for(self, count, status="done"):
        def arrived():
            for process in self.processes:
                assert process.poll() in (None, 0), process.log.read_text()[-3000:]
            return sum(record["status"] == status for record in self.records()) >= count

        try:
            wait_until(arrived, f"{count} {status} records")
        except TimeoutError:
            logs = "\n".join(f"--- {p.log.name}\n{p.log.read_text()[-2000:]}" for p in self.processes)
            raise AssertionError(
                f"{[dict(r) for r in self.records() if r['status'] != status][:3]}\n{logs}"
            ) from None

    def audit(self, count):
        """Every record done, every file there, every checksum that of the file, nothing else lying around."""
        records = self.records()
        assert len(records) == count
        for record in records:
            assert record["status"] == "done", dict(record)
            image = (self.images / f"{record['uuid']}.png").read_bytes()
            assert hashlib.sha256(image).hexdigest() == record["checksum"]
            assert len(image) == record["size"]
            assert record["duration"] > 0
        assert self.outbox() == 0
        assert sorted(p.name for p in self.images.iterdir()) == sorted(f"{r['uuid']}.png" for r in records)


def terminate(process):
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    assert process.returncode == 0, process.log.read_text()[-3000:]
