"""From a request for fractals to tasks."""

import random

from oat.constant import FALLBACK
from oat.services import FractalRequest
from oat.settings import Limits


def test_a_viewport_without_an_interesting_constant_is_searched_once(monkeypatch):
    """No c is interesting in there; a thousand tasks must not cost a thousand searches."""
    searches = []
    monkeypatch.setattr(
        "oat.services.random_tasks.draw_constant", lambda *where: searches.append(where) or FALLBACK
    )
    assert (
        len(FractalRequest(count=1000, xa=-0.01, xb=0.01, ya=-0.01, yb=0.01).tasks(Limits(), random.Random(1)))
        == 1000
    )
    assert len(searches) == 1
