"""The services with their images in a bucket."""

import signal
from uuid import uuid4

import pytest

from helpers.clocks import clock
from helpers.processes import terminate
from helpers.s3 import LesserS3
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
    server.discard()


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
        services = system.start_with_backlog()
        worker = services["oat-worker"]
        killable_store.stop(signal.SIGKILL)
        wait_until(lambda: "trying again" in worker.log.read_text(), "the loss to be noticed")
        killable_store.start()
        system.assert_recovers(services)
        assert "secretsecret@" not in worker.log.read_text()


@pytest.fixture
def lesser(moto, monkeypatch):
    """Start a system on an S3 server that refuses some requests; see `LesserS3`."""
    proxies = []

    def start(folder, refuse, user="owner"):
        proxies.append(LesserS3(moto.endpoint, refuse))
        for name, value in moto.variables_of(user).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxies[-1].endpoint)
        return System(folder, OAT_TARGET=f"s3://{moto.BUCKET}/{uuid4().hex[:8]}"), proxies[-1].requests

    yield start
    for proxy in proxies:
        proxy.close()


def bulk_delete_501(method, path):
    return 501 if method == "POST" and "delete" in path else None


def test_a_server_without_multi_object_delete(lesser, tmp_path):
    system, requests = lesser(tmp_path, bulk_delete_501)
    with system:
        run_and_audit(system, 5)
        uuid = system.records()[0]["uuid"]
        done = system.call("oat", "delete", uuid)
        assert done.returncode == 0, done.stderr
        system.audit(4)
        assert not [path for method, path, _ in requests if method == "POST"]


@pytest.mark.parametrize("how", ["policy", "403", "501"])
def test_a_worker_needs_no_right_to_delete(lesser, tmp_path, how):
    def refuse(method, _path):
        return int(how) if method == "DELETE" and how != "policy" else None

    system, requests = lesser(tmp_path, refuse, "writer" if how == "policy" else "owner")
    with system:
        for count in (5, 10):  # with two starts of a worker
            run_and_audit(system, count)
        written = {path for method, path, _ in requests if method == "PUT"}
        assert len(written - {path for path in written if path.endswith(".png")}) == 1
        uuid = system.records()[0]["uuid"]
        done = system.call("oat", "delete", uuid)
        assert done.returncode == 1
        [line] = done.stderr.splitlines()
        assert "s3:DeleteObject" in line
        system.audit(10)  # nothing is half deleted


@pytest.mark.parametrize("status", [301, 400, 405, 411])
def test_a_server_that_does_not_take_images_is_not_waited_for(lesser, tmp_path, status):
    system, _ = lesser(tmp_path, lambda method, _path: status if method == "PUT" else None)
    with system:
        done = system.call("oat-worker")
    assert done.returncode == 2
    assert "AWS_REGION" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_is_waited_for(lesser, tmp_path, status):
    busy = [status]
    system, _ = lesser(tmp_path, lambda method, _path: next(iter(busy), None) if method == "PUT" else None)
    with system:
        system.produce(3)
        worker = system.start("oat-worker")
        wait_until(lambda: "trying again" in worker.log.read_text(), "a log line")
        busy.clear()
        system.start("oat-tracker")
        system.wait_for(3)


@pytest.mark.parametrize(
    ("status", "code"), [(400, "RequestTimeout"), (403, "QuotaExceeded"), (403, "RequestTimeTooSkewed")]
)
def test_a_refusal_that_is_over_after_a_while_is_waited_for(lesser, tmp_path, status, code):
    passing = [(status, code)]
    system, _ = lesser(tmp_path, lambda method, _path: next(iter(passing), None) if method == "PUT" else None)
    with system:
        system.produce(3)
        worker = system.start("oat-worker")
        wait_until(lambda: "trying again" in worker.log.read_text(), "a log line")
        assert code in worker.log.read_text()
        passing.clear()
        system.start("oat-tracker")
        system.wait_for(3)


def test_a_clock_that_is_not_set_yet_is_waited_for(bucket, tmp_path, wrong_clocks):
    with System(tmp_path, OAT_TARGET=bucket, **clock("+1h")) as system:
        worker = system.start("oat-worker")
        wait_until(lambda: "trying again" in worker.log.read_text(), "a log line")
        assert "timedatectl" in worker.log.read_text()
        system.stop(worker)


def run_and_audit(system, count):
    worker, tracker = system.start("oat-worker"), system.start("oat-tracker")
    system.produce(5)
    system.wait_for(count)
    terminate(worker)
    terminate(tracker)
    system.processes.clear()
    system.audit(count)


def test_a_directory_does_not_load_obstore(tmp_path):
    code = (
        "import sys; from oat.storage import Store; Store(sys.argv[1]).prepare(); "
        "sys.exit('obstore' in sys.modules)"
    )
    with System(tmp_path) as system:
        assert system.call("python", "-c", code, tmp_path).returncode == 0
