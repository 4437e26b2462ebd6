"""How long the tracker gathers results before it writes them."""

import pytest

from oat.services.tracker import EFFICIENT_BATCH, MIN_FLUSH_INTERVAL, SLOW_FLUSH_INTERVAL, next_flush_interval


@pytest.mark.parametrize(
    ("results", "seconds", "flush_interval"),
    [
        pytest.param(10, 60.0, MIN_FLUSH_INTERVAL, id="after a pause"),
        pytest.param(5, 0.1, SLOW_FLUSH_INTERVAL, id="they come slowly"),
        pytest.param(EFFICIENT_BATCH, 0.2, 0.2, id="enough"),
        pytest.param(2 * EFFICIENT_BATCH, 0.3, 0.15, id="more than enough"),
        pytest.param(500, 0.1, MIN_FLUSH_INTERVAL, id="a flood"),
        pytest.param(10, 0.05, 0.1, id="perhaps the first of a flood"),
    ],
)
def test_the_flush_interval_aims_at_enough_results_for_a_transaction(results, seconds, flush_interval):
    assert next_flush_interval(results, seconds) == pytest.approx(flush_interval)
