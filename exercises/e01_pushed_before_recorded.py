"""Pushed before recorded

The producer of 2015 pushed a task into the queue, and then wrote its record into the database. Most
days nobody noticed. Then the database said no between the two: its disk was full, or the producer
was killed. The workers got the tasks and rendered them all; but there was no record that a result
could have been for. Images without an owner, hours of work, and nobody who knows what is missing.

The check has the database refuse the records, and looks at what is in the queue. Then it kills a
producer that has recorded and cannot push: the other half of the same promise.

Look at: src/oat/services/producer.py
"""

from collections import Counter

import sqlalchemy as sa

from helpers.mutants import Fault
from helpers.processes import SMALL
from helpers.system import System
from lab import Detour, Harm, Lab, queued, recorded, start

FAULT = Fault.of(
    "services/producer.py",
    (
        "self.database.record(tasks)",
        """
        self.broker.publish_all(TASKS, [task.to_json() for task in tasks])
        self.database.record(tasks)
        self.database.mark_published(task.uuid for task in tasks)
        """,
    ),
    ("self._unpublished = tasks", "self._unpublished = []"),
)

HINT = """
Which of the two can be made good afterwards, a record without a message or a message without a
record? And who publishes the tasks in `self._unpublished`?
"""

SOLUTION = """
Record first. The record and its row in the outbox are one transaction, so whatever happens next,
the database knows of the task and that it is still to be published; `outbox.publish_tasks` deletes
the row when the broker has confirmed. A producer that dies in between leaves a row that somebody
else publishes. The other way round, nobody would know of the message.
"""

REFUSE = "CREATE TRIGGER refuse BEFORE INSERT ON fractals BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"


def check(lab: Lab) -> str:
    """Have the database refuse, then the broker be out of reach, and count what is lost."""
    system = lab.system()
    system.produce(1)
    refused(system)
    killed(system)
    return "Refused records leave no message, and what a killed producer has recorded is pushed by the next one."


def refused(system: System) -> None:
    """Produce 40 tasks while the database refuses all records."""
    with system.engine.begin() as connection:
        connection.execute(sa.text(REFUSE))
    system.call("oat-producer", "--one-shot", "--min-tasks", 40, "--max-tasks", 40, *SMALL)
    with system.engine.begin() as connection:
        connection.execute(sa.text("DROP TRIGGER refuse"))
    if orphans := set(queued(system)) - recorded(system):
        raise Harm(
            f"{len(orphans)} of 40 tasks were pushed and never recorded: the database refused the records, "
            "and the messages were already in the queue. They will be rendered for nobody."
        )


def killed(system: System) -> None:
    """Kill a producer that has recorded tasks and cannot push them; another one has to do it."""
    detour = Detour(system)
    tasks = (*SMALL, "--min-tasks", 40, "--max-tasks", 40, "--min-pause", 1, "--max-pause", 1)
    producer = start(system, "oat-producer", *tasks, OAT_BROKER_URL=detour.url)
    held = detour.hold(system, producer)
    system.kill(producer)
    system.environment["OAT_LEASE"] = "0.001"
    system.produce(1)
    count, pushed = len(recorded(system)), Counter(queued(system))
    if lost := recorded(system) - set(pushed):
        raise Harm(f"{len(lost)} of {count} tasks were lost: recorded, never pushed; their producer was killed.")
    if twice := [uuid for uuid in held if pushed[uuid] > 1]:
        raise Harm(f"{len(twice)} of {count} tasks were pushed twice: the outbox did not know that they are out.")
