"""Pages: the templates, and how they become answers."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from oat.process import format_duration, format_number, format_size, format_time

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


def render(request: Request, template: str, code: int = HTTPStatus.OK, **values: Any) -> HTMLResponse:
    """Return the page that `template` makes of `values`."""
    page = _environment.get_template(template).render(path=request.url.path, **values)
    return HTMLResponse(page, code, headers={"Cache-Control": "no-cache"})
