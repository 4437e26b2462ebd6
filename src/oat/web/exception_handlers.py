"""Exception handlers: which problem each exception becomes that a route raises."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from oat.records import ConflictError, DatabaseError, NotFoundError
from oat.services import InvalidRequestError
from oat.web.problems import FieldError, ProblemError, field_errors, problem_response

RETRY_AFTER = {"Retry-After": "5"}
"""Seconds after which a database or a store that does not respond is worth another request."""


async def problem_handler(request: Request, error: Any) -> Response:
    """Return the problem that a `ProblemError` describes."""
    return problem_response(request, error.status, str(error), error.errors, error.headers)


def add_exception_handlers(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Have every exception in `app` answered with a problem.

    Args:
        app: the application.
        routes: its routes, to tell which methods a path has.
    """

    async def http_exception(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = _allowed_methods(request, routes)
        return problem_response(request, error.status_code, str(error.detail), headers=headers)

    app.exception_handler(ProblemError)(problem_handler)
    app.exception_handler(HTTPException)(http_exception)
    app.exception_handler(InvalidRequestError)(_invalid_request)
    app.exception_handler(RequestValidationError)(_validation_error)
    app.exception_handler(NotFoundError)(_not_found)
    app.exception_handler(ConflictError)(_conflict)
    app.exception_handler(DatabaseError)(_database_error)
    app.exception_handler(OSError)(_store_error)
    app.exception_handler(Exception)(_internal_error)


def _allowed_methods(request: Request, routes: Sequence[BaseRoute]) -> str:
    """Return the methods of all routes of the path of `request`; Starlette names those of the first one only."""
    same_path = [route for route in routes if route.matches(request.scope)[0] != Match.NONE]
    methods = {method for route in same_path for method in getattr(route, "methods", None) or ()}
    return ", ".join(sorted(methods))


async def _invalid_request(request: Request, error: InvalidRequestError) -> Response:
    errors = [FieldError(field=name, detail=detail) for name, detail in error.fields.items()]
    return problem_response(request, HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors)


async def _validation_error(request: Request, error: RequestValidationError) -> Response:
    # The first part of a location is path, query or body; the rest is the field.
    located = [{**each, "loc": each["loc"][1:] or each["loc"]} for each in error.errors()]
    not_json = any(each["type"] == "json_invalid" for each in error.errors())
    status = HTTPStatus.BAD_REQUEST if not_json else HTTPStatus.UNPROCESSABLE_ENTITY
    errors = field_errors(located)
    detail = "; ".join(f"{each.field}: {each.detail}" for each in errors)
    return problem_response(request, status, detail, errors)


async def _not_found(request: Request, error: NotFoundError) -> Response:
    return problem_response(request, HTTPStatus.NOT_FOUND, str(error))


async def _conflict(request: Request, error: ConflictError) -> Response:
    return problem_response(request, HTTPStatus.CONFLICT, str(error))


async def _database_error(request: Request, error: DatabaseError) -> Response:
    return problem_response(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers=RETRY_AFTER)


async def _store_error(request: Request, error: OSError) -> Response:
    if isinstance(error, PermissionError):
        detail = f"the image store refuses: {error.strerror or error}"
        return problem_response(request, HTTPStatus.SERVICE_UNAVAILABLE, detail)
    detail = f"the image store cannot be reached: {error.strerror or error}"
    return problem_response(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=RETRY_AFTER)


async def _internal_error(request: Request, _error: Exception) -> Response:
    detail = "internal error; the log of oat web has the traceback"
    return problem_response(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail)
