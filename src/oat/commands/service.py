"""A service, and how a command runs it: until a signal comes, with its metrics on show."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from oat.commands.options import backing_services
from oat.process import install_signal_handlers
from oat.services import serve_metrics
from oat.settings import PermanentError, Settings

log = logging.getLogger(__name__)


class Service(Protocol):
    """What a command runs until a signal stops it."""

    def run(self) -> None:
        """Work until `stop`."""

    def stop(self) -> None:
        """Have `run` return."""


def log_backing_services(service: str, settings: Settings) -> None:
    """Log what the service of this name works with."""
    for what, where in backing_services(settings):
        log.info("%s uses the %s %s", service, what, where)


def serve(service: Service, settings: Settings, is_busy: Callable[[], bool] = lambda: False) -> None:
    """Run `service` until a signal stops it.

    Args:
        service: what to run.
        settings: where it shows its metrics.
        is_busy: whether it has an image in hand, which is finished however long it takes.
    """
    serve_metrics(settings)
    stopping = threading.Event()

    def stop() -> None:
        stopping.set()
        service.stop()

    install_signal_handlers(stop, is_busy)
    try:
        service.run()
    except PermanentError as error:
        if not stopping.is_set():
            raise
        log.info("%s", error)
