"""The page in a real browser: it loads, sorts, searches, opens, copies, and can be read by everybody."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from tests.report.html import example
from tests.report.html.conftest import Open

INSIGHT = example.mobilenet()
HOLES = replace(
    INSIGHT,
    layers=tuple(
        replace(layer, single_ms=None, dual_ms=None, alone=None, accumulated=None) if step % 5 == 2 else layer
        for step, layer in enumerate(INSIGHT.layers)
    ),
)
"""Some layers have neither times nor errors."""
NUMBERS: dict[str, Callable[[Any], float | None]] = {
    "step": lambda layer: float(HOLES.layers.index(layer)),
    "macs": lambda layer: float(layer.macs),
    "single": lambda layer: layer.single_ms,
    "dual": lambda layer: layer.dual_ms,
    "parameters": lambda layer: float(layer.parameter_bytes),
    "output": lambda layer: float(layer.output_bytes),
    "snr": lambda layer: None if layer.accumulated is None else layer.accumulated.snr_db,
    "alone": lambda layer: None if layer.alone is None else layer.alone.ratio,
}
TEXTS: dict[str, Callable[[Any], str]] = {
    "name": lambda layer: layer.name,
    "operator": lambda layer: layer.operator,
    "precision": lambda layer: layer.precision,
}
INSIGHTS = {
    "mobilenet": INSIGHT,
    "internal": example.mobilenet(internal=400_000),
    "bare": example.bare(),
    "empty": example.empty(),
    "hostile": example.hostile(),
}
SHORT = {name: replace(insight, layers=insight.layers[:12]) for name, insight in INSIGHTS.items()}
"""Their first layers, among which is one of every kind."""
FEW = SHORT["mobilenet"]
SMALLEST_CONTRAST = 4.5
SECONDS = 1.0


def shown(tab: Any) -> list[int]:
    """The steps in the table, in the order in which it shows them."""
    found: list[int] = tab.eval_on_selector_all(
        ".layer:not([hidden])", "layers => layers.map(layer => Number(layer.id.split('-')[1]) - 1)"
    )
    return found


@pytest.mark.parametrize("name", INSIGHTS)
@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_loads_without_a_word(open_page: Open, name: str, script: bool) -> None:
    tab = open_page(INSIGHTS[name], script=script).tab
    assert tab.text_content("h1").split() == INSIGHTS[name].model.split()


def test_loads_fast(open_page: Open) -> None:
    times = []
    for _ in range(3):
        tab = open_page(INSIGHT).tab
        times.append(
            tab.evaluate(
                "async () => { await new Promise(done => requestAnimationFrame(() => setTimeout(done)));"
                " return performance.getEntriesByType('navigation')[0].loadEventEnd / 1000 }"
            )
        )
    assert 0 < min(times) <= SECONDS


def in_order(keys: list[float | None], descending: bool) -> bool:
    given = [key for key in keys if key is not None]
    return None not in keys[: len(given)] and given == sorted(given, reverse=descending)


def test_sorts_numbers_both_ways_and_what_has_none_last(open_page: Open) -> None:
    tab = open_page(HOLES).tab
    for key, number in NUMBERS.items():
        head = tab.locator(f"[data-key={key}]")
        directions = set()
        for _ in range(2):
            head.locator("button").click()
            direction = head.get_attribute("aria-sort")
            directions.add(direction)
            keys = [number(HOLES.layers[step]) for step in shown(tab)]
            assert len(keys) == len(HOLES.layers)
            assert in_order(keys, direction == "descending"), (key, direction)
        assert directions == {"ascending", "descending"}
        assert tab.locator("th[aria-sort]:not([aria-sort=none])").count() == 1


def test_sorts_texts_both_ways_by_keyboard(open_page: Open) -> None:
    tab = open_page(INSIGHT).tab
    for key, text in TEXTS.items():
        tab.locator(f"[data-key={key}] button").focus()
        tab.keyboard.press("Enter")
        up = [text(INSIGHT.layers[step]) for step in shown(tab)]
        tab.keyboard.press("Space")
        down = [text(INSIGHT.layers[step]) for step in shown(tab)]
        parts = [[int(part) if part.isdigit() else part for part in re.split(r"(\d+)", each.lower())] for each in up]
        assert all(before <= after for before, after in pairwise(parts)), "features.2 comes before features.10"
        assert list(dict.fromkeys(down)) == list(dict.fromkeys(reversed(up)))


def test_equals_stay_in_the_order_of_execution(open_page: Open) -> None:
    tab = open_page(INSIGHT).tab
    tab.click("[data-key=precision] button")
    steps = shown(tab)
    assert all(
        before < after
        for before, after in pairwise(steps)
        if INSIGHT.layers[before].precision == INSIGHT.layers[after].precision
    )


def test_sorts_on_a_phone(open_page: Open) -> None:
    tab = open_page(INSIGHT, width=375).tab
    tab.select_option("#sort", "output")
    keys = [INSIGHT.layers[step].output_bytes for step in shown(tab)]
    assert keys == sorted(keys, reverse=True)


def test_searches_names_operators_and_sources(open_page: Open) -> None:
    tab = open_page(INSIGHT).tab
    everything = f"{len(INSIGHT.layers)} layers"
    for words in ("features.7/", "ADD", "Clip stem", "nothing like this", "  "):
        tab.fill("#filter", words)
        wanted = [
            step
            for step, layer in enumerate(INSIGHT.layers)
            if all(
                word in " ".join((layer.name, layer.operator, layer.activation, *layer.sources)).lower()
                for word in words.lower().split()
            )
        ]
        assert shown(tab) == wanted
        assert tab.text_content("#found") == (everything if words.isspace() else f"{len(wanted)} of {everything}")


def test_shows_only_layers_with_a_hint(open_page: Open) -> None:
    tab = open_page(FEW).tab
    tab.check("#marked")
    assert shown(tab) == [step for step, layer in enumerate(FEW.layers) if layer.causes or layer.slow]


def test_panels_open_by_keyboard(open_page: Open) -> None:
    tab = open_page(FEW).tab
    panel, button = tab.locator("#panel-5"), tab.locator("#layer-5 .open")
    assert not panel.is_visible()
    button.focus()
    for key in ("Enter", "Space"):
        tab.keyboard.press(key)
        assert panel.is_visible()
        assert button.get_attribute("aria-expanded") == "true"
        assert panel.locator(".histogram svg, .channels svg").count() == 2
        tab.keyboard.press(key)
        assert not panel.is_visible()
        assert button.get_attribute("aria-expanded") == "false"


def test_panels_open_by_a_click_anywhere_in_the_row(open_page: Open) -> None:
    tab = open_page(FEW).tab
    tab.click("#layer-9 .head td:last-child")
    assert tab.locator("#panel-9").is_visible()
    assert tab.locator("#panel-8").is_hidden()
    tab.click("#layer-9 .open")
    assert tab.locator("#panel-9").is_hidden()


def test_links_open_the_layer_even_where_the_search_hides_it(open_page: Open) -> None:
    tab = open_page(FEW).tab
    tab.fill("#filter", "nothing like this")
    tab.click("#next a.to-layer >> nth=0")
    assert tab.locator("#panel-5").is_visible()
    assert tab.evaluate("document.activeElement.closest('tbody').id") == "layer-5"
    tab.click("#layer-5 .open")
    tab.click("#next a.to-layer >> nth=0")
    assert tab.locator("#panel-5").is_visible(), "the same link works again"


def test_copies_a_command(open_page: Open) -> None:
    opened = open_page(FEW)
    opened.tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = opened.tab.locator("#next .copy").first
    button.click()
    opened.tab.wait_for_function("document.querySelector('#next .copy').textContent === 'Copied'")
    assert opened.tab.evaluate("navigator.clipboard.readText()") == FEW.actions[0].command


def test_copies_without_the_clipboard_too(open_page: Open) -> None:
    opened = open_page(FEW)
    opened.tab.context.grant_permissions(["clipboard-read"])
    opened.tab.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed')) }")
    opened.tab.locator("#next .copy").first.click()
    opened.tab.wait_for_function("document.querySelector('#next .copy').textContent === 'Copied'")
    assert opened.tab.evaluate("navigator.clipboard.readText()") == FEW.actions[0].command


def background(tab: Any) -> str:
    color: str = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    return color


def test_theme_follows_the_system_and_the_button(open_page: Open) -> None:
    light, dark = (open_page(FEW, scheme=scheme).tab for scheme in ("light", "dark"))
    colors = {"light": background(light), "dark": background(dark)}
    assert colors["light"] != colors["dark"]
    assert light.text_content("#theme") == "Dark theme"
    light.click("#theme")
    assert background(light) == colors["dark"]
    assert light.text_content("#theme") == "Light theme"
    light.reload()
    assert background(light) == colors["dark"], "it is remembered"
    light.emulate_media(media="print")
    assert background(light) == "rgb(255, 255, 255)"


CONTRASTS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const channels = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (color) => {
    const [r, g, b] = color.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let node = element; node; node = node.parentElement) {
      const color = channels(getComputedStyle(node).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = {};
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest(".unseen, svg")) continue;
    const over = luminance(channels(getComputedStyle(element).color));
    const under = luminance(behind(element));
    const ratio = (Math.max(over, under) + 0.05) / (Math.min(over, under) + 0.05);
    const name = `${element.tagName}.${element.className}`;
    found[name] = Math.min(found[name] ?? 99, ratio);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_what_is_behind_them(open_page: Open, scheme: str) -> None:
    tab = open_page(FEW, scheme=scheme).tab
    tab.click("#layer-5 .open")
    tab.click("#layer-8 .open")
    tab.click("details summary:visible")
    contrasts = tab.evaluate(CONTRASTS)
    assert len(contrasts) > 30
    assert {name: ratio for name, ratio in contrasts.items() if ratio < SMALLEST_CONTRAST} == {}


@pytest.mark.parametrize("name", SHORT)
def test_never_scrolls_sideways(open_page: Open, name: str) -> None:
    tab = open_page(SHORT[name]).tab
    tab.evaluate("document.querySelectorAll('.open').forEach(button => button.click())")
    tab.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
    for width in (320, 375, 600, 768, 1024, 1280):
        tab.set_viewport_size({"width": width, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", ["internal", "bare", "empty", "hostile"])
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (375, "dark")])
def test_axe_finds_nothing(open_page: Open, name: str, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    tab = open_page(SHORT[name], width=width, scheme=scheme).tab
    if tab.locator("#layer-5").count():
        tab.click("#layer-5 .open")
    found = axe.Axe().run(tab).response["violations"]
    assert {rule["id"]: [node["html"][:200] for node in rule["nodes"][:3]] for rule in found} == {}


def test_everything_can_be_reached_by_keyboard_and_seen_there(open_page: Open) -> None:
    tab = open_page(FEW).tab
    reached = set()
    for _ in range(60):
        tab.keyboard.press("Tab")
        name, outline = tab.evaluate(
            "[document.activeElement.outerHTML.slice(0, 60), getComputedStyle(document.activeElement).outlineStyle]"
        )
        assert outline != "none", name
        reached.add(name.split(">")[0])
    for wanted in ('class="skip"', 'id="theme"', 'class="copy', 'href="#layers"'):
        assert any(wanted in name for name in reached), wanted


def test_without_script_everything_can_be_read(open_page: Open) -> None:
    tab = open_page(FEW, script=False).tab
    assert tab.locator(".needs-js:visible").count() == 0
    assert tab.locator("#panel-5 summary").is_visible()
    tab.click("#panel-5 summary")
    assert tab.locator("#panel-5 .histogram").is_visible()
    assert tab.locator(".layer:visible").count() == len(FEW.layers)


def test_nothing_moves_for_those_who_do_not_want_it(open_page: Open) -> None:
    moves = "getComputedStyle(document.documentElement).scrollBehavior"
    assert open_page(FEW, motion="reduce").tab.evaluate(moves) == "auto"
    assert open_page(FEW, motion="no-preference").tab.evaluate(moves) == "smooth"


def test_prints_what_is_open(open_page: Open) -> None:
    tab = open_page(FEW).tab
    tab.click("#layer-5 .open")
    tab.emulate_media(media="print")
    assert tab.locator("#panel-5").is_visible()
    assert tab.locator("nav").is_hidden()
    assert tab.pdf()[:4] == b"%PDF"
