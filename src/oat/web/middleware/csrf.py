"""Cross-site request forgery: requests that change something must not come from another site's page."""

from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from oat.web.middleware.check import CheckMiddleware
from oat.web.middleware.forwarded import forwarded_host
from oat.web.middleware.methods import SAFE_METHODS
from oat.web.problems import ProblemError

SAME_ORIGIN = "same-origin"
"""Sec-Fetch-Site of a request by a page of the very origin it is sent to."""

USER = "none"
"""Sec-Fetch-Site of a request that no page has caused, but the user."""

DEFAULT_PORTS = {"http": "80", "https": "443"}


class CSRFMiddleware(CheckMiddleware):
    """Rejects unsafe requests with 403 if their Sec-Fetch-Site or Origin names another origin.

    Only browsers send these two headers, and only browsers can be made to send another site's requests, so the
    forms need no token. No script can set them.

    A browser that sends Sec-Fetch-Site has compared the origins itself, by the addresses that it knows: that
    decides, even where a proxy has changed the Host. Browsers send it to HTTPS and to the loopback alone; to
    others, the Origin is compared with the host that was asked for.
    """

    async def check(self, scope: Scope) -> None:
        """Compare the origin of one request with its host."""
        if scope["method"] in SAFE_METHODS:
            return
        headers = Headers(scope=scope)
        site = headers.get("sec-fetch-site")
        if site == SAME_ORIGIN:
            return
        if site not in (None, USER):
            raise ProblemError(HTTPStatus.FORBIDDEN, "the request comes from a page of another site")
        origin, host = headers.get("origin"), forwarded_host(headers)
        if origin is not None and not is_origin_of(origin, host):
            raise ProblemError(
                HTTPStatus.FORBIDDEN,
                f"the request comes from a page of another site: of {origin!r}, not of {host!r}; "
                "if both are this gallery, the proxy in front of it has to pass on the Host header",
            )


def is_origin_of(origin: str, host: str) -> bool:
    """Return whether `origin`, like `https://name:port`, has the host `host`, like `name:port`.

    The scheme is not compared: a proxy with TLS asks this server by plain HTTP.
    """
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    default = f":{DEFAULT_PORTS.get(parts.scheme, '')}"
    return bool(parts.netloc) and parts.netloc.lower() == host.lower().removesuffix(default)
