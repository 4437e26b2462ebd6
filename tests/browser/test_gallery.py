"""The pages in a real browser. Screenshots of what is tested are kept in build/screenshots."""

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from helpers import http
from helpers.browser import new_context
from helpers.gallery import SMALL, mark_failed
from helpers.system import System

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"


PHONE = {"width": 375, "height": 740}


DESKTOP = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A system with 60 pictures, one of them failed, and two waiting that no worker takes."""
    with System(tmp_path_factory.mktemp("browser")) as system:
        worker = system.start("oat-worker")
        system.start("oat-tracker")
        system.url = system.gallery()
        system.produce(60)
        system.wait_for(60)
        mark_failed(system, system.records()[0]["uuid"])
        system.worker = worker
        yield system


@pytest.fixture
def open_page(chromium, running, request):
    """Open a path; at the end, the console has to be empty and a picture of the page is kept."""
    complaints, contexts = [], []

    def open_page(path, **options):
        context = new_context(chromium, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda failed: complaints.append(f"{failed.failure}: {failed.url}"))
        page.goto(running.url + path)
        return page

    open_page.expected = "net::ERR_ABORTED"  # a page that is left lets go of what is on its way
    yield open_page
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for number, context in enumerate(contexts):
        name = re.sub(r"\W+", "-", request.node.name).strip("-")
        context.pages[0].screenshot(path=SCREENSHOTS / f"{name}-{number}.png")
        context.close()
    assert [each for each in complaints if not re.search(open_page.expected, each)] == []


def violations(page):
    """What axe finds in a page that has come to rest: a card that fades in has less contrast for a moment."""
    page.emulate_media(reduced_motion="reduce")
    return Axe().run(page).response["violations"]


def create(system, **parameters):
    answer = http.post(f"{system.url}/v1/fractals", json=SMALL | parameters)
    return answer.raise_for_status().json()["fractals"]


def test_a_picture_appears_while_one_watches(open_page, running):
    page = open_page("/")
    expect(page.locator(".live")).to_have_text("live")
    expect(page.locator(".card")).to_have_count(24)
    [fractal] = create(running)
    card = page.locator(f'.card[data-uuid="{fractal["uuid"]}"]')
    expect(card.locator("img")).to_be_visible()
    assert card.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 1
    expect(page.locator(".card").first).to_have_attribute("data-uuid", fractal["uuid"])
    expect(page.locator(".card")).to_have_count(24)
    live = page.locator(".card").evaluate_all("cards => cards.map(card => card.dataset.uuid)")
    page.reload()
    assert page.locator(".card").evaluate_all("cards => cards.map(card => card.dataset.uuid)") == live


def test_an_event_of_what_is_shown_takes_no_click(open_page, running):
    page = open_page("/")
    card = page.locator(".card").first
    uuid = card.get_attribute("data-uuid")
    fractal = http.get(f"{running.url}/v1/fractals/{uuid}").json()
    show = "fractal => showInGallery(document.querySelector('.grid'), fractal)"
    before = card.element_handle()
    page.evaluate(show, fractal | {"duration": 99.0})
    assert not before.evaluate("card => card.isConnected")
    expect(card.locator(".quiet")).to_contain_text("99.0 s")
    page.reload()
    card.hover()
    page.mouse.down()
    page.evaluate(show, fractal)
    page.mouse.up()
    page.wait_for_url(f"**/fractals/{uuid}")


def test_from_the_form_to_the_image(open_page):
    page = open_page("/create")
    box = page.locator("#map").bounding_box()
    before = page.locator("#preview").evaluate("canvas => canvas.toDataURL()")
    page.mouse.click(box["x"] + box["width"] * 0.34, box["y"] + box["height"] * 0.45)
    assert float(page.locator("#cx").input_value()) == pytest.approx(-2.4 + 4.8 * 0.34, abs=0.02)
    assert float(page.locator("#cy").input_value()) == pytest.approx(-1.8 + 3.6 * 0.45, abs=0.02)
    page.wait_for_function("old => document.getElementById('preview').toDataURL() !== old", arg=before)
    before = page.locator("#preview").evaluate("canvas => canvas.toDataURL()")
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.25)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5, steps=4)
    page.mouse.up()
    assert float(page.locator("#xa").input_value()) == pytest.approx(-1.2, abs=0.02)
    assert float(page.locator("#yb").input_value()) == pytest.approx(0, abs=0.02)
    page.wait_for_function("old => document.getElementById('preview').toDataURL() !== old", arg=before)
    c = page.locator("#cx").input_value()
    page.fill("#width", "120")
    page.fill("#height", "90")
    page.get_by_role("button", name="Render it").click()
    image = page.locator("figure img")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 120
    expect(page.locator("dl.fields")).to_contain_text(c.replace("-", "-"))


def test_the_preview_is_what_is_rendered(open_page, running):
    parameters = {"width": 480, "height": 360, "iterations": 100, "cx": -0.8, "cy": 0.156}
    parameters |= {"xa": -1.6, "xb": 1.6, "ya": -1.2, "yb": 1.2}
    page = open_page(f"/create?{urlencode(parameters)}")
    [fractal] = create(running, **parameters)
    running.wait_for(len(running.records()) - 1)
    different = page.evaluate(
        """async (path) => {
          const image = Object.assign(new Image(), { src: path });
          await image.decode();
          const rendered = Object.assign(document.createElement("canvas"), { width: 480, height: 360 });
          rendered.getContext("2d").drawImage(image, 0, 0);
          const pixels = (canvas) => canvas.getContext("2d").getImageData(0, 0, 480, 360).data;
          const preview = pixels(document.getElementById("preview"));
          return pixels(rendered).filter((value, place) => value !== preview[place]).length;
        }""",
        f"/v1/fractals/{fractal['uuid']}/image",
    )
    assert different < 480 * 360 * 4 / 1000  # the order of two multiplications may differ, on a border


def test_surprise_me_makes_several_at_once(open_page):
    page = open_page("/create")
    page.get_by_label("How many at random").fill("3")
    page.get_by_role("button", name="Surprise me").click()
    expect(page.locator(".filter [aria-current]")).to_contain_text("All")
    for place in range(3):
        expect(page.locator(".card").nth(place).locator("img")).to_be_visible()


def test_form_errors_are_shown_beside_their_fields(open_page):
    page = open_page("/create")
    open_page.expected += "|status of 422"
    page.fill("#width", "40000")
    page.get_by_role("button", name="Render it").click()
    expect(page.locator("#width-error")).to_contain_text("above the limit of 32768")
    expect(page.locator("#width")).to_have_value("40000")


def test_paging_there_and_back(open_page):
    page = open_page("/")
    first = page.locator(".card").evaluate_all("cards => cards.map(card => card.dataset.uuid)")
    page.get_by_role("link", name="Older").click()
    page.wait_for_url(re.compile("older="))
    second = page.locator(".card").evaluate_all("cards => cards.map(card => card.dataset.uuid)")
    assert not set(first) & set(second)
    page.get_by_role("link", name="Newer").click()
    page.wait_for_url(re.compile("newer="))
    expect(page.locator(".card").first).to_have_attribute("data-uuid", first[0])


def test_everything_works_by_keyboard(open_page):
    page = open_page("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(6):  # the links to the states, then the first picture
        page.keyboard.press("Tab")
    expect(page.locator(".card a").first).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/fractals/"))
    page.goto(page.url.rpartition("/fractals")[0] + "/create")
    page.locator("#map").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    assert (page.locator("#cx").input_value(), page.locator("#cy").input_value()) == ("-0.79", "0.256")


def test_retry_and_delete(open_page, running):
    uuid = next(record["uuid"] for record in running.records() if record["status"] == "failed")
    page = open_page("/?status=failed")
    expect(page.locator(f'.card[data-uuid="{uuid}"]')).to_contain_text("no luck")
    page.locator(f'.card[data-uuid="{uuid}"] a').click()
    expect(page.locator("figure")).to_contain_text("no luck")
    page.get_by_role("button", name="Send again").click()
    expect(page.locator("figure img")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == f"{uuid}.png"
    page.get_by_text("Delete", exact=True).click()
    page.get_by_role("button", name="Delete for good").click()
    page.wait_for_url(re.compile("/$"))
    assert http.get(f"{running.url}/v1/fractals/{uuid}").status_code == 404


def test_the_system_page_warns_without_a_worker(chromium, tmp_path):
    with System(tmp_path) as system:
        system.url = system.gallery()
        page = new_context(chromium).new_page()
        page.goto(f"{system.url}/system")
        create(system, count=3)
        expect(page.locator('.tasks [data-number="queued"]')).to_have_text("3")
        expect(page.locator("#warnings")).to_contain_text("is a worker running?")
        system.start("oat-worker")
        system.start("oat-tracker")
        expect(page.locator('.database [data-number="done"]')).to_have_text("3")
        expect(page.locator("#warnings")).to_be_empty()
        expect(page.locator("#workers tbody tr")).to_have_count(1)
        page.context.close()


def test_one_and_all_are_cancelled(chromium, tmp_path):
    with System(tmp_path) as system:
        url = system.url = system.gallery()
        first = create(system, count=3)[0]["uuid"]
        page = new_context(chromium).new_page()
        page.goto(f"{url}/fractals/{first}")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator(".fractal .state")).to_have_text("cancelled")
        expect(page.get_by_role("button", name="Send again")).to_be_visible()
        page.goto(f"{url}/?status=waiting")
        expect(page.locator(".card")).to_have_count(2)
        page.get_by_text("Cancel all", exact=True).click()
        page.get_by_role("button", name="Cancel all that wait").click()
        expect(page).to_have_url(f"{url}/?status=cancelled")
        expect(page.locator(".card")).to_have_count(3)
        assert not violations(page)
        page.goto(f"{url}/fractals/{first}")
        page.get_by_role("button", name="Send again").click()
        expect(page.locator(".fractal .state")).to_have_text("waiting to be rendered")
        assert (system.counts(), system.queued("tasks")) == ({"cancelled": 2, "waiting": 1}, 1)
        page.context.close()


@pytest.mark.parametrize("path", ["/", "/create", "/system", "fractal"])
@pytest.mark.parametrize(("scheme", "viewport"), [("light", PHONE), ("dark", DESKTOP)])
def test_phone_desktop_and_accessibility(open_page, running, path, scheme, viewport):
    if path == "fractal":
        path = f"/fractals/{next(r['uuid'] for r in running.records() if r['status'] == 'done')}"
    page = open_page(path, viewport=viewport, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 3 * 128) == (scheme == "dark")
    assert [v["id"] for v in violations(page) if v["impact"] in ("serious", "critical")] == []


def test_every_page_works_without_scripts(open_page, running):
    page = open_page("/", java_script_enabled=False)
    expect(page.locator(".card")).to_have_count(24)
    page.get_by_role("link", name="Older").click()
    page.locator(".card a").first.click()
    expect(page.locator("dl.fields")).to_contain_text("Checksum")
    page.goto(f"{running.url}/system")
    expect(page.locator('.database [data-number="waiting"]')).to_have_text("0")


def test_the_api_page(open_page):
    page = open_page("/docs")
    expect(page.get_by_text("List Fractals")).to_be_visible()
