"""Whatever the environment does to a command ends in its output, or in one line and the documented status."""

import os
import pty
import subprocess
from uuid import UUID

import pytest

from helpers.processes import BIN
from helpers.system import System
from helpers.waiting import TIMEOUT

SMALL = ("--width", "16", "--height", "16", "--iterations", "50")

NAMES = ("C#", "what?", "100%", "%41", "a b", "ä€", "\udcff", "new\nline", "~", "-x", "a:b@c", "'\"\\")
"""Names that a file system allows."""


def shell(system, script):
    """Run a shell `script` in which `oat` is ours, as bash does with `pipefail`."""
    environment = system.environment | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", script],
        env=environment, cwd=system.folder, capture_output=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip


def one_line(done, status):
    assert done.returncode == status, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr.decode(errors="replace")


@pytest.fixture
def created(tmp_path):
    """A system with two records."""
    with System(tmp_path) as system:
        assert system.call("oat", "create", "--count", 2, *SMALL).returncode == 0
        yield system


def test_awkward_names_of_all_folders(tmp_path):
    """One path has them all, so that one run tells: of the data folder, and then of each address by itself."""
    name = "/".join(NAMES)
    with System(tmp_path) as system:
        for variable in [variable for variable in system.environment if variable.startswith("OAT_")]:
            del system.environment[variable]
        system.environment["XDG_DATA_HOME"] = f"{tmp_path}/{name}"
        done = shell(system, "oat run --tasks 1")
        assert done.returncode == 0, done.stderr
        data = tmp_path / name / "oat"
        assert {path.name for path in data.iterdir()} >= {"broker", "oat.db", "images", "contact-sheet.png"}
        assert [path.name for path in tmp_path.iterdir()] == [NAMES[0]]

        system.environment["OAT_TARGET"] = f"{NAMES[0]}/images\udcff #?%41"
        system.environment["OAT_DATABASE_URL"] = "sqlite:///C%23/other%3F%25.db"
        system.environment["OAT_BROKER_URL"] = f"filesystem://{tmp_path}/C#/queue%FF"
        system.environment["OAT_LOG_FILE"] = "C#/log\udcff.txt"
        done = shell(system, "oat run --tasks 1")
        assert done.returncode == 0, done.stderr
        assert {path.name for path in (tmp_path / "C#").iterdir()} >= {
            "images\udcff #?%41", "other?%.db", "queue\udcff", "log\udcff.txt"
        }  # fmt: skip
        assert [path.name for path in tmp_path.iterdir()] == [NAMES[0]]


def test_empty_is_unset_and_a_tilde_is_home(tmp_path):
    with System(tmp_path) as system:
        names = (
            "OAT_TARGET",
            "OAT_BROKER_URL",
            "OAT_DATABASE_URL",
            "OAT_LOG_FILE",
            "OAT_METRICS_PORT",
            "OAT_MAX_SIDE",
        )
        system.environment |= dict.fromkeys(names, "") | {"AWS_ENDPOINT_URL": "", "HOME": str(tmp_path / "home")}
        done = shell(system, "oat run --tasks 1 --target '' --log-file= --seed ''")
        assert done.returncode == 0, done.stderr
        assert {path.name for path in tmp_path.iterdir()} <= {"data", "home"}
        system.environment |= {"OAT_TARGET": "~/images", "OAT_DATABASE_URL": "sqlite:///~/oat.db"}
        system.environment["OAT_BROKER_URL"] = "filesystem://~/broker"
        assert shell(system, "oat run --tasks 1").returncode == 0
        assert {path.name for path in (tmp_path / "home").iterdir()} >= {"images", "oat.db", "broker"}
        assert {path.name for path in tmp_path.iterdir()} == {"data", "home"}


def test_output_that_nobody_takes(created):
    assert "No space left on device; free some space" in one_line(shell(created, "oat list >/dev/full"), 1)
    assert shell(created, "oat list >/dev/full 2>&1").returncode == 1
    assert shell(created, "oat list >&- 2>&-").returncode == 0
    closed = shell(created, "oat list | true")
    assert (closed.returncode, closed.stderr) in ((141, b""), (0, b""))


@pytest.mark.parametrize("encoding", ["iso-8859-1", "ascii"])
def test_what_is_printed_survives_an_encoding(created, encoding):
    created.environment |= {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "COLUMNS": "20"}
    done = shell(created, f"oat create {' '.join(SMALL)} && oat list && oat status && oat --help")
    assert done.returncode == 0, done.stderr
    assert sum(created.counts().values()) == 3
    assert b"16x16" in done.stdout or "16×16".encode(encoding) in done.stdout


