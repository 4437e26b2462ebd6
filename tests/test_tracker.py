"""For how long the tracker gathers results."""

import pytest

from oat.tracker import ENOUGH, LONGEST, SHORTEST, next_spacing


@pytest.mark.parametrize(
    ("last", "results", "seconds", "spacing"),
    [
        pytest.param(0.1, 10, 60.0, SHORTEST, id="after a pause"),
        pytest.param(SHORTEST, 5, 0.1, 2 * SHORTEST, id="a few: it grows step by step"),
        pytest.param(0.2, 5, 0.2, LONGEST, id="few for long: no longer than that"),
        pytest.param(0.2, ENOUGH, 0.2, 0.2, id="enough"),
        pytest.param(LONGEST, 2 * ENOUGH, 0.25, 0.125, id="more than enough"),
        pytest.param(0.1, 500, 0.1, SHORTEST, id="a flood"),
    ],
)
def test_results_are_gathered_until_a_transaction_is_worth_its_while(last, results, seconds, spacing):
    assert next_spacing(last, results, seconds) == pytest.approx(spacing)
