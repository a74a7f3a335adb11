"""Reads a page as a browser would, strictly: what is open must be closed, and names are given once."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = {"meta", "link", "br", "wbr", "input", "img"}
_DRAWN = {"path", "rect"}
_BLOCKS = {"p", "td", "th", "tr", "li", "div", "dd", "dt", "h1", "h2", "h3", "h4", "option", "title", "pre"}


class Reader(HTMLParser):
    """The elements and texts of a page.

    Attributes:
        text: What it says, without markup.
        attributes: Every attribute: element, name, value.
        open: Elements that are not closed yet.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.elements: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"<{tag}> has an attribute twice: {attrs}"
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _DRAWN, f"<{tag}/> does not close itself in HTML"
        assert "svg" in self.open, f"<{tag}/> outside of a drawing"
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element, line {self.getpos()[0]}"
        if tag in _BLOCKS:
            self.texts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration in the page: {data}")

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def values(self, name: str) -> list[str]:
        """The values of all attributes of that name."""
        return [value for _, attribute, value in self.attributes if attribute == name]
