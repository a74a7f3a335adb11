"""A real browser, where there is one: Chromium as distributions package it, driven by playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tinsmith.report.html.page import page
from tinsmith.report.insight.schema import Insight

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM = "TINSMITH_CHROMIUM"


@dataclass
class Opened:
    """A report in the browser.

    Attributes:
        tab: Playwright's page.
        complaints: What the console and the network had to say.
    """

    tab: Any
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'tinsmith[browser]'")
    path = os.environ.get(CHROMIUM) or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"needs Chromium (on Debian: apt install chromium), or its path in ${CHROMIUM}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


Open = Callable[..., Opened]


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens the report of an insight; what the browser complains of fails the test."""
    opened: list[Opened] = []

    def show(
        insight: Insight, width: int = 1280, scheme: str = "light", script: bool = True, motion: str = "reduce"
    ) -> Opened:
        path = tmp_path / f"report{len(opened)}.html"
        path.write_text(page(insight), "utf-8")
        context = chromium.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            java_script_enabled=script,
            reduced_motion=motion,
        )
        found = Opened(context.new_page())
        opened.append(found)
        found.tab.on("console", lambda message: found.complaints.append(f"console: {message.text}"))
        found.tab.on("pageerror", lambda error: found.complaints.append(f"error: {error}"))
        found.tab.on("dialog", lambda dialog: found.complaints.append(f"dialog: {dialog.message}"))
        found.tab.on("request", lambda request: _note(found, request.url, path.as_uri()))
        found.tab.goto(path.as_uri())
        return found

    yield show
    for found in opened:
        found.tab.context.close()
    assert [complaint for found in opened for complaint in found.complaints] == []


def _note(found: Opened, url: str, own: str) -> None:
    if url.partition("#")[0] != own and not url.startswith("data:"):
        found.complaints.append(f"request: {url}")
