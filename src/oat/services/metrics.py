"""The metrics for Prometheus: what the services of this process have done since its start."""

import contextlib
import errno
import logging
import threading
import time

from prometheus_client import Counter, Histogram, start_http_server

from oat.settings import Settings, SettingsError

PRODUCED = Counter("oat_tasks_produced", "Tasks recorded and published.")
RENDERED = Histogram(
    "oat_render_seconds",
    "Seconds spent on rendering an image.",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000),
)
DEAD_LETTERED = Counter("oat_messages_dead_lettered", "Messages that could not be processed.")
TRACKED = Counter("oat_results_tracked", "Results applied to their records.", ["status"])
RESENT = Counter("oat_tasks_resent", "Tasks without a result that were published again.")


RETRY_INTERVAL = 15.0
"""Seconds between two attempts to bind a port that is in use."""

log = logging.getLogger(__name__)


def serve_metrics(settings: Settings) -> None:
    """Serve the metrics of this process at `/metrics`, if a port is set for them.

    While the port is in use, or its address is not there yet, the service works without: tasks matter more. It may
    be in use by the same service that is just ending.

    Raises:
        SettingsError: the port can never be bound.
    """
    if settings.metrics_port is None:
        return
    host, port = settings.metrics_host, settings.metrics_port
    try:
        start_http_server(port, host)
    except UnicodeError:
        raise SettingsError(f"metrics cannot be served on {host}, port {port}: this is no host") from None
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
            raise SettingsError(f"metrics cannot be served on {host}, port {port}: {error.strerror}") from error
        log.warning(
            "metrics cannot be served on %s, port %d: %s; working without, and trying again every %d seconds: "
            "set another OAT_METRICS_PORT if another process has it for good",
            host, port, error.strerror, RETRY_INTERVAL,
        )  # fmt: skip
        threading.Thread(target=_keep_trying, args=(host, port), name="metrics", daemon=True).start()


def _keep_trying(host: str, port: int) -> None:
    while True:
        time.sleep(RETRY_INTERVAL)
        with contextlib.suppress(OSError):
            start_http_server(port, host)
            log.info("metrics are served on %s, port %d", host, port)
            return
