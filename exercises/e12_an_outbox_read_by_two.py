"""An outbox read by two

What is in the outbox is recorded and still to be pushed. Usually its producer does that, a moment
later. But a producer can die, so others look into the outbox as well and push what they find. If
they take everything, they also take what the living are just about to push. Each task goes out
twice, and is rendered twice; with ten producers, each looking into the outbox before each set, it
is worse than twice.

It loses nothing, as everything is idempotent: the harm is the work. The check has a producer that
has recorded and cannot reach the broker for a moment, runs another producer meanwhile, and counts
messages. Then it kills the first one.

Look at: src/oat/records/database.py
"""

from collections import Counter

from helpers.mutants import Fault
from helpers.processes import SMALL
from lab import Detour, Harm, Lab, queued, recorded, start, until

FAULT = Fault.of(
    "records/database.py",
    (
        "outbox.c.created_at < now - timedelta(seconds=lease), outbox.c.created_at > now + TOLERANCE",
        "outbox.c.created_at <= now, outbox.c.created_at > now + TOLERANCE",
    ),
    after="    def overdue_tasks",
)

HINT = """
A row in the outbox belongs to the producer that wrote it, for as long as that may be expected to
live. `overdue_tasks` is told how long that is, and has to tell the rows of the dead from those of
the living.
"""

SOLUTION = """
A lease: for `lease` seconds a row is its producer's alone, afterwards anyone's. It needs no lock,
no list of who is alive, and it ends by itself when its owner is gone. Two may still publish the
same row in a rare moment (both saw the lease expire), which is harmless; without a lease they do it
always.
"""


def check(lab: Lab) -> str:
    """Hold a producer between record and push, and run another one."""
    system = lab.system()
    detour = Detour(system)
    sets = (*SMALL, "--min-tasks", 16, "--max-tasks", 16, "--min-pause", 1, "--max-pause", 1)
    producer = start(system, "oat-producer", *sets, OAT_BROKER_URL=detour.url)
    held = detour.hold(system, producer)
    system.produce(1)
    detour.mend()
    until(system, lambda: system.outbox() == 0, "the held tasks, pushed")
    detour.hold(system, producer)
    count, messages = len(recorded(system)), Counter(queued(system))
    if twice := [uuid for uuid in held if messages[uuid] > 1]:
        raise Harm(
            f"{len(twice)} of {count} tasks were pushed twice: their producer had recorded them a second ago and "
            "was about to push them when another one found them in the outbox. Each will be rendered twice."
        )
    system.kill(producer)
    detour.mend()
    system.environment["OAT_LEASE"] = "0.001"
    system.produce(1)
    if lost := recorded(system) - set(queued(system)):
        raise Harm(
            f"{len(lost)} of {count} tasks were lost: their producer was killed, and nobody else pushes them."
        )
    return f"{count} tasks went out once each, those of a producer that was held and of one that was killed, too."
