"""OpenAPI: the parts of the API's description that FastAPI cannot derive from the types of the routes."""

from typing import Any

from fastapi import FastAPI

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

EVENTS_RESPONSE: dict[str, Any] = {
    "description": "Server-sent events, without end.",
    "content": {
        "text/event-stream": {
            "schema": {
                "type": "object",
                "properties": {
                    "event": {"enum": ["fractal", "statistics", "trouble"]},
                    "data": {
                        "type": "string",
                        "description": "A `Fractal` or `Statistics` as JSON; for `trouble`, a text.",
                    },
                    "id": {
                        "type": "string",
                        "description": "The value of `Last-Event-ID` with which to continue after this event.",
                    },
                },
                "required": ["event", "data"],
            }
        }
    },
}


def file_response(media_type: str) -> dict[str, Any]:
    """Describe a response that is a binary file of this media type."""
    return {
        "description": "The file.",
        "content": {media_type: {"schema": {"type": "string", "format": "binary"}}},
    }


def add_problem_schemas(app: FastAPI) -> None:
    """Add the schema that `PROBLEM_RESPONSE` refers to: FastAPI adds those of application/json only."""
    problem = Problem.model_json_schema(ref_template=_SCHEMA)
    app.openapi()["components"]["schemas"] |= {**problem.pop("$defs"), Problem.__name__: problem}
