"""The gallery behind a reverse proxy: a real nginx, and what a browser and a hostile page send through it."""

import contextlib
import re
import ssl

import httpx
import pytest
import trustme

from helpers import http
from helpers.gallery import SMALL, TOKEN, problem
from helpers.missing import require
from helpers.nginx import FORWARDED, Nginx
from helpers.servers import MissingError
from helpers.system import System

HOST = "proxy_set_header Host $http_host;"
EVIL = "http://evil.example"


@pytest.fixture
def behind(tmp_path):
    """Start a gallery with these settings, and an nginx in front; return a client that trusts it."""
    with contextlib.ExitStack() as stack:

        def start(*options, location="/", strip="", tls=False, gallery=(), **settings):
            system = stack.enter_context(System(tmp_path, **settings))
            upstream = system.gallery(*gallery).replace("0.0.0.0", "127.0.0.1")
            authority = trustme.CA() if tls else None
            certificate = authority and authority.issue_cert("gallery.example", "127.0.0.1")
            folder = tmp_path / "nginx"
            folder.mkdir()
            nginx = Nginx(folder, options=options, upstream=upstream + strip, location=location)
            nginx.certificate = certificate
            try:
                nginx.start()
            except MissingError as missing:
                require(str(missing))
            stack.callback(nginx.stop)
            url = f"http{'s' if tls else ''}://127.0.0.1:{nginx.port}{location.rstrip('/')}"
            pem = tmp_path / "ca.pem"
            if authority:
                authority.cert_pem.write_to_path(str(pem))
            client = stack.enter_context(
                http.Client(base_url=url, verify=ssl.create_default_context(cafile=pem if authority else None))
            )
            client.upstream = upstream
            return client

        yield start


