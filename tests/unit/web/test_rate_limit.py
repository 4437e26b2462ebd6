"""The rate of requests, and a clock that is set while they are counted."""

import asyncio
import time

import pytest

from oat.settings import SettingsError
from oat.web.middleware.rate_limit import RateLimitMiddleware
from oat.web.problems import ProblemError

SCOPE = {"type": "http", "method": "GET", "client": ("127.0.0.1", 1)}


@pytest.mark.parametrize("step", [-3600, 3600])
def test_nobody_is_locked_out_because_the_clock_is_set(monkeypatch, step):
    real = time.time
    ahead = [0]
    monkeypatch.setattr(time, "time", lambda: real() + ahead[0])

    async def ask():
        limited = RateLimitMiddleware(None, "2/minute", "2/minute")
        for _ in range(2):
            await limited.check(SCOPE)
        with pytest.raises(ProblemError):
            await limited.check(SCOPE)
        ahead[0] += step
        await limited.check(SCOPE)

    asyncio.run(ask())


@pytest.mark.parametrize("rate", ["5/second;6/minute", "5/minute, 2/second", "5", "-5/minute", "5/fortnight", ""])
def test_a_rate_is_one_number_and_one_time(rate):
    for rates in (("2/minute", rate), (rate, "2/minute")):
        with pytest.raises(SettingsError, match="expected a number and a time"):
            RateLimitMiddleware(None, *rates)
