"""The services in a tmux session, for a projector or a window each."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.missing import require
from helpers.system import System
from helpers.waiting import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tmux(tmp_path):
    """Runs a command beside a tmux server of the test's own, in a checkout of its own."""
    if not shutil.which("tmux"):
        require("tmux")
    (tmp_path / "provision").mkdir()
    shutil.copy(ROOT / "provision/oat-windows", tmp_path / "provision")
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    with System(tmp_path, OAT_PORT="0", TMUX_TMPDIR=str(tmp_path), SHELL="/bin/bash", TERM="screen") as system:
        system.environment.pop("TMUX", None)

        def call(*command):
            done = subprocess.run(
                command, env=system.environment, cwd=tmp_path, capture_output=True, text=True, check=False,
                stdin=subprocess.DEVNULL, timeout=60,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            return done.stdout

        yield system, call
        call("tmux", "kill-server")


@pytest.mark.parametrize("layout", ["windows", "tiled"])
def test_all_services_run_in_one_session(tmux, layout):
    system, call = tmux
    assert "tmux attach -t oat" in call("provision/oat-windows", layout)
    panes = call(
        "tmux", "list-panes", "-s", "-t", "oat", "-F", "#{window_name} #{pane_title} #{pane_id}"
    ).splitlines()
    if layout == "tiled":
        titles = [re.match(r"services (.*) %\d+", pane)[1] for pane in panes]
        assert sorted(titles) == ["oat web", "oat-producer", "oat-tracker", "oat-worker"]
    else:
        assert [pane.split()[0] for pane in panes] == ["worker", "tracker", "producer", "web"]
    wait_until(lambda: len(list(system.images.glob("*.png"))) > 1, "two images")

    def screens():
        return "".join(call("tmux", "capture-pane", "-p", "-t", pane.split()[-1]) for pane in panes)

    wait_until(lambda: "http://127.0.0.1:" in screens(), "the gallery")
    assert "tmux attach" in call("provision/oat-windows", layout), "a second time it is the same session"
    assert len(call("tmux", "list-panes", "-s", "-t", "oat").splitlines()) == 4
