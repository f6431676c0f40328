"""The walk through whole applications: what it finds, and what it says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.compatibility.applications.__main__ import differences
from tests.compatibility.applications.crawler import (
    Page,
    Request,
    Walker,
    without_varying,
)
from tests.compatibility.applications.report import Outcome, page_of

FORM = """
<form method="post" action="/save/">
  <input type="hidden" name="csrfmiddlewaretoken" value="x">
  <input name="title" required>
  <input type="checkbox" name="new"><input type="checkbox" name="old" checked>
  <select name="style"><option value="jazz"><option value="soul" selected></select>
  <select name="key"><option value=""><option value="c"></select>
  <textarea name="notes">
a &amp; b</textarea><input type="file" name="scan"><input name="id" value="5" disabled>
  <input type="submit" name="_save"><input type="submit" name="_delete">
</form>
"""


def test_a_form_is_submitted_as_a_browser_does() -> None:
    (form,) = Page(FORM).forms
    assert form.fields == [
        ("csrfmiddlewaretoken", "x"),
        ("title", "Nina 1"),
        ("old", "on"),
        ("style", "soul"),
        ("notes", "a & b"),
        ("_save", ""),
    ]


@pytest.fixture
def origin() -> Iterator[str]:
    """Of a site with three pages and a form, which says who asks."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            user = self.headers.get("Cookie", "nobody")
            links = "<a href='/two/?page=1#top'></a><a href='/logout/'></a>"
            self.answer(f"{user} {links}<a href='//example.org/'></a>{FORM}")

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.answer(f"saved {parse_qs(sent)['title'][0]}")

        def answer(self, text: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_walk_follows_links_and_can_be_repeated(origin: str) -> None:
    walker = Walker(origin, {"": "", "nina": "key"}, "sessionid")
    for user in ("", "nina"):
        walker.explore(user, ["/one/"], lambda path: path, 9)
    asked = [(one.user, one.url, bool(one.fields)) for one in walker.requests]
    assert asked == [
        (user, url, is_form)
        for user in ("", "nina")
        for url, is_form in (
            ("/one/", False),
            ("/save/", True),
            ("/two/?page=1", False),
        )
    ]
    assert walker.answers[1].body == "saved Nina 1"
    assert walker.answers[3].body.startswith("sessionid=key")
    again = Walker(origin, {"": "", "nina": "key"}, "sessionid")
    again.repeat(walker.requests)
    assert again.answers == walker.answers
    walker.close()
    again.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('value="' + "a1" * 32 + '"', 'value="TOKEN"'),
        ("8d6d8f8d8ea755d89ce907b0646bf23d1f9033c8", "TOKEN"),
        ("http://127.0.0.1:8123/", "http://HOST/"),
        ("at 10:07:33.5 p.m.", "at TIME"),
        ("2026-11-30T10:07:33Z", "2026-11-30TTIMEZ"),
        ("<i>39s </i><i>a minute ago</i>", "<i>AGO </i><i>AGO</i>"),
        ("#1s 12 albums, 1965", "#1s 12 albums, 1965"),
    ],
)
def test_what_varies_does_not_count(text: str, expected: str) -> None:
    assert without_varying(text) == expected


def test_differences() -> None:
    def found(*bodies: str, rows: str = "") -> dict[str, Any]:
        answers = [[200, "", "text/html", body] for body in bodies]
        requests = [Request("nina", f"/{number}/") for number in range(len(bodies))]
        return {
            "requests": requests,
            "answers": answers,
            "rows": {"shop.Album": [rows]},
        }

    stock = found("a", "b", "c")
    lines = list(
        differences(stock, found("a", "x", "c"), found("a", "b", "d", rows="1"))
    )
    assert [line for line in lines if not line.startswith(" ")] == [
        "GET /2/ as nina: body",
        "rows of shop.Album",
    ]
    assert "        +d" in lines
    assert list(differences(stock, stock, stock)) == []


def test_a_page() -> None:
    modes: dict[str, int] = {"wsgi": 0, "bridged": 2}
    one = Outcome(
        "wiki 1", "postgresql", 9, 3, 8, modes, {"wsgi": 0, "bridged": 1}, "v"
    )
    page = page_of([one, one._replace(database="sqlite")])
    assert "| wiki 1 | SQLite | 9 (3) | 8 of 8 | – | 6 of 8, 1 mixed |\n" in page
    assert page.index("SQLite | 9") < page.index("PostgreSQL | 9")
    assert "The figures are of v." in page
