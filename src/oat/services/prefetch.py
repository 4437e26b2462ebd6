"""Prefetch: how many tasks a worker keeps unacknowledged, on how many threads, and how often it polls.

Plain rules of one figure, the seconds that rendering a task takes. A prefetched task cannot be taken by an idle
worker, so there should be few; but tasks that take no time are rendered faster than the broker delivers the next.
"""

from oat.messaging import FLUSH_INTERVAL

MIN_PREFETCH = 2
"""Tasks for each render thread: one to render, and the next one to begin without a pause."""

MAX_PREFETCH = 200
"""Tasks for each render thread, however short they are: a worker that dies has all of them delivered again."""

PREFETCHED_WORK = 0.15
"""Seconds of work to prefetch for each thread, where that is more than `MIN_PREFETCH` tasks. From the end of a
task to the arrival of the next, the broker is polled three times, `FLUSH_INTERVAL` apart: for the result to go
out, for its confirm and for the task."""

SECONDS_PER_THREAD = 0.0003
"""Seconds of rendering that are worth another thread. One thread renders all images that take less: others would
wait for Python's lock, which it holds most of the time. Source: `benchmarks/switches.py`."""

AVERAGE_OVER = 16
"""Tasks that the average of the render times reaches back over."""

IDLE_TIMEOUT = 1.0
"""Seconds without a finished task after which a worker prefetches only `MIN_PREFETCH` tasks: what it renders takes
long, and other workers can have the rest."""


def prefetch_for(seconds: float) -> int:
    """Return how many tasks to prefetch for each render thread, when one takes `seconds`."""
    return max(MIN_PREFETCH, min(MAX_PREFETCH, int(PREFETCHED_WORK / max(seconds, 1e-6))))


def should_change(current: int, wanted: int) -> bool:
    """Tell whether `wanted` is at least twice or at most half of the `current` prefetch.

    To change it cancels the consumer and begins another one: for less, that is not worth it.
    """
    return wanted <= current // 2 or wanted >= current * 2


def next_poll_interval(waiting: int, seconds: float, threads: int) -> float:
    """Return the seconds until the next poll: half of the time until a render thread runs out of tasks.

    Args:
        waiting: tasks that no thread has begun.
        seconds: what each takes; 0 as long as that is unknown.
        threads: how many share them.
    """
    return min(FLUSH_INTERVAL, waiting * seconds / threads / 2)


def useful_threads(seconds: float) -> int:
    """Return on how many threads to render, when a task takes `seconds`."""
    return 1 + int(seconds / SECONDS_PER_THREAD)


class RenderTime:
    """The moving average of the seconds that rendering a task takes; 0 as long as none is rendered."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.count = 0

    def add(self, seconds: float) -> None:
        """Count in a task that took `seconds`."""
        self.count += 1
        self.seconds += (seconds - self.seconds) / min(self.count, AVERAGE_OVER)
