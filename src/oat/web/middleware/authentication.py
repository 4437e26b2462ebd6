"""Authentication: the token of OAT_API_TOKEN, as a bearer token or as the password of HTTP Basic."""

import base64
import binascii
import hmac
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Scope

from oat.web.middleware.check import CheckMiddleware
from oat.web.middleware.methods import SAFE_METHODS
from oat.web.problems import ProblemError
from oat.web.root_path import route_path

PUBLIC_PATHS = ("/healthz", "/readyz")
"""Paths that need no token: health checks come from machines that have none, and reveal nothing."""


class AuthenticationMiddleware(CheckMiddleware):
    """Rejects with 401 what does not carry the token.

    Args:
        app: the application behind this middleware.
        token: the expected token, not empty.
        public_reading: whether safe methods need no token.
    """

    def __init__(self, app: ASGIApp, token: str, public_reading: bool) -> None:
        super().__init__(app)
        self._token = token.encode()
        self._public_reading = public_reading

    async def check(self, scope: Scope) -> None:
        """Check the Authorization header of one request."""
        if route_path(scope) in PUBLIC_PATHS or (self._public_reading and scope["method"] in SAFE_METHODS):
            return
        if not hmac.compare_digest(_credentials(Headers(scope=scope)), self._token):
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "this needs the token of OAT_API_TOKEN: as a bearer token, or as the password of any user",
                headers={"WWW-Authenticate": 'Basic realm="oat", Bearer realm="oat"'},
            )


def _credentials(headers: Headers) -> bytes:
    """Return the bearer token or the password of HTTP Basic, empty if there is neither."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    credentials = value.strip().encode()
    if scheme.lower() == "bearer":
        return credentials
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).partition(b":")[2]
        except binascii.Error:
            return b""
    return b""
