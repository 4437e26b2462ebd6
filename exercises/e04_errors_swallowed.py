"""Errors swallowed by the tracker

"A service must never crash", somebody said in 2015, and put a `try` around the tracker's update.
Since then it has never crashed. When the database refuses, the tracker notes it in its log,
acknowledges the result, and goes on: its duty is done. The image is in the store, the record says
"waiting", and the only message that could have changed that is gone. The dashboard is green.

The safety net is taken away: nobody sends again what was lost. The check has the database refuse
39 of 40 results, then mends the database, starts the tracker again if it has ended (a supervisor
does that), sends the last result, and counts. RabbitMQ is started for it: ten seconds.

Look at: src/oat/services/tracker.py
"""

import random
from typing import Any

import sqlalchemy as sa

from helpers.mutants import Fault
from helpers.system import System
from helpers.tasks import small_tasks
from lab import MOMENT, TIMEOUT, Harm, Lab, comes, until, until_logged, until_no_consumer

FAULT = Fault.of(
    "services/tracker.py",
    (
        "unknown = self.database.apply([each.result for each in batch])",
        """
        try:
            unknown = self.database.apply([each.result for each in batch])
        except Exception as error:
            log.warning("cannot apply %d result(s): %s", len(batch), error)
            unknown = set()
        """,
    ),
)

HINT = """
What does the tracker do with the results of a batch after it has caught the error? What would
RabbitMQ do with them if the tracker just ended?
"""

SOLUTION = """
Let it raise. What passes (a restart, a deadlock, a lost connection) is tried again by `Database`
itself until it succeeds. What is left is an error that this program cannot mend: then the tracker
has to end, loudly, without acknowledging. RabbitMQ keeps the results for the next tracker, and a
person reads the traceback. An exception that is caught must be handled, not noted.
"""

REFUSE = "CREATE TRIGGER refuse BEFORE UPDATE ON fractals BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"

COUNT = 40
"""Results: one is sent when the database is well again, and another while it refuses the rest."""


def check(lab: Lab) -> str:
    """Have the database refuse 39 of 40 results, mend it, and count the records that never hear of theirs."""
    system = lab.system(rabbitmq=True)
    probe, last, tracker = render(lab, system)
    until_refused(system, tracker, probe)
    with system.engine.begin() as connection:
        connection.execute(sa.text("DROP TRIGGER refuse"))
    if tracker.poll() is not None:
        system.processes.remove(tracker)
        tracker = system.start("oat-tracker")
    system.push("results", [last.encode()])
    until_logged(system, tracker, "processing result")
    until(system, lambda: done(system, last), "a result that is applied once the database is well")
    if waiting := still_waiting(system, tracker):
        raise Harm(
            f"{waiting} of {COUNT} results were lost: the database refused them for a moment, and the tracker "
            f"did not keep them in their queue. {COUNT} images are stored; {waiting} records wait for ever."
        )
    return f"The database refused {COUNT - 1} of {COUNT} results for a moment; all {COUNT} are applied now."


def render(lab: Lab, system: System) -> tuple[str, str, Any]:
    """Have 40 results in the queue; return two of them, and a tracker to which the others are released."""
    worker_way = lab.proxy(system)
    system.start("oat-worker")
    tracker_way = lab.proxy(system)
    tracker = system.start("oat-tracker")
    tasks = small_tasks(COUNT, random.Random())
    system.record(tasks)
    lab.until_ready()
    system.publish(tasks)
    worker_way.release()
    until(system, lambda: system.queued("results") == COUNT, "all results")
    with system.amqp() as connection:
        channel = connection.channel()
        probe, last = (channel.basic_get("results", no_ack=True).body for _ in range(2))
    with system.engine.begin() as connection:
        connection.execute(sa.text(REFUSE))
    tracker_way.release()
    return probe, last, tracker


def until_refused(system: System, tracker: Any, probe: str) -> None:
    """Wait until the tracker has met the refusal: it has ended, or goes on to later results, or tries again."""
    log = tracker.log

    def ended() -> bool:
        return tracker.poll() is not None

    def processed() -> int:
        return log.read_text().count("processing result")

    assert comes(lambda: ended() or processed(), TIMEOUT)
    comes(lambda: ended() or processed() >= COUNT - 2)  # who tries again may do so with a part of them
    if not ended():
        before = processed()
        system.push("results", [probe.encode()])
        comes(lambda: ended() or processed() > before)
    else:
        system.push("results", [probe.encode()])


def still_waiting(system: System, tracker: Any) -> int:
    """Return how many records have no result, and will have none.

    What a tracker has not acknowledged is in the queue again when it is stopped: if nothing is, nothing comes.
    """

    def waiting() -> int:
        return int(system.counts().get("waiting", 0))

    if not comes(lambda: not waiting(), MOMENT):
        system.stop(tracker)
        until_no_consumer(system, "results")
        if system.queued("results"):
            system.start("oat-tracker")
            comes(lambda: not waiting(), TIMEOUT)
    return waiting()


def done(system: System, body: str) -> bool:
    """Tell whether the record that the result `body` is for is done."""
    return any(record["status"] == "done" and record["uuid"] in body for record in system.records())
