"""Process: what every process needs, whatever it does.

Its log, its signals, its readiness, the backoff of its retries, and files that are written atomically.
"""

from oat.process.backoff import exponential_backoff
from oat.process.files import remove_stale_files, stale_files, temporary_name, unique_name, write_atomically
from oat.process.formatting import moment, number, seconds, size
from oat.process.logs import configure_logging
from oat.process.readiness import notify_ready
from oat.process.signals import on_signal, shut_down

__all__ = [
    "configure_logging",
    "exponential_backoff",
    "moment",
    "notify_ready",
    "number",
    "on_signal",
    "remove_stale_files",
    "seconds",
    "shut_down",
    "size",
    "stale_files",
    "temporary_name",
    "unique_name",
    "write_atomically",
]
