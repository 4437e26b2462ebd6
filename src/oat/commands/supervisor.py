"""The supervisor: runs a worker in a process of its own, and starts another one when it is killed.

In the process of producer and tracker, its render threads would wait for Python's lock while those hold it: one
image in twenty would not be made.
"""

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection

from oat.addresses import redact
from oat.commands.errors import explain
from oat.process import (
    STOP_SIGNALS,
    configure_logging,
    exempt_from_collection,
    install_signal_handlers,
    prepare_streams,
    print_error,
    shut_down,
)
from oat.rendering import warm_up
from oat.services import Worker
from oat.settings import PermanentError, Settings

RESTART_DELAY = 1.0
"""Seconds until a worker that was killed is replaced: one that dies at once is not restarted over and over."""

READY = b"ready"
"""What the worker sends when it has loaded its renderer."""

log = logging.getLogger(__name__)


class Supervisor:
    """Runs a worker in a process of its own, and restarts it when it has been killed."""

    def __init__(self, settings: Settings, threads: int) -> None:
        self.stopping = threading.Event()
        self.is_running = False
        """Whether the process of the worker runs."""
        self._spawn = multiprocessing.get_context("spawn")
        self._connection, self._worker_connection = self._spawn.Pipe()
        self._arguments = (settings, threads, self._worker_connection)

    def run(self) -> None:
        """Keep a worker running until `stop` is called.

        Raises:
            PermanentError: the worker ended with an error, which another one would meet as well.
        """
        while not self.stopping.is_set():
            process = self._spawn.Process(target=_run_worker, args=self._arguments, name="worker", daemon=True)
            _leave_deleted_folder()
            with _signals_blocked():
                process.start()
            self.is_running = True
            process.join()
            self.is_running = False
            if process.exitcode and process.exitcode > 0 and not self.stopping.is_set():
                raise PermanentError(self._reason() or f"the worker ended with exit code {process.exitcode}")
            if not self.stopping.wait(RESTART_DELAY):
                log.warning("the worker ended (exit code %s); starting another", process.exitcode)

    def is_ready(self, timeout: float) -> bool:
        """Tell whether the worker has loaded its renderer, after waiting for that for up to `timeout` seconds."""
        return self._connection.poll(timeout)

    def _reason(self) -> str:
        """Return why the worker has ended, empty if it has not said so."""
        reason = b""
        while self._connection.poll():
            reason = self._connection.recv_bytes()
        return "" if reason == READY else reason.decode(errors="surrogateescape")

    def stop(self) -> None:
        """Have `run` return; may be called from any thread."""
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._connection.send_bytes(b"stop")


def _leave_deleted_folder() -> None:
    """Change to the root directory if the working directory is deleted: in it, no process can be started.

    The paths of the settings are absolute by now.
    """
    try:
        os.getcwd()  # noqa: PTH109 (`Path.cwd` is the same)
    except FileNotFoundError:
        os.chdir("/")


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Have a process that is started in this context block signals until it handles them.

    A Ctrl-C reaches the whole process group, a worker that still starts as well.
    """
    resource_tracker.ensure_running()  # started later, it would unblock the signals again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run_worker(settings: Settings, threads: int, parent: Connection) -> None:
    """Run a worker; send `READY` to `parent` once it has loaded its renderer, or why it ends."""
    prepare_streams()
    try:
        _serve_parent(settings, threads, parent)
    except Exception as error:
        message, status = explain(error)
        if "--debug" in sys.argv:
            print_error(redact(traceback.format_exc()))
        with contextlib.suppress(OSError):
            parent.send_bytes(message.encode(errors="surrogateescape"))
        sys.exit(status)


def _serve_parent(settings: Settings, threads: int, parent: Connection) -> None:
    """Run a worker until `parent` sends something, or is closed because the supervisor was killed."""
    configure_logging(settings.log_file, logging.INFO if settings.log_file else logging.WARNING)
    worker = Worker(settings, threads)

    def stop_with_parent() -> None:
        with contextlib.suppress(EOFError, OSError):
            parent.recv_bytes()
        shut_down(worker.stop, worker.is_busy)

    threading.Thread(target=stop_with_parent, name="parent", daemon=True).start()
    install_signal_handlers(worker.stop, worker.is_busy)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    warm_up()
    exempt_from_collection()
    with contextlib.suppress(OSError):
        parent.send_bytes(READY)
    worker.run()
