"""`oat audit` on a running system, and over the API."""

import json
from uuid import UUID, uuid4

from helpers import http
from helpers.gallery import TOKEN
from helpers.marks import embedded_and_servers
from helpers.processes import terminate
from helpers.system import System
from helpers.waiting import wait_until


@embedded_and_servers
def test_audit_reports_every_problem(system):
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


def test_audit_over_the_api_and_its_remedies_work(tmp_path):
    with System(tmp_path, OAT_API_TOKEN=TOKEN, OAT_PUBLIC_READING="true") as system:
        system.start("oat-worker")
        system.start("oat-tracker")
        system.produce(3)
        system.wait_for(3)
        url = system.gallery()
        refused = http.post(f"{url}/v1/audit")
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
