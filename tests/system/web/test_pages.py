"""The pages as they are without scripts."""

import re

import pytest

from helpers.gallery import SMALL, create, finished, mark_failed


def test_an_invalid_status_shows_an_error_page(api):
    page = api.get("/?status=DONE", headers={"accept": "text/html"})
    assert page.status_code == 422
    assert '<p class="notice">status: Input should be' in page.text


def test_static_files_are_cached(api):
    first = api.get("/static/app.js")
    again = api.get("/static/app.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == again.headers["cache-control"] == "no-cache"


def test_pages_have_no_inline_scripts_or_styles(api):
    for path in ("/", "/create", "/system", "/docs"):
        page = api.get(path).text
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=|https?://", page), path


def test_the_form_without_scripts(running, api):
    answer = api.post("/create", data=SMALL | {"cx": "-0.8", "cy": "0.156", "count": "", "xa": " "})
    assert answer.status_code == 303
    page = api.get(answer.headers["location"]).text
    assert "−0.8000 + 0.1560i" in page
    again = api.post("/create", data={"width": "1", "cx": "a<b"})
    assert again.status_code == 422
    assert 'aria-invalid="true"' in again.text
    assert "a&lt;b" in again.text
    assert api.post("/create", data={"count": "3"}).headers["location"] == "/?status=all"


def test_delete_and_retry_without_scripts(running, api):
    [fractal] = create(api)
    finished(api, fractal["uuid"])
    mark_failed(running, fractal["uuid"])
    path = f"/fractals/{fractal['uuid']}"
    assert "no luck" in api.get(path).text
    assert api.post(f"{path}/retry").headers["location"] == path
    assert finished(api, fractal["uuid"])["status"] == "done"
    assert api.post(f"{path}/delete").status_code == 303
    assert api.get(path).status_code == 404


@pytest.mark.parametrize("content", [None, b"half of it"], ids=["missing", "damaged"])
def test_an_image_that_is_missing_or_damaged_can_be_rendered_again(running, api, content):
    [fractal] = create(api)
    finished(api, fractal["uuid"])
    path = f"/fractals/{fractal['uuid']}"
    assert "Render again" not in api.get(path).text
    file = running.images / f"{fractal['uuid']}.png"
    good = file.read_bytes()
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    page = api.get(path).text
    assert "the image is " in page
    assert re.search(rf'action="{path}/retry"><button>Render again', page)
    assert api.post(f"{path}/retry").headers["location"] == path
    assert finished(api, fractal["uuid"])["status"] == "done"
    assert file.read_bytes() == good
    assert "Render again" not in api.get(path).text


def test_a_failed_card_says_why(running, api):
    [fractal] = create(api)
    finished(api, fractal["uuid"])
    mark_failed(running, fractal["uuid"])
    api.post("/v1/nothing")  # clears the cache of responses
    card = re.search(rf'data-uuid="{fractal["uuid"]}".*?</li>', api.get("/?status=failed").text, re.DOTALL)[0]
    assert "failed: no luck" in card
