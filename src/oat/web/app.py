"""The application: routers, static files and exception handlers put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from oat.web.backend import Backend
from oat.web.exception_handlers import add_exception_handlers
from oat.web.openapi import DescribedAPI
from oat.web.routers import api, health, pages


def application(backend: Backend) -> FastAPI:
    """Return the application on `backend`, without the middleware that a server on a socket needs."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with backend.running():
            yield

    app = DescribedAPI(
        title="oat",
        summary="Fractals, and the statistics of the system that renders them.",
        version=version("openstack-application-tutorial"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,  # it redirects to the Host, which behind a proxy is another one
    )
    app.state.backend = backend
    routers = api, pages, health
    add_exception_handlers(app, [route for router in routers for route in router.routes])
    for router in routers:
        app.include_router(router)
    app.mount("/static/swagger", StaticFiles(packages=[("fastapi_swagger", "resources")]))
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    return app
