"""How the private cloud starts and ends its processes, without OpenStack."""

import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cloud(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from cloud.settings import Cloud  # noqa: PLC0415 (`cloud` is outside `src`)

    cloud = Cloud(tmp_path)
    for folder in cloud.log, cloud.bin, cloud.run / "processes":
        folder.mkdir(parents=True)
    return cloud


def start(cloud, script, ready):
    """Start a process as `make cloud` does, and end it again."""
    from cloud.processes import Process, Supervisor  # noqa: PLC0415 (as above)
    from cloud.up import _start  # noqa: PLC0415 (as above)

    supervisor, process = Supervisor(cloud), Process("some", ["sh", "-c", script], ready=ready)
    try:
        _start(supervisor, [process])
    finally:
        supervisor.stop([process])


def test_a_process_that_ends_while_it_starts_is_started_once_more(cloud, tmp_path, capsys):
    once, twice = tmp_path / "once", tmp_path / "twice"
    quoted = [shlex.quote(str(path)) for path in (once, twice)]
    script = "if [ -e {0} ]; then touch {1}; exec sleep 600; fi; touch {0}; exit 7".format(*quoted)
    start(cloud, script, twice.exists)
    assert "some: the process has ended with status 7; it is started once more" in capsys.readouterr().out


def test_one_that_ends_again_is_an_error_with_its_status_and_the_end_of_its_log(cloud):
    from cloud.progress import CloudError  # noqa: PLC0415 (as above)

    with pytest.raises(CloudError, match=r"(?s)some: the process has ended with status 3; .*no configuration"):
        start(cloud, "echo no configuration; exit 3", lambda: False)


def test_a_command_that_is_not_installed_does_not_succeed(cloud):
    from cloud.service import succeeds  # noqa: PLC0415 (as above)

    assert succeeds(cloud, sys.executable, "-c", "")
    assert not succeeds(cloud, "no-such-command")
