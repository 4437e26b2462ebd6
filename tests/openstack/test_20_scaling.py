"""Workers come and go under load: by the webhooks of the stack, and without asking anyone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from openstack.connection import Connection
from renderings import Renderings

from helpers import SLOW, Application, Stack, init_of, post, until


def scaled(stack: Stack, webhook: str, size: int, renderings: Renderings) -> bool:
    """Asks for one worker more or less until there are as many as wanted."""
    workers = renderings.follow()
    if len(stack.servers("worker")) != size:
        # One that comes within the group's cooldown, or while it changes, does nothing.
        post(stack.outputs()[webhook])
    return len(workers) == size == len(stack.servers("worker"))


def test_a_worker_that_is_scaled_in_finishes_its_images(
    tiers: Stack, application: Application, renderings: Renderings
) -> None:
    uuids = application.create(300)
    until("three workers", lambda: scaled(tiers, "scale_out", 3, renderings), pause=5)
    tiers.settle()  # until the third takes tasks
    workers = renderings.follow()
    uuids |= application.create(300, *SLOW)
    until("all at work", lambda: all(renderings.of(worker)[0] for worker in workers))
    until("two workers", lambda: scaled(tiers, "scale_in", 2, renderings), pause=5)
    left = {server.id for server in tiers.servers("worker")}
    (gone,) = [worker for worker in workers if worker.id not in left]
    begun, finished = renderings.of(gone)
    assert set(begun) == set(finished)
    until("600 images", lambda: application.has_done(uuids))
    application.audit()
    count = renderings.all()
    assert [uuid for uuid in uuids if count[uuid] != 1] == []


def test_one_that_does_not_answer_is_deleted_by_hand_and_the_stack_goes_on(
    tiers: Stack,
    application: Application,
    renderings: Renderings,
    user: Connection,
    record_property: Callable[[str, object], None],
) -> None:
    until("two workers", lambda: scaled(tiers, "scale_out", 2, renderings), pause=5)
    tiers.settle()
    uuids = application.create(300, *SLOW)
    workers = renderings.follow()
    until("both at work", lambda: all(renderings.of(worker)[0] for worker in workers))
    oldest = min(workers, key=lambda server: server.created_at)  # the one that a scale-in takes
    for pid in processes_of(init_of(oldest)):
        os.kill(pid, signal.SIGSTOP)

    def waits() -> bool:
        post(tiers.outputs()["scale_in"])
        return any(
            resource["resource_type"] == "OS::Heat::SoftwareDeployment"
            and resource["resource_status"] == "DELETE_IN_PROGRESS"
            for resource in tiers.resources()
        )

    until("Heat waiting for the worker", waits, pause=5)
    assert oldest.id in {server.id for server in tiers.servers("worker")}
    user.compute.delete_server(oldest)
    user.compute.wait_for_delete(oldest, wait=300)
    assert tiers.settle().endswith("COMPLETE")
    assert len(tiers.servers("worker")) == 1
    until("300 images", lambda: application.has_done(uuids))
    application.audit()
    record_property("begun twice", renderings.begun_again(uuids))


def processes_of(init: int) -> list[int]:
    """All processes of a container, on this machine."""
    namespace = Path(f"/proc/{init}/ns/pid").readlink()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and (entry / "ns/pid").readlink() == namespace:
                found.append(int(entry.name))
        except OSError:  # it has ended
            continue
    return found
