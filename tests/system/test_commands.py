"""The commands and their options: help, usage errors, metrics."""

from pathlib import Path

import pytest

from helpers import http
from helpers.system import System
from helpers.waiting import free_port, wait_until


@pytest.mark.parametrize(
    ("command", "status", "complaint"),
    [
        (["oat-producer", "--min-width", "2000"], 2, "--min-width 2000 is above --max-width 1024"),
        (["oat-producer", "--min-pause", "11"], 2, "--min-pause"),
        (["oat-producer", "--max-xa", "2"], 2, "--max-xa"),
        (["oat-producer", "--max-width", "100000"], 2, "limit"),
        (["oat-producer", "--nope"], 2, "--nope"),
        (["oat-worker", "--threads", "none"], 2, "--threads"),
        (["oat-worker", "--broker-url", "http://u:secret@x/"], 2, "broker URL"),
        (["oat-tracker", "--broker-url", "amqp://u:secret@x:port/"], 2, "broker URL"),
        (["oat-tracker", "--database-url", "oracle://u:secret@x/"], 2, "database URL"),
        (["oat-tracker", "--database-url", "not a url"], 2, "database URL"),
        (["oat-worker", "--target", "/dev/null/images"], 2, "/dev/null/images"),
        (["oat-worker", "--log-file", "/dev/null/log"], 1, "/dev/null/log"),
        (["oat", "run", "--tasks", "0"], 2, "--tasks"),
    ],
)
def test_a_usage_error_is_one_line(tmp_path, command, status, complaint):
    with System(tmp_path) as system:
        done = system.call(*command)
    assert done.returncode == status
    last = done.stderr.splitlines()[-1]
    assert last.startswith(command[0])
    assert complaint in last
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_help_and_the_module(tmp_path):
    with System(tmp_path) as system:
        for command in ("oat", "oat-producer", "oat-worker", "oat-tracker"):
            done = system.call(command, "--help")
            assert done.returncode == 0
            assert "--" in done.stdout
        assert "run" in system.call("python", "-m", "oat", "--help").stdout


def test_the_embedded_default_opens_no_port(tmp_path):
    with System(tmp_path) as system:
        worker = system.start("oat-worker")
        wait_until(system.images.exists, "the worker")
        tables = [Path(table).read_text().splitlines()[1:] for table in ("/proc/net/tcp", "/proc/net/tcp6")]
        listening = {f"socket:[{row.split()[9]}]" for table in tables for row in table if row.split()[3] == "0A"}
        files = {str(link.readlink()) for link in Path(f"/proc/{worker.pid}/fd").iterdir()}
        assert not listening & files


def test_the_services_show_metrics_on_a_port_of_their_own(tmp_path):
    ports = {name: free_port() for name in ("oat-worker", "oat-tracker")}
    with System(tmp_path) as system:
        for name, port in ports.items():
            system.start(name, "--metrics-port", port)
        system.produce(3)
        system.wait_for(3)
        metrics = {name: http.get(f"http://127.0.0.1:{port}/metrics").text for name, port in ports.items()}
        assert "oat_render_seconds_count 3.0" in metrics["oat-worker"]
        assert 'oat_results_tracked_total{status="done"} 3.0' in metrics["oat-tracker"]
        second = system.start("oat-worker", "--metrics-port", ports["oat-tracker"])
        wait_until(lambda: "metrics cannot be served" in second.log.read_text(), "a warning")
        assert str(ports["oat-tracker"]) in second.log.read_text()
        system.stop(system.processes[0])  # the second one works all the same
        system.produce(3)
        system.wait_for(6)
