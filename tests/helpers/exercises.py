"""Trees of learners: exercises that are half mended, and others that are mended in another way than ours."""

from dataclasses import dataclass
from pathlib import Path

from helpers.mutants import Change, Fault


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


def fault(module, *changes, after=""):
    return Fault(
        module=Path("src/oat", module),
        changes=tuple(Change(line, becomes) for line, becomes in changes),
        after=after,
    )


RECORD, UNPUBLISHED = "self.database.record(tasks)", ("self._unpublished = tasks", "self._unpublished = []")
PUSH = "self.broker.publish_all(TASKS, [task.to_json() for task in tasks])"
PUBLISH = "self.broker.publish(RESULTS, result.to_json(), partial(self._acknowledge, work))"
APPLY = "unknown = self.database.apply([each.result for each in batch])"
REJECT = 'self._reject(delivery, error.uuid, f"no valid task: {error}")'
LOOP = "for key in sorted(known)"
QOS = "self._channel.basic_qos(0, prefetch, False)"
WRITE = "self._folder.write({name: content})"
OVERDUE = "outbox.c.created_at < now - timedelta(seconds=lease), outbox.c.created_at > now + TOLERANCE"

HALF_MENDED = (
    Variant(
        1,
        "recorded first, but pushed past the outbox",
        fault(
            "services/producer.py",
            (RECORD, f"{RECORD}\nself.database.mark_published(task.uuid for task in tasks)\n{PUSH}"),
            UNPUBLISHED,
        ),
        "40 of .* lost: recorded, never pushed",
    ),
    Variant(
        2,
        "acknowledged when stored",
        fault(
            "services/worker.py",
            (
                PUBLISH,
                f"{PUBLISH.replace('partial(self._acknowledge, work)', 'lambda: None')}\nself._acknowledge(work)",
            ),
        ),
        "before the broker had confirmed its result",
    ),
    Variant(
        3,
        "JSON is written, and pickle still read",
        fault(
            "messages.py",
            ("import random", "import pickle\nimport random"),
            (
                "return model.model_validate_json(body)",
                "data = body.encode() if isinstance(body, str) else body\n"
                "if not data.startswith(b'{'):\n    return model.model_validate(pickle.loads(data))\n"
                "return model.model_validate_json(body)",
            ),
        ),
        "ran as code",
    ),
    Variant(
        4,
        "results are dead-lettered instead",
        fault(
            "services/tracker.py",
            (
                APPLY,
                f"try:\n    {APPLY}\nexcept Exception as error:\n    for each in batch:\n"
                "        self._dead_letter(each.delivery, str(error)[:100])\n    return",
            ),
        ),
        "wait for ever",
    ),
    Variant(
        5,
        "everyone draws the same constant, whatever is asked for",
        fault(
            "services/worker.py",
            ("image = render_png(task)", "image = render_png(task.model_copy(update={'cx': -0.8, 'cy': 0.156}))"),
        ),
        "not those that their records ask for",
    ),
    Variant(
        6,
        "the mean of old and new",
        fault(
            "records/results.py",
            (
                '.values({name: _parameter(name) for name in COLUMNS} | {"finished_at": sa.bindparam("now")})',
                '.values({name: _parameter(name) for name in COLUMNS} | {"finished_at": sa.bindparam("now"), "duration": '
                '(sa.func.coalesce(fractals.c.duration, 0.0) + _parameter("duration")) / 2})',
            ),
            after="_UPDATE =",
        ),
        "counted twice",
    ),
    Variant(
        7,
        "a limit beyond all tasks",
        fault("messaging/broker.py", (QOS, QOS.replace("prefetch", "1000"))),
        "One worker took",
    ),
    Variant(
        8,
        "heartbeats switched off",
        fault("messaging/connection.py", ("heartbeat=address.heartbeat or rabbitmq.HEARTBEAT,", "heartbeat=0,")),
        "nobody would notice",
    ),
    Variant(
        9,
        "acknowledged and forgotten",
        fault("services/worker.py", (REJECT, "self.broker.ack(delivery)")),
        "have vanished",
    ),
    Variant(
        9,
        "a dead letter, and no failed result",
        fault("services/worker.py", (REJECT, "self._dead_letter(delivery, str(error))")),
        "records of dead letters wait for ever",
    ),
    Variant(
        10,
        "sorted the other way",
        fault("records/results.py", (LOOP, "for key in sorted(known, reverse=True)")),
        "thrown away",
    ),
    Variant(
        11,
        "half a file is deleted after the error",
        fault(
            "storage/directory.py",
            (
                WRITE,
                "try:\n    (self.path / name).write_bytes(content)\nexcept OSError:\n    (self.path / name).unlink()\n    raise",
            ),
        ),
        "could be seen before they were whole",
    ),
    Variant(
        12,
        "nobody publishes for others",
        fault("records/database.py", (OVERDUE, "sa.false(), sa.false()")),
        "nobody else pushes",
    ),
)

MENDED_OTHERWISE = (
    Variant(
        1,
        "pushed at once, the outbox as the net",
        fault(
            "services/producer.py",
            (RECORD, f"{RECORD}\n{PUSH}\nself.database.mark_published(task.uuid for task in tasks)"),
            UNPUBLISHED,
        ),
    ),
    Variant(
        4,
        "tried again until it succeeds",
        fault(
            "services/tracker.py",
            (
                APPLY,
                f"while True:\n    try:\n        {APPLY}\n        break\n    except Exception:\n        self.stopping.wait(0.5)",
            ),
        ),
    ),
    Variant(
        6,
        "added up, but only once for each record",
        fault(
            "records/results.py",
            (
                '.where(fractals.c.uuid == _parameter("uuid"), _still_counts(_parameter("status")))',
                '.where(fractals.c.uuid == _parameter("uuid"), fractals.c.status == Status.WAITING)',
            ),
            after="_UPDATE =",
        ),
    ),
    Variant(7, "a limit of five", fault("messaging/broker.py", (QOS, QOS.replace("prefetch", "5")))),
    Variant(
        10,
        "rows are locked in order first",
        fault(
            "records/results.py",
            (
                "known = select_statuses(connection, sorted(by_key))",
                "rows = sa.select(fractals.c.uuid).where(fractals.c.uuid.in_(list(by_key)))\n"
                "connection.execute(rows.order_by(fractals.c.uuid).with_for_update()).all()\n"
                "known = select_statuses(connection, sorted(by_key))",
            ),
            (LOOP, "for key in by_key if key in known"),
        ),
    ),
    Variant(
        11,
        "linked when it is whole",
        fault(
            "storage/directory.py",
            (
                WRITE,
                "hidden = self.path / f'.{name}'\nhidden.write_bytes(content)\nhidden.replace(self.path / name)",
            ),
        ),
    ),
    Variant(
        12,
        "a lease of another length",
        fault(
            "records/database.py",
            (OVERDUE, OVERDUE.replace("timedelta(seconds=lease)", "timedelta(seconds=min(lease, 3600))")),
        ),
    ),
)
