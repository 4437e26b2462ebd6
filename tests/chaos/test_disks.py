"""Disks that are full or read-only, and well again."""

import contextlib
import os
import signal

import pytest

from helpers import disks
from helpers.disks import filled, read_only
from helpers.marks import embedded_and_servers
from helpers.missing import leave_out
from helpers.servers import MariaDB
from helpers.system import System
from helpers.waiting import wait_until

NOTICED = "trying again"


@pytest.fixture
def small_disk(tmp_path):
    """Make disks of a few megabytes."""
    if os.getuid() != 0:
        leave_out("small disks are mounted by root alone")
    with contextlib.ExitStack() as mounted:
        yield lambda name, megabytes: mounted.enter_context(disks.small_disk(tmp_path / name, megabytes))


@pytest.mark.long
@pytest.mark.parametrize("fault", [filled, read_only])
@embedded_and_servers
def test_images_that_cannot_be_written_for_a_while(system, small_disk, fault):
    system.images = small_disk("images", 16)
    system.environment["OAT_TARGET"] = str(system.images)
    services = system.start_with_backlog()
    with fault(system.images):
        wait_until(lambda: services["oat-worker"].log.read_text().count(NOTICED) > 3, "some attempts")
    system.assert_recovers(services)


def test_an_embedded_database_and_broker_on_a_full_disk(tmp_path, small_disk):
    disk = small_disk("data", 24)
    with System(tmp_path, OAT_LEASE="3", OAT_RESEND_AFTER="3") as system:
        system.images = tmp_path / "images"
        system.environment["OAT_TARGET"] = str(system.images)
        system.produce(300)
        services = system.start_with_backlog()
        tracker = services["oat-tracker"]
        tracker.send_signal(signal.SIGSTOP)  # or it may be done with all results before the disk is full
        wait_until(lambda: system.queued("results") > 20, "results that wait")
        with filled(disk):
            tracker.send_signal(signal.SIGCONT)
            wait_until(lambda: services["oat-producer"].log.read_text().count(NOTICED) > 3, "some attempts")
            # What others delete may give it the little room that it needs.
            wait_until(
                lambda: NOTICED in tracker.log.read_text() or not system.queued("results"),
                "an attempt, or all results recorded",
            )
        system.assert_recovers(services)


SHARED_TABLESPACE = ("--innodb-file-per-table=0", "--innodb-autoextend-increment=1")
"""As `provision/service.sh` sets it; `docs/notebook.md` tells what happens otherwise."""


@pytest.mark.long
def test_a_disk_too_full_for_mariadb(vhost, tmp_path, small_disk):
    disk = small_disk("mariadb", 220)
    server = MariaDB(disk, options=SHARED_TABLESPACE).start()
    try:
        with System(tmp_path, vhost, server.database("full"), OAT_LEASE="3", OAT_RESEND_AFTER="3") as system:
            system.produce(300)
            services = system.start_services(tasks=1000)
            wait_until(lambda: system.counts().get("done", 0) > 20, "some images")
            with filled(disk):
                wait_until(lambda: services["oat-producer"].log.read_text().count(NOTICED) > 3, "some attempts")
            system.assert_recovers(services)
            assert server.process.poll() is None
    finally:
        server.stop()
