"""Ends what this process has started, however this process ends: by SIGKILL, too.

A process of its own reads from a pipe what has been started. When the pipe is closed, because the process at its
other end is gone, it kills what is still there. Run as a script, this module is that process.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path

ATTEMPTS, PAUSE = 300, 0.2
"""Attempts at a command that cleans up, and seconds between them: a port mapper stays while it knows of a node."""


@cache
def _guard(_process):
    command = [sys.executable, "-S", "-E", __file__]
    silent = subprocess.DEVNULL
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=silent, stderr=silent, start_new_session=True, text=True
    )


_lock = threading.Lock()
"""Two threads that tell at once would start two guards, and lose one: it ends what it was told of."""


def _tell(**what):
    with _lock:
        pipe = _guard(os.getpid()).stdin
        pipe.write(json.dumps(what) + "\n")
        pipe.flush()


def guard_process(pid, group=False):
    """Have the process `pid`, or the whole group that it leads, killed when this process is gone."""
    _tell(pid=pid, started=_started(pid), group=group)


def release_process(pid):
    """Leave alone what `guard_process` was told of `pid`: it has ended, and others may get its number."""
    _tell(released=pid)


def guard_command(command, **variables):
    """Have `command` run when this process is gone, until it succeeds; after everything was killed."""
    _tell(command=[str(word) for word in command], variables=variables)


@contextlib.contextmanager
def temporary_folder(parent=None):
    """Yield a new folder in `parent`, which ends with the block, or with this process, however that ends."""
    with tempfile.TemporaryDirectory(prefix="oat-", dir=parent) as name:
        guard_command(["rm", "-rf", "--one-file-system", name])
        folder = Path(name)
        folder.chmod(0o755)  # servers may run as users of their own
        yield folder


def _started(pid):
    """When the process `pid` was started, in ticks since the boot; None if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def _kill(pid, started, group):
    if _started(pid) not in (started, None):
        return  # another process has this number now
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if group else os.kill)(pid, signal.SIGKILL)


def _run(command, variables):
    for _ in range(ATTEMPTS):
        if not subprocess.run(command, env=os.environ | variables, capture_output=True, check=False).returncode:
            return
        time.sleep(PAUSE)


def main():
    """Read until the pipe is closed, then end everything."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the process at the other end may have to clean up first
    processes, commands = {}, []
    for line in sys.stdin:
        match json.loads(line):
            case {"pid": pid, **what}:
                processes[pid] = what
            case {"released": pid}:
                processes.pop(pid, None)
            case command:
                commands.append(command)
    for pid, what in processes.items():
        _kill(pid, **what)
    for command in reversed(commands):
        _run(**command)


if __name__ == "__main__":
    main()
