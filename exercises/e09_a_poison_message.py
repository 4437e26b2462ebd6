"""A poison message without a dead letter

"What I cannot read I give back": a worker that gets a message it does not understand requeues it,
politely. The queue puts it where it was, at the front, and delivers it at once, to the same worker
or to another one, which cannot read it either. A few such messages, sent by an older client or cut
off on the way, keep every worker busy with nothing, and the honest tasks behind them never get
their turn.

The check damages five of 40 tasks in their queue, and starts a worker and a tracker. It wants the
other 35 done, and for each of the five a dead letter and a record that has failed, with a reason.

Look at: src/oat/services/worker.py
"""

import json
from pathlib import Path

from helpers.mutants import Fault
from lab import IN_MOVED_TO, Harm, Lab, comes, message_files, until, watch

FAULT = Fault.of(
    "services/worker.py",
    ('self._reject(delivery, error.uuid, f"no valid task: {error}")', "self.broker.requeue(delivery)"),
)

HINT = """
A message that cannot be read today cannot be read tomorrow. Where can it go so that it blocks
nobody, a person can look at it, and its record does not wait for ever? See `_reject`.
"""

SOLUTION = """
`_reject` publishes the message to the queue `dead-letters`, with its reason, then a result that
says "failed" for its record if the message names one, and acknowledges it. So the queue goes on,
nothing is thrown away, and `oat dead-letters list` shows what came and why. Requeue only what
another worker, or the same one later, can do.
"""

POISONED = 5
ROUNDS = 100
"""Returns of poison messages to the queue that show that they will go on for ever."""


def check(lab: Lab) -> str:
    """Damage the first five of 40 tasks, and see what becomes of all."""
    system = lab.system()
    system.produce(40)
    poison(message_files(system, "tasks"))
    with watch(system.broker_folder / "tasks", IN_MOVED_TO) as renamed:

        def returned() -> int:
            # What is requeued gets a file of its own at the front of the queue.
            return sum(name.startswith("0" * 20) for name in renamed())

        services = system.start("oat-worker", "--threads", 1), system.start("oat-tracker")
        until(system, lambda: returned() >= ROUNDS or system.counts().get("done") == 40 - POISONED, "an end of it")
        rounds = returned()
    done = system.counts().get("done", 0)
    if rounds >= ROUNDS:
        for service in services:
            system.kill(service)
        raise Harm(
            f"{POISONED} of 40 messages cannot be read, and come back again and again, {rounds} times so far. "
            f"{40 - POISONED} honest tasks wait behind them: {done} are done."
        )
    comes(lambda: system.queued("dead-letters") == POISONED and system.counts().get("failed") == POISONED)
    if missing := POISONED - system.queued("dead-letters"):
        raise Harm(
            f"{missing} of {POISONED} messages that cannot be read have vanished: nobody can see what was in them."
        )
    if waiting := system.counts().get("waiting", 0):
        raise Harm(f"{waiting} of {POISONED} records of dead letters wait for ever: nobody has told them.")
    return f"{done} tasks are done, and {POISONED} that cannot be read are dead letters, their records failed."


def poison(files: list[Path]) -> None:
    """Damage the first messages: their width is no number any more, and each is alone in its file."""
    left = POISONED
    for file in files:
        batch = json.loads(file.read_text())
        for message in batch[:left]:
            message["body"] = message["body"].replace('"width":', '"width":"wide","was":')
        left -= len(batch[:left])
        file.write_text(json.dumps(batch))
