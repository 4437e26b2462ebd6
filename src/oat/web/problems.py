"""Problems: every error of the API, as RFC 9457 describes it. Whoever asks as a browser gets a page instead."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from oat.records import ConflictError, DatabaseError, NotFoundError
from oat.services import InvalidRequestError
from oat.web.templating import render


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str
    detail: str


class Problem(BaseModel):
    """An error."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.errors = list(errors)
        self.headers = headers


def problem(
    request: Request,
    status: int,
    detail: str,
    errors: Sequence[FieldError] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """Answer `request` with a problem, as JSON or as a page."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    told = Problem(title=title, status=status, detail=detail, errors=list(errors))
    wants_page = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1")
    if wants_page:
        response: Response = render(request, "problem.html", status, problem=told)
    else:
        body = told.model_dump(exclude={"errors"} if not errors else None)
        response = JSONResponse(body, status, media_type="application/problem+json")
    response.headers.update(headers or {})
    return response


def field_errors(faults: Sequence[Any]) -> list[FieldError]:
    """Say of each field what pydantic found wrong with it."""
    return [
        FieldError(field=".".join(map(str, fault["loc"])) or "body", detail=_plain(fault["msg"]))
        for fault in faults
    ]


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Have all that goes wrong in `app`, which has these `routes`, answered with a problem."""

    @app.exception_handler(ProblemError)
    async def told(request: Request, error: ProblemError) -> Response:
        return problem(request, error.status, str(error), error.errors, error.headers)

    @app.exception_handler(InvalidRequestError)
    async def unfulfillable(request: Request, error: InvalidRequestError) -> Response:
        errors = [FieldError(field=name, detail=detail) for name, detail in error.fields.items()]
        return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        # The first part says whether it came in the path, the query or the body; the rest is the field.
        faults = [{**fault, "loc": fault["loc"][1:] or fault["loc"]} for fault in error.errors()]
        unreadable = any(fault["type"] == "json_invalid" for fault in error.errors())
        status = HTTPStatus.BAD_REQUEST if unreadable else HTTPStatus.UNPROCESSABLE_ENTITY
        errors = field_errors(faults)
        detail = "; ".join(f"{each.field}: {each.detail}" for each in errors)
        return problem(request, status, detail, errors)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:  # Starlette names the methods of one route only
            same_path = [route for route in routes if route.matches(request.scope)[0] != Match.NONE]
            methods = {method for route in same_path for method in getattr(route, "methods", None) or ()}
            headers["Allow"] = ", ".join(sorted(methods))
        return problem(request, error.status_code, str(error.detail), headers=headers)

    @app.exception_handler(NotFoundError)
    async def not_found(request: Request, error: NotFoundError) -> Response:
        return problem(request, HTTPStatus.NOT_FOUND, str(error))

    @app.exception_handler(ConflictError)
    async def conflict(request: Request, error: ConflictError) -> Response:
        return problem(request, HTTPStatus.CONFLICT, str(error))

    @app.exception_handler(DatabaseError)
    async def database(request: Request, error: DatabaseError) -> Response:
        return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers={"Retry-After": "5"})

    @app.exception_handler(OSError)
    async def store(request: Request, error: OSError) -> Response:
        detail = f"the images cannot be reached: {error.strerror or error}"
        return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "5"})

    @app.exception_handler(Exception)
    async def unexpected(request: Request, _error: Exception) -> Response:
        detail = "something went wrong here; the log of oat web says what"
        return problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail)


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")
