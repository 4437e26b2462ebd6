"""Rate limiting: how many requests one client address may send, by the library `limits`."""

import time
from http import HTTPStatus

from limits import parse_many
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from starlette.types import ASGIApp, Scope

from oat.settings import SettingsError
from oat.web.middleware.check import CheckMiddleware
from oat.web.middleware.methods import SAFE_METHODS
from oat.web.problems import ProblemError

MAX_CLOCK_STEP = 1.0
"""Seconds by which the clock of the host may be set before all counts begin anew."""


def _clock_offset() -> float:
    return time.time() - time.monotonic()


class RateLimitMiddleware(CheckMiddleware):
    """Rejects with 429 what exceeds the rate of its client address, with safe methods and others counted apart.

    Args:
        app: the application behind this middleware.
        read_rate: a number and a time, like 600/minute, for safe methods.
        write_rate: the same for all other methods.

    Raises:
        SettingsError: a rate cannot be parsed.
    """

    def __init__(self, app: ASGIApp, read_rate: str, write_rate: str) -> None:
        super().__init__(app)
        try:
            [self._read_rate], [self._write_rate] = parse_many(read_rate), parse_many(write_rate)
        except ValueError:
            raise SettingsError(
                f"OAT_READ_RATE {read_rate!r}, OAT_WRITE_RATE {write_rate!r}: "
                "expected a number and a time, like 600/minute"
            ) from None
        # The asynchronous storage: the synchronous one starts a thread for its timer.
        self._storage = MemoryStorage()
        self._limiter = FixedWindowRateLimiter(self._storage)
        self._clock_offset = _clock_offset()

    async def check(self, scope: Scope) -> None:
        """Count one request and reject it when the rate is exceeded."""
        await self._follow_clock()
        client = scope["client"][0] if scope["client"] else ""
        safe = scope["method"] in SAFE_METHODS
        kind, rate = ("read", self._read_rate) if safe else ("write", self._write_rate)
        if await self._limiter.hit(rate, kind, client):
            return
        reset = (await self._limiter.get_window_stats(rate, kind, client)).reset_time
        raise ProblemError(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"more than {rate} from one address that {kind}",
            headers={"Retry-After": str(max(1, round(reset - time.time())))},
        )

    async def _follow_clock(self) -> None:
        """Begin to count anew if the clock was set: `limits` keeps when a count ends by that clock."""
        offset = _clock_offset()
        if abs(offset - self._clock_offset) > MAX_CLOCK_STEP:
            self._clock_offset = offset
            await self._storage.reset()
