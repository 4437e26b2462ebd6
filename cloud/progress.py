"""The lines that tell how far the cloud is, with seconds since the start."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_START = time.monotonic()
_lock = threading.Lock()


class CloudError(Exception):
    """The cloud cannot do what was asked; the message is for its user."""


def elapsed() -> float:
    """Seconds since the driver started."""
    return time.monotonic() - _START


def say(text: str) -> None:
    """Prints one line of progress."""
    with _lock:
        print(f"{elapsed():6.1f} s  {text}", flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Tells of a step when it is done, and how long it took."""
    began = time.monotonic()
    yield
    say(f"{text} ({time.monotonic() - began:.1f} s)")


def wait_for(
    what: str, condition: Callable[[], bool], seconds: float, alive: Callable[[], bool] = lambda: True
) -> None:
    """Waits until a condition holds.

    Args:
        what: its name, for the error.
        condition: asked again and again.
        seconds: the limit.
        alive: when false, waiting any longer is useless.

    Raises:
        CloudError: the limit has passed, or what would bring it about is dead.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if not alive():
            raise CloudError(f"{what}: the process has ended")
        if time.monotonic() > deadline:
            raise CloudError(f"{what}: not there after {seconds:.0f} s")
        time.sleep(0.2)


def fail(error: CloudError) -> int:
    """Prints what went wrong; the exit status of the command."""
    print(f"{elapsed():6.1f} s  FAILED: {error}", file=sys.stderr, flush=True)
    return 1