def test_tables_are_plain_in_a_pipe_and_whole_on_a_terminal(created):
    created.environment["COLUMNS"] = "20"
    rows = [line.split("\t") for line in shell(created, "oat list").stdout.decode().splitlines()]
    assert [len(row) for row in rows] == [5, 5]
    uuids = [str(UUID(row[0])) for row in rows]
    assert all(row[4].endswith(" UTC") for row in rows)
    master, slave = pty.openpty()
    subprocess.run([BIN / "oat", "list"], env=created.environment, stdout=slave, check=True, timeout=TIMEOUT)
    os.close(slave)
    shown = os.read(master, 65536).decode()
    assert all(uuid in shown for uuid in uuids)
    assert "UTC" in shown
    assert "…" not in shown


def test_places_that_cannot_be(tmp_path):
    with System(tmp_path) as system:
        del system.environment["OAT_TARGET"]
        system.environment["XDG_DATA_HOME"] = "/proc/nowhere"
        assert "OAT_DATABASE_URL" in one_line(shell(system, "oat list"), 1)
        system.environment["XDG_DATA_HOME"] = "relative"
        assert "XDG_DATA_HOME" in one_line(shell(system, "oat run --tasks 1"), 2)
        assert "Traceback" in shell(system, "oat list --debug").stderr.decode()
        system.environment |= {"OAT_MAX_PIXELS": "abc", "XDG_DATA_HOME": str(tmp_path / "data")}
        assert "OAT_MAX_PIXELS" in one_line(shell(system, "oat list"), 2)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [100_000, 300_000, 600_000])
def test_too_little_memory_is_one_line(tmp_path, limit):
    """Whatever cannot be had first, in KiB: the interpreter's, a library's, a thread's stack."""
    with System(tmp_path) as system:
        done = shell(system, f"ulimit -v {limit}; exec oat run --tasks 1 --threads 8")
    assert "memory" in one_line(done, 1).lower()  # OpenBLAS, which NumPy loads, has a line of its own


@pytest.mark.parametrize("limit", [6, 11, 16, 21])
@pytest.mark.parametrize("command", ["oat list", "oat run --tasks 1", "oat-worker", "oat web --port 0"])
def test_too_few_file_descriptors_are_one_line(tmp_path, command, limit):
    with System(tmp_path) as system:
        assert "ulimit -n" in one_line(shell(system, f"ulimit -n {limit}; exec {command}"), 1)


def test_a_working_directory_that_is_deleted(created):
    (gone := created.folder / "gone").mkdir()
    uuid = shell(created, "oat list --limit 1").stdout.decode().partition("\t")[0]
    enter = f"mkdir -p {gone}; cd {gone}; rmdir {gone};"
    assert shell(created, f"{enter} oat run --tasks 1").returncode == 0
    assert "FILE is where to" in one_line(shell(created, f"{enter} oat get {uuid}"), 1)
    assert "working directory does not exist" in one_line(shell(created, f"{enter} OAT_TARGET=x oat list"), 2)
    assert not gone.exists()


@pytest.mark.parametrize("width", ["COLUMNS=0", "COLUMNS=1", "COLUMNS=²", "TERMINAL_WIDTH=wide"])
def test_what_is_printed_survives_a_width(tmp_path, width):
    with System(tmp_path) as system:
        done = shell(system, f"export {width}; oat --help && oat run --tasks 1")
        assert done.returncode == 0, done.stderr
        assert all(word in done.stdout.decode() for word in ("create", "dead-letters", "database", "all on one"))


@pytest.mark.parametrize(
    "variable",
    [
        "ALL_PROXY=socks5://127.0.0.1:1",
        "NO_PROXY=[::1",
        "HTTP_PROXY=http://u:s3cr3t@[::1",
        "SSLKEYLOGFILE=/no/where",
    ],
)
def test_variables_of_the_system_that_a_client_cannot_use(tmp_path, variable):
    with System(tmp_path) as system:
        line = one_line(shell(system, f"{variable} oat list --api-url https://127.0.0.1:1"), 2)
    assert variable.partition("=")[0] in line
    assert "s3cr3t" not in line


@pytest.mark.parametrize(
    "variable",
    ["OAT_TRUSTED_PROXIES", "OAT_READ_RATE", "OAT_QUEUE_TYPE", "OAT_MAX_SIDE", "OAT_ROOT_PATH", "AWS_ENDPOINT"],
)
@pytest.mark.parametrize("value", ["http://u:s3cr3t@h", "u:s3cr3t@h"])
def test_a_url_in_the_wrong_variable_is_not_repeated(tmp_path, variable, value):
    with System(tmp_path) as system:
        system.environment |= {"OAT_TARGET": "s3://bucket", variable: value}
        done = shell(system, "oat web --port 0")
    assert done.returncode == 2
    assert variable in done.stderr.decode()
    assert b"s3cr3t" not in done.stderr
