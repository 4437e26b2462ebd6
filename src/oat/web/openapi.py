"""OpenAPI: the parts of the API's description that FastAPI cannot derive from the types of the routes."""

from typing import Any

from fastapi import FastAPI

from oat.services import Progress
from oat.web.problems import Problem

_SCHEMA = "#/components/schemas/{model}"

PROBLEM_RESPONSE: dict[str, Any] = {
    "description": "An error: problem details as in RFC 9457.",
    "content": {"application/problem+json": {"schema": {"$ref": _SCHEMA.format(model=Problem.__name__)}}},
}

AUDIT_RESPONSE: dict[str, Any] = {
    "description": "JSON Lines, one for each step: how many records are compared; the last one has the report.",
    "content": {"application/jsonl": {"schema": {"type": "string"}}},
}


def _events(data: str, *names: str) -> dict[str, Any]:
    """Describe a response that is a stream of events of these names."""
    properties = {
        "event": {"enum": [*names, "trouble"]},
        "data": {"type": "string", "description": f"{data} as JSON; for `trouble`, a text."},
        "id": {
            "type": "string",
            "description": "The value of `Last-Event-ID` with which to continue after this event.",
        },
    }
    schema = {"type": "object", "properties": properties, "required": ["event", "data"]}
    return {
        "description": "Server-sent events, without end.",
        "content": {"text/event-stream": {"schema": schema}},
    }


EVENTS_RESPONSE = _events("A `Fractal` or `Statistics`", "fractal", "statistics")
PROGRESS_RESPONSE = _events("A `Progress`", "progress")


def file_response(media_type: str) -> dict[str, Any]:
    """Describe a response that is a binary file of this media type."""
    return {
        "description": "The file.",
        "content": {media_type: {"schema": {"type": "string", "format": "binary"}}},
    }


class DescribedAPI(FastAPI):
    """An application whose description has the schemas that the responses above refer to, too.

    FastAPI adds those of application/json only. The description is made once, and when it is asked for: it takes
    longer than all the rest of the application, and most processes never need it.
    """

    def openapi(self) -> dict[str, Any]:
        """Return the description of the API."""
        if self.openapi_schema is None:
            schemas = super().openapi()["components"]["schemas"]
            for model in (Problem, Progress):
                schema = model.model_json_schema(ref_template=_SCHEMA)
                schemas |= {**schema.pop("$defs"), model.__name__: schema}
        return super().openapi()
