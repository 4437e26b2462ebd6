"""How a command runs a service: until a signal stops it, with its metrics served."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from oat.addresses import ApiAddress, parse_broker, parse_database
from oat.process import exempt_from_collection, install_signal_handlers
from oat.services import serve_metrics
from oat.settings import PermanentError, Settings

log = logging.getLogger(__name__)


class Stoppable(Protocol):
    """What runs until it is stopped."""

    def run(self) -> None:
        """Work until `stop` is called."""

    def stop(self) -> None:
        """Have `run` return."""


def backing_services(settings: Settings) -> list[tuple[str, str]]:
    """Return the backing services that `settings` name, and their addresses without passwords."""
    return [
        ("broker", parse_broker(settings.broker_url).name),
        ("database", parse_database(settings.database_url).name),
        ("images", settings.target),
    ]


def what_is_asked(api: ApiAddress | None, settings: Settings) -> list[tuple[str, str]]:
    """Return the `api` that a command asks, or the backing services of the API in its own process."""
    return [("api", api.name)] if api else backing_services(settings)


def log_backing_services(service: str, settings: Settings) -> None:
    """Log the backing services of `service`."""
    for name, address in backing_services(settings):
        log.info("%s uses the %s %s", service, name, address)


def serve(service: Stoppable, settings: Settings, is_busy: Callable[[], bool] = lambda: False) -> None:
    """Run `service` until a signal stops it, and serve its metrics.

    Args:
        service: what to run.
        settings: where to serve its metrics.
        is_busy: whether it is rendering an image, which is finished however long it takes.

    Raises:
        PermanentError: the service cannot go on, and was not being stopped.
    """
    serve_metrics(settings)
    stopping = threading.Event()

    def stop() -> None:
        stopping.set()
        service.stop()

    install_signal_handlers(stop, is_busy)
    exempt_from_collection()
    try:
        service.run()
    except PermanentError as error:
        if not stopping.is_set():
            raise
        log.info("%s", error)
