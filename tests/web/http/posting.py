"""What a browser sends when a page's form is posted as it is."""

from __future__ import annotations

from html.parser import HTMLParser


class Page(HTMLParser):
    """
    What a browser makes of a page: `posted`, the fields of its last form as they are
    sent when nothing is changed, and for each row of a table the texts of its cells.
    What is in a <template> is not on the page.
    """

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.posted: dict[str, list[str]] = {}
        self.hidden: set[str] = set()
        self.rows: list[list[str]] = []
        self.links: list[str] = []
        self._select = self._text = ""
        self._templates = 0
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._templates += tag == "template"
        if self._templates:
            return
        found = {name: value or "" for name, value in attrs}
        name, kind = found.get("name", ""), found.get("type", "text")
        if tag == "form":
            self.posted, self.hidden = {}, set()
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "select":
            self._select = name
            self.posted.setdefault(name, [])
        elif tag == "textarea":
            self._text = name
            self.posted[name] = [""]
        elif tag == "option" and self._select:
            if "selected" in found:
                self.posted[self._select].append(found["value"])
        elif tag == "input" and name:
            if kind == "hidden":
                self.hidden.add(name)
            if kind not in ("checkbox", "radio", "submit") or "checked" in found:
                self.posted.setdefault(name, []).append(found.get("value", ""))
            else:
                self.posted.setdefault(name, [])

    def handle_endtag(self, tag: str) -> None:
        self._templates -= tag == "template"
        if tag in ("select", "textarea"):
            self._select = self._text = ""

    def handle_data(self, data: str) -> None:
        if self._templates:
            return
        if self._text:
            # The first line break after the tag is none of the text's.
            self.posted[self._text][0] += data.removeprefix("\n").removeprefix("\r\n")
        elif self.rows and self.rows[-1]:
            self.rows[-1][-1] = f"{self.rows[-1][-1]} {data}".strip()
