"""The entry points of the programs: they handle signals before they load the rest, which takes a second."""

import os
import signal
import sys
from typing import NoReturn

SERVICES = frozenset({"producer", "worker", "tracker", "web"})
"""Commands that run until they are stopped, and end with 0 then."""

TERMINATING = {signal.SIGTERM, signal.SIGINT}

INTERRUPTED = 130
"""As in `oat.commands.errors`, which is not loaded yet."""


def main() -> NoReturn:
    """Run `oat`."""
    command = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), "")
    if command in SERVICES:
        _service_main()
    _end_on_signals(INTERRUPTED, TERMINATING if command == "run" else {signal.SIGINT})
    from oat.commands.cli import main as run  # noqa: PLC0415 (what takes a second)

    if command != "run" and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # from here on there is work to be interrupted
    run()


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
    _end_on_signals(0, TERMINATING)
    from oat.commands import cli  # noqa: PLC0415 (as above)

    if name:
        cli.service_main(name)
    cli.main()


def _end_on_signals(status: int, numbers: set[signal.Signals]) -> None:
    """End the process with `status` on the signals `numbers`: nothing has begun yet that could be lost.

    Services, and `oat run`, install handlers of their own later (`process.signals`).
    """
    for number in numbers:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: os._exit(status))
