"""The metrics for Prometheus: what the services of this process have done since its start."""

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


def serve_metrics(settings: Settings) -> None:
    """Serve the metrics of this process at `/metrics`, if a port is set for them.

    Raises:
        SettingsError: the port cannot be bound.
    """
    if settings.metrics_port is None:
        return
    host, port = settings.metrics_host, settings.metrics_port
    try:
        start_http_server(port, host)
    except OSError as error:
        raise SettingsError(f"metrics cannot be served on {host}, port {port}: {error.strerror}") from error
