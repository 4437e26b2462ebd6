"""PostgreSQL behind PgBouncer, which gives each session or each transaction any of its connections."""

import threading

import pytest

from helpers import http
from helpers.system import System
from helpers.waiting import wait_until
from oat.records.engine import IDLE_TIMEOUT, LOCK_TIMEOUT
from oat.records.transactions import Transactions


@pytest.fixture
def pooled_system(vhost, pooled, tmp_path):
    with System(tmp_path, vhost, pooled, OAT_LEASE="2", OAT_RESEND_AFTER="30") as system:
        yield system


def test_all_services_and_the_gallery_work_through_pgbouncer(pooled_system):
    system = pooled_system
    services = [system.start("oat-worker"), *(system.start("oat-tracker") for _ in range(3))]
    services += list(system.start_services("oat-producer").values())
    url = system.gallery()
    gallery = system.processes[-1]
    created = http.post(f"{url}/v1/fractals", json={"count": 100, "width": 16, "height": 16})
    assert created.is_success, created.text
    wait_until(lambda: system.counts().get("done", 0) > 200, "200 images")
    for path in ("/", "/system", "/v1/statistics", "/v1/fractals?status=done"):
        assert http.get(f"{url}{path}").is_success
    failed = http.get(f"{url}/v1/fractals?limit=1&status=done").json()["fractals"][0]["uuid"]
    (system.images / f"{failed}.png").unlink()
    assert http.post(f"{url}/v1/fractals/{failed}/retry").is_success
    system.stop(services.pop())
    count = system.finish()
    for process in (*services, gallery):
        log = process.log.read_text()
        assert "Traceback" not in log
        assert "is not available" not in log
    assert count > 200


def test_timeouts_hold_in_each_transaction_and_in_none_of_others(pooled):
    database = Transactions(pooled, threading.Event())
    seen = database._read(lambda connection: connection.exec_driver_sql("SHOW lock_timeout").scalar())
    assert seen == f"{LOCK_TIMEOUT}s"
    idle = database._read(
        lambda connection: connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar()
    )
    assert idle == f"{IDLE_TIMEOUT}s"
    with database._engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert raw.execute("SHOW lock_timeout").fetchone() == ("0",)
    database.close()
