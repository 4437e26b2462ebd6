"""The system's Chromium, driven by Playwright."""

import contextlib
from pathlib import Path

from helpers import waiting

CHROMIUM = Path("/usr/bin/chromium")

QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
"""It sends nothing to anybody but the pages it is shown."""


NAMES = "--host-resolver-rules=MAP *.example 127.0.0.1"
"""Names for proxies on the loopback."""


TIMEOUT = waiting.TIMEOUT * 1000
"""Milliseconds until what is expected of a page has to be there: a busy machine takes its time."""


def new_context(browser, **options):
    """Open a window whose pages have that time for whatever is asked of them."""
    context = browser.new_context(**options)
    context.set_default_timeout(TIMEOUT)
    return context


@contextlib.contextmanager
def launched():
    """Yield a running browser."""
    from playwright.sync_api import expect, sync_playwright  # noqa: PLC0415 (half a second, which only these tests need)

    arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", NAMES, *QUIET]
    expect.set_options(timeout=TIMEOUT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()
