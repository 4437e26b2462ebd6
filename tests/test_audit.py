"""The audit: the rules, and what the command says."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest

from oat.records.database import Record
from oat.records.states import Status
from oat.services.audit import Problem, judge
from oat.settings import Settings
from oat.web.backend import Backend
from oat.web.problems import ProblemError
from servers import wait_until
from system import System, terminate
from test_web import TOKEN

NOW = datetime(2026, 1, 1)
SETTINGS = Settings(lease=10, resend_after=10)
DONE = Record(UUID(int=1), Status.DONE, "aa", None, 1, NOW - timedelta(seconds=50), unpublished=False)
FAILED = replace(DONE, status=Status.FAILED, checksum=None, error="no disk")
WAITING = replace(DONE, status=Status.WAITING, checksum=None)


@pytest.mark.parametrize(
    ("record", "image", "quiet", "problem"),
    [
        (DONE, "aa", True, None),
        (DONE, None, True, Problem.IMAGE_MISSING),
        (DONE, "bb", False, Problem.IMAGE_DIFFERS),
        (FAILED, None, True, None),
        (replace(FAILED, error=None), None, True, Problem.NO_REASON),
        (FAILED, "aa", True, Problem.RESULT_LOST),
        (FAILED, "aa", False, None),
        (WAITING, None, True, Problem.UNANSWERED),
        (WAITING, None, False, None),
        (replace(WAITING, attempts=3), None, True, None),
        (replace(WAITING, unpublished=True), None, False, Problem.UNPUBLISHED),
        (replace(WAITING, unpublished=True, sent_at=NOW), None, True, None),
        (replace(WAITING, sent_at=NOW - timedelta(seconds=19)), None, True, None),
    ],
)
def test_what_is_wrong_with_a_record(record, image, quiet, problem):
    assert judge(record, image, quiet, NOW, SETTINGS) == problem


@pytest.mark.parametrize("system", ["embedded", "rabbitmq+mariadb"], indirect=True)
def test_an_operator_is_told_what_does_not_add_up(system):
    system.produce(20)
    services = system.start("oat-worker"), system.start("oat-tracker")
    system.wait_for(20)
    for service in services:
        terminate(service)
    done = system.call("oat", "audit")
    assert done.returncode == 0, done.stderr
    assert "20 done" in done.stdout
    assert "Everything adds up." in done.stdout

    lost, changed, *_ = sorted(system.images.iterdir())
    lost.unlink()
    changed.write_bytes(b"no picture")
    stranger = system.images / f"{uuid4()}.png"
    stranger.touch()
    (system.images / "notes.txt").touch()
    with system.engine.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO outbox VALUES ('{UUID(int=7)}', '2020-01-01')")
    done = system.call("oat", "audit", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["records"] == {"done": 20}
    assert report["images"] == 20
    assert report["queues"] == {"tasks": 0, "results": 0, "dead-letters": 0}
    assert report["cases"] == {
        "IMAGE_MISSING": [lost.stem],
        "IMAGE_DIFFERS": [changed.stem],
        "ORPHANED_IMAGE": [stranger.stem],
        "ORPHANED_OUTBOX_ROW": [str(UUID(int=7))],
    }
    told = system.call("oat", "audit").stdout
    assert lost.stem in told
    assert "the image is missing: restore the file" in told


def test_over_the_api_and_what_it_advises_mends(tmp_path):
    with System(tmp_path, OAT_API_TOKEN=TOKEN, OAT_PUBLIC_READING="true") as system:
        system.start("oat-worker")
        system.start("oat-tracker")
        system.produce(3)
        system.wait_for(3)
        url = system.gallery()
        refused = httpx.post(f"{url}/v1/audit")
        assert refused.status_code == 401  # it costs more than a look
        system.environment["OAT_API_URL"] = url
        good = system.call("oat", "audit")
        assert good.returncode == 0, good.stderr
        assert url in good.stdout
        assert "Everything adds up." in good.stdout

        lost, changed, whole = sorted(system.images.iterdir())
        lost.unlink()
        changed.write_bytes(b"no picture")
        bad = system.call("oat", "audit", "--json")
        assert bad.returncode == 1
        report = json.loads(bad.stdout)
        assert report["cases"] == {"IMAGE_MISSING": [lost.stem], "IMAGE_DIFFERS": [changed.stem]}
        assert report == json.loads(system.call("oat", "audit", "--json", "--api-url", "").stdout)
        assert "oat retry" in system.call("oat", "audit").stdout
        assert system.call("oat", "retry", whole.stem).returncode == 1
        assert system.call("oat", "retry", lost.stem, changed.stem).returncode == 0
        wait_until(lambda: system.call("oat", "audit").returncode == 0, "the images made again")


def test_one_audit_at_a_time(tmp_path):
    backend = Backend(Settings(database_url=f"sqlite:///{tmp_path / 'oat.db'}", target=str(tmp_path)))
    backend.catalog.prepare()
    with pytest.raises(ProblemError, match="broker"):
        backend.audit()
    backend.publisher.queues = {"tasks": 0, "results": 0, "dead-letters": 0}
    first = backend.audit()
    with pytest.raises(ProblemError, match="under way"):
        backend.audit()
    *_, last = first
    assert last.report is not None
    assert not last.report.problems
    given_up = backend.audit()
    next(given_up)
    del given_up
    assert len(list(backend.audit())) == 2