def form(client, **headers):
    """Send the form of /create as a browser does, with these headers; return the status."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/create", data={"count": "1", "width": "20", "height": "20"}, headers=names).status_code


def test_nothing_but_proxy_pass(behind):
    client = behind()
    assert form(client, origin="https://gallery.example", sec_fetch_site="same-origin") == 303
    assert form(client, origin="http://gallery.example") == 403  # who may say that this is its name?
    assert form(client, origin=EVIL) == 403
    for site in ("cross-site", "same-site", "", "anything"):
        assert form(client, origin="https://gallery.example", sec_fetch_site=site) == 403
        assert form(client, sec_fetch_site=site) == 403
    # What clients send of this sort, nginx passes on.
    assert form(client, origin=EVIL, x_forwarded_host="evil.example") == 403
    assert form(client, origin=EVIL, x_forwarded_host="evil.example", x_forwarded_proto="http") == 403


def test_with_the_host_passed_on(behind):
    client = behind(HOST, OAT_ALLOWED_HOSTS="Gallery.example")
    for host, origin in (
        ("gallery.example", "http://gallery.example"),
        ("gallery.example", "https://gallery.example"),
        ("gallery.example:443", "https://gallery.example"),
        ("gallery.example:8443", "https://gallery.example:8443"),
        ("GALLERY.Example", "https://gallery.example"),
        ("gallery.example.", "https://gallery.example."),
    ):
        assert form(client, host=host, origin=origin) == 303, (host, origin)
        for other in (EVIL, "http://gallery.example:81", "http://sub.gallery.example", "null", "", "http://[",
                      "http://gallery.example.evil.example", "http://evil.example/gallery.example"):  # fmt: skip
            assert form(client, host=host, origin=other) == 403, other
    # A name that an attacker has made resolve to this proxy.
    for path in ("/", "/v1/fractals", "/system"):
        assert client.get(path, headers={"host": "evil.example"}).status_code == 421
    assert form(client, host="evil.example", origin=EVIL) == 421
    assert form(client, host="evil.example", origin=EVIL, sec_fetch_site="same-origin") == 421
    assert form(client, host="evil.example", origin=EVIL, x_forwarded_host="gallery.example") == 421


def test_with_forwarded_headers_of_a_trusted_proxy(behind):
    settings = {"OAT_ALLOWED_HOSTS": "gallery.example", "OAT_TRUSTED_PROXIES": "127.0.0.1"}
    client = behind(*FORWARDED, OAT_WRITE_RATE="1000/minute", **settings)
    assert form(client, host="gallery.example", origin="http://gallery.example") == 303
    assert form(client, host="gallery.example", origin=EVIL) == 403
    assert form(client, host="evil.example", origin=EVIL) == 421
    assert form(client, host="evil.example", origin="http://gallery.example") == 421
    direct = http.Client(base_url=client.upstream)
    # A page whose name was made to resolve to the loopback sends what it likes, but not another Host.
    assert form(direct, host="evil.example", origin=EVIL, x_forwarded_host="localhost") == 421
    assert form(direct, host="evil.example", origin=EVIL, x_forwarded_host="gallery.example") == 421


def test_with_a_token_any_name_will_do_and_no_other_site(behind):
    client = behind(HOST, gallery=("--host", "0.0.0.0"), OAT_API_TOKEN=TOKEN)
    client.headers["authorization"] = f"Bearer {TOKEN}"
    assert form(client, host="any.example", origin="http://any.example") == 303
    assert form(client, host="any.example", origin=EVIL) == 403
    del client.headers["authorization"]
    assert form(client, host="any.example", origin="http://any.example") == 401


@pytest.mark.parametrize("trusted", [True, False])
def test_addresses_of_clients_are_those_a_trusted_proxy_says(behind, trusted):
    passed_on = "proxy_set_header X-Forwarded-For $http_x_client;"
    settings = {"OAT_TRUSTED_PROXIES": "127.0.0.0/8"} if trusted else {}
    client = behind(passed_on, OAT_WRITE_RATE="2/hour", **settings)
    clients = ["192.0.2.1"] * 3 + ["192.0.2.2", "203.0.113.9, 192.0.2.2", "192.0.2.2, 127.0.0.1"]
    answers = [client.post("/v1/fractals", json=SMALL, headers={"x-client": each}) for each in clients]
    expected = [201, 201, 429, 201, 201, 429] if trusted else [201, 201, 429, 429, 429, 429]
    assert [answer.status_code for answer in answers] == expected


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("strip", ["/", ""])
def test_under_a_path_prefix(behind, tls, strip):
    client = behind(location="/oat/", strip=strip, tls=tls, OAT_ROOT_PATH="oat/")
    for path in ("/", "/create", "/system", "/docs", "/?status=all", "/static/none", "/fractals/none"):
        page = client.get(path, headers={"accept": "text/html"})
        links = re.findall(r'(?:href|src|action)="(/[^"]*)"', page.text)
        assert len(links) > 6
        assert not re.search(r'(?:href|src|action)="(?![/#])', page.text)
        for link in links:
            assert link.startswith("/oat/"), (path, link)
            if 'action="' + link not in page.text:
                assert client.get(httpx.URL(client.base_url).join(link)).status_code == 200, link
    assert re.search(r'href="/oat/create" aria-current="page"', client.get("/create").text)
    assert client.get("/openapi.json").status_code == 404
    assert client.get("/v1/openapi.json").json()["servers"] == [{"url": "/oat"}]
    created = client.post("/v1/fractals", json=SMALL)
    assert created.status_code == 201
    location = created.headers["location"]
    assert location.startswith("/oat/v1/fractals/")
    assert client.get(httpx.URL(client.base_url).join(location)).status_code == 200
    answer = client.post("/create", data={"count": "1"}, headers={"sec-fetch-site": "same-origin"})
    assert answer.headers["location"].startswith("/oat/fractals/")
    assert "unsafe-inline" in client.get("/docs").headers["content-security-policy"]
    assert "unsafe-inline" not in client.get("/").headers["content-security-policy"]
    problem(client.get("/v1/nothing", headers={"accept": "text/html"}), 404)
    assert http.get(f"{client.upstream}/healthz").status_code == 200


def test_events_are_not_held_back(behind):
    client = behind("proxy_buffers 8 64k;")
    with client.stream("GET", "/v1/events") as events:
        lines = events.iter_lines()
        assert next(lines) == "event: statistics"
        [created] = client.post("/v1/fractals", json=SMALL).json()["fractals"]
        assert any(created["uuid"] in line for line in lines)


def test_a_client_behind_a_prefix(behind, tmp_path):
    client = behind(location="/oat/", strip="/", OAT_ROOT_PATH="/oat")
    with System(tmp_path) as system:
        done = system.call("oat", "create", "--api-url", str(client.base_url), "--json")
        assert done.returncode == 0, done.stderr
        done = system.call("oat", "status", "--api-url", str(client.base_url), "--json")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [("OAT_ROOT_PATH", "/a b"), ("OAT_ROOT_PATH", "/.."), ("OAT_ROOT_PATH", "/static"), ("OAT_ROOT_PATH", "v1/x"),
     ("OAT_ROOT_PATH", '/"><script>'), ("OAT_TRUSTED_PROXIES", "*"), ("OAT_TRUSTED_PROXIES", "127.0.0.1 ::1")],
)  # fmt: skip
def test_an_unusable_setting_is_one_line(tmp_path, variable, value):
    with System(tmp_path, **{variable: value}) as system:
        done = system.call("oat", "web", "--port", 0)
    assert done.returncode == 2
    assert variable in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
