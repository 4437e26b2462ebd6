"""The log: lines in the form of the tutorial, written to the terminal or to a file.

A tiny task has eight lines, and a system call and a lock for each would cost as much as the rest of its way. So
lines are written together, those of the last moment at once; a warning, and what came before it, at once.
"""

import logging
import threading
import time
from logging.handlers import MemoryHandler, WatchedFileHandler
from pathlib import Path

MOMENT = 0.05
"""Seconds that a line waits for others; who is killed takes the lines of its last moment along."""

TOGETHER = 1000
"""Lines that are not kept any longer."""


class _Formatter(logging.Formatter):
    """Date, time and message, like Python's own at half the cost: the date of a second is written once."""

    _second, _date = -1, ""

    def format(self, record: logging.LogRecord) -> str:
        if int(record.created) != self._second:
            self._second = int(record.created)
            self._date = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        line = f"{self._date},{int(record.msecs):03d} {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Together(MemoryHandler):
    """Gives `target` the lines of a moment as one."""

    def __init__(self, target: logging.Handler) -> None:
        super().__init__(TOGETHER, logging.WARNING, target)
        self._some = threading.Event()
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        if not self._some.is_set():
            self._some.set()

    def flush(self) -> None:
        with self.lock:  # type: ignore[union-attr]  # typeshed: a handler without a lock is possible
            records, self.buffer = self.buffer, []
            if records and self.target:
                self.target.handle(logging.makeLogRecord({"msg": "\n".join(map(self.format, records))}))

    def _write(self) -> None:
        while self._some.wait():
            time.sleep(MOMENT)
            self._some.clear()
            self.flush()


def configure_logging(log_file: Path | None, level: int = logging.INFO) -> None:
    """Send log lines in the form of the tutorial to the terminal, or to `log_file` where one is given.

    Raises:
        OSError: `log_file` cannot be written.
    """
    # What the lines don't show need not be found out: Python's logging HOWTO, "Optimization".
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    handler = _Together(WatchedFileHandler(log_file) if log_file else logging.StreamHandler())
    handler.setFormatter(_Formatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("alembic", "amqp", "kombu", "numba"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
