"""Limits of size and rate."""

import re

import pytest

from helpers import http
from helpers.gallery import SMALL, problem, raw
from helpers.system import System


def test_a_body_above_the_limit_is_rejected(running, api):
    long = b'{"width":' + b" " * 70_000 + b"24}"
    headers = {"content-type": "application/json"}
    problem(api.post("/v1/fractals", content=long, headers=headers), 413)
    problem(api.post("/v1/fractals", content=iter([long[:50_000], long[50_000:]]), headers=headers), 413)


@pytest.mark.parametrize(
    "parameters",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 700_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-Many: x\r\n" * 70_000 + b"\r\n",
        b"GET /?" + b"x" * 700_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /v1/fractals HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1;" + b"x" * 700_000 + b"\r\n{\r\n",
        b"POST /v1/fractals HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        + b"X-Trailer: x\r\n" * 70_000 + b"\r\n",
    ],
    ids=["header", "headers", "query", "extension", "trailers"],
)  # fmt: skip
def test_an_endless_request_is_cut_off(running, api, parameters):
    answer = raw(running.url, parameters)
    assert re.match(rb"HTTP/1.1 4|connection closed", answer), answer[:300]
    assert api.get("/healthz").status_code == 200


def test_rate_limits(tmp_path):
    with System(tmp_path, OAT_READ_RATE="30/hour", OAT_WRITE_RATE="2/hour") as system:
        url = system.gallery()
        answers = [http.post(f"{url}/v1/fractals", json=SMALL) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 201, 429]
        problem(answers[-1], 429)
        assert 0 < int(answers[-1].headers["retry-after"]) <= 3600
        reads = [http.get(f"{url}/v1/statistics").status_code for _ in range(31)]
        assert reads[0] == 200
        assert reads[-1] == 429
