"""Workers come and go under load: by the webhooks of the stack, and without asking anyone."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from openstack.connection import Connection
from renderings import Renderings

from conftest import keys
from helpers import TEMPLATES, Application, Stack, init_of, post, until


def scaled(stack: Stack, webhook: str, size: int, renderings: Renderings) -> bool:
    """Asks for one worker more or less until there are as many as wanted."""
    workers = renderings.follow()
    if len(stack.servers("worker")) != size:
        post(
            stack.outputs()[webhook]
        )  # one that comes within the group's cooldown, or while it changes, does nothing
    return len(workers) == size == len(stack.servers("worker"))


def test_a_worker_that_is_scaled_in_finishes_its_images(
    tiers: Stack, application: Application, renderings: Renderings
) -> None:
    uuids = application.create(1500)
    until("three workers", lambda: scaled(tiers, "scale_out", 3, renderings), pause=5)
    until("three at work", lambda: len(application.status()["workers"]) >= 3)
    workers = renderings.follow()
    until("one worker", lambda: scaled(tiers, "scale_in", 1, renderings), pause=5)
    left = {server.id for server in tiers.servers("worker")}
    gone = [worker for worker in workers if worker.id not in left]
    assert len(gone) == 2
    for worker in gone:
        begun, finished = renderings.of(worker)
        assert begun
        assert set(begun) == set(finished)
    until("1500 images", lambda: application.has_done(uuids))
    application.audit()
    count = renderings.all()
    assert {uuid for uuid in uuids if count[uuid] != 1} == set()


def test_one_that_does_not_answer_is_deleted_by_hand_and_the_stack_goes_on(
    tiers: Stack,
    application: Application,
    renderings: Renderings,
    user: Connection,
    record_property: pytest.RecordProperty,
) -> None:
    until("two workers", lambda: scaled(tiers, "scale_out", 2, renderings), pause=5)
    uuids = application.create(1000)
    until("two at work", lambda: len(application.status()["workers"]) >= 2)
    oldest = min(renderings.follow(), key=lambda server: server.created_at)  # the one that a scale-in takes
    frozen = processes_of(init_of(oldest))
    for pid in frozen:
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
    user.compute.wait_for_delete(oldest, wait=120)
    assert tiers.settle() == "CREATE_COMPLETE" or tiers.get().status == "UPDATE_COMPLETE"
    assert len(tiers.servers("worker")) == 1
    until("1000 images", lambda: application.has_done(uuids))
    application.audit()
    record_property("rendered twice", sum(times - 1 for times in renderings.all().values()))


def test_without_draining_nothing_is_lost_but_some_are_rendered_twice(
    tiers: Stack, application: Application, renderings: Renderings, record_property: pytest.RecordProperty
) -> None:
    tiers.update(TEMPLATES / "tiers.yaml", **keys(), drain=False, worker_count=2)
    until("two workers", lambda: scaled(tiers, "scale_out", 2, renderings), pause=5)
    until("two at work", lambda: len(application.status()["workers"]) >= 2)
    uuids = application.create(1000)
    until("100 images", lambda: len(renderings.all()) > 100)
    until("one worker", lambda: scaled(tiers, "scale_in", 1, renderings), pause=5)
    until("1000 images", lambda: application.has_done(uuids))
    application.audit()
    twice = sum(times - 1 for times in renderings.all().values())
    assert twice
    record_property("rendered twice", twice)


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
