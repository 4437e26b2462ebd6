"""The services as real processes, started by their commands."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import psutil

from helpers import http
from helpers.guard import guard_process
from helpers.waiting import TIMEOUT, wait_until

SMALL = ("--min-width", 16, "--max-width", 64, "--min-height", 16, "--max-height", 64)

BIN = Path(sys.executable).parent


class Processes:
    """Processes that share a broker, a database and a folder for images; None stands for the embedded default."""

    def __init__(self, folder, broker_url=None, database_url=None, **settings):
        self.folder = folder
        self.images = folder / "data" / "oat" / "images"
        self.database_url = database_url or f"sqlite:///{folder / 'data' / 'oat' / 'oat.db'}"
        self.broker_url = broker_url
        self.broker_folder = folder / "data" / "oat" / "broker"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OAT_")}
        self.environment = inherited | {"XDG_DATA_HOME": str(folder / "data"), "OAT_TARGET": str(self.images)}
        self.environment |= {"OAT_BROKER_URL": broker_url} if broker_url else {}
        self.environment |= {"OAT_DATABASE_URL": database_url} if database_url else {}
        # Nothing is sent again unless a test wants it: on a busy machine it would be by chance.
        self.environment |= {"OAT_RESEND_AFTER": "86400"} | settings | {"PYTHONFAULTHANDLER": "1"}
        self.prefix = []
        """The words before each command."""
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.engine.dispose()

    def start(self, command, *arguments):
        """Start a service in the background; its log is in `process.log`."""
        log = self.folder / f"{Path(command).name}-{uuid4().hex[:4]}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*self.prefix, BIN / command, *map(str, arguments)],
                env=self.environment,
                stdout=file,
                stderr=file,
                cwd=self.folder,
            )
        guard_process(process.pid)
        process.log = log
        self.processes.append(process)
        return process

    def gallery(self, *arguments):
        """Start `oat web` on a free port and return its address once it is ready."""
        process = self.start("oat", "web", "--port", 0, *arguments)
        url = gallery_address(process)

        def ready():
            assert process.poll() is None, process.log.read_text()
            return http.get(f"{url}/readyz").is_success

        wait_until(ready, "the gallery")
        return url

    def call(self, command, *arguments):
        """Run a command to its end."""
        return subprocess.run(
            [*self.prefix, BIN / command, *map(str, arguments)],
            env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=TIMEOUT, check=False,
        )  # fmt: skip

    def produce(self, count, *arguments):
        done = self.call(
            "oat-producer", "--one-shot", "--min-tasks", count, "--max-tasks", count, *SMALL, *arguments
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def start_services(self, *commands, tasks=20, pause=0.3):
        """Start services, all three by default; the producer makes sets of `tasks` again and again."""
        endless = (*SMALL, "--min-tasks", tasks, "--max-tasks", tasks, "--min-pause", pause, "--max-pause", pause)
        arguments = {"oat-producer": endless}
        return {
            command: self.start(command, *arguments.get(command, ()))
            for command in commands or ("oat-worker", "oat-tracker", "oat-producer")
        }

    def kill(self, process):
        """kill -9."""
        process.kill()
        process.wait()
        self.processes.remove(process)

    def stop(self, *processes):
        """SIGTERM to all at once; everyone ends well, or with the image in flight."""
        for process in processes:
            wait_until(lambda p=process: listens(p), "a start")
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            ended_well(process)
            self.processes.remove(process)


def gallery_address(process):
    """Wait until the log of `process` says where its gallery is; return the URL without a final slash."""

    def address():
        assert process.poll() is None, process.log.read_text()
        found = re.search(r"(?:the gallery is at|gallery) +(http://\S+?)/$", process.log.read_text(), re.MULTILINE)
        return found and found[1]

    return wait_until(address, "the address of the gallery")


def listens(process):
    """Whether it has got so far that it hears SIGTERM."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> (signal.SIGTERM - 1) & 1


def terminate(process):
    wait_until(lambda: listens(process), "a start")
    process.send_signal(signal.SIGTERM)
    ended_well(process)


def ended_well(process):
    try:
        process.wait(TIMEOUT)
    except subprocess.TimeoutExpired:
        # Python's faulthandler writes into the log where each thread hangs, that of a child first.
        for child in psutil.Process(process.pid).children():
            child.send_signal(signal.SIGABRT)
        process.send_signal(signal.SIGABRT)
        process.wait(10)
    assert process.returncode == 0, process.log.read_text()[-3000:]
