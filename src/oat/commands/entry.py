"""The entry points of the programs: they handle signals before they load the rest, which takes a second."""

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

from oat.errors import LIMIT_REMEDIES, is_out_of_memory

SERVICES = frozenset({"producer", "worker", "tracker", "web"})
"""Commands that run until they are stopped, and end with 0 then."""

INTERRUPTED, TERMINATED = 130, 143
"""The statuses of a program that a signal ended before its work was done, as shells have them."""

COLLECTION_THRESHOLD = 50_000
"""New objects until Python looks for garbage. By default it looks after 700 or 2,000, also while libraries are
loaded, which are none."""


def main() -> NoReturn:
    """Run `oat`."""
    command = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), "")
    if command in SERVICES:
        _service_main()
    _end_on_signals(INTERRUPTED, INTERRUPTED if command == "run" else TERMINATED)
    with _loading():
        from oat.commands import cli  # noqa: PLC0415 (what takes a second)

        if command != "run":  # from here on there is work to be interrupted
            _handle(signal.SIGINT, signal.default_int_handler)
            _handle(signal.SIGTERM, signal.SIG_DFL)
            _handle(signal.SIGHUP, signal.SIG_DFL)
        cli.main()


def producer_main() -> NoReturn:
    """Run `oat-producer`."""
    _service_main("producer")


def worker_main() -> NoReturn:
    """Run `oat-worker`."""
    _service_main("worker")


def tracker_main() -> NoReturn:
    """Run `oat-tracker`."""
    _service_main("tracker")


def _service_main(name: str = "") -> NoReturn:
    _end_on_signals(0, 0)
    with _loading():
        from oat.commands import cli  # noqa: PLC0415 (as above)

        if name:
            cli.service_main(name)
        cli.main()


@contextlib.contextmanager
def _loading() -> Iterator[None]:
    """Say in one line why the program cannot be loaded; `cli` handles the errors of what it executes."""
    gc.set_threshold(COLLECTION_THRESHOLD)
    # What multiplies matrices in NumPy is not used, and would start threads with memory of their own.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Nor is there a plugin of pydantic, which looks for one in the metadata of all that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        yield
    except (ImportError, MemoryError, OSError, SystemError) as error:
        if "--debug" in sys.argv:
            raise
        if isinstance(error, OSError) and error.errno in LIMIT_REMEDIES:
            sys.exit(f"oat: {error.strerror}; {LIMIT_REMEDIES[error.errno]}")
        if is_out_of_memory(error):
            sys.exit("oat: out of memory: free some memory, or raise its limit (ulimit -v)")
        sys.exit(f"oat: the installation is not complete ({error}): install the requirements again")
    finally:
        gc.freeze()  # or Python looks through all that is loaded once more when it ends


def _end_on_signals(interrupted: int, terminated: int) -> None:
    """End the process on SIGINT, or SIGTERM and SIGHUP, with these statuses: nothing has begun that could be lost.

    Services, and `oat run`, install handlers of their own later (`process.signals`).
    """
    _handle(signal.SIGINT, lambda *_: os._exit(interrupted))
    _handle(signal.SIGTERM, lambda *_: os._exit(terminated))
    _handle(signal.SIGHUP, lambda *_: os._exit(terminated))


def _handle(number: signal.Signals, handler: Any) -> None:
    if signal.getsignal(number) != signal.SIG_IGN:
        signal.signal(number, handler)
