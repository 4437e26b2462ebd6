"""Backoff: how long to pause between two attempts at something that fails for a passing reason."""

from collections.abc import Iterator


def exponential_backoff(minimum: float, maximum: float) -> Iterator[float]:
    """Yield pauses in seconds without end: `minimum`, then each twice the last one, up to `maximum`."""
    pause = minimum
    while True:
        yield pause
        pause = min(2 * pause, maximum)
