"""Debian's Chromium, driven by Playwright, for the tests of the report's page."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

ColorScheme = Literal["light", "dark"]
CHROMIUM = "/usr/bin/chromium"
WIDE, NARROW = ViewportSize(width=1280, height=900), ViewportSize(width=375, height=800)
LONG = 60_000  # milliseconds: of a machine that does other things too
ALONE = (  # it asks nobody for anything
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """One browser for many pages."""
    if shutil.which(CHROMIUM) is None:
        pytest.fail(f"no {CHROMIUM}: apt-get install -y --no-install-recommends chromium")
    expect.set_options(timeout=LONG)
    with tempfile.TemporaryDirectory(prefix="gw-") as home, sync_playwright() as playwright:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(ALONE), timeout=LONG, env={**environment, "HOME": home}
        )
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened(browser: Browser, url: str, scheme: ColorScheme = "light", size: ViewportSize = WIDE) -> Iterator[Page]:
    """A page that must ask for nothing but its own file, and leave the console empty."""
    context = browser.new_context(viewport=size, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(LONG)
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: told.append(f"asks for {request.url}") if request.url != url else None)
    try:
        page.goto(url)
        yield page
        assert told == []
    finally:
        context.close()


def violations(page: Page, where: str = "body") -> list[dict[str, Any]]:
    """What axe-core finds there that is serious or worse."""
    if not page.evaluate("'axe' in window"):
        page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.evaluate("where => axe.run(where).then(found => found.violations)", where)
    return [rule for rule in found if rule["impact"] in ("serious", "critical")]
