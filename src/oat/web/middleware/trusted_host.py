"""Trusted hosts: without a token, only requests to this machine's loopback names are answered.

Starlette's own TrustedHostMiddleware compares with a list of names; here every loopback address counts.
"""

import ipaddress
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import Scope

from oat.web.middleware.check import CheckMiddleware
from oat.web.problems import ProblemError


class TrustedHostMiddleware(CheckMiddleware):
    """Rejects with 421 what names another host than the loopback.

    It keeps out pages of another site whose host name suddenly resolves to 127.0.0.1 (DNS rebinding): to the
    browser they have the same origin as this server.
    """

    async def check(self, scope: Scope) -> None:
        """Check the Host header of one request."""
        host = Headers(scope=scope).get("host", "")
        if not is_loopback(_without_port(host)):
            raise ProblemError(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"host {host!r} is not this machine's loopback, and no token is set",
            )


def is_loopback(host: str) -> bool:
    """Return whether `host`, an IP address or a name without port, is a loopback address of this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _without_port(host: str) -> str:
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
