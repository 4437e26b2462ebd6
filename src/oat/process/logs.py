"""The log: lines of date, time and message, written to standard error or to a file.

A small task logs eight lines, and a system call for each would cost as much as the rest of the task. So lines are
buffered, and flushed at an interval; a warning or an error is flushed at once, with the lines before it.
"""

import logging
import sys
import threading
import time
from logging.handlers import MemoryHandler, WatchedFileHandler
from pathlib import Path

from oat.process.streams import print_error

FLUSH_INTERVAL = 0.05
"""Seconds that a line is buffered at most: a process that is killed loses the lines of this time."""

MAX_BUFFERED_LINES = 1000
"""Lines after which the buffer is flushed before the interval has passed, to bound its memory."""


class _Formatter(logging.Formatter):
    """Formats date, time and message as Python's own formatter does, in half the time.

    The date and the time are formatted once a second only; the milliseconds are appended.
    """

    _second, _date = -1, ""

    def format(self, record: logging.LogRecord) -> str:
        if int(record.created) != self._second:
            self._second = int(record.created)
            self._date = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        line = f"{self._date},{int(record.msecs):03d} {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _BufferedHandler(MemoryHandler):
    """Buffers lines, and passes them to `target` as one record when a thread of its own flushes them."""

    def __init__(self, target: logging.Handler) -> None:
        super().__init__(MAX_BUFFERED_LINES, logging.WARNING, target)
        self._not_empty = threading.Event()
        threading.Thread(target=self._flush_periodically, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        if not self._not_empty.is_set():
            self._not_empty.set()

    def flush(self) -> None:
        with self.lock:  # type: ignore[union-attr]  # typeshed: a handler without a lock is possible
            records, self.buffer = self.buffer, []
            if records and self.target:
                self.target.handle(logging.makeLogRecord({"msg": "\n".join(map(self.format, records))}))

    def _flush_periodically(self) -> None:
        while self._not_empty.wait():
            time.sleep(FLUSH_INTERVAL)
            self._not_empty.clear()
            self.flush()


class _Unwritable:
    """What a handler does with lines that cannot be written: it drops them, and says so once on standard error."""

    _reported = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        if not self._reported:
            self._reported = True
            print_error(f"the log cannot be written, lines are lost: {sys.exc_info()[1]}")


class _File(_Unwritable, WatchedFileHandler):
    """Appends to a file, which may be rotated meanwhile."""


class _Terminal(_Unwritable, logging.StreamHandler):  # type: ignore[type-arg]  # of whatever standard error is
    """Writes to standard error."""


def configure_logging(log_file: Path | None, level: int = logging.INFO) -> None:
    """Write the log to `log_file`, or to standard error if it is None, from `level` on.

    Raises:
        OSError: `log_file` cannot be written.
    """
    # Don't look up what the lines don't show: Python's logging HOWTO, "Optimization".
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    target = _File(log_file, encoding="utf-8", errors="backslashreplace") if log_file else _Terminal()
    handler = _BufferedHandler(target)
    handler.setFormatter(_Formatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for library in ("alembic", "amqp", "kombu", "numba"):
        logging.getLogger(library).setLevel(logging.WARNING)
