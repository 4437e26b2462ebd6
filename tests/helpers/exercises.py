"""Trees of learners: exercises that are half mended, and others that are mended in another way than ours."""

from dataclasses import dataclass

from helpers.mutants import Fault


@dataclass(frozen=True)
class Variant:
    """What a learner may have made of an exercise."""

    number: int
    what: str
    fault: Fault
    """Seen from the tree as it should be."""
    said: str = ""
    """What the check says, if it is wrong."""

    def name(self):
        return f"{self.number}: {self.what}"


RECORD = "self.database.record(tasks)"
PUBLISH = "self.broker.publish(RESULTS, result.to_json(), partial(self._acknowledge, work))"
APPLY = "unknown = self.database.apply([each.result for each in batch])"
REJECT = 'self._reject(delivery, error.uuid, f"no valid task: {error}")'
UPDATED = '.where(fractals.c.uuid == _parameter("uuid"), _still_counts(_parameter("status")))'
VALUES = '.values({name: _parameter(name) for name in COLUMNS} | {"finished_at": sa.bindparam("now")})'
IMAGES = 'images = [{"uuid": key, **image_change(by_key[key])} for key in sorted(by_key)]'
QOS = "self._channel.basic_qos(0, prefetch, False)"
WRITE = "self._folder.write({name: content})"
OVERDUE = "outbox.c.created_at < now - timedelta(seconds=lease), outbox.c.created_at > now + TOLERANCE"

HALF_MENDED = (
    Variant(1, "recorded first, but pushed past the outbox", Fault.of(
        "services/producer.py",
        (RECORD, """
            self.database.record(tasks)
            self.database.mark_published(task.uuid for task in tasks)
            self.broker.publish_all(TASKS, [task.to_json() for task in tasks])
        """),
        ("self._unpublished = tasks", "self._unpublished = []"),
    ), "lost: recorded, never pushed"),
    Variant(2, "acknowledged when stored", Fault.of("services/worker.py", (PUBLISH, """
        self.broker.publish(RESULTS, result.to_json(), lambda: None)
        self._acknowledge(work)
    """)), "before the broker had confirmed its result"),
    Variant(3, "JSON is written, and pickle still read", Fault.of(
        "messages.py",
        ("import random", "import pickle\nimport random"),
        ("return model.model_validate_json(body)", """
            data = body.encode() if isinstance(body, str) else body
            if not data.startswith(b"{"):
                return model.model_validate(pickle.loads(data))
            return model.model_validate_json(body)
        """),
    ), "ran as code"),
    Variant(4, "results are dead-lettered instead", Fault.of("services/tracker.py", (APPLY, """
        try:
            unknown = self.database.apply([each.result for each in batch])
        except Exception as error:
            for each in batch:
                self._dead_letter(each.delivery, str(error)[:100])
            return
    """)), "wait for ever"),
    Variant(5, "the same constant for all, whatever is asked for", Fault.of(
        "services/worker.py",
        ("image = render_png(task)", "image = render_png(task.model_copy(update={'cx': -0.8, 'cy': 0.156}))"),
    ), "not those that their records ask for"),
    Variant(6, "the mean of old and new", Fault.of("records/results.py", (VALUES, """
        .values({name: _parameter(name) for name in COLUMNS} | {
            "finished_at": sa.bindparam("now"),
            "duration": (sa.func.coalesce(fractals.c.duration, 0.0) + _parameter("duration")) / 2,
        })
    """), after="_UPDATE ="), "counted twice"),
    Variant(7, "a limit beyond all tasks", Fault.of(
        "messaging/broker.py", (QOS, "self._channel.basic_qos(0, 1000, False)"),
    ), "One worker took"),
    Variant(8, "heartbeats switched off", Fault.of(
        "messaging/connection.py", ("heartbeat=address.heartbeat or rabbitmq.HEARTBEAT,", "heartbeat=0,"),
    ), "nobody would notice"),
    Variant(9, "acknowledged and forgotten", Fault.of(
        "services/worker.py", (REJECT, "self.broker.ack(delivery)"),
    ), "have vanished"),
    Variant(9, "a dead letter, and no failed result", Fault.of(
        "services/worker.py", (REJECT, "self._dead_letter(delivery, str(error))"),
    ), "records of dead letters wait for ever"),
    Variant(10, "sorted the other way", Fault.of(
        "records/results.py", (IMAGES, IMAGES.replace("sorted(by_key)", "sorted(by_key, reverse=True)")),
    ), "thrown away"),
    Variant(11, "half a file is deleted after the error", Fault.of("storage/directory.py", (WRITE, """
        try:
            (self.path / name).write_bytes(content)
        except OSError:
            (self.path / name).unlink()
            raise
    """)), "(could be seen before they were whole|half images: .* when the disk was full)"),
    Variant(12, "nobody publishes for others", Fault.of(
        "records/database.py", (OVERDUE, "sa.false(), sa.false()"),
    ), "nobody else pushes"),
)  # fmt: skip

MENDED_OTHERWISE = (
    Variant(1, "pushed at once, the outbox as the net", Fault.of(
        "services/producer.py",
        (RECORD, """
            self.database.record(tasks)
            self.broker.publish_all(TASKS, [task.to_json() for task in tasks])
            self.database.mark_published(task.uuid for task in tasks)
        """),
        ("self._unpublished = tasks", "self._unpublished = []"),
    )),
    Variant(4, "tried again until it succeeds", Fault.of("services/tracker.py", (APPLY, """
        while True:
            try:
                unknown = self.database.apply([each.result for each in batch])
                break
            except Exception:
                self.stopping.wait(0.5)
    """))),
    Variant(6, "added up, but only once for each record", Fault.of(
        "records/results.py",
        (UPDATED, UPDATED.replace('_still_counts(_parameter("status"))', "fractals.c.status == Status.WAITING")),
        (VALUES, """
            .values({name: _parameter(name) for name in COLUMNS} | {
                "finished_at": sa.bindparam("now"),
                "duration": sa.func.coalesce(fractals.c.duration, 0.0) + _parameter("duration"),
            })
        """),
        after="_UPDATE =",
    )),
    Variant(7, "a limit of five", Fault.of(
        "messaging/broker.py", (QOS, "self._channel.basic_qos(0, 5, False)"),
    )),
    Variant(10, "rows are locked in order first", Fault.of(
        "records/results.py",
        (IMAGES, """
            rows = sa.select(fractals.c.uuid).where(fractals.c.uuid.in_(list(by_key))).order_by(fractals.c.uuid)
            connection.execute(rows.with_for_update()).all()
            images = [{"uuid": key, **image_change(by_key[key])} for key in by_key]
        """),
    )),
    Variant(11, "renamed by hand when it is whole", Fault.of("storage/directory.py", (WRITE, """
        hidden = self.path / f".{name}"
        hidden.write_bytes(content)
        hidden.replace(self.path / name)
    """))),
    Variant(12, "a lease of another length", Fault.of(
        "records/database.py",
        (OVERDUE, OVERDUE.replace("timedelta(seconds=lease)", "timedelta(seconds=min(lease, 3600))")),
    )),
)  # fmt: skip
