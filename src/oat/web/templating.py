"""Templating: the Jinja2 environment of the pages, and how a page becomes a response."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from oat.process import format_duration, format_number, format_size, format_time
from oat.web.root_path import root_path, route_path

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {
    "moment": format_time,
    "seconds": format_duration,
    "bytes": format_size,
    "number": format_number,
}
_templates = Jinja2Templates(env=_environment)


def render(request: Request, template: str, status_code: int = HTTPStatus.OK, **context: Any) -> HTMLResponse:
    """Return the page that `template` makes of `context`, to be revalidated by browsers before a reuse."""
    context |= {"root": root_path(request.scope), "path": route_path(request.scope)}
    return _templates.TemplateResponse(request, template, context, status_code, {"Cache-Control": "no-cache"})
