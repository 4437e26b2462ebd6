"""HTTP requests that wait as long as a busy machine takes: httpx gives up after five seconds."""

from functools import partial

import httpx

from helpers.waiting import TIMEOUT

get = partial(httpx.get, timeout=TIMEOUT)
post = partial(httpx.post, timeout=TIMEOUT)
stream = partial(httpx.stream, timeout=TIMEOUT)
Client = partial(httpx.Client, timeout=TIMEOUT)
AsyncClient = partial(httpx.AsyncClient, timeout=TIMEOUT)
