"""Liveness, readiness and metrics, for systemd, Kubernetes, proxies and Prometheus."""

from http import HTTPStatus

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from oat.web.dependencies import BackendDependency
from oat.web.metrics import exposition
from oat.web.problems import ProblemError

router = APIRouter(include_in_schema=False, default_response_class=PlainTextResponse)


@router.get("/healthz")
async def liveness() -> str:
    """Succeed as long as the process responds."""
    return "alive\n"


@router.get("/readyz")
def readiness(backend: BackendDependency) -> str:
    """Succeed if database and broker are reachable."""
    backend.catalog.ping()
    if backend.publisher.queues is None:
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "the broker cannot be reached")
    return "ready\n"


@router.get("/metrics")
async def metrics(backend: BackendDependency) -> PlainTextResponse:
    """Return the statistics for Prometheus."""
    return PlainTextResponse(exposition(await backend.statistics.get()), media_type=CONTENT_TYPE_LATEST)
