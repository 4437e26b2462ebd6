"""Security headers: the content security policy and others, on every response; and a default Cache-Control."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oat.web.root_path import route_path

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SWAGGER_SECURITY_POLICY = CONTENT_SECURITY_POLICY.replace(
    "style-src 'self'", "style-src 'self' 'unsafe-inline'"
).replace("img-src 'self'", "img-src 'self' data:")
"""The policy of /docs: Swagger UI writes inline styles, and its style sheet has icons as data URLs."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def _encoded(policy: str) -> list[tuple[bytes, bytes]]:
    """Return the headers with `policy` as ASGI messages have them."""
    headers = HEADERS | {"Content-Security-Policy": policy}
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


# Encoded once and not for each response.
_SWAGGER_HEADERS, _HEADERS = _encoded(SWAGGER_SECURITY_POLICY), _encoded(CONTENT_SECURITY_POLICY)
_CACHE_CONTROL = b"cache-control"


class SecurityHeadersMiddleware:
    """Adds the security headers to every response, and Cache-Control where the response has none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = route_path(scope)
        # no-cache: a browser keeps the file and revalidates it by its ETag.
        default = b"no-cache" if path.startswith("/static/") else b"no-store"
        added = _SWAGGER_HEADERS if path == "/docs" else _HEADERS

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", ())
                lacks = all(name != _CACHE_CONTROL for name, _ in headers)
                more = ((_CACHE_CONTROL, default),) if lacks else ()
                message = {**message, "headers": [*headers, *added, *more]}
            await send(message)

        await self._app(scope, receive, send_with_headers)
