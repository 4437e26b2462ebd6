"""Forwarded headers: what a reverse proxy in front says of the request that it got, if that proxy is trusted.

Behind this middleware, client and scheme in the ASGI scope are those of the browser, and a header X-Forwarded-Host
comes from a trusted proxy.
"""

import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

FORWARDED_HOST = "x-forwarded-host"

_FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")


class ForwardedMiddleware:
    """Applies the X-Forwarded-… headers of trusted proxies and removes those of all others.

    Anyone can send these headers: a client, through a proxy that passes them on, or a script of a hostile page.

    Args:
        app: the application behind this middleware.
        trusted: the networks whose addresses are trusted proxies.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> None:
        self._app = app
        self._trusted = trusted
        # uvicorn's own: the client is the last address in X-Forwarded-For that is no trusted proxy.
        self._behind_proxy: ASGIApp = ProxyHeadersMiddleware(app, list(map(str, trusted)))  # type: ignore[arg-type, assignment]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif self._is_trusted(scope):
            await self._behind_proxy(scope, receive, send)
        else:
            headers = [(name, value) for name, value in scope["headers"] if name not in _FORWARDED]
            await self._app({**scope, "headers": headers}, receive, send)

    def _is_trusted(self, scope: Scope) -> bool:
        if not self._trusted or not scope["client"]:
            return False
        address = ipaddress.ip_address(scope["client"][0])
        return any(address in network for network in self._trusted)


def forwarded_host(headers: Headers) -> str:
    """Return the host that the browser asked for, as far as it is known, with its port."""
    return headers.get(FORWARDED_HOST, headers.get("host", "")).partition(",")[0].strip()
