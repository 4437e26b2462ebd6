"""The services with their images in a bucket."""

import signal
from uuid import uuid4

import pytest

from helpers.processes import terminate
from helpers.servers import SeaweedFS
from helpers.system import System
from helpers.waiting import wait_until


def test_the_services_on_a_bucket(bucket, tmp_path):
    with System(tmp_path, OAT_TARGET=bucket) as system:
        worker, tracker = system.start("oat-worker"), system.start("oat-tracker")
        system.produce(30)
        system.wait_for(30)
        terminate(worker)
        terminate(tracker)
        system.audit(30)
        log = worker.log.read_text()
        assert f"to file {bucket}/" in log
        assert "secretsecret" not in log
        done = system.call("oat", "run", "--tasks", 3)
        assert done.returncode == 0, done.stderr
        system.audit(33)


@pytest.fixture
def killable_store(tmp_path, monkeypatch):
    """An object store that is not there yet, and that the test may kill."""
    folder = tmp_path / "seaweedfs"
    folder.mkdir()
    server = SeaweedFS(folder)
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    yield server
    server.stop()


def test_a_store_that_is_not_there_yet_is_waited_for(killable_store, tmp_path):
    with System(tmp_path, OAT_TARGET=f"s3://{SeaweedFS.BUCKET}/late") as system:
        system.produce(10)
        worker = system.start("oat-worker")
        system.start("oat-tracker")
        wait_until(lambda: "trying again" in worker.log.read_text(), "a log line")
        assert "processing" not in worker.log.read_text()
        killable_store.start()
        system.wait_for(10)
        system.audit(10)


def test_a_killed_object_store_loses_nothing(killable_store, vhost, mariadb, tmp_path):
    killable_store.start()
    target = f"s3://{SeaweedFS.BUCKET}/outage"
    with System(tmp_path, vhost, mariadb.database(uuid4().hex[:8]), OAT_TARGET=target) as system:
        system.produce(300)
        worker, tracker = system.start("oat-worker"), system.start("oat-tracker")
        wait_until(lambda: worker.log.read_text().count("pushed result") > 20, "some results")
        killable_store.stop(signal.SIGKILL)
        wait_until(lambda: "trying again" in worker.log.read_text(), "the loss to be noticed")
        killable_store.start()
        system.wait_for(300)
        terminate(worker)
        terminate(tracker)
        system.audit(300)
        assert "secretsecret@" not in worker.log.read_text()


def test_a_directory_does_not_load_obstore(tmp_path):
    code = (
        "import sys; from oat.storage import Store; Store(sys.argv[1]).prepare(); "
        "sys.exit('obstore' in sys.modules)"
    )
    with System(tmp_path) as system:
        assert system.call("python", "-c", code, tmp_path).returncode == 0
