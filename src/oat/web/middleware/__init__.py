"""ASGI middleware: what is checked of every request before the application sees it, a concept a module.

`wrap` puts all of it around an application, in the order in which a request passes it.
"""

from starlette.middleware import Middleware
from starlette.types import ASGIApp

from oat.settings import Settings
from oat.web.middleware.authentication import AuthenticationMiddleware
from oat.web.middleware.body_limit import BodyLimitMiddleware
from oat.web.middleware.cache import CacheMiddleware
from oat.web.middleware.csrf import CSRFMiddleware
from oat.web.middleware.forwarded import ForwardedMiddleware
from oat.web.middleware.methods import HeadMiddleware
from oat.web.middleware.rate_limit import RateLimitMiddleware
from oat.web.middleware.security_headers import SecurityHeadersMiddleware
from oat.web.middleware.trusted_host import TrustedHostMiddleware, is_loopback
from oat.web.root_path import RootPathMiddleware

__all__ = ["is_loopback", "wrap"]


def wrap(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Return `app` behind its middleware, the outermost first in the list.

    Raises:
        SettingsError: a rate limit cannot be parsed.
    """
    token = settings.api_token.get_secret_value() if settings.api_token else ""
    if token:
        access = [Middleware(CSRFMiddleware), Middleware(AuthenticationMiddleware, token, settings.public_reading)]
    else:
        access = [Middleware(TrustedHostMiddleware, settings.allowed_hosts), Middleware(CSRFMiddleware)]
    stack = [
        Middleware(ForwardedMiddleware, settings.trusted_proxies),
        Middleware(RootPathMiddleware, settings.root_path),
        Middleware(SecurityHeadersMiddleware),
        Middleware(RateLimitMiddleware, settings.read_rate, settings.write_rate),
        *access,
        Middleware(BodyLimitMiddleware),
        Middleware(HeadMiddleware),
        Middleware(CacheMiddleware),
    ]
    for cls, args, kwargs in reversed(stack):
        app = cls(app, *args, **kwargs)
    return app
