"""A system of services, its records, messages and images as an outsider sees them, and an audit of all."""

import base64
import hashlib
import json
import os
import random
import re
import shutil
import threading
from functools import cached_property
from unittest.mock import patch
from uuid import uuid4

import amqp
import sqlalchemy as sa

from helpers.processes import Processes
from helpers.slow_tasks import slow
from helpers.tasks import small_tasks
from helpers.waiting import wait_until
from oat.messaging import embedded
from oat.messaging.broker import Broker
from oat.records.database import Database
from oat.services import outbox, run_audit
from oat.settings import Settings, load_settings
from oat.storage.store import Store


class System(Processes):
    """Services as processes, and access to what they share."""

    @cached_property
    def engine(self):
        return sa.create_engine(self.database_url, poolclass=sa.NullPool)

    @cached_property
    def store(self):
        return Store(self.environment["OAT_TARGET"])

    def start_with_backlog(self):
        """All services at work, with 300 tasks and more before them, so that there is something to lose."""
        self.send(small_tasks(300, random.Random()))
        services = self.start_services()
        wait_until(lambda: self.counts().get("done", 0) > 20, "some images")
        self.fill_queue()
        return services

    def fill_queue(self):
        """Have 300 tasks and more under way; 600 take all cores together a second and a half.

        Where a tracker was stalled, its results come in a flood, and more are needed than it seemed.
        """
        while (waiting := self.counts().get("waiting", 0)) < 400:
            one = slow(0.0025 * len(os.sched_getaffinity(0)), side=50)
            self.send([one.model_copy(update={"uuid": uuid4()}) for _ in range(600 - waiting)])

    def assert_recovers(self, services):
        """After the fault: work goes on, and nothing is missing."""
        before = self.counts().get("done", 0)
        wait_until(lambda: self.counts().get("done", 0) > before + 60, "more images")
        # One that was started last may still be loading, and removes what a killed one left as soon as it works.
        wait_until(lambda: "generated task" in services["oat-producer"].log.read_text(), "a task that is produced")
        self.stop(services["oat-producer"])
        assert self.finish() > 300

    def record(self, tasks):
        """Record `tasks` as a producer does that dies before it has published them."""
        database = Database(self.database_url, threading.Event())
        database.prepare()
        database.record(tasks)
        database.close()

    def send(self, tasks):
        """Record `tasks` and publish them, as a producer does."""
        self.record(tasks)
        self.publish(tasks)

    def publish(self, tasks):
        """Publish recorded `tasks`, and mark them as published."""
        stopping = threading.Event()
        database = Database(self.database_url, stopping)
        broker = Broker(Settings(broker_url=self.broker_url or f"filesystem://{self.broker_folder}"), stopping)
        broker.serve(lambda: outbox.publish_tasks(list(tasks), database, broker))
        database.close()

    def amqp(self):
        """A connection to RabbitMQ, as any other client has it."""
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

    def duplicate(self, name):
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
        return self.take("dead-letters")

    def take(self, name):
        """Take the bodies out of a queue, none of which our services have published there."""
        if self.broker_url is None:
            files = list(self.broker_folder.glob(f"{name}/[!.]*.json"))
            letters = [letter for file in files for letter in json.loads(file.read_text())]
            for file in files:
                file.unlink()
            return [base64.b64decode(letter["body"]) for letter in letters]
        with self.amqp() as connection:
            bodies = [letter.body for letter in drain(connection.channel(), name)]
        return [body if isinstance(body, bytes) else body.encode() for body in bodies]

    def records(self):
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text("SELECT * FROM fractals")).mappings())

    def outbox(self):
        with self.engine.connect() as connection:
            return connection.execute(sa.text("SELECT COUNT(*) FROM outbox")).scalar()

    def unpublished(self):
        """The UUIDs in the outbox."""
        with self.engine.connect() as connection:
            return set(connection.execute(sa.text("SELECT uuid FROM outbox")).scalars())

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

    def finish(self, failed=0, dead=0, orphaned=0):
        """Wait until every record has its result, stop everything, and audit what is left."""
        wait_until(lambda: not self.counts().get("waiting") and not self.outbox(), "all results", 150)
        while self.processes or self.queued("tasks") or self.queued("results"):
            if not self.processes:  # a copy of a task that was sent twice has come back
                self.start_services("oat-worker", "oat-tracker")
            wait_until(lambda: not self.queued("tasks"), "an empty queue")
            self.stop(*(process for process in self.processes if "oat-worker" in process.log.name))
            wait_until(lambda: not self.queued("results"), "an empty queue")
            self.stop(*self.processes)
        count = sum(self.counts().values())
        self.audit(count, failed, dead, orphaned)
        return count

    def audit(self, count, failed=0, dead=0, orphaned=0, cancelled=0):
        """The sums, drawn up here and by the audit.

        Every record done, or `failed` of them with a reason, or `cancelled`; every file there, with its checksum;
        nothing on its way, and nothing else around but `dead` letters and `orphaned`, images without a record.
        """
        records = self.records()
        assert len(records) == count
        done = [record for record in records if record["status"] == "done"]
        assert len(done) == count - failed - cancelled, [dict(r) for r in records if r["status"] != "done"][:3]
        assert all(record["error"] for record in records if record["status"] == "failed")
        for record in done:
            image = self.store.get(record["uuid"])
            assert hashlib.sha256(image).hexdigest() == record["checksum"]
            assert len(image) == record["size"]
            assert record["duration"] > 0
        assert self.outbox() == 0
        stored = set(self.store.names())
        assert stored >= {f"{record['uuid']}.png" for record in done}
        assert len(stored) == len(done) + orphaned, stored
        assert not list(self.broker_folder.glob("*/.*"))
        report = self.report()
        counts = {"done": len(done), "failed": failed, "cancelled": cancelled}
        assert {name: report["records"].get(name, 0) for name in counts} == counts
        assert report["problems"] == ({"ORPHANED_IMAGE": orphaned} if orphaned else {}), report
        assert report["queues"] == {"tasks": 0, "results": 0, "dead-letters": dead}

    def report(self):
        """What `oat audit --json` prints; found in this process, since it takes a second to start another."""
        with patch.dict(os.environ, self.environment, clear=True):
            *_, last = run_audit(load_settings())
        return json.loads(last.report.model_dump_json())


def drain(channel, queue):
    while message := channel.basic_get(queue, no_ack=True):
        yield message
