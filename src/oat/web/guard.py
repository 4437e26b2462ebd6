"""The guard before every request: who may ask, how often and how much; and the headers of every answer."""

import base64
import binascii
import hmac
import ipaddress
import time
from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import Request
from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oat.settings import Settings, SettingsError
from oat.web.problems import ProblemError, problem

MAX_BODY = 64 * 1024
"""Bytes of the longest request that is read."""

READING = ("GET", "HEAD")

OPEN = ("/healthz", "/readyz")
"""What says nothing about anybody, and is asked by machines that have no token."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
DOCS_POLICY = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'").replace(
    "img-src 'self'", "img-src 'self' data:"
)
"""Swagger UI, which shows the API, writes styles into its elements and carries its icons in its style sheet."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def _raw(policy: str) -> list[tuple[bytes, bytes]]:
    """The headers as they go out, encoded once."""
    headers = HEADERS | {"Content-Security-Policy": policy}
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


_ON_DOCS, _ELSEWHERE = _raw(DOCS_POLICY), _raw(POLICY)
_CACHE_CONTROL = b"cache-control"


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine itself."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class Guard:
    """Lets a request through to `app`, or answers it with a problem.

    Raises:
        SettingsError: a rate is none.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        token = settings.api_token.get_secret_value() if settings.api_token else ""
        self._token = token.encode()
        self._public_reading = settings.public_reading
        try:
            self._read_rate, self._write_rate = map(parse, (settings.read_rate, settings.write_rate))
        except ValueError:
            raise SettingsError(
                f"OAT_READ_RATE {settings.read_rate!r}, OAT_WRITE_RATE {settings.write_rate!r}: "
                "expected a number and a time, like 600/minute"
            ) from None
        self._limiter = FixedWindowRateLimiter(MemoryStorage())  # the one that starts no threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        static = scope["path"].startswith("/static/")  # asked again with its ETag, and not sent again
        ours = _ON_DOCS if scope["path"] == "/docs" else _ELSEWHERE

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                theirs = message.get("headers", ())
                says = any(name == _CACHE_CONTROL for name, _ in theirs)
                default = () if says else ((_CACHE_CONTROL, b"no-cache" if static else b"no-store"),)
                message = {**message, "headers": [*theirs, *ours, *default]}
            await send(message)

        try:
            await self._check(scope)
        except ProblemError as error:
            response = problem(Request(scope), error.status, str(error), headers=error.headers)
            await response(scope, receive, send_with_headers)
            return
        if scope["method"] == "HEAD":  # the server leaves the body out
            scope = {**scope, "method": "GET"}
        await self._app(scope, _limited(receive), send_with_headers)

    async def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        reading = scope["method"] in READING
        client = scope["client"][0] if scope["client"] else ""
        rate = self._read_rate if reading else self._write_rate
        kind = "read" if reading else "write"
        if not await self._limiter.hit(rate, kind, client):
            reset = (await self._limiter.get_window_stats(rate, kind, client)).reset_time
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"more than {rate} of one address that {kind}",
                headers={"Retry-After": str(max(1, round(reset - time.time())))},
            )
        self._check_origin(headers, reading)
        if self._token and not self._may(headers, reading, scope["path"]):
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "this needs the token of OAT_API_TOKEN: as a bearer token, or as the password of any user",
                headers={"WWW-Authenticate": 'Basic realm="oat", Bearer realm="oat"'},
            )
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY:
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the request has more than {MAX_BODY} bytes")

    def _check_origin(self, headers: Headers, reading: bool) -> None:
        """Keep out what another site makes a browser send."""
        host = headers.get("host", "")
        if not self._token and not is_loopback(_name(host)):
            # A page of another site whose name suddenly means this machine (DNS rebinding).
            raise ProblemError(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"host {host!r} is not this machine's loopback, and no token is set",
            )
        if reading:
            return
        origin = headers.get("origin")
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if foreign or (origin is not None and urlsplit(origin).netloc != host):
            raise ProblemError(HTTPStatus.FORBIDDEN, "another site asked for this")

    def _may(self, headers: Headers, reading: bool, path: str) -> bool:
        if path in OPEN or (reading and self._public_reading):
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        secret = given.strip().encode()
        if scheme.lower() == "basic":
            try:
                secret = base64.b64decode(secret, validate=True).partition(b":")[2]
            except binascii.Error:
                return False
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(secret, self._token)


def _limited(receive: Receive) -> Receive:
    """Count what arrives: a request need not say how long it is."""
    total = 0

    async def receive_limited() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MAX_BODY:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the request has more than {MAX_BODY} bytes")
        return message

    return receive_limited


def _name(host: str) -> str:
    """The host without its port."""
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
