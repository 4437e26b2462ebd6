"""The pages."""

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from oat.records import CURSOR, Cursor, Status
from oat.services import MAX_COUNT, SAMPLE, FractalRequest, InvalidRequestError
from oat.web.backend import Access
from oat.web.templating import render

ON_A_PAGE = 24

EXAMPLE = {
    "count": "1", "width": "800", "height": "600", "iterations": "256",
    "xa": "-1.6", "xb": "1.6", "ya": "-1.2", "yb": "1.2", "cx": "-0.8", "cy": "0.156",
}  # fmt: skip
"""What the form shows to begin with."""

PARAMETERS = ("width", "height", "iterations", "xa", "xb", "ya", "yb", "cx", "cy")


class Shown(StrEnum):
    """Which records the gallery shows."""

    DONE = Status.DONE
    WAITING = Status.WAITING
    FAILED = Status.FAILED
    ALL = "all"


router = APIRouter(include_in_schema=False)

Place = Annotated[str | None, Query(pattern=CURSOR)]


@router.get("/")
async def gallery(
    request: Request,
    backend: Access,
    status: Shown = Shown.DONE,
    older: Place = None,
    newer: Place = None,
) -> Response:
    """The gallery: the images, or the records of another state."""
    state = None if status == Shown.ALL else Status(status)
    page = await run_in_threadpool(
        backend.catalog.browse, ON_A_PAGE, state, Cursor.parse(older), Cursor.parse(newer)
    )
    return render(
        request,
        "gallery.html",
        page=page,
        status=status,
        newer=page.newer and f"/?{urlencode({'status': status, 'newer': page.newer})}",
        older=page.older and f"/?{urlencode({'status': status, 'older': page.older})}",
        statistics=await backend.events.statistics(),
        live=page.newer is None,
        size=ON_A_PAGE,
    )


@router.get("/fractals/{uuid}")
def fractal(request: Request, backend: Access, uuid: UUID) -> Response:
    """One fractal, with everything that is known of it."""
    found = backend.catalog.get(uuid)
    parameters = urlencode({name: getattr(found, name) for name in PARAMETERS})
    return render(request, "fractal.html", fractal=found, parameters=parameters)


@router.post("/fractals/{uuid}/delete")
def delete(backend: Access, uuid: UUID) -> Response:
    """Delete a fractal, and go back to the others."""
    backend.delete(uuid)
    return RedirectResponse("/", HTTPStatus.SEE_OTHER)


@router.post("/fractals/{uuid}/retry")
def retry(backend: Access, uuid: UUID) -> Response:
    """Send a failed fractal again, and watch it."""
    backend.retry(uuid)
    return RedirectResponse(f"/fractals/{uuid}", HTTPStatus.SEE_OTHER)


@router.get("/create")
def form(request: Request) -> Response:
    """The form, filled with the parameters of the query."""
    given = {name: request.query_params[name] for name in EXAMPLE if name in request.query_params}
    return _form(request, EXAMPLE | given)


@router.post("/create")
async def create(request: Request, backend: Access) -> Response:
    """Create what the form says, and show it; or the form again, with what is wrong in it."""
    async with request.form(max_fields=20, max_files=0) as sent:
        given = {name: value.strip() for name, value in sent.items() if isinstance(value, str) and value.strip()}
    try:
        request_ = _request(given)
        fractals = await run_in_threadpool(backend.create, request_)
    except InvalidRequestError as error:
        return _form(request, dict.fromkeys(EXAMPLE, "") | given, error)
    if len(fractals) == 1:
        return RedirectResponse(f"/fractals/{fractals[0].uuid}", HTTPStatus.SEE_OTHER)
    return RedirectResponse("/?status=all", HTTPStatus.SEE_OTHER)


@router.get("/system")
async def system(request: Request, backend: Access) -> Response:
    """The system at work."""
    return render(request, "system.html", statistics=await backend.events.statistics(), sample=SAMPLE)


@router.get("/docs")
def docs(request: Request) -> Response:
    """The API, to read and to try."""
    return render(request, "docs.html")


def _request(given: Mapping[str, str]) -> FractalRequest:
    try:
        return FractalRequest.model_validate_strings(given)
    except ValidationError as error:
        raise InvalidRequestError.from_validation(error) from None


def _form(request: Request, values: Mapping[str, str], error: InvalidRequestError | None = None) -> Response:
    faults: Mapping[str, Any] = error.fields if error else {}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK
    return render(
        request, "create.html", status, values=values, faults=faults, fault=error and str(error), most=MAX_COUNT
    )
