from itertools import islice

from oat.process import exponential_backoff


def test_pauses_double_up_to_the_maximum():
    assert list(islice(exponential_backoff(0.5, 3.0), 5)) == [0.5, 1.0, 2.0, 3.0, 3.0]
