"""Dependencies, in FastAPI's sense: what the routes declare as parameters."""

from typing import Annotated

from fastapi import Depends, Query, Request

from oat.records import CURSOR
from oat.web.backend import Backend


def _backend(request: Request) -> Backend:
    backend: Backend = request.app.state.backend
    return backend


BackendDependency = Annotated[Backend, Depends(_backend)]

CursorQuery = Annotated[str | None, Query(pattern=CURSOR)]
"""A query parameter that names a position in the list of records."""
