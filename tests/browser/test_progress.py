"""The dots of the system page, in a real browser: they move as tasks do."""

from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from helpers.browser import new_context
from helpers.slow_tasks import disc
from helpers.system import System

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"

PHONE = {"width": 375, "height": 740}


def test_dots_move_from_the_queue_to_a_worker_and_back_when_it_is_killed(chromium, tmp_path):
    with System(tmp_path, OAT_RESEND_AFTER="1", OAT_LEASE="1") as system:
        url = system.gallery()
        complaints = []
        page = new_context(chromium, viewport=PHONE, reduced_motion="no-preference").new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.goto(f"{url}/system")
        page.evaluate(
            """() => {
              const { animate } = Element.prototype;
              window.moved = 0;
              Element.prototype.animate = function (frames, how) {
                window.moved += "transform" in frames[0];
                return animate.call(this, frames, how);
              };
            }"""
        )
        system.send([disc(1_000_000) for _ in range(3)])
        queue = page.locator(".at-tasks")
        expect(queue.locator(".dot")).to_have_count(3)
        worker = system.start("oat-worker", "--threads", 1)
        name = page.locator(".worker h4")
        expect(name).to_contain_text(f":{worker.pid}")
        expect(page.locator('.worker .dot[data-stage="rendering"]')).to_have_count(1)
        page.wait_for_function("window.moved > 0")
        page.get_by_text("As a table").click()
        expect(page.locator(".progress tbody tr")).to_have_count(3)
        expect(page.locator(".progress tbody")).to_contain_text("rendering")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert [each["id"] for each in Axe().run(page).response["violations"]] == []
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.locator(".progress").screenshot(path=SCREENSHOTS / "dots.png")
        system.kill(worker)
        # The embedded broker has lost what the worker had in memory, and the tracker sends it again.
        expect(page.locator(".at-recorded .dot")).to_have_count(3)
        expect(page.locator(".progress [role=status]")).to_contain_text(f":{worker.pid}, ")
        system.start("oat-tracker")
        expect(queue.locator(".dot")).to_have_count(3)
        other = system.start("oat-worker", "--threads", 1)
        expect(page.locator(".worker", has_text=f":{other.pid}").locator(".dot")).not_to_have_count(0)
        assert complaints == []
        page.context.close()
