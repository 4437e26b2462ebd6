"""The API keeps to its own description: schemathesis makes up requests from it, good and bad."""

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from system import System
from test_web import SMALL

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    response_headers_conformance, negative_data_rejection, unsupported_method,
]  # fmt: skip


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    with System(tmp_path_factory.mktemp("contract"), OAT_WRITE_RATE="100000/minute") as system:
        system.start("oat-worker")
        system.start("oat-tracker")
        url = system.gallery()
        httpx.post(f"{url}/v1/fractals", json=SMALL | {"count": 5}).raise_for_status()
        system.wait_for(5)
        loaded = schemathesis.openapi.from_url(f"{url}/v1/openapi.json")
        return_value = loaded.exclude(path="/v1/events")  # it never ends; test_web listens to it
        yield return_value


contract = schemathesis.pytest.from_fixture("schema")


@contract.parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_api_keeps_to_its_description(case):
    if isinstance(case.body, dict):
        case.body["count"] = (
            min(case.body.get("count", 1), 5) if isinstance(case.body.get("count", 1), int) else case.body["count"]
        )
    case.call_and_validate(checks=CHECKS, timeout=30)
