"""The client commands, on the database itself and over the API."""

import json
import os
import pty
import signal
import subprocess
from uuid import UUID

import pytest

from helpers.gallery import TOKEN, mark_failed
from helpers.processes import BIN
from helpers.system import System
from helpers.waiting import TIMEOUT, free_port, wait_until

SMALL = ("--width", 20, "--height", 10, "--iterations", 50)


def call(system, *arguments):
    done = system.call("oat", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fails(system, *arguments):
    done = system.call("oat", *arguments)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("how", ["database", "api"])
def test_everything_from_create_to_delete(tmp_path, how):
    with System(tmp_path, OAT_API_TOKEN=TOKEN) as system:
        system.start("oat-worker")
        system.start("oat-tracker")
        if how == "api":
            system.environment["OAT_API_URL"] = system.gallery()
        created = json.loads(call(system, "create", "--count", 3, *SMALL, "--cx", -0.8, "--cy", 0.156, "--json"))
        assert len(created) == 3
        assert {fractal["status"] for fractal in created} <= {"waiting", "done"}  # who is quicker, nobody knows
        system.wait_for(3)
        listed = json.loads(call(system, "list", "--status", "done", "--json"))
        assert {fractal["uuid"] for fractal in listed} == {fractal["uuid"] for fractal in created}
        uuid = created[0]["uuid"]
        if how == "api":  # tables are made alike in both
            table = call(system, "list")
            assert uuid in table
            assert max(map(len, table.splitlines())) <= 80
            assert "checksum" in call(system, "show", uuid)
            assert "unacknowledged" in call(system, "status")
            assert "it can be retried if it failed" in fails(system, "retry", uuid)
        assert call(system, "get", uuid).strip() == f"{uuid}.png"
        assert (tmp_path / f"{uuid}.png").read_bytes() == (system.images / f"{uuid}.png").read_bytes()
        mark_failed(system, uuid)
        call(system, "retry", uuid)
        system.wait_for(3)
        status = json.loads(call(system, "status", "--json"))
        assert (status["done"], status["waiting"], status["queued"]) == (3, 0, 0)
        call(system, "delete", uuid, created[1]["uuid"])
        system.audit(1)


def test_an_error_is_one_line(tmp_path):
    with System(tmp_path) as system:
        url = f"http://127.0.0.1:{free_port()}"
        assert url in fails(system, "list", "--api-url", url)
        assert "limit" in fails(system, "create", "--width", 99_999)
        assert "no fractal" in fails(system, "show", UUID(int=0))
        assert "UUID" in fails(system, "show", "nonsense").upper()


def test_the_token_is_sent_and_asked_for(tmp_path):
    with System(tmp_path, OAT_API_TOKEN=TOKEN) as system:
        url = system.gallery()
        call(system, "list", "--api-url", url)
        system.environment["OAT_API_TOKEN"] = "another"
        assert "OAT_API_TOKEN" in fails(system, "list", "--api-url", url)


def test_without_a_broker_a_created_fractal_is_recorded(tmp_path):
    with System(tmp_path, f"amqp://guest:guest@127.0.0.1:{free_port()}//") as system:
        done = system.call("oat", "create", *SMALL)
        assert done.returncode == 0, done.stderr
        assert "still to be sent" in done.stderr
        assert system.outbox() == 1


def test_status_names_what_it_asks(tmp_path):
    """Whoever has forgotten to name a database sees that it is the one in the data folder."""
    with System(tmp_path, OAT_BROKER_URL=f"amqp://guest:secret@127.0.0.1:{free_port()}/") as system:
        lines = dict(line.split("\t", 1) for line in call(system, "status").splitlines())
        assert lines["broker"].startswith("amqp://guest:***@127.0.0.1:")
        assert lines["database"] == f"sqlite:///{tmp_path}/data/oat/oat.db"
        del system.environment["OAT_BROKER_URL"]
        url = system.gallery()
        lines = dict(line.split("\t", 1) for line in call(system, "status", "--api-url", url).splitlines())
        assert lines["api"] == url
        assert "database" not in lines


def test_status_is_live_on_a_terminal_until_it_is_interrupted(tmp_path):
    with System(tmp_path) as system:
        system.call("oat", "list")
        master, slave = pty.openpty()
        process = subprocess.Popen([BIN / "oat", "status"], env=system.environment, stdout=slave, stderr=slave)
        seen = bytearray()

        def more():
            seen.extend(os.read(master, 65536))
            return seen.count(b"UTC") >= 3

        wait_until(more, "three pictures of the state")
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 0


def test_completion_is_offered(tmp_path):
    with System(tmp_path) as system:
        system.environment |= {"_OAT_COMPLETE": "complete_bash", "COMP_WORDS": "oat sta", "COMP_CWORD": "1"}
        assert "status" in system.call("oat").stdout
