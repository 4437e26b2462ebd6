"""The API keeps to its own description: schemathesis makes up requests from it, good and bad."""

import httpx
import pytest

from system import System
from test_web import SMALL

# What a schema cannot say (width times height has a limit, xa differs from xb) makes some of what it allows wrong.
LEFT_OUT = "positive_data_acceptance"


@pytest.mark.timeout(200)
def test_the_api_keeps_to_its_description(tmp_path):
    with System(tmp_path, OAT_READ_RATE="1000000/minute", OAT_WRITE_RATE="1000000/minute") as system:
        system.start("oat-worker")
        system.start("oat-tracker")
        url = system.gallery()
        httpx.post(f"{url}/v1/fractals", json=SMALL | {"count": 5}).raise_for_status()
        system.wait_for(5)
        done = system.call(
            "schemathesis", "run", f"{url}/v1/openapi.json", "--exclude-checks", LEFT_OUT, "--no-color",
            "--exclude-path", "/v1/events",  # it never ends; test_web listens to it
            "--phases", "examples,coverage,fuzzing", "--max-examples", 10, "--seed", 1, "--request-timeout", 30,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:]
        assert "8 selected" in done.stdout
