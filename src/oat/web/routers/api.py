"""The API, under /v1."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, Field

from oat.records import Cursor, Fractal, Status
from oat.services import FractalRequest, Statistics
from oat.web.backend import Cancelled
from oat.web.dependencies import BackendDependency, CursorQuery
from oat.web.openapi import (
    AUDIT_RESPONSE,
    EVENTS_RESPONSE,
    PROBLEM_RESPONSE,
    PROGRESS_RESPONSE,
    file_response,
)
from oat.web.problems import ProblemError
from oat.web.root_path import root_path

PAGE_SIZE, MAX_PAGE_SIZE = 50, 200
"""Fractals on a page of the list, as the default and at most: 200 are 100 KiB of JSON."""

MAX_EVENT_ID_DIGITS = 15
"""Decimal digits of a Last-Event-ID that is read: IDs are seconds since 1970 plus a counter, and have 10."""

IMMUTABLE = {"Cache-Control": "max-age=31536000, immutable"}
"""A task's parameters determine its image, so the content behind its URL never changes; max-age is a year, in
seconds."""

UNBUFFERED = {"X-Accel-Buffering": "no"}
"""Has nginx pass a stream on as it comes, instead of in buffers of some kilobytes."""

router = APIRouter(prefix="/v1", responses={"4XX": PROBLEM_RESPONSE, "5XX": PROBLEM_RESPONSE})


class Fractals(BaseModel):
    """A list of fractals."""

    fractals: list[Fractal]


class FractalPage(Fractals):
    """A page of fractals, newest first."""

    newer: str | None = Field(
        description="Cursor of the page before: the value of `newer`; null on the first page."
    )
    older: str | None = Field(description="Cursor of the next page: the value of `older`; null on the last page.")


@router.get("/fractals")
def list_fractals(
    backend: BackendDependency,
    status: Annotated[Status | None, Query(description="Only fractals of this status.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = PAGE_SIZE,
    older: CursorQuery = None,
    newer: CursorQuery = None,
) -> FractalPage:
    """List fractals, newest first."""
    page = backend.catalog.browse(limit, status, Cursor.parse(older), Cursor.parse(newer))
    return FractalPage(
        fractals=page.fractals,
        newer=None if page.newer is None else str(page.newer),
        older=None if page.older is None else str(page.older),
    )


@router.post("/fractals", status_code=HTTPStatus.CREATED)
def create_fractals(
    backend: BackendDependency, request: Request, response: Response, request_: FractalRequest | None = None
) -> Fractals:
    """Create one or more fractals: record them and publish their tasks to the workers."""
    fractals = backend.create(request_ or FractalRequest())
    if len(fractals) == 1:
        response.headers["Location"] = f"{root_path(request.scope)}/v1/fractals/{fractals[0].uuid}"
    return Fractals(fractals=fractals)


@router.get("/fractals/{uuid}")
def get_fractal(backend: BackendDependency, uuid: UUID) -> Fractal:
    """Return one fractal."""
    return backend.catalog.get(uuid)


@router.delete("/fractals/{uuid}", status_code=HTTPStatus.NO_CONTENT)
def delete_fractal(backend: BackendDependency, uuid: UUID) -> None:
    """Delete one fractal and its image. A waiting fractal cannot be deleted."""
    backend.delete(uuid)


@router.post("/fractals/{uuid}/retry")
def retry_fractal(backend: BackendDependency, uuid: UUID) -> Fractal:
    """Publish the task of a fractal again that failed, was cancelled, or whose image is missing or damaged."""
    return backend.retry(uuid)


@router.post("/fractals/{uuid}/cancel")
def cancel_fractal(backend: BackendDependency, uuid: UUID) -> Fractal:
    """Cancel a waiting fractal: its message is removed from the queue.

    A worker that has prefetched it may still render it; then it becomes `done`. To cancel it again is no error,
    and removes a message that is still there.
    """
    return backend.cancel(uuid)


@router.post("/cancel")
def cancel_fractals(backend: BackendDependency) -> Cancelled:
    """Cancel all waiting fractals: their messages are removed from the queue, as for one."""
    return backend.cancel_all()


@router.get("/fractals/{uuid}/image", response_class=Response, responses={200: file_response("image/png")})
def get_image(backend: BackendDependency, uuid: UUID) -> Response:
    """Return the image."""
    try:
        image = backend.store.get(uuid)
    except OSError as error:
        raise backend.image_error(uuid, error) from error
    headers = IMMUTABLE | {"Content-Disposition": f'inline; filename="{uuid}.png"'}
    return Response(image, media_type="image/png", headers=headers)


@router.get(
    "/fractals/{uuid}/thumbnail", response_class=FileResponse, responses={200: file_response("image/webp")}
)
def get_thumbnail(backend: BackendDependency, uuid: UUID) -> Response:
    """Return a small copy of the image."""
    try:
        return FileResponse(backend.thumbnails.path(uuid), media_type="image/webp", headers=IMMUTABLE)
    except OSError as error:
        raise backend.image_error(uuid, error) from error


# POST although it changes nothing: it is expensive, so it needs the token even where reading is public.
@router.post("/audit", response_class=StreamingResponse, responses={200: AUDIT_RESPONSE})
def run_audit(backend: BackendDependency) -> StreamingResponse:
    """Compare records, images and queues, as `oat audit` does."""
    lines = (step.model_dump_json(exclude_none=True) + "\n" for step in backend.audit())
    return StreamingResponse(lines, media_type="application/jsonl", headers=UNBUFFERED)


@router.get("/statistics")
async def get_statistics(backend: BackendDependency) -> Statistics:
    """Return the statistics of the whole system."""
    return await backend.statistics.get()


@router.get("/events", response_class=StreamingResponse, responses={200: EVENTS_RESPONSE})
async def get_events(
    backend: BackendDependency, last_event_id: Annotated[str | None, Header()] = None
) -> StreamingResponse:
    """Stream changes as server-sent events.

    `fractal` comes with a fractal that was recorded or finished, `statistics` with the statistics when they
    change, `trouble` with a text when the database cannot be reached.
    """
    if backend.events.full:
        raise _too_many_streams()
    return _event_stream(backend.events.subscribe(_parse_event_id(last_event_id)))


@router.get("/progress", response_class=StreamingResponse, responses={200: PROGRESS_RESPONSE})
async def get_progress(backend: BackendDependency) -> StreamingResponse:
    """Stream where single tasks are, as server-sent events.

    `progress` comes with the tasks that workers have, those that moved last and those that are next, when one of
    them has moved; `trouble` with a text when the database cannot be reached. Workers report while this stream is
    open to anybody.
    """
    if backend.progress.full:
        raise _too_many_streams()
    return _event_stream(backend.progress.subscribe())


def _too_many_streams() -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE, "too many event streams are open", headers={"Retry-After": "30"}
    )


def _event_stream(events: AsyncIterator[bytes]) -> StreamingResponse:
    headers = UNBUFFERED | {"Cache-Control": "no-cache"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


def _parse_event_id(text: str | None) -> int | None:
    """Return a Last-Event-ID as a number, None if it is none of ours: the stream then begins now."""
    if text and text.isdecimal() and len(text) <= MAX_EVENT_ID_DIGITS:
        return int(text)
    return None
