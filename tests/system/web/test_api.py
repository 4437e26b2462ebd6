"""The API: create, list, show, delete and retry fractals."""

import hashlib
import io

import pytest
from PIL import Image

from helpers import http
from helpers.gallery import SMALL, create, finished, mark_failed, problem
from helpers.system import System


def test_a_created_fractal_is_rendered_and_can_be_downloaded(running, api):
    answer = api.post("/v1/fractals", json=SMALL | {"cx": -0.8, "cy": 0.156})
    [fractal] = answer.json()["fractals"]
    assert answer.headers["location"] == f"/v1/fractals/{fractal['uuid']}"
    assert fractal["status"] in {"waiting", "done"}  # who is quicker, nobody knows
    assert (fractal["width"], fractal["cx"]) == (24, -0.8)
    done = finished(api, fractal["uuid"])
    assert done["status"] == "done"
    image = api.get(f"/v1/fractals/{fractal['uuid']}/image")
    assert image.headers["content-type"] == "image/png"
    assert "immutable" in image.headers["cache-control"]
    assert hashlib.sha256(image.content).hexdigest() == done["checksum"]
    assert len(image.content) == done["size"]


def test_every_parameter_is_optional(api):
    assert len(api.post("/v1/fractals").json()["fractals"]) == 1
    several = create(api, count=5)
    assert len({fractal["uuid"] for fractal in several}) == 5
    assert len({fractal["cx"] for fractal in several}) == 5
    [fractal] = create(api, xb=-3.5, ya=7)
    assert fractal["xa"] < fractal["xb"] == -3.5
    assert fractal["yb"] > fractal["ya"] == 7


def test_a_thumbnail_is_small_and_made_once(running, api):
    [fractal] = create(api, width=900, height=450)
    finished(api, fractal["uuid"])
    path = f"/v1/fractals/{fractal['uuid']}/thumbnail"
    first = api.get(path)
    assert first.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(first.content)) as image:
        assert image.size == (320, 160)
    file = running.folder / "data" / "oat" / "thumbnails" / f"{fractal['uuid']}.webp"
    made = file.stat().st_mtime_ns
    assert api.get(path).content == first.content
    assert file.stat().st_mtime_ns == made


def test_pages_of_the_list(api):
    uuids = {fractal["uuid"] for fractal in create(api, count=7)}
    seen, older = [], {}
    while True:
        page = api.get("/v1/fractals", params={"limit": 3} | older).json()
        seen += [fractal["uuid"] for fractal in page["fractals"]]
        if not page["older"]:
            break
        older = {"older": page["older"]}
    assert uuids <= set(seen)
    assert len(seen) == len(set(seen))
    states = api.get("/v1/fractals", params={"status": "failed"}).json()["fractals"]
    assert all(fractal["status"] == "failed" for fractal in states)


def test_delete_and_retry(running, api):
    [first] = create(api)
    uuid = first["uuid"]
    finished(api, uuid)
    problem(api.post(f"/v1/fractals/{uuid}/retry"), 409)
    mark_failed(running, uuid)
    assert api.post(f"/v1/fractals/{uuid}/retry").json()["status"] in {"waiting", "done"}
    assert finished(api, uuid)["status"] == "done"
    api.get(f"/v1/fractals/{uuid}/thumbnail")
    assert api.delete(f"/v1/fractals/{uuid}").status_code == 204
    problem(api.delete(f"/v1/fractals/{uuid}"), 404)
    for path in ("", "/image", "/thumbnail"):
        problem(api.get(f"/v1/fractals/{uuid}{path}"), 404)
    assert not list((running.folder / "data" / "oat").rglob(f"{uuid}*"))


def test_a_waiting_fractal_has_no_image_and_cannot_be_deleted(tmp_path):
    with System(tmp_path) as system, http.Client(base_url=system.gallery()) as api:
        [fractal] = create(api)
        assert "waiting" in problem(api.get(f"/v1/fractals/{fractal['uuid']}/image"), 404)
        assert "waiting" in problem(api.delete(f"/v1/fractals/{fractal['uuid']}"), 409)


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        ({"width": 1}, ["width"]),
        ({"width": "24"}, ["width"]),
        ({"width": 10**30}, ["width"]),
        ({"width": 40_000}, ["width"]),
        ({"width": 30_000, "height": 30_000}, ["width", "height"]),
        ({"iterations": 0}, ["iterations"]),
        ({"iterations": True}, ["iterations"]),
        ({"count": 1001}, ["count"]),
        ({"xa": 1, "xb": 1}, ["body"]),
        ({"cx": 0.5}, ["body"]),
        ({"colour": "red"}, ["colour"]),
        ([], ["body"]),
        ("x", ["body"]),
    ],
)
def test_an_invalid_request_names_the_field(api, parameters, fields):
    problem(api.post("/v1/fractals", json=parameters), 422, *fields)


@pytest.mark.parametrize(
    "body", [b"{", b'{"cx": 1e999, "cy": 1}', b'{"cx": NaN, "cy": 0}', b"\xff\xfe", b"[" * 50_000]
)
def test_a_body_that_is_not_json_is_rejected(api, body):
    answer = api.post("/v1/fractals", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "status=lost",
        "older=x",
        "newer=1_2",
        "older=" + "9" * 20 + "_" + "bc951403-8ad4-4833-ba76-8bac29941c5c",
    ],
)
def test_an_invalid_query_names_the_field(api, query):
    problem(api.get(f"/v1/fractals?{query}"), 422, query.partition("=")[0])


def test_unknown_paths_and_methods(api):
    problem(api.get("/v1/nothing"), 404)
    refused = api.put("/v1/fractals")
    problem(refused, 405)
    assert refused.headers["allow"] == "GET, POST"
    page = api.get("/nothing", headers={"accept": "text/html"})
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
