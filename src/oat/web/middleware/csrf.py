"""Cross-site request forgery: requests that change something must not come from another site's page."""

from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from oat.web.middleware.check import CheckMiddleware
from oat.web.middleware.methods import SAFE_METHODS
from oat.web.problems import ProblemError

CROSS_SITE = ("cross-site", "same-site")
"""Values of Sec-Fetch-Site for requests of another origin: of another domain, or another host of the same one."""


class CSRFMiddleware(CheckMiddleware):
    """Rejects unsafe requests with 403 if their Origin or Sec-Fetch-Site names another origin.

    Only browsers send these two headers, and only browsers can be made to send another site's requests, so the
    forms need no token.
    """

    async def check(self, scope: Scope) -> None:
        """Compare the origin of one request with its host."""
        if scope["method"] in SAFE_METHODS:
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        other_origin = origin is not None and urlsplit(origin).netloc != headers.get("host", "")
        if other_origin or headers.get("sec-fetch-site") in CROSS_SITE:
            raise ProblemError(HTTPStatus.FORBIDDEN, "the request comes from a page of another site")
