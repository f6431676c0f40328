"""
Requests that nobody means well by, made by hypothesis, and what every answer to them
has to be like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlencode

from django.apps import apps
from django.urls import URLResolver, get_resolver
from hypothesis import strategies as st

from vinyl.orm import run

__all__ = ["Attack", "attacks", "complaint", "routes"]

HOSTILE = [
    "",
    "0",
    "-1",
    "1",
    "9" * 30,
    "9" * 5000,
    "1e999",
    "NaN",
    "\0",
    "a\0b",
    "../../etc/passwd",
    "..\\..\\x",
    "//evil.test",
    "\\\\evil.test",
    "'; DROP TABLE x; --",
    '"><script>alert(1)</script>',
    "%s%n{0}{{ 7*7 }}{% x %}",
    "a\r\nset-cookie: b=c",
    "\u202e\u0000\ufeff",
    "\U0001f600",
    "Ⅷ٣",
    "a" * 5000,
    "00000000-0000-0000-0000-000000000000",
]
VALUES = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]))
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "X"]
HEADERS = [
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cookie",
    "if-modified-since",
    "if-none-match",
    "origin",
    "range",
    "referer",
    "sec-fetch-site",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-requested-with",
]
KINDS = [
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=X",
    "multipart/form-data",
    "text/plain",
    "application/json; charset=rubbish",
    ";;=",
]
# What a server lets through in a header.
HEADER_VALUES = st.sampled_from(
    [
        "same-origin",
        "cross-site",
        "null",
        "http://testserver",
        "http://[bad",
        "application/json",
        "text/plain;q=x, */*;;",
        "bytes=0-1,5-",
        "bytes=-9999999999999999999999",
        "sessionid=x; messages=x; csrftoken=",
        "gzip;q=0, br, *;q=2",
        "de,en;q=rubbish",
        '"x", W/"y"',
    ]
) | st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")
)


@dataclass
class Attack:
    """A request, as an ASGI server hands it over."""

    method: str
    path: str
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: list[bytes]
    # Whether the client leaves before all of the body has been sent.
    leaves: bool = False
    sent: list[Any] = field(default_factory=list)

    async def on(self, app: Any) -> None:
        """Send it to *app*; the messages of the answer are then in `sent`."""
        messages = [
            {"type": "http.request", "body": piece, "more_body": True}
            for piece in self.body
        ]
        end = {"type": "http.request", "body": b"", "more_body": False}
        messages.append({"type": "http.disconnect"} if self.leaves else end)

        async def receive() -> Any:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            self.sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": unquote(self.path),
            "raw_path": self.path.encode("ascii"),
            "query_string": self.query,
            "root_path": "",
            "headers": self.headers,
            "server": ("testserver", 80),
            "client": ("127.0.0.1", 1),
            "state": {},
        }
        await app(scope, receive, send)


def routes(resolver: Any = None, before: str = "") -> Iterator[str]:
    """Each route of the root urlconf, such as "/albums/<slug:slug>/"."""
    for pattern in (resolver or get_resolver()).url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, route)
        else:
            yield f"/{route}"


@st.composite
def attacks(draw: Any, known: list[str], fields: list[str], real: list[str]) -> Attack:
    """
    Args:
        known: Routes with converters.
        fields: Names of parameters and form fields that the site knows.
        real: Values that exist in the database, so that some requests get through.
    """
    values = VALUES | st.sampled_from(real)
    names = st.sampled_from(fields) | VALUES
    pairs = st.lists(st.tuples(names, values), max_size=4)

    def filled(match: re.Match[str]) -> str:
        return quote(draw(values), safe=draw(st.sampled_from(["", "/"])))

    if draw(st.integers(0, 9)):
        path = re.sub("<.*?>", filled, draw(st.sampled_from(known)))
    else:
        path = "/" + quote(draw(st.binary(max_size=40)), safe="/")
    if draw(st.integers(0, 9)) == 0:
        path = path.rstrip("/") or "/"
    if draw(st.integers(0, 3)):
        query = urlencode(draw(pairs)).encode()
    else:
        query = draw(st.text(st.characters(min_codepoint=33, max_codepoint=126)))
        query = query.encode()
    host = draw(st.sampled_from(["testserver"] * 9 + ["evil.test"]))
    kind = draw(st.sampled_from(KINDS))
    body = draw(bodies(kind, pairs))
    headers = [
        ("host", host),
        ("content-type", kind),
        *draw(st.lists(st.tuples(st.sampled_from(HEADERS), HEADER_VALUES), max_size=3)),
    ]
    if draw(st.booleans()):
        headers.append(("content-length", str(len(body))))
    cut = draw(st.integers(0, len(body)))
    return Attack(
        draw(st.sampled_from(METHODS)),
        path,
        query,
        [(name.encode(), value.encode("latin-1")) for name, value in headers],
        [body[:cut], body[cut:]],
        leaves=draw(st.integers(0, 19)) == 0,
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | VALUES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(VALUES, inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def bodies(draw: Any, kind: str, pairs: Any) -> bytes:
    """A body of *kind*; now and then cut off, or something else altogether."""
    if draw(st.integers(0, 5)) == 0:
        return draw(st.binary(max_size=200))
    if "json" in kind:
        fits = draw(st.booleans())
        value = dict(draw(pairs)) if fits else draw(JSON)
        body = json.dumps(value, ensure_ascii=draw(st.booleans())).encode()
    elif "multipart" in kind:
        body = multipart(draw(pairs), draw(st.booleans()))
    else:
        body = urlencode(draw(pairs)).encode()
    if draw(st.integers(0, 5)) == 0:
        body = body[: draw(st.integers(0, len(body)))]
    return body


def multipart(pairs: list[tuple[str, str]], files: bool) -> bytes:
    parts = []
    for name, value in pairs:
        quoted = name.replace('"', "%22").replace("\r", "").replace("\n", "")
        file = f'; filename="{quoted}"' if files else ""
        parts.append(
            f'--X\r\nContent-Disposition: form-data; name="{quoted}"{file}\r\n\r\n'
            f"{value}\r\n"
        )
    return "".join(parts).encode() + b"--X--\r\n"


# ----- What is expected


def counts() -> dict[str, int]:
    """How many rows each model has."""
    return {
        model._meta.label: model._default_manager.count()
        for model in apps.get_models()
        if model._meta.managed
    }


async def complaint(app: Any, attack: Attack) -> str:
    """What is wrong with the answer of *app* to *attack*; empty if nothing is."""
    # A GET may change something, as a page that counts its visitors does.
    writes = attack.method not in ("GET", "HEAD", "OPTIONS", "TRACE")
    before = await run(counts) if writes else {}
    try:
        await attack.on(app)
    except Exception as error:
        return f"raised {error!r}"
    if not attack.sent:
        return "" if attack.leaves else "no answer"
    start, *rest = attack.sent
    status = start["status"]
    if writes and status >= 400 and await run(counts) != before:
        return f"{status}, and the database has changed"
    return malformed(attack, start, rest)


def malformed(attack: Attack, start: Any, rest: list[Any]) -> str:
    status, headers = start["status"], start["headers"]
    if start["type"] != "http.response.start" or not 200 <= status < 500:
        return f"starts with {start}"
    for name, value in headers:
        if re.search(rb"[\r\n\0]", name + value) or name != name.lower():
            return f"the header {name!r}: {value!r}"
    if any(m["type"] != "http.response.body" for m in rest):
        return "more than a body"
    more = [m.get("more_body", False) for m in rest]
    # Events go on until the client leaves, and nobody is there to be told of the end.
    kind = dict(headers).get(b"content-type", b"")
    endless = attack.leaves or kind.startswith(b"text/event-stream")
    if more != [True] * (len(rest) - 1) + [False] and not (endless and all(more)):
        return "no end"
    body = b"".join(m.get("body", b"") for m in rest)
    if b"Traceback" in body:
        return "a traceback"
    length = dict(headers).get(b"content-length")
    whole = attack.method != "HEAD" and more[-1:] == [False]
    if length is not None and whole and int(length) != len(body):
        return f"a length of {length!r} for {len(body)} bytes"
    location = dict(headers).get(b"location", b"")
    if re.match(rb"(\w+:)?[/\\]{2}", location):
        if not location.startswith(b"http://testserver/"):
            return f"a redirect to {location!r}"
    return ""
