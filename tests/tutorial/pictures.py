"""Pictures of pages, in Chromium."""

import io

from PIL import Image

from helpers.browser import launched
from tutorial.chapter import Picture

SIZE = {"width": 1240, "height": 820}
QUALITY = 80
"""WebP's: small files, and text that can be read."""

USER, PASSWORD = "tutorial", "secretsecret"
"""For a page that asks for them, as RabbitMQ's does."""


def take_picture(picture: Picture) -> None:
    """Open the page of a picture, log in where it asks for that, and photograph it once it is at rest."""
    with launched() as browser:
        page = browser.new_page(viewport=SIZE)
        page.goto(picture.url)
        page.wait_for_load_state("networkidle")
        if page.locator("input[type=password]").count():
            page.locator("input[name=username]").fill(USER)
            page.locator("input[type=password]").fill(PASSWORD)
            page.keyboard.press("Enter")
            page.locator("input[type=password]").wait_for(state="detached")
            page.goto(picture.url)
        page.wait_for_timeout(6000)  # RabbitMQ's charts have a point every five seconds
        screenshot = Image.open(io.BytesIO(page.screenshot()))
    picture.file.parent.mkdir(exist_ok=True)
    screenshot.convert("RGB").save(picture.file, "WEBP", quality=QUALITY)
