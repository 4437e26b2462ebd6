"""Problem details, the JSON of every error of the API as RFC 9457 describes it; browsers get a page instead."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from oat.web.root_path import route_path
from oat.web.templating import render


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str
    detail: str


class Problem(BaseModel):
    """An error, as RFC 9457 describes it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class ProblemError(Exception):
    """Ends a request with a problem as its response."""

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


def problem_response(
    request: Request,
    status: int,
    detail: str,
    errors: Sequence[FieldError] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """Return the response for an error: JSON, or a page if `request` accepts HTML and is none of the API."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    problem = Problem(title=title, status=status, detail=detail, errors=list(errors))
    if "text/html" in request.headers.get("accept", "") and not route_path(request.scope).startswith("/v1"):
        response: Response = render(request, "problem.html", status, problem=problem)
    else:
        body = problem.model_dump(exclude={"errors"} if not errors else None)
        response = JSONResponse(body, status, media_type="application/problem+json")
    response.headers.update(headers or {})
    return response


def field_errors(errors: Sequence[Any]) -> list[FieldError]:
    """Return pydantic's `errors` as field errors; an error of no field is one of the body."""
    return [
        FieldError(
            field=".".join(map(str, error["loc"])) or "body", detail=error["msg"].removeprefix("Value error, ")
        )
        for error in errors
    ]
