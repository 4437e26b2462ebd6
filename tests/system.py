"""The services as real processes, started by their commands, and an audit of what they leave behind."""

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from functools import cached_property
from pathlib import Path
from uuid import uuid4

import amqp
import httpx
import psutil
import sqlalchemy as sa

from oat.messaging import embedded
from oat.messaging.broker import Broker
from oat.records.database import Database
from oat.services import Ranges, outbox, random_task
from oat.settings import Settings
from oat.storage.store import Store
from servers import wait_until
from siegel import slow

SMALL = ("--min-width", 16, "--max-width", 64, "--min-height", 16, "--max-height", 64)

BIN = Path(sys.executable).parent


def small_tasks(count, rng):
    return [random_task(Ranges(width=(16, 64), height=(16, 64)), rng) for _ in range(count)]


class System:
    """Processes that share a broker, a database and a folder for images; None stands for the embedded default."""

    def __init__(self, folder, broker_url=None, database_url=None, **settings):
        self.folder = folder
        self.images = folder / "data" / "oat" / "images"
        self.database_url = database_url or f"sqlite:///{folder / 'data' / 'oat' / 'oat.db'}"
        self.broker_url = broker_url
        self.broker_folder = folder / "data" / "oat" / "broker"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OAT_")}
        self.environment = inherited | {"XDG_DATA_HOME": str(folder / "data"), "OAT_TARGET": str(self.images)}
        self.environment |= {"OAT_BROKER_URL": broker_url} if broker_url else {}
        self.environment |= {"OAT_DATABASE_URL": database_url} if database_url else {}
        self.environment |= settings | {"PYTHONFAULTHANDLER": "1"}
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
        return sa.create_engine(self.database_url, poolclass=sa.NullPool)

    @cached_property
    def store(self):
        return Store(self.environment["OAT_TARGET"])

    def start(self, command, *arguments):
        """Start a service in the background; its log is in `logs(process)`."""
        log = self.folder / f"{command}-{uuid4().hex[:4]}.log"
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

    def gallery(self, *arguments):
        """Start `oat web` on a free port and return its address once it is ready."""
        process = self.start("oat", "web", "--port", 0, *arguments)
        address = re.compile(r"the gallery is at (http://\S+?)/$", re.MULTILINE)

        def ready():
            assert process.poll() is None, process.log.read_text()
            if found := address.search(process.log.read_text()):
                return httpx.get(f"{found[1]}/readyz").is_success and found[1]
            return None

        return wait_until(ready, "the gallery")

    def call(self, command, *arguments):
        """Run a command to its end."""
        return subprocess.run(
            [BIN / command, *map(str, arguments)],
            env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def produce(self, count, *arguments):
        done = self.call(
            "oat-producer", "--one-shot", "--min-tasks", count, "--max-tasks", count, *SMALL, *arguments
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def flow(self, *commands, tasks=20, pause=0.3):
        """Start services, all three unless told which; the producer makes sets of `tasks` again and again."""
        endless = (*SMALL, "--min-tasks", tasks, "--max-tasks", tasks, "--min-pause", pause, "--max-pause", pause)
        arguments = {"oat-producer": endless}
        return {
            command: self.start(command, *arguments.get(command, ()))
            for command in commands or ("oat-worker", "oat-tracker", "oat-producer")
        }

    def steady(self):
        """All services at work, with 300 tasks and more before them, so that there is something to lose."""
        self.produce(300)
        services = self.flow()
        wait_until(lambda: self.counts().get("done", 0) > 20, "some images")
        self.pile_up()
        return services

    def pile_up(self):
        """Have 300 tasks and more under way; 600 take all cores together a second and a half.

        Where a tracker was stalled, its results come in a flood, and more are needed than it seemed.
        """
        while (waiting := self.counts().get("waiting", 0)) < 400:
            one = slow(0.0025 * len(os.sched_getaffinity(0)), side=50)
            self.send([one.model_copy(update={"uuid": uuid4()}) for _ in range(600 - waiting)])

    def come_through(self, services):
        """After the fault: work goes on, and nothing is missing."""
        before = self.counts().get("done", 0)
        wait_until(lambda: self.counts().get("done", 0) > before + 60, "more images")
        self.stop(services["oat-producer"])
        assert self.finish() > 300

    def kill(self, process):
        """kill -9."""
        process.kill()
        process.wait()
        self.processes.remove(process)

    def stop(self, *processes):
        """SIGTERM to all at once; everyone ends well, or with its image in hand."""
        for process in processes:
            wait_until(lambda p=process: listens(p), "a start")
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            ended_well(process)
            self.processes.remove(process)

    def record(self, tasks):
        """Record `tasks` as a producer does that dies before it has published them."""
        database = Database(self.database_url, threading.Event())
        database.prepare()
        database.record(tasks)
        database.close()

    def send(self, tasks):
        """Record `tasks` and publish them, as a producer does."""
        self.record(tasks)
        stopping = threading.Event()
        database = Database(self.database_url, stopping)
        broker = Broker(Settings(broker_url=self.broker_url or f"filesystem://{self.broker_folder}"), stopping)
        broker.serve(lambda: outbox.publish_tasks(tasks, database, broker))
        database.close()

    def amqp(self):
        """A connection to RabbitMQ of a stranger to oat."""
        connection = amqp.Connection(re.search(r"@([^/]+)", self.broker_url)[1])
        connection.connect()
        return connection

    def queued(self, name):
        """How many messages wait in a queue, as an outsider sees it."""
        if self.broker_url is None:
            files = self.broker_folder.glob(f"{name}/[!.]*.json")
            return sum(int(file.stem.rpartition("-")[2]) for file in files)
        with self.amqp() as connection:
            return connection.channel().queue_declare(name, passive=True).message_count

    def push(self, name, bodies):
        """Publish `bodies`, whatever they are: our services publish only JSON."""
        if self.broker_url is None:
            with embedded.connection(str(self.broker_folder)) as connection:
                channel = connection.channel()
                channel.queue_declare(name)
                for body in bodies:
                    channel.basic_publish(channel.prepare_message(body), "", name)
                channel.flush()
            return
        broker = Broker(Settings(broker_url=self.broker_url), threading.Event())
        broker.serve(lambda: broker.publish_all(name, bodies))

    def double(self, name):
        """Put a second copy of each message into its queue."""
        if self.broker_url is None:
            for file in self.broker_folder.glob(f"{name}/[!.]*.json"):
                shutil.copy(file, file.with_name(f"0-copy-{file.name}"))
            return
        with self.amqp() as connection:
            channel = connection.channel()
            for message in list(drain(channel, name)):
                channel.basic_publish(message, name, name)
                channel.basic_publish(message, name, name)

    def dead_letters(self):
        """Take the bodies out of the dead-letter queue."""
        if self.broker_url is None:
            files = list(self.broker_folder.glob("dead-letters/[!.]*.json"))
            letters = [letter for file in files for letter in json.loads(file.read_text())]
            for file in files:
                file.unlink()
            return [base64.b64decode(letter["body"]) for letter in letters]
        with self.amqp() as connection:
            bodies = [letter.body for letter in drain(connection.channel(), "dead-letters")]
        return [body if isinstance(body, bytes) else body.encode() for body in bodies]

    def records(self):
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text("SELECT * FROM fractals")).mappings())

    def outbox(self):
        with self.engine.connect() as connection:
            return connection.execute(sa.text("SELECT COUNT(*) FROM outbox")).scalar()

    def counts(self):
        """How many records there are in each state."""
        with self.engine.connect() as connection:
            rows = connection.execute(sa.text("SELECT status, COUNT(*) AS n FROM fractals GROUP BY status"))
            return {row.status: row.n for row in rows}

    def wait_for(self, count, status="done"):
        def arrived():
            for process in self.processes:
                assert process.poll() in (None, 0), process.log.read_text()[-3000:]
            return self.counts().get(status, 0) >= count

        try:
            wait_until(arrived, f"{count} {status} records")
        except TimeoutError:
            logs = "\n".join(f"--- {p.log.name}\n{p.log.read_text()[-2000:]}" for p in self.processes)
            raise AssertionError(
                f"{[dict(r) for r in self.records() if r['status'] != status][:3]}\n{logs}"
            ) from None

    def finish(self, failed=0, dead=0, strangers=0):
        """Wait until every record has its answer, stop everything, and audit what is left."""
        wait_until(lambda: not self.counts().get("waiting") and not self.outbox(), "all answers", 150)
        while self.processes or self.queued("tasks") or self.queued("results"):
            if not self.processes:  # a copy of a task that was sent twice has come back
                self.flow("oat-worker", "oat-tracker")
            wait_until(lambda: not self.queued("tasks"), "an empty queue")
            self.stop(*(process for process in self.processes if "oat-worker" in process.log.name))
            wait_until(lambda: not self.queued("results"), "an empty queue")
            self.stop(*self.processes)
        count = sum(self.counts().values())
        self.audit(count, failed, dead, strangers)
        return count

    def audit(self, count, failed=0, dead=0, strangers=0):
        """The sums, drawn up here and by `oat audit`.

        Every record done, or `failed` of them with a reason; every file there, with its checksum; nothing on its
        way, and nothing else lying around but `dead` letters and `strangers`, images without a record.
        """
        records = self.records()
        assert len(records) == count
        done = [record for record in records if record["status"] == "done"]
        assert len(done) == count - failed, [dict(r) for r in records if r["status"] != "done"][:3]
        assert all(record["error"] for record in records if record["status"] == "failed")
        for record in done:
            image = self.store.get(record["uuid"])
            assert hashlib.sha256(image).hexdigest() == record["checksum"]
            assert len(image) == record["size"]
            assert record["duration"] > 0
        assert self.outbox() == 0
        stored = set(self.store.names())
        assert stored >= {f"{record['uuid']}.png" for record in done}
        assert len(stored) == len(done) + strangers, stored
        assert not list(self.broker_folder.glob("*/.*"))
        told = self.call("oat", "audit", "--json")
        report = json.loads(told.stdout)
        assert (report["records"].get("done", 0), report["records"].get("failed", 0)) == (len(done), failed)
        assert report["problems"] == ({"ORPHANED_IMAGE": strangers} if strangers else {}), report
        assert report["queues"] == {"tasks": 0, "results": 0, "dead-letters": dead}
        assert told.returncode == bool(strangers), told.stderr


def listens(process):
    """Whether it has got so far that it hears SIGTERM."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> (signal.SIGTERM - 1) & 1


def drain(channel, queue):
    while message := channel.basic_get(queue, no_ack=True):
        yield message


def terminate(process):
    wait_until(lambda: listens(process), "a start")
    process.send_signal(signal.SIGTERM)
    ended_well(process)


def ended_well(process):
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        # Python's faulthandler writes into the log where each thread hangs, that of a child first.
        for child in psutil.Process(process.pid).children():
            child.send_signal(signal.SIGABRT)
        process.send_signal(signal.SIGABRT)
        process.wait(10)
    assert process.returncode == 0, process.log.read_text()[-3000:]
