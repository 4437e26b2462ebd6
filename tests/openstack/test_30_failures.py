"""Parts of the cloud fail under load."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from openstack.connection import Connection
from processes import kill
from renderings import Renderings

from conftest import parameters
from helpers import SLOW, TEMPLATES, Application, Stack, driver, until


def test_swift_is_gone_for_a_minute(tiers: Stack, application: Application) -> None:
    done = application.status()["done"]
    uuids = application.create(100, *SLOW)
    until("ten images", lambda: application.status()["done"] >= done + 10, pause=0.2)
    kill("swift")
    time.sleep(60)  # the minute
    assert not application.has_done(uuids)
    driver("up")
    until("100 images", lambda: application.has_done(uuids))
    application.audit()


def test_a_server_deleted_behind_its_back_is_made_again(
    tiers: Stack,
    application: Application,
    renderings: Renderings,
    user: Connection,
    record_property: Callable[[str, object], None],
) -> None:
    uuids = application.create(20, *SLOW[:-1], "60000")  # seconds each
    server = renderings.follow()[0]
    until("it at work", lambda: uuids & in_work(renderings, server))
    user.compute.delete_server(server)  # it hears no signal, as in a scale-in without the deployment
    user.compute.wait_for_delete(server)
    tiers.settle()
    tiers.check()
    assert tiers.get().status == "CHECK_FAILED"
    tiers.update(TEMPLATES / "tiers.yaml", **parameters(), worker_count=1)
    renderings.follow()
    workers = tiers.servers("worker")
    assert len(workers) == 1
    assert workers[0].id != server.id
    # Nothing is lost; what it had begun and not finished is rendered again.
    until("20 images", lambda: application.has_done(uuids))
    application.audit()
    # Not all: its last lines are lost with it, so one of these may have been finished.
    assert any(renderings.all()[uuid] > 1 for uuid in in_work(renderings, server))
    record_property("begun again", renderings.begun_again(uuids))


def in_work(renderings: Renderings, server: Any) -> set[str]:
    """What a worker has begun and not finished, as far as its log tells."""
    begun, finished = renderings.of(server)
    return set(begun) - set(finished)
