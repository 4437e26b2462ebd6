"""Which tasks are left to publish when a connection is lost before all of them are confirmed."""

import threading
from uuid import UUID

import pytest

from helpers.tasks import task
from oat.records import Database
from oat.services import publish_overdue, publish_tasks


class LostError(Exception):
    pass


class Channel:
    """Confirms so many messages, and is lost then."""

    def __init__(self, confirmed):
        self.confirmed = confirmed
        self.stopping = threading.Event()
        self.published = []

    def publish_all(self, _exchange, bodies, on_confirm):
        bodies = list(bodies)
        self.published += bodies
        for body in bodies[: self.confirmed]:
            on_confirm(body)
        if len(bodies) > self.confirmed:
            raise LostError


@pytest.mark.parametrize("confirmed", [0, 3, 4])
def test_unconfirmed_tasks_alone_are_published_again(tmp_path, confirmed):
    database = Database(f"sqlite:///{tmp_path}/oat.db", threading.Event())
    database.prepare()
    tasks = [task(uuid=UUID(int=n)) for n in range(5)]
    left = list(tasks)
    database.record(tasks)
    with pytest.raises(LostError):
        publish_tasks(left, database, Channel(confirmed))
    assert left == tasks[confirmed:]
    again = Channel(5)
    publish_tasks(left, database, again)
    assert again.published == [each.to_json() for each in tasks[confirmed:]]
    assert not left
    publish_overdue(0.0, database, nothing := Channel(0))
    assert not nothing.published
    database.close()
