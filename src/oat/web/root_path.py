"""The root path: the path prefix under which a reverse proxy has the gallery, like `/oat`.

All links, redirects and scripts begin with it; the routes know nothing of it.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from oat.settings import SettingsError

OWN_SEGMENTS = ("create", "docs", "fractals", "healthz", "metrics", "readyz", "static", "system", "v1")
"""First segments of the application's own paths: a prefix that begins with one could not be told from them."""


class RootPathMiddleware:
    """Sets the `root_path` of ASGI, the prefix under which a proxy has this application.

    `path` has the prefix afterwards, as ASGI wants it, whether the proxy has removed it or not.

    Args:
        app: the application behind this middleware.
        root_path: the prefix, empty for none.

    Raises:
        SettingsError: the prefix cannot be told from a path of the application.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        if root_path and root_path.split("/")[1] in OWN_SEGMENTS:
            raise SettingsError(
                f"OAT_ROOT_PATH {root_path!r} begins like a path of the gallery itself: choose another"
            )
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and self._root_path:
            path = f"{scope['path']}/" if scope["path"] == self._root_path else scope["path"]
            if not path.startswith(f"{self._root_path}/"):
                path = self._root_path + path
            scope = {**scope, "path": path, "root_path": self._root_path}
        await self._app(scope, receive, send)


def root_path(scope: Scope) -> str:
    """Return the prefix under which browsers see this application, empty or like `/oat`."""
    # Within a mounted application, `root_path` has its path as well.
    prefix: str = scope.get("app_root_path", scope.get("root_path", ""))
    return prefix


def route_path(scope: Scope) -> str:
    """Return the path of a request below `root_path`, as the routes have it."""
    path: str = scope["path"].removeprefix(root_path(scope))
    return path
