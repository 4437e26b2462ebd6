"""The commands for the servers of the tutorial leave nothing behind."""

import signal
import subprocess
from importlib import util

import pytest

from helpers.missing import require
from helpers.servers import MissingError, RabbitMQ
from helpers.validators import ROOT

spec = util.spec_from_file_location("tutorial_servers", ROOT / "docs" / "tutorial" / "servers.py")
tutorial_servers = util.module_from_spec(spec)
spec.loader.exec_module(tutorial_servers)

NO_PORT_MAPPER = "epmd: Cannot connect to local epmd\n"


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A RabbitMQ that was killed."""
    monkeypatch.setattr(tutorial_servers, "FOLDER", tmp_path)
    server = RabbitMQ(tmp_path)
    try:
        server.launch()
    except MissingError as missing:
        require(str(missing))
    server.stop(signal.SIGKILL)
    (tmp_path / "pid").write_text(f"{server.process.pid}")
    yield server
    subprocess.run(["epmd", "-port", str(server.epmd), "-kill"], capture_output=True, check=False)


def test_rabbitmqctl_leaves_no_port_mapper_where_the_server_is_down(server, tmp_path):
    tutorial_servers.write_environment({"rabbitmq": server})
    done = subprocess.run(
        [tmp_path / "bin" / "rabbitmqctl", "status"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 69, done.stderr
    assert "unable to perform an operation" in done.stderr
    names = ["epmd", "-port", str(server.epmd), "-names"]
    said = subprocess.run(names, capture_output=True, text=True, check=False)
    assert said.stdout + said.stderr == NO_PORT_MAPPER
