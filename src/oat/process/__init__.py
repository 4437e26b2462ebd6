"""Process: what every process of the program needs, whichever service it runs.

The log, the signals, the readiness notification, garbage collection, the backoff of retries, atomic and durable
writes of files, and the format of values for people.
"""

from oat.process.backoff import exponential_backoff
from oat.process.collection import exempt_from_collection
from oat.process.durable_folder import DurableFolder, create_durably
from oat.process.files import (
    file_system_time,
    remove_stale_files,
    stale_files,
    temporary_name,
    unique_name,
    write_atomically,
    write_temporary,
)
from oat.process.formatting import format_duration, format_number, format_size, format_time
from oat.process.logs import configure_logging
from oat.process.readiness import notify_ready
from oat.process.signals import STOP_SIGNALS, install_signal_handlers, shut_down
from oat.process.streams import (
    bound_width,
    check_descriptors,
    drop_unwritable,
    flush_output,
    prepare_streams,
    print_error,
)

__all__ = [
    "STOP_SIGNALS",
    "DurableFolder",
    "bound_width",
    "check_descriptors",
    "configure_logging",
    "create_durably",
    "drop_unwritable",
    "exempt_from_collection",
    "exponential_backoff",
    "file_system_time",
    "flush_output",
    "format_duration",
    "format_number",
    "format_size",
    "format_time",
    "install_signal_handlers",
    "notify_ready",
    "prepare_streams",
    "print_error",
    "remove_stale_files",
    "shut_down",
    "stale_files",
    "temporary_name",
    "unique_name",
    "write_atomically",
    "write_temporary",
]
