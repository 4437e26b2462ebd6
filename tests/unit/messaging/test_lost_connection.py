"""The pauses between two connections to the broker."""

import threading
from types import SimpleNamespace

import pytest

import oat.messaging.broker
from oat.messaging.broker import MAX_PAUSE, Broker
from oat.settings import Settings

AT_ONCE = 0.0
A_MINUTE = 60.0


class Clock(threading.Event):
    """The time, and an event that is never set: to wait for it takes no time but by this clock."""

    def __init__(self):
        super().__init__()
        self.now, self.pauses = 1000.0, []

    def wait(self, timeout=None):
        self.pauses.append(timeout)
        self.now += timeout
        return False


@pytest.mark.parametrize(
    ("lasted", "pauses"),
    [
        ([AT_ONCE] * 7, [0.5, 1.0, 2.0, 4.0, 8.0, MAX_PAUSE, MAX_PAUSE]),
        ([A_MINUTE] * 3, [0.5, 0.5, 0.5]),
        ([AT_ONCE, AT_ONCE, A_MINUTE, AT_ONCE, AT_ONCE], [0.5, 1.0, 0.5, 1.0, 2.0]),
        ([3.0, 0.4, 0.4, 2.5, 0.4], [0.5, 1.0, 2.0, 0.5, 1.0]),
    ],
    ids=["fails-as-soon-as-it-is-open", "is-lost-now-and-then", "works-in-between", "lasts-longer-than-the-pause"],
)
def test_a_connection_that_lasted_begins_with_short_pauses_again(tmp_path, monkeypatch, lasted, pauses):
    clock = Clock()
    monkeypatch.setattr(oat.messaging.broker, "time", SimpleNamespace(monotonic=lambda: clock.now))
    broker = Broker(Settings(broker_url=f"filesystem://{tmp_path / 'broker'}"), clock)
    left = iter(lasted)

    def session():
        seconds = next(left, None)
        if seconds is not None:
            clock.now += seconds
            raise OSError(28, "No space left on device")

    broker.serve(session)
    assert clock.pauses == pauses
