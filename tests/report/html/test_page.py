from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from html import unescape
from itertools import chain

import pytest

from tests.report.html import example
from tests.report.html.markup import Reader
from tinsmith.report.html import text
from tinsmith.report.html.page import page
from tinsmith.report.insight.schema import Buffer, Channels, Insight, Layer
from tinsmith.units import decibels, size

MOST = 1_000_000
INSIGHTS = {
    "mobilenet": example.mobilenet(),
    "internal": example.mobilenet(internal=400_000),
    "bare": example.bare(),
    "empty": example.empty(),
    "hostile": example.hostile(),
}
PAGES = {name: page(insight) for name, insight in INSIGHTS.items()}
READERS = {name: Reader(source) for name, source in PAGES.items()}
NUMBER = r"-?\d+(?:\.\d)?"


@pytest.fixture(params=PAGES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def texts(value: object) -> Iterator[str]:
    """Every text in an insight but those that are drawn rather than written."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        yield from chain.from_iterable(texts(item) for item in value)
    elif is_dataclass(value) and not isinstance(value, Buffer | Channels):
        for field in fields(value):
            if field.name not in ("state", "question", "counts", "parameters"):
                yield from texts(getattr(value, field.name))


def flat(words: str) -> str:
    return " ".join(words.split())


def test_is_well_formed(name: str) -> None:
    reader = READERS[name]
    assert reader.open == []
    assert reader.elements.count("h1") == 1


def test_names_are_given_once_and_links_lead_somewhere(name: str) -> None:
    reader = READERS[name]
    ids = reader.values("id")
    assert len(set(ids)) == len(ids)
    targets = [link.removeprefix("#") for link in reader.values("href") if link != "data:,"]
    named = chain(targets, reader.values("aria-controls"), reader.values("aria-labelledby"))
    assert set(named) <= set(ids)


def test_needs_nothing_else(name: str) -> None:
    reader = READERS[name]
    assert reader.values("src") == []
    assert {link[0] for link in reader.values("href") if link != "data:,"} == {"#"}
    style = PAGES[name].split("<style>")[1].split("</style>")[0]
    assert not re.search(r"url\(|@import|@font-face", style)


def test_numbers_of_drawings_are_finite(name: str) -> None:
    reader = READERS[name]
    for tag, attribute, value in reader.attributes:
        if tag == "rect" and attribute in ("x", "y", "width", "height"):
            assert re.fullmatch(NUMBER, value), value
            assert attribute in ("x", "y") or float(value) >= 0
        if tag == "path" and attribute == "d":
            assert re.fullmatch(r"[MmLlHhVvAaCcZz0-9 .-]+", value), value
        if attribute == "style":
            assert re.fullmatch(rf"(?:left|bottom|width):{NUMBER}%", value), value


def test_says_every_text_of_the_insight(name: str) -> None:
    reader = READERS[name]
    said = flat(reader.text).lower()
    missing = {wanted for wanted in texts(INSIGHTS[name]) if flat(text.clean(wanted)).lower() not in said}
    assert missing == set()


def numbers(layer: Layer) -> list[str]:
    return [
        text.count(layer.macs),
        text.milliseconds(layer.single_ms),
        text.milliseconds(layer.dual_ms),
        size(layer.parameter_bytes),
        size(layer.output_bytes),
        decibels(layer.accumulated.snr_db) if layer.accumulated else text.NOTHING,
        text.percent(layer.alone.ratio) if layer.alone else text.NOTHING,
    ]


@pytest.mark.parametrize("name", ["mobilenet", "bare"])
def test_rows_have_the_numbers_of_their_layers(name: str) -> None:
    heads = PAGES[name].split('<tr class="head">')[1:]
    layers = INSIGHTS[name].layers
    assert len(heads) == len(layers)
    for head, layer in zip(heads, layers, strict=True):
        cells = re.findall(r'<td class="n[^"]*" data-value="[^"]*">([^<]*)', head.split("</tr>")[0])
        assert [unescape(cell) for cell in cells[1:]] == numbers(layer)


def test_is_small_enough_to_send() -> None:
    assert len(INSIGHTS["mobilenet"].layers) >= 65
    assert len(PAGES["mobilenet"].encode("utf-8")) <= MOST
    long = replace(INSIGHTS["mobilenet"], layers=INSIGHTS["mobilenet"].layers * 2)
    assert len(page(long).encode("utf-8")) <= 2 * len(PAGES["mobilenet"].encode("utf-8"))


def test_nothing_of_a_name_becomes_markup() -> None:
    reader = READERS["hostile"]
    assert reader.elements.count("script") == 2
    assert "img" not in reader.elements
    assert not any(attribute.startswith("on") for _, attribute, _ in reader.attributes)
    assert "94011" not in PAGES["hostile"]
    assert "{{ 31337 * 3 }}" in reader.text


def test_can_be_written_whatever_the_names() -> None:
    written = PAGES["hostile"].encode("utf-8").decode("utf-8")
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", written)


WITHOUT = {
    "bare": (
        "Nothing is known of the accuracy",
        "There is no model of how fast esp32s3 is",
        "No recipe is known",
        "Nothing suggests itself.",
        "Without data there is no histogram.",
    ),
    "empty": ("There are no verdicts", "No layout of the memory is known.", "The model has no layers."),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_says_what_is_missing(name: str) -> None:
    said = READERS[name].text
    for sentence in WITHOUT[name]:
        assert sentence in said


@pytest.mark.parametrize("name", ["mobilenet", "internal"])
def test_does_not_miss_what_is_there(name: str) -> None:
    said = READERS[name].text
    for sentence in chain.from_iterable(WITHOUT.values()):
        assert sentence not in said


def test_internal_ram_has_a_chart_of_its_own() -> None:
    assert "Internal RAM over the steps" in PAGES["internal"]
    assert "PSRAM over the steps" in PAGES["internal"]
    assert "Internal RAM over the steps" not in PAGES["mobilenet"]


def only(insight: Insight, **changes: object) -> str:
    """The page of an insight whose first layer alone is left, changed."""
    layer = replace(insight.layers[1], **changes)  # type: ignore[arg-type]
    return Reader(page(replace(insight, layers=(layer,)))).text


def test_values_without_noise_are_exact() -> None:
    assert "no noise" in only(INSIGHTS["mobilenet"], accumulated=example.noise(0.0))


def test_a_layer_of_constants_alone_reads_nothing() -> None:
    said = only(INSIGHTS["mobilenet"], inputs=(), sources=(), shape=())
    assert "nothing: it was added" in said
    assert "scalar" in said
