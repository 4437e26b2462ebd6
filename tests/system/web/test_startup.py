"""How `oat web` starts: without its servers, on a port in use, with wrong options."""

import pytest

from helpers import http
from helpers.gallery import SMALL, problem
from helpers.processes import gallery_address, terminate
from helpers.servers import RabbitMQ
from helpers.system import System
from helpers.waiting import free_port, wait_until


def test_without_a_broker_tasks_are_recorded_and_published_later(rabbitmq, tmp_path):
    port = free_port()
    folder = tmp_path / "broker"
    folder.mkdir()
    with System(tmp_path, f"amqp://guest:guest@127.0.0.1:{port}//") as system:
        process = system.start("oat", "web", "--port", 0)
        url = gallery_address(process)
        problem(http.get(f"{url}/readyz"), 503)
        assert http.get(f"{url}/healthz").status_code == 200
        answer = wait_until(
            lambda: (a := http.post(f"{url}/v1/fractals", json=SMALL | {"count": 3})).is_success and a,
            "the tables",
        )
        assert len(answer.json()["fractals"]) == 3
        now = http.get(f"{url}/v1/statistics").json()
        assert (now["unpublished"], now["queued"]) == (3, None)
        assert "broker" in now["warnings"][0]
        server = RabbitMQ(folder, port)
        try:
            server.start()
            wait_until(lambda: http.get(f"{url}/readyz").is_success, "the broker", 60)
            system.start("oat-worker")
            system.start("oat-tracker")
            system.wait_for(3)
            terminate(process)
            system.audit(3)
        finally:
            server.stop()


def test_an_unreachable_database_is_a_503(tmp_path):
    url = f"mysql+pymysql://tutorial:secretsecret@127.0.0.1:{free_port()}/tutorial"
    with System(tmp_path, None, url) as system:
        process = system.start("oat", "web", "--port", 0)
        url = gallery_address(process)
        answer = http.get(f"{url}/v1/fractals")
        assert "secretsecret" not in problem(answer, 503)
        assert answer.headers["retry-after"]


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["web", "--port", "70000"], 2, "--port"),
        (["web", "--host", "no such host"], 2, "OAT_API_TOKEN"),
        (["run", "--port", "-1"], 2, "--port"),
    ],
)
def test_a_usage_error_is_one_line(tmp_path, arguments, status, complaint):
    with System(tmp_path) as system:
        done = system.call("oat", *arguments)
    assert done.returncode == status
    assert complaint in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_one_line(running, tmp_path):
    port = running.url.rpartition(":")[2]
    with System(tmp_path) as system:
        done = system.call("oat", "web", "--port", port)
    assert done.returncode == 1
    assert port in done.stderr.splitlines()[-1]
