"""Requests to the API of `oat web`, and what is expected of its responses."""

import contextlib
import re
import socket

from helpers.waiting import TIMEOUT, wait_until

TOKEN = "a token of 24 characters"


SMALL = {"width": 24, "height": 16, "iterations": 64}


def create(api, **parameters):
    answer = api.post("/v1/fractals", json=SMALL | parameters)
    assert answer.status_code == 201, answer.text
    return answer.json()["fractals"]


def finished(api, uuid):
    def poll():
        fractal = api.get(f"/v1/fractals/{uuid}").json()
        return fractal["status"] != "waiting" and fractal

    return wait_until(poll, f"{uuid} finished")


def mark_failed(system, uuid):
    """Have the record of `uuid` say that it failed."""
    with system.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE fractals SET status = 'failed', error = 'no luck', finished_at = created_at "
            f"WHERE uuid = '{uuid}'"
        )


def problem(answer, status, *fields):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert {error["field"] for error in body.get("errors", [])} == set(fields)
    return body["detail"]


def raw(url, request):
    """Send bytes that no client library would, and return the first line of the answer."""
    host, port = re.match(r"http://(.*):(\d+)", url).groups()
    with socket.create_connection((host, int(port)), TIMEOUT) as sock:
        with contextlib.suppress(ConnectionError):  # it may have closed the connection
            sock.sendall(request)
        try:
            return sock.makefile("rb").read(65536) or b"connection closed"
        except ConnectionError:
            return b"connection closed"
