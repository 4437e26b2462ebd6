"""The application: API, pages and health, put together behind the guard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST

from oat.settings import Settings
from oat.web import api, metrics, pages, problems
from oat.web.backend import Access, Backend
from oat.web.cache import Cache
from oat.web.guard import Guard

health = APIRouter(include_in_schema=False, default_response_class=PlainTextResponse)


@health.get("/healthz")
async def alive() -> str:
    """Whether this process answers."""
    return "alive\n"


@health.get("/readyz")
def ready(backend: Access) -> str:
    """Whether database and broker are at hand."""
    backend.catalog.ping()
    if backend.publisher.queues is None:
        raise problems.ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "the broker is not at hand")
    return "ready\n"


@health.get("/metrics")
async def get_metrics(backend: Access) -> PlainTextResponse:
    """The statistics, for Prometheus."""
    return PlainTextResponse(metrics.as_text(await backend.events.statistics()), media_type=CONTENT_TYPE_LATEST)


def application(backend: Backend) -> FastAPI:
    """Return the application on `backend`."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with backend.running():
            yield

    app = FastAPI(
        title="oat",
        summary="Fractals, and how the system that renders them is doing.",
        version=version("openstack-application-tutorial"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    app.state.backend = backend
    routers = api.router, pages.router, health
    problems.install(app, [route for router in routers for route in router.routes])
    for router in routers:
        app.include_router(router)
    app.mount("/static/swagger", StaticFiles(packages=[("fastapi_swagger", "resources")]))
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    _describe_problems(app)
    return app


def _describe_problems(app: FastAPI) -> None:
    """Put into the description what FastAPI takes for JSON only."""
    problem = problems.Problem.model_json_schema(ref_template=api.PROBLEM_SCHEMA)
    app.openapi()["components"]["schemas"] |= {**problem.pop("$defs"), "Problem": problem}


def guarded(backend: Backend, settings: Settings) -> Guard:
    """Return the application on `backend`, as the world may see it."""
    return Guard(Cache(application(backend)), settings)
