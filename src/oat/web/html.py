"""Pages: the templates, and how values look in them."""

from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from oat.schema import Status


def render(request: Request, template: str, code: int = HTTPStatus.OK, **values: Any) -> HTMLResponse:
    """Return the page that `template` makes of `values`."""
    page = _environment.get_template(template).render(path=request.url.path, **values)
    return HTMLResponse(page, code, headers={"Cache-Control": "no-cache"})


def _moment(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC"


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    if value < 1:
        return f"{value * 1000:.0f} ms" if value >= 0.001 else f"{value * 1000:.2f} ms"  # noqa: PLR2004
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.0f} min"  # noqa: PLR2004


def _bytes(value: int) -> str:
    return f"{value:,} bytes" if value < 1024 else f"{value / 1024:,.0f} KiB"  # noqa: PLR2004


def _number(value: float | None) -> str:
    """Numbers as people read them; app.js writes them the same way."""
    if value is None:
        return "–"
    return f"{value:.1f}" if 0 < value < 10 and value != int(value) else f"{value:,.0f}"  # noqa: PLR2004


_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {"moment": _moment, "seconds": _seconds, "bytes": _bytes, "number": _number}
_environment.globals |= {"statuses": list(Status)}
