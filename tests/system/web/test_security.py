"""What other clients, other sites and hostile requests cannot do."""

import base64
import re

import pytest

from helpers import http
from helpers.gallery import SMALL, TOKEN, problem, raw
from helpers.system import System
from helpers.waiting import free_port


@pytest.mark.parametrize(
    "name",
    ["x", "0", "..%2f..%2fetc%2fpasswd", "....//etc/passwd", "%00", "a" * 5000, "'; DROP TABLE fractals; --",
     "00000000-0000-0000-0000-00000000000g", "../v1/statistics/../../etc", "%2e%2e%2f%2e%2e"],
)  # fmt: skip
def test_hostile_names_are_rejected(api, name):
    for path in ("/v1/fractals/{}", "/v1/fractals/{}/image", "/v1/fractals/{}/thumbnail", "/fractals/{}",
                 "/static/{}", "/static/swagger/{}"):  # fmt: skip
        answer = api.get(path.format(name))
        assert answer.status_code in (404, 405, 422), path
        assert "root:" not in answer.text


@pytest.mark.parametrize(
    "path",
    ["/../../../../etc/passwd", "/static/../../settings.py", "//etc/passwd", "/static//etc/passwd", "/%2e%2e/"],
)
def test_path_traversal_is_rejected(running, path):
    answer = raw(running.url, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"root:" not in answer
    assert b"SettingsError" not in answer


def test_every_answer_has_the_security_headers(api):
    for path in ("/", "/create", "/system", "/v1/statistics", "/nothing", "/static/app.js", "/docs"):
        headers = api.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert re.search(r"script-src 'self';", policy)
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers
    assert api.head("/").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://elsewhere.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}],
)
def test_cross_site_requests_change_nothing(api, headers):
    problem(api.post("/v1/fractals", json=SMALL, headers=headers), 403)
    assert api.post("/create", data={"count": "1"}, headers=headers).status_code == 403


def test_what_the_browser_says_of_the_site_decides(api):
    origin = {"origin": "https://gallery.example"}
    assert (
        api.post("/v1/fractals", json=SMALL, headers=origin | {"sec-fetch-site": "same-origin"}).status_code == 201
    )
    assert api.post("/v1/fractals", json=SMALL, headers={"sec-fetch-site": "none"}).status_code == 201
    for site in ("none", "same-site", "cross-site", "", "unheard-of"):
        problem(api.post("/v1/fractals", json=SMALL, headers=origin | {"sec-fetch-site": site}), 403)


@pytest.mark.parametrize("host", [None, "elsewhere.example"])
def test_forwarded_headers_of_anybody_change_nothing(api, host):
    headers = {"origin": "http://elsewhere.example", "x-forwarded-host": "elsewhere.example"}
    headers |= {"x-forwarded-proto": "http", "x-forwarded-for": "127.0.0.1", "forwarded": "host=elsewhere.example"}
    answer = api.post("/v1/fractals", json=SMALL, headers=headers | ({"host": host} if host else {}))
    problem(answer, 421 if host else 403)


def test_a_foreign_host_name_is_rejected(api):
    problem(api.get("/v1/statistics", headers={"host": "elsewhere.example"}), 421)


@pytest.mark.parametrize("host", ["LOCALHOST", "localhost.:80", "App.LocalHost", "127.1.2.3", "[::1]:80"])
def test_the_loopback_is_known_however_it_is_written(api, host):
    assert api.get("/v1/statistics", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_an_address_open_to_others_needs_a_token(tmp_path, host):
    with System(tmp_path) as system:
        done = system.call("oat", "web", "--host", host, "--port", free_port())
    assert done.returncode == 2
    assert "OAT_API_TOKEN" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("public", [False, True])
def test_the_token(tmp_path, public):
    settings = {"OAT_API_TOKEN": TOKEN} | ({"OAT_PUBLIC_READING": "true"} if public else {})
    with System(tmp_path, **settings) as system:
        url = system.gallery("--host", "0.0.0.0").replace("0.0.0.0", "127.0.0.1")
        good = {"authorization": f"Bearer {TOKEN}"}
        browser = {"authorization": "Basic " + base64.b64encode(f"me:{TOKEN}".encode()).decode()}
        bad = [{}, {"authorization": "Bearer x"}, {"authorization": f"Basic {TOKEN}"}, {"authorization": TOKEN}]
        for headers in (good, browser):
            assert http.get(f"{url}/", headers=headers).status_code == 200
            assert http.post(f"{url}/v1/fractals", json=SMALL, headers=headers).status_code == 201
        for headers in bad:
            answer = http.post(f"{url}/v1/fractals", json=SMALL, headers=headers)
            problem(answer, 401)
            assert "Basic" in answer.headers["www-authenticate"]
            for path in ("/", "/v1/fractals", "/metrics", "/v1/openapi.json"):
                assert http.get(url + path, headers=headers).status_code == (200 if public else 401)
        assert http.get(f"{url}/healthz").status_code == 200
        assert TOKEN not in system.processes[0].log.read_text()
