"""Trusted hosts: without a token, only requests to the loopback and to OAT_ALLOWED_HOSTS are answered.

Starlette's own TrustedHostMiddleware compares with a list of names; here every loopback address counts.
"""

import ipaddress
from collections.abc import Sequence
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Scope

from oat.web.middleware.check import CheckMiddleware
from oat.web.middleware.forwarded import FORWARDED_HOST
from oat.web.problems import ProblemError


class TrustedHostMiddleware(CheckMiddleware):
    """Rejects with 421 what names a host that is neither the loopback nor allowed.

    It keeps out pages of another site whose host name suddenly resolves to 127.0.0.1 (DNS rebinding): to the
    browser they have the same origin as this server. Such a page can send any X-Forwarded-Host, but not another
    Host than its own; so both are checked, and neither replaces the other.

    Args:
        app: the application behind this middleware.
        allowed: further hosts, without port, in lower case.
    """

    def __init__(self, app: ASGIApp, allowed: Sequence[str]) -> None:
        super().__init__(app)
        self._allowed = allowed

    async def check(self, scope: Scope) -> None:
        """Check the hosts that one request names."""
        headers = Headers(scope=scope)
        forwarded = [name for value in headers.getlist(FORWARDED_HOST) for name in value.split(",")]
        for host in (headers.get("host", ""), *forwarded):
            name = _normalized(_without_port(host.strip()))
            if not is_loopback(name) and name not in self._allowed:
                raise ProblemError(
                    HTTPStatus.MISDIRECTED_REQUEST,
                    f"host {host!r} is not this machine's loopback, and no token is set: "
                    "set OAT_API_TOKEN, or name it in OAT_ALLOWED_HOSTS",
                )


def is_loopback(host: str) -> bool:
    """Return whether `host`, an IP address or a name without port, is a loopback address of this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        name = _normalized(host)
        return name == "localhost" or name.endswith(".localhost")


def _normalized(name: str) -> str:
    """Return a name of a host in lower case, without the dot that says that it is complete."""
    return name.lower().removesuffix(".")


def _without_port(host: str) -> str:
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
