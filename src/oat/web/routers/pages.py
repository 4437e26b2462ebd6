"""The pages: HTML made of templates, usable without scripts."""

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from oat.records import Cursor, Status
from oat.services import MAX_COUNT, SAMPLE, SHOWN, FractalRequest, InvalidRequestError
from oat.web.dependencies import BackendDependency, CursorQuery
from oat.web.root_path import root_path
from oat.web.templating import render

PAGE_SIZE = 24
"""Fractals on a page of the gallery: divisible by 2, 3, 4 and 6, so that rows of cards are full."""

FORM_DEFAULTS = {
    "count": "1", "width": "800", "height": "600", "iterations": "256",
    "xa": "-1.6", "xb": "1.6", "ya": "-1.2", "yb": "1.2", "cx": "-0.8", "cy": "0.156",
}  # fmt: skip
"""Values of the form without a query: a well-known Julia set."""

PARAMETERS = tuple(name for name in FORM_DEFAULTS if name != "count")
"""The form's fields that a fractal has as well."""

router = APIRouter(include_in_schema=False)


class StatusFilter(StrEnum):
    """Which fractals the gallery shows."""

    DONE = Status.DONE
    WAITING = Status.WAITING
    FAILED = Status.FAILED
    CANCELLED = Status.CANCELLED
    ALL = "all"


@router.get("/")
async def gallery(
    request: Request,
    backend: BackendDependency,
    status: StatusFilter = StatusFilter.DONE,
    older: CursorQuery = None,
    newer: CursorQuery = None,
) -> Response:
    """Show the images, or the records of another status."""
    only = None if status == StatusFilter.ALL else Status(status)
    page = await run_in_threadpool(
        backend.catalog.browse, PAGE_SIZE, only, Cursor.parse(older), Cursor.parse(newer)
    )
    return render(
        request,
        "gallery.html",
        page=page,
        status=status,
        newer=page.newer and f"/?{urlencode({'status': status, 'newer': page.newer})}",
        older=page.older and f"/?{urlencode({'status': status, 'older': page.older})}",
        statistics=await backend.statistics.get(),
        live=page.newer is None,
        page_size=PAGE_SIZE,
    )


@router.get("/fractals/{uuid}")
def fractal(request: Request, backend: BackendDependency, uuid: UUID) -> Response:
    """Show one fractal with its record."""
    found = backend.catalog.get(uuid)
    parameters = urlencode({name: getattr(found, name) for name in PARAMETERS})
    return render(request, "fractal.html", fractal=found, parameters=parameters, damage=backend.damage(found))


@router.post("/fractals/{uuid}/delete")
def delete(request: Request, backend: BackendDependency, uuid: UUID) -> Response:
    """Delete a fractal and redirect to the gallery."""
    backend.delete(uuid)
    return RedirectResponse(f"{root_path(request.scope)}/", HTTPStatus.SEE_OTHER)


@router.post("/fractals/{uuid}/retry")
def retry(request: Request, backend: BackendDependency, uuid: UUID) -> Response:
    """Publish the task of a fractal again and redirect to its page."""
    backend.retry(uuid)
    return RedirectResponse(f"{root_path(request.scope)}/fractals/{uuid}", HTTPStatus.SEE_OTHER)


@router.post("/fractals/{uuid}/cancel")
def cancel(request: Request, backend: BackendDependency, uuid: UUID) -> Response:
    """Cancel a waiting fractal and redirect to its page."""
    backend.cancel(uuid)
    return RedirectResponse(f"{root_path(request.scope)}/fractals/{uuid}", HTTPStatus.SEE_OTHER)


@router.post("/cancel")
def cancel_all(request: Request, backend: BackendDependency) -> Response:
    """Cancel all waiting fractals and redirect to the cancelled ones."""
    backend.cancel_all()
    return RedirectResponse(f"{root_path(request.scope)}/?status=cancelled", HTTPStatus.SEE_OTHER)


@router.get("/create")
def create_form(request: Request) -> Response:
    """Show the form, filled with the parameters of the query."""
    given = {name: request.query_params[name] for name in FORM_DEFAULTS if name in request.query_params}
    return _render_form(request, FORM_DEFAULTS | given)


@router.post("/create")
async def create(request: Request, backend: BackendDependency) -> Response:
    """Create fractals and redirect to them; or show the form again with its errors."""
    async with request.form(max_fields=20, max_files=0) as form:
        given = {name: value.strip() for name, value in form.items() if isinstance(value, str) and value.strip()}
    try:
        fractals = await run_in_threadpool(backend.create, _parse_form(given))
    except InvalidRequestError as error:
        return _render_form(request, dict.fromkeys(FORM_DEFAULTS, "") | given, error)
    if len(fractals) == 1:
        return RedirectResponse(f"{root_path(request.scope)}/fractals/{fractals[0].uuid}", HTTPStatus.SEE_OTHER)
    return RedirectResponse(f"{root_path(request.scope)}/?status=all", HTTPStatus.SEE_OTHER)


@router.get("/system")
async def system(request: Request, backend: BackendDependency) -> Response:
    """Show the statistics along the path of a task."""
    return render(request, "system.html", statistics=await backend.statistics.get(), sample=SAMPLE, shown=SHOWN)


@router.get("/docs")
def docs(request: Request) -> Response:
    """Show the API's description with Swagger UI."""
    return render(request, "docs.html")


def _parse_form(values: Mapping[str, str]) -> FractalRequest:
    try:
        return FractalRequest.model_validate_strings(values)
    except ValidationError as error:
        raise InvalidRequestError.from_validation(error) from None


def _render_form(
    request: Request, values: Mapping[str, str], error: InvalidRequestError | None = None
) -> Response:
    field_errors: Mapping[str, str] = error.fields if error else {}
    return render(
        request,
        "create.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK,
        values=values,
        field_errors=field_errors,
        error=error and str(error),
        max_count=MAX_COUNT,
    )
