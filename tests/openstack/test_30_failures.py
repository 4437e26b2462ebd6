"""Parts of the cloud fail under load."""

from __future__ import annotations

import time

from openstack.connection import Connection
from processes import kill

from conftest import keys
from helpers import TEMPLATES, Application, Stack, driver, until


def test_swift_is_gone_for_a_minute(tiers: Stack, application: Application) -> None:
    uuids = application.create(600)
    until(
        "50 images",
        lambda: (
            sum(fractal["status"] == "done" for fractal in application.fractals() if fractal["uuid"] in uuids) > 50
        ),
    )
    kill("swift")
    time.sleep(60)  # the minute
    assert not application.has_done(uuids)
    driver("up")
    until("600 images", lambda: application.has_done(uuids))
    application.audit()


def test_a_server_deleted_behind_its_back_is_made_again(
    tiers: Stack, application: Application, user: Connection
) -> None:
    server = tiers.servers("worker")[0]
    user.compute.delete_server(server)
    user.compute.wait_for_delete(server)
    tiers.settle()
    tiers.check()
    assert tiers.get().status == "CHECK_FAILED"
    tiers.update(TEMPLATES / "tiers.yaml", **keys(), worker_count=1)
    workers = tiers.servers("worker")
    assert len(workers) == 1
    assert workers[0].id != server.id
    uuids = application.create(20)
    until("20 images", lambda: application.has_done(uuids))
