"""The statistics in the exposition format of Prometheus."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from oat.services import Statistics


class StatisticsCollector(Collector):
    """A custom collector that returns the numbers of `statistics`."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics of the whole system."""
        now = self._statistics
        records = GaugeMetricFamily("oat_fractals", "Records of each status.", labels=["status"])
        for status in ("waiting", "done", "failed", "cancelled"):
            records.add_metric([status], getattr(now, status))
        yield records
        yield GaugeMetricFamily("oat_unpublished", "Tasks still to be published.", now.unpublished)
        if now.queued is not None:
            messages = GaugeMetricFamily("oat_messages", "Messages ready in each queue.", labels=["queue"])
            for queue, size in (
                ("tasks", now.queued),
                ("results", now.results),
                ("dead-letters", now.dead_letters),
            ):
                messages.add_metric([queue], size or 0)
            yield messages
            yield GaugeMetricFamily(
                "oat_unacknowledged", "Tasks unacknowledged by a worker or the tracker.", now.unacknowledged
            )
        yield GaugeMetricFamily("oat_done_per_minute", "Tasks done, per minute.", now.done_per_minute)
        yield GaugeMetricFamily("oat_failed_per_minute", "Tasks failed, per minute.", now.failed_per_minute)
        seconds = GaugeMetricFamily("oat_seconds", "Seconds from record to done.", labels=["quantile"])
        for quantile, value in (("0.5", now.p50), ("0.95", now.p95)):
            if value is not None:
                seconds.add_metric([quantile], value)
        yield seconds
        workers = GaugeMetricFamily("oat_images_per_second", "Images rendered per second.", labels=["worker"])
        for worker in now.workers:
            workers.add_metric([worker.name], worker.images_per_second)
        yield workers


def exposition(statistics: Statistics) -> bytes:
    """Return `statistics` in the text format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(StatisticsCollector(statistics))
    return generate_latest(registry)
