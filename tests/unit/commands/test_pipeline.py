"""`oat run`: how often it looks up its progress."""

import pytest

from oat.commands.pipeline import MAX_POLL_INTERVAL, MIN_POLL_INTERVAL, Progress


@pytest.mark.parametrize(
    ("done", "failed", "seconds", "poll_interval"),
    [
        (0, 0, 0.0, MIN_POLL_INTERVAL),
        (1, 0, 2.0, MAX_POLL_INTERVAL),
        (1, 0, 0.2, 0.1),
        (80, 10, 0.9, 0.05),
        (100, 0, 9.0, MIN_POLL_INTERVAL),
    ],
)
def test_the_poll_interval_is_half_of_the_time_gone_or_left(done, failed, seconds, poll_interval):
    progress = Progress(total=100, done=done, failed=failed, cancelled=0, seconds=seconds)
    assert progress.poll_interval == pytest.approx(poll_interval)
    assert progress.finished == (done + failed == 100)
