"""The supervisor: keeps a worker at work in a process of its own.

As threads of one process, its render threads would wait for Python's lock while producer and tracker have it: one
image in twenty would not be made.
"""

import contextlib
import logging
import multiprocessing
import signal
import sys
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection

from oat.process import configure_logging, install_signal_handlers, shut_down
from oat.rendering import warm_up
from oat.services import Worker
from oat.settings import PermanentError, Settings

PAUSE = 1.0
"""Seconds until a worker takes the place of one that was killed."""

SIGNALS = {signal.SIGINT, signal.SIGTERM}

log = logging.getLogger(__name__)


class Supervisor:
    """A worker in a process of its own; another one, when it has been killed."""

    def __init__(self, settings: Settings, threads: int) -> None:
        self.stopping = threading.Event()
        self.at_work = False
        """Whether there is a process."""
        self._spawn = multiprocessing.get_context("spawn")
        self._ours, self._theirs = self._spawn.Pipe()
        self._arguments = (settings, threads, self._theirs)

    def run(self) -> None:
        """Have a worker at work until `stop` is called.

        Raises:
            PermanentError: it met something that another one would meet as well.
        """
        while not self.stopping.is_set():
            process = self._spawn.Process(target=_work, args=self._arguments, name="worker", daemon=True)
            with _signals_blocked():
                process.start()
            self.at_work = True
            process.join()
            self.at_work = False
            if process.exitcode and process.exitcode > 0 and not self.stopping.is_set():
                raise PermanentError(f"the worker ended with exit code {process.exitcode}")
            if not self.stopping.wait(PAUSE):
                log.warning("the worker ended (exit code %s); starting another", process.exitcode)

    def is_ready(self, timeout: float) -> bool:
        """Tell whether a worker is at work, or will be within `timeout` seconds."""
        return self._ours.poll(timeout)

    def stop(self) -> None:
        """Have `run` return; may be called from any thread."""
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._ours.send_bytes(b"stop")


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Have the process that is started meanwhile hear no signal until it can stop: a Ctrl-C is for both of us."""
    resource_tracker.ensure_running()  # started later, it would unblock the signals again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(settings: Settings, threads: int, parent: Connection) -> None:
    """Be a worker until `parent` says something, or is closed at its other end as the process there was killed."""
    configure_logging(settings.log_file, logging.INFO if settings.log_file else logging.WARNING)
    worker = Worker(settings, threads)

    def stop_with_parent() -> None:
        with contextlib.suppress(EOFError, OSError):
            parent.recv_bytes()
        shut_down(worker.stop, worker.renders)

    threading.Thread(target=stop_with_parent, name="parent", daemon=True).start()
    install_signal_handlers(worker.stop, worker.renders)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    warm_up()
    with contextlib.suppress(OSError):
        parent.send_bytes(b"ready")
    try:
        worker.run()
    except PermanentError as error:
        sys.exit(str(error))
