"""Errors swallowed by the tracker

"A service must never crash", somebody said in 2015, and put a `try` around the tracker's update.
Since then it has never crashed. When the database refuses, the tracker notes it in its log,
acknowledges the result, and goes on: its duty is done. The image is in the store, the record says
"waiting", and the only message that could have changed that is gone. The dashboard is green.

The safety net is taken away: nobody sends again what was lost. The check has the database refuse
all updates while 40 results are in the queue, then mends the database, starts the tracker again if
it has ended (a supervisor does that), and counts. RabbitMQ is started for it: ten seconds.

Look at: src/oat/services/tracker.py
"""

from typing import Any

import sqlalchemy as sa

from helpers.mutants import Fault
from helpers.system import System
from lab import TIMEOUT, Harm, Lab, comes, until, until_logged

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


def check(lab: Lab) -> str:
    """Have the database refuse 40 results, mend it, and count the records that never hear of theirs."""
    system = lab.system(rabbitmq=True)
    probe, last = render(system)
    with system.engine.begin() as connection:
        connection.execute(sa.text(REFUSE))
    tracker = system.start("oat-tracker")
    until_refused(system, tracker, probe)
    with system.engine.begin() as connection:
        connection.execute(sa.text("DROP TRIGGER refuse"))
    if tracker.poll() is not None:
        system.processes.remove(tracker)
        tracker = system.start("oat-tracker")
    system.push("results", [last.encode()])
    until_logged(system, tracker, "processing result")
    until(system, lambda: done(system, last), "a result that is applied once the database is well")
    comes(lambda: not system.counts().get("waiting"))
    if waiting := system.counts().get("waiting", 0):
        raise Harm(
            f"{waiting} of {COUNT + 2} results were lost: the database refused them for a moment, and the tracker "
            f"did not keep them in their queue. {COUNT + 2} images are stored; {waiting} records wait for ever."
        )
    return f"The database refused {COUNT} results for a moment; all are applied now."


def render(system: System) -> tuple[str, str]:
    """Have 42 results in the queue; take out two, and return them."""
    system.produce(COUNT + 2)
    worker = system.start("oat-worker")
    until(system, lambda: system.queued("results") == COUNT + 2, "all results")
    system.stop(worker)
    with system.amqp() as connection:
        channel = connection.channel()
        return channel.basic_get("results", no_ack=True).body, channel.basic_get("results", no_ack=True).body


def until_refused(system: System, tracker: Any, probe: str) -> None:
    """Wait until the tracker has met the refusal: it has ended, or goes on to later results, or tries again."""
    log = tracker.log

    def ended() -> bool:
        return tracker.poll() is not None

    assert comes(lambda: ended() or log.read_text().count("processing result") >= COUNT, TIMEOUT)
    if not ended():
        before = log.read_text().count("processing result")
        system.push("results", [probe.encode()])
        comes(lambda: ended() or log.read_text().count("processing result") > before)
    else:
        system.push("results", [probe.encode()])


def done(system: System, body: str) -> bool:
    """Tell whether the record that the result `body` is for is done."""
    return any(record["status"] == "done" and record["uuid"] in body for record in system.records())
