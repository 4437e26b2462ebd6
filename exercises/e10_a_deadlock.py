"""A deadlock of two updaters

Two trackers write results, each many in one transaction. Each row that is written stays locked
until the end. One goes through its rows as the results came, the other in another order: the first
has locked A and wants B, the second has locked B and wants A. Neither can go on. The database
notices, ends one of the two with an error, and all its work was for nothing. With little to do it
never happens; with much to do it happens all the time.

A safety net hides it: the transaction that was ended is run again. So the check plays the second
tracker itself, in the order of the keys: it holds the first row, waits until the tracker waits for
it, and asks for the last row. MariaDB is started for it: five seconds.

Look at: src/oat/records/results.py
"""

import json
import random

import sqlalchemy as sa

from helpers.mutants import Fault
from helpers.system import System
from helpers.tasks import small_tasks
from lab import Harm, Lab, recorded, until, until_logged

FAULT = Fault.of(
    "records/results.py",
    (
        'images = [{"uuid": key, **image_change(by_key[key])} for key in sorted(by_key)]',
        'images = [{"uuid": key, **image_change(by_key[key])} for key in by_key]',
    ),
)

HINT = """
Two who take the same locks in the same order wait for each other, but not in a circle. In which
order does `apply_results` go through its rows?
"""

SOLUTION = """
All go through the rows in the order of their keys. Then whoever has the first row gets the others
as well, and everyone else waits before they have anything that somebody wants. It costs a `sorted`.
To try again after a deadlock is still necessary, as other programs use the database too; but a
retry is a net, and no order.
"""

COUNT = 300

UPDATE = sa.text("UPDATE fractals SET attempts = attempts WHERE uuid = :uuid")

WAITS = sa.text("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")


def check(lab: Lab) -> str:
    """Be the second tracker, and see whether the database has to end one of the two."""
    system = lab.system(mariadb=True)
    system.send(small_tasks(COUNT, random.Random()))
    keys = sorted(recorded(system))
    system.push("results", [result(key) for key in reversed(keys)])
    with system.engine.connect() as second:
        second.execute(UPDATE, {"uuid": keys[0]})
        tracker = system.start("oat-tracker")
        until_logged(system, tracker, "processing result")
        until(system, lambda: waits(system), "the tracker waiting for the first row")
        try:
            second.execute(UPDATE, {"uuid": keys[-1]})
            second.commit()
            ended = 0
        except sa.exc.OperationalError as error:
            if "Deadlock" not in str(error):
                raise
            second.rollback()
            ended = 1
    until(system, lambda: system.counts().get("done") == COUNT, "all results applied")
    ended += tracker.log.read_text().count("Deadlock found")
    if ended:
        raise Harm(
            f"{ended} of 2 transactions was thrown away: two trackers waited for each other, each with rows that "
            f"the other wanted, and MariaDB ended one of them. {COUNT} results were at stake."
        )
    return f"Two trackers wanted the same rows, one waited for the other, and all {COUNT} results are applied."


def result(uuid: str) -> bytes:
    """Return the message of a result."""
    return json.dumps({"uuid": uuid, "duration": 0.5, "checksum": "0" * 64}).encode()


def waits(system: System) -> bool:
    """Tell whether a transaction waits for a lock."""
    root = sa.create_engine(system.engine.url.set(username="root", password=""), poolclass=sa.NullPool)
    with root.connect() as connection:
        return bool(connection.execute(WAITS).scalar())
