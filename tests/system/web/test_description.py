"""The API keeps to its own description: schemathesis makes up requests from it, good and bad."""

from pathlib import Path

import pytest

from helpers import http
from helpers.gallery import SMALL
from helpers.system import System

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.timeout(200)
def test_the_api_keeps_to_its_description(tmp_path):
    with System(tmp_path, OAT_READ_RATE="1000000/minute", OAT_WRITE_RATE="1000000/minute") as system:
        system.start("oat-worker")
        system.start("oat-tracker")
        url = system.gallery()
        http.post(f"{url}/v1/fractals", json=SMALL | {"count": 5}).raise_for_status()
        system.wait_for(5)
        done = system.call(
            "schemathesis", "--config-file", CONFIGURATION, "run", f"{url}/v1/openapi.json", "--no-color"
        )
        assert done.returncode == 0, done.stdout[-6000:]
        described = http.get(f"{url}/v1/openapi.json").json()["paths"]
        operations = sum(len(methods) for methods in described.values())
        assert f"{operations} selected / {operations} total" in done.stdout
