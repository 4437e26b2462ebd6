"""A result counted twice

How many seconds of rendering has each picture cost, over all attempts? Somebody wanted to know, and
made the tracker add up: old duration plus new duration. It was right in every demonstration. But a
broker delivers a message at least once, not exactly once: when an acknowledgement is lost with its
connection, the same result comes again, and is added again. Nobody has worked longer; the bill has
grown.

The check delivers 20 results, and then the same 20 once more, as a broker does that has not heard
of their acknowledgement. It compares the records with what the workers have reported.

Look at: src/oat/records/results.py
"""

import json
import random
import shutil

from helpers.mutants import Fault
from helpers.system import System
from helpers.tasks import small_tasks
from lab import Harm, Lab, message_files, messages, until

FAULT = Fault.of(
    "records/results.py",
    (
        '.values({name: _parameter(name) for name in COLUMNS} | {"finished_at": sa.bindparam("now")})',
        """
        .values(
            {name: _parameter(name) for name in COLUMNS}
            | {
                "duration": sa.func.coalesce(fractals.c.duration, 0.0) + _parameter("duration"),
                "finished_at": sa.bindparam("now"),
            }
        )
        """,
    ),
    after="_UPDATE =",
)

HINT = """
Ask of each column: if the same result is applied a second time, what is in it then? "Set it to" and
"add to it" differ just there.
"""

SOLUTION = """
Set, do not add. An operation that leaves the same state when it is done again is called idempotent,
and where every message can come twice, everything has to be. What must be added up is added from
things that have a name of their own (a row for each attempt, with its key), so that the second time
finds it there already.
"""


def check(lab: Lab) -> str:
    """Deliver all results twice, and compare the durations."""
    system = lab.system()
    system.send(small_tasks(21, random.Random()))
    worker = system.start("oat-worker")
    until(system, lambda: system.queued("results") == 21, "all results")
    system.stop(worker)
    reported = {result["uuid"]: result["duration"] for result in map(json.loads, messages(system, "results"))}
    aside = lab.folder / "results"
    aside.mkdir()
    files = [shutil.copy(file, aside) for file in message_files(system, "results")]
    apply(system)
    for file in files:
        shutil.copy(file, system.broker_folder / "results")
    apply(system)
    durations = {record["uuid"]: record["duration"] for record in system.records()}
    if twice := [uuid for uuid in reported if abs(durations[uuid] - reported[uuid]) > 1e-9]:
        raise Harm(
            f"{len(twice)} of 21 results were counted twice: the workers reported {sum(reported.values()):.4f} "
            f"seconds of rendering, and the records say {sum(durations.values()):.4f}."
        )
    return "21 results came twice, and are counted once."


def apply(system: System) -> None:
    """Have a tracker apply all results that are queued, and end."""
    tracker = system.start("oat-tracker")
    until(system, lambda: system.queued("results") == 0, "all results taken")
    system.stop(tracker)  # it applies first what it has taken
