"""The container image, run for real: the services of `deploy/compose.yaml`, under the restrictions that it names.

`tests/deploy/container/run`, that is `make test-container`, builds the image. RabbitMQ and MariaDB are private
ones of this machine: what is not run is the compose file as a whole, with their public images.
"""

import json
import subprocess
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from helpers import http
from helpers.servers import MariaDB, RabbitMQ
from helpers.waiting import free_port, wait_until

COMPOSE = yaml.safe_load((Path(__file__).parents[3] / "deploy/compose.yaml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "oat"}


def podman(*arguments):
    done = subprocess.run(["podman", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (arguments, done.stderr[-3000:])
    return done.stdout.strip()


@pytest.fixture
def servers(tmp_path):
    started = []
    try:
        for kind in (RabbitMQ, MariaDB):
            folder = tmp_path / kind.__name__
            folder.mkdir()
            started.append(kind(folder).start())
        yield started
    finally:
        for server in started:
            server.stop()


@pytest.fixture
def database(servers):
    return servers[1].database("container")


@pytest.fixture
def start(servers, database):
    """Start a service as the compose file says, but on the servers of this machine; remove all afterwards."""
    rabbitmq, _ = servers
    urls = {"OAT_BROKER_URL": rabbitmq.url, "OAT_DATABASE_URL": database}
    names = []

    def start(name, **environment):
        service = OURS[name]
        assert service["read_only"] is True
        options = ["--read-only", "--network=host"]
        options += [f"--tmpfs={path}" for path in service["tmpfs"]]
        options += [f"--cap-drop={capability}" for capability in service["cap_drop"]]
        options += [f"--security-opt={option}" for option in service["security_opt"]]
        options += [f"--volume={volume}" for volume in service["volumes"]]
        for variable, value in (service["environment"] | urls | environment).items():
            options.append(f"--env={variable}={value}")
        names.append(f"oat-test-{name}")
        podman("run", "--detach", f"--name={names[-1]}", *options, "oat", *service["command"].split())
        return names[-1]

    yield start
    for name in names:
        podman("rm", "--force", name)


def test_the_services_of_the_compose_file_run_in_the_image(database, start):
    port = free_port()
    assert OURS.keys() == {"producer", "worker", "tracker", "web"}
    containers = {name: start(name, OAT_PORT=port, OAT_HOST="127.0.0.1") for name in OURS}
    with sa.create_engine(database).connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        query = sa.text("SELECT COUNT(*) FROM fractals WHERE status = 'done'")
        wait_until(
            lambda: table_is_there(connection) and connection.execute(query).scalar() >= 10, "ten images", 180
        )
        uuid = connection.execute(sa.text("SELECT uuid FROM fractals WHERE status = 'done' LIMIT 1")).scalar()
    # The gallery shows what the worker wrote into the volume that they share.
    gallery = http.Client(base_url=f"http://127.0.0.1:{port}", auth=("anyone", "secretsecret"))
    wait_until(lambda: gallery.get("/readyz").is_success, "the gallery")
    image = gallery.get(f"/v1/fractals/{uuid}/image")
    assert image.content.startswith(b"\x89PNG")
    for name, container in containers.items():
        [state] = json.loads(podman("inspect", container))
        assert state["State"]["Running"], podman("logs", container)
        assert podman("exec", container, "id", "-u") == "10001"
        status = podman("exec", container, "cat", "/proc/1/status").splitlines()
        assert {"NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"} <= set(status), name
    # Each ends well when it is told to.
    for container in containers.values():
        podman("stop", "--time", 60, container)
        [state] = json.loads(podman("inspect", container))
        assert state["State"]["ExitCode"] == 0, podman("logs", container)


def table_is_there(connection):
    return sa.inspect(connection).has_table("fractals")
