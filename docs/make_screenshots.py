"""Makes the pictures of the manual's page about reports, from real reports in a real browser. Run by hand.

    python docs/make_screenshots.py --report mobilenetv2-report.html --demo output/digits-esp32s3/report.html

Needs playwright and Pillow, and Chromium: on the path, or named by $TINSMITH_CHROMIUM.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MOST_BYTES = 150_000
COLORS = 256


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: Of the file, without what all begin with.
        demo: Of the demo's report; else of the larger one.
        part: The element to show; empty for what the window shows.
        width, height: Of the window.
        dark: Which theme.
        layer: Step of the layer whose panel is open; the worst one if negative, 0 for none.
    """

    name: str
    demo: bool = False
    part: str = ""
    width: int = 1200
    height: int = 900
    dark: bool = False
    layer: int = 0


PICTURES = (
    Picture("top"),
    Picture("accuracy", part="#accuracy"),
    Picture("speed", part="#speed", dark=True),
    Picture("memory", part="#memory"),
    Picture("layer", height=1000, layer=-1, dark=True),
    Picture("phone", width=375, height=760),
    Picture("phone-layer", width=375, height=760, layer=-1, dark=True),
    Picture("demo", demo=True),
)


def taken(browser: Any, report: Path, picture: Picture) -> bytes:
    """The picture as PNG."""
    context = browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme="dark" if picture.dark else "light",
        reduced_motion="reduce",
        device_scale_factor=2 if picture.width < 500 else 1,
    )
    tab = context.new_page()
    tab.goto(report.resolve().as_uri())
    if picture.layer:
        step = picture.layer if picture.layer > 0 else worst(tab)
        tab.evaluate("step => { location.hash = `layer-${step}` }", step)
        tab.wait_for_selector(f"#panel-{step}[open]")
        tab.evaluate("document.activeElement.blur()")
    image: bytes = tab.locator(picture.part).screenshot() if picture.part else tab.screenshot()
    context.close()
    return image


def worst(tab: Any) -> int:
    """Step of the layer with the largest error alone."""
    found: int = tab.evaluate(
        "() => [...document.querySelectorAll('.layer')].map(layer => ["
        "Number(layer.querySelector('.error').dataset.value), Number(layer.id.split('-')[1])])"
        ".sort((a, b) => b[0] - a[0])[0][1]"
    )
    return found


def saved(image: bytes, path: Path) -> None:
    """Writes a picture with few colors: charts and text need no more."""
    Image.open(io.BytesIO(image)).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path}  {size:,} bytes")  # noqa: T201
    if size > MOST_BYTES:
        raise SystemExit(f"{path} is larger than {MOST_BYTES:,} bytes.")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--report", type=Path, required=True, help="the report of a large network")
    options.add_argument("--demo", type=Path, required=True, help="that of the demo")
    chosen = options.parse_args()
    path = os.environ.get("TINSMITH_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise SystemExit("No Chromium found; name it in $TINSMITH_CHROMIUM.")
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for picture in PICTURES:
            report = chosen.demo if picture.demo else chosen.report
            saved(taken(browser, report, picture), IMAGES / f"report-{picture.name}.png")
        browser.close()


if __name__ == "__main__":
    main()
