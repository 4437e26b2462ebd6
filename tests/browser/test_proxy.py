"""The pages in a real browser, through a real nginx: every form, button and event stream works."""

import re
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa
import trustme
from playwright.sync_api import expect

from helpers.browser import new_context
from helpers.missing import require
from helpers.nginx import FORWARDED, Nginx
from helpers.servers import MissingError
from helpers.system import System


@dataclass
class Case:
    """How nginx is configured, how the gallery is, and by which name the browser asks."""

    options: tuple = ()
    tls: bool = False
    location: str = "/"
    strip: str = ""
    name: str = "127.0.0.1"
    settings: dict = field(default_factory=dict)


NAMED = {"OAT_ALLOWED_HOSTS": "gallery.example"}
CASES = {
    "nothing but proxy_pass": Case(),
    "nothing but proxy_pass and TLS": Case(tls=True, name="gallery.example"),
    "Host, a name without TLS": Case(
        ("proxy_set_header Host $http_host;",), name="gallery.example", settings=NAMED
    ),
    "Host without its port, TLS": Case(
        ("proxy_set_header Host $host;",), tls=True, name="gallery.example", settings=NAMED
    ),
    "X-Forwarded-Host, a name without TLS": Case(
        FORWARDED, name="gallery.example", settings=NAMED | {"OAT_TRUSTED_PROXIES": "127.0.0.1"}
    ),
    "a prefix that is removed": Case(location="/oat/", strip="/", settings={"OAT_ROOT_PATH": "/oat"}),
    "a prefix that is passed on, TLS": Case(
        location="/a/b/", tls=True, name="gallery.example", settings={"OAT_ROOT_PATH": "/a/b"}
    ),
}


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    """A worker and a tracker, which know nothing of what is in front of a gallery."""
    with System(tmp_path_factory.mktemp("services")) as system:
        system.start("oat-worker")
        system.start("oat-tracker")
        yield system


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_everything_works_through_a_proxy(chromium, services, tmp_path, monkeypatch, case):
    monkeypatch.setattr(services, "environment", services.environment | case.settings)
    upstream = services.gallery()
    gallery = services.processes[-1]
    nginx = Nginx(tmp_path, options=case.options, upstream=upstream + case.strip, location=case.location)
    nginx.certificate = trustme.CA().issue_cert("gallery.example") if case.tls else None
    try:
        nginx.start()
    except MissingError as missing:
        require(str(missing))
    context = new_context(chromium, ignore_https_errors=True)
    try:
        visit(context, f"http{'s' if case.tls else ''}://{case.name}:{nginx.port}{case.location}")
    finally:
        context.close()
        nginx.stop()
        services.kill(gallery)
        with services.engine.begin() as connection:  # one that has failed leaves nothing to the next
            connection.execute(sa.text("DELETE FROM fractals"))


def visit(context, url):
    """A form, links, an image that appears by an event, a button, and the page of the API."""
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("response", lambda answer: answer.status < 400 or complaints.append(f"{answer.status} {answer.url}"))
    page.goto(url)
    expect(page.locator(".live")).to_have_text("live")
    page.get_by_role("link", name="Make one").first.click()
    page.fill("#width", "60")
    page.fill("#height", "40")
    page.get_by_role("button", name="Render it").click()
    expect(page.locator("figure img")).to_be_visible()
    assert page.locator("figure img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 60
    assert page.url.startswith(f"{url}fractals/")
    page.get_by_role("link", name="Gallery").click()
    expect(page.locator(".card img")).to_have_count(1)
    page.locator(".card a").click()
    page.get_by_text("Delete", exact=True).click()
    page.get_by_role("button", name="Delete for good").click()
    page.wait_for_url(re.compile(f"^{re.escape(url)}$"))
    expect(page.locator(".card")).to_have_count(0)
    page.get_by_role("link", name="API", exact=True).click()
    expect(page.get_by_text("List Fractals")).to_be_visible()
    # Without TLS, Chromium says so of one of the security headers.
    assert [each for each in complaints if "URL's origin was untrustworthy" not in each] == []
