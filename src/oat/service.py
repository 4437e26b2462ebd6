"""A service, and how a command runs it: until a signal comes, with its metrics on show."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from oat import metrics
from oat.options import places
from oat.settings import Settings, UnusableError
from oat.signals import on_signal

log = logging.getLogger(__name__)


class Service(Protocol):
    """What a command runs until a signal stops it."""

    def run(self) -> None:
        """Work until `stop`."""

    def stop(self) -> None:
        """Have `run` return."""


def log_places(service: str, settings: Settings) -> None:
    """Log what the service of this name works with."""
    for what, where in places(settings):
        log.info("%s uses the %s %s", service, what, where)


def serve(service: Service, settings: Settings, in_hand: Callable[[], bool] = lambda: False) -> None:
    """Run `service` until a signal stops it.

    Args:
        service: what to run.
        settings: where it shows its metrics.
        in_hand: whether it has an image in hand, which is finished however long it takes.
    """
    metrics.serve(settings)
    stopping = threading.Event()

    def stop() -> None:
        stopping.set()
        service.stop()

    on_signal(stop, in_hand)
    try:
        service.run()
    except UnusableError as error:
        if not stopping.is_set():
            raise
        log.info("%s", error)
