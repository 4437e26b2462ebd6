"""The API, under /v1."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, Field

from oat.records import CURSOR, Cursor, Fractal, Status
from oat.services import FractalRequest, Statistics
from oat.web.backend import Access
from oat.web.problems import Problem, ProblemError

MOST_ON_A_PAGE = 200

FOR_EVER = {"Cache-Control": "max-age=31536000, immutable"}
"""A task's parameters determine its image: its URL never shows another one."""

PROBLEM_SCHEMA = "#/components/schemas/{model}"

PROBLEM: dict[str, Any] = {
    "description": "What is wrong, as RFC 9457 has it.",
    "content": {"application/problem+json": {"schema": {"$ref": PROBLEM_SCHEMA.format(model=Problem.__name__)}}},
}

EVENT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "event": {"enum": ["fractal", "statistics", "trouble"]},
        "data": {"type": "string", "description": "A `Fractal` or `Statistics` as JSON; of `trouble`, a text."},
        "id": {"type": "string", "description": "What to send as `Last-Event-ID` to go on from here."},
    },
    "required": ["event", "data"],
}

router = APIRouter(prefix="/v1", responses={"4XX": PROBLEM, "5XX": PROBLEM})

Place = Annotated[str | None, Query(pattern=CURSOR)]


class Fractals(BaseModel):
    """Some fractals."""

    fractals: list[Fractal]


class FractalPage(Fractals):
    """Some fractals, newest first."""

    newer: str | None = Field(description="Where the newer ones are: the value of `newer`; null at the start.")
    older: str | None = Field(description="Where the older ones are: the value of `older`; null at the end.")


def _image(kind: str) -> dict[int | str, dict[str, Any]]:
    return {
        200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}}}, "description": "The file."}
    }


@router.get("/fractals")
def list_fractals(
    backend: Access,
    status: Annotated[Status | None, Query(description="Only those of this state.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ON_A_PAGE)] = 50,
    older: Place = None,
    newer: Place = None,
) -> FractalPage:
    """List the fractals, newest first."""
    page = backend.catalog.browse(limit, status, Cursor.parse(older), Cursor.parse(newer))
    return FractalPage(
        fractals=page.fractals,
        newer=None if page.newer is None else str(page.newer),
        older=None if page.older is None else str(page.older),
    )


@router.post("/fractals", status_code=HTTPStatus.CREATED)
def create_fractals(backend: Access, response: Response, request_: FractalRequest | None = None) -> Fractals:
    """Create one fractal or many: record them and send their tasks to the workers."""
    fractals = backend.create(request_ or FractalRequest())
    if len(fractals) == 1:
        response.headers["Location"] = f"/v1/fractals/{fractals[0].uuid}"
    return Fractals(fractals=fractals)


@router.get("/fractals/{uuid}")
def get_fractal(backend: Access, uuid: UUID) -> Fractal:
    """Show one fractal."""
    return backend.catalog.get(uuid)


@router.delete("/fractals/{uuid}", status_code=HTTPStatus.NO_CONTENT)
def delete_fractal(backend: Access, uuid: UUID) -> None:
    """Delete one fractal and its image. One that is waiting cannot be deleted."""
    backend.delete(uuid)


@router.post("/fractals/{uuid}/retry")
def retry_fractal(backend: Access, uuid: UUID) -> Fractal:
    """Send one again that has failed, or whose image is missing or damaged."""
    return backend.retry(uuid)


@router.get("/fractals/{uuid}/image", response_class=Response, responses=_image("image/png"))
def get_image(backend: Access, uuid: UUID) -> Response:
    """The image."""
    try:
        image = backend.store.get(uuid)
    except OSError as error:
        raise backend.without_image(uuid, error) from error
    headers = FOR_EVER | {"Content-Disposition": f'inline; filename="{uuid}.png"'}
    return Response(image, media_type="image/png", headers=headers)


@router.get("/fractals/{uuid}/thumbnail", response_class=FileResponse, responses=_image("image/webp"))
def get_thumbnail(backend: Access, uuid: UUID) -> Response:
    """A small copy of the image."""
    try:
        return FileResponse(backend.thumbnails.path(uuid), media_type="image/webp", headers=FOR_EVER)
    except OSError as error:
        raise backend.without_image(uuid, error) from error


@router.post(
    "/audit",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"application/jsonl": {"schema": {"type": "string"}}},
            "description": "Lines of JSON, a step each: how many records are compared; the last has the report.",
        }
    },
)
def run_audit(backend: Access) -> StreamingResponse:
    """Compare records, images and queues, as `oat audit` does: no request for everyone who may look."""
    lines = (step.model_dump_json(exclude_none=True) + "\n" for step in backend.audit())
    return StreamingResponse(lines, media_type="application/jsonl")


@router.get("/statistics")
async def get_statistics(backend: Access) -> Statistics:
    """How the system is doing."""
    return await backend.events.statistics()


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": EVENT}}, "description": "Events, without end."}},
)
async def get_events(backend: Access, last_event_id: Annotated[str | None, Header()] = None) -> StreamingResponse:
    """What happens, as server-sent events.

    `fractal` comes with a fractal that was recorded or finished, `statistics` with the statistics when they
    change, `trouble` with a text when the database cannot be reached.
    """
    if backend.events.full:
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "too many are listening", headers={"Retry-After": "30"})
    seen = int(last_event_id) if last_event_id and last_event_id.isdecimal() and len(last_event_id) < 16 else None  # noqa: PLR2004
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(backend.events.listen(seen), media_type="text/event-stream", headers=headers)
