"""
Walk through a site over HTTP, and note what it answers.

The first walk looks for pages: it follows links, and submits the forms that it finds.
Others repeat its requests, so that their answers can be compared.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urldefrag, urlencode, urljoin, urlsplit

import httpx

CSRF = "csrfmiddlewaretoken"
PER_VIEW = 3  # pages of one view, with the same names in the query
# What ends the session, is made for a script, or would be the crawler's own password.
AVOIDED = re.compile(r"log-?_?out|sign-?_?out|jsi18n|password|hijack|\.(js|css|map)$")
# What differs between two runs of the same site.
VARYING = [
    (re.compile(r"\bmd5\$\w+\$\w+"), "PASSWORD"),
    (re.compile(r"127\.0\.0\.1(:|%3A)\d+"), "HOST"),
    (re.compile(r"\b[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"""nonce[=-]["']?[\w+/=-]+"""), "NONCE"),
    (re.compile(r"\b([A-Za-z0-9]{32}|[A-Za-z0-9]{64}|[0-9a-f]{40})\b"), "TOKEN"),
    (re.compile(r"(?<!\d)\d{1,2}:\d\d(:\d\d(\.\d+)?)?( ?[ap]\.?m\.?)?", re.I), "TIME"),
    (re.compile(r"\b(an?|\d+)(\xa0|&nbsp;| )(second|minute)s?( ago)?\b"), "AGO"),
    (re.compile(r"(?<=>)(just )?now(?=<)|(?<![\w#])\d+[sm](?=\s*<)"), "AGO"),
    (re.compile(r"\b1[78]\d{8}(\.\d+)?\b"), "TIMESTAMP"),
    (re.compile(r"\b\d+(\.\d+)? ?(ms|seconds)\b"), "DURATION"),
    (re.compile(r"0x[0-9a-f]{8,}"), "ADDRESS"),
]


class Request(NamedTuple):
    """A request of a walk; *fields* are those of a form, None for a GET."""

    user: str
    url: str
    fields: tuple[tuple[str, str], ...] | None = None
    multipart: bool = False


class Answer(NamedTuple):
    """What a site answered, without what differs between two runs."""

    status: int
    location: str
    kind: str
    body: str


class Form(NamedTuple):
    method: str
    action: str
    multipart: bool
    fields: list[tuple[str, str]]


class Page(HTMLParser):
    """The links of a page, and its forms with what a browser would submit."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[Form] = []
        self.form: Form | None = None
        self.select: dict[str, Any] | None = None
        self.area: list[str] | None = None
        self.area_name = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        got = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in got:
            self.links.append(got["href"])
        elif tag == "form":
            method = got.get("method", "get").lower()
            kind = "multipart" in got.get("enctype", "")
            self.form = Form(method, got.get("action", ""), kind, [])
            self.forms.append(self.form)
        elif self.form is not None and "disabled" not in got:
            self.handle_field(tag, got)

    def handle_field(self, tag: str, got: dict[str, str]) -> None:
        assert self.form is not None
        name = got.get("name", "")
        if tag == "input" and name:
            kind = got.get("type", "text").lower()
            value = got.get("value", "on" if kind in ("checkbox", "radio") else "")
            if kind in ("checkbox", "radio"):
                if "checked" in got:
                    self.form.fields.append((name, value))
            elif kind in ("submit", "image", "button"):
                # As a person who clicks the first one.
                if not any(key.startswith("_") for key, _ in self.form.fields):
                    self.form.fields.append((name, value))
            elif kind not in ("file", "reset"):
                filled = value or ("Nina 1" if "required" in got else "")
                self.form.fields.append((name, filled))
        elif tag == "textarea" and name:
            self.area, self.area_name = [], name
        elif tag == "select" and name:
            many = "multiple" in got
            self.select = {"name": name, "many": many, "chosen": [], "first": None}
        elif tag == "option" and self.select is not None:
            if "selected" in got:
                self.select["chosen"].append(got.get("value", ""))
            if self.select["first"] is None:
                self.select["first"] = got.get("value", "")

    def handle_data(self, data: str) -> None:
        if self.area is not None:
            self.area.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.form = None
        elif self.form is None:
            return
        elif tag == "textarea" and self.area is not None:
            self.form.fields.append((self.area_name, "".join(self.area).lstrip("\n")))
            self.area = None
        elif tag == "select" and self.select is not None:
            chosen = self.select["chosen"]
            if not chosen and not self.select["many"] and self.select["first"]:
                chosen = [self.select["first"]]
            name = self.select["name"]
            self.form.fields.extend((name, value) for value in chosen)
            self.select = None


def without_varying(text: str) -> str:
    for pattern, name in VARYING:
        text = pattern.sub(name, text)
    return text


class Walker:
    """
    Asks a site as several users, and notes the answers.

    Args:
        origin: Where it is served, without a slash at the end.
        sessions: The session cookie by the name of the user; "" is nobody.
        cookie: The name of that cookie.
    """

    def __init__(self, origin: str, sessions: dict[str, str], cookie: str) -> None:
        self.origin = origin
        self.clients: dict[str, httpx.Client] = {}
        for user, key in sessions.items():
            client = httpx.Client(base_url=origin, timeout=60)
            client.headers["Referer"] = f"{origin}/"
            if key:
                client.cookies.set(cookie, key, domain="127.0.0.1")
            self.clients[user] = client
        self.requests: list[Request] = []
        self.answers: list[Answer] = []

    def ask(self, request: Request) -> tuple[Answer, str]:
        """The answer to *request*, and the text as it came."""
        client = self.clients[request.user]
        if request.fields is None:
            response = client.get(request.url)
        else:
            token = client.cookies.get("csrftoken", domain="127.0.0.1") or ""
            fields: dict[str, list[str]] = {}
            for name, value in request.fields:
                fields.setdefault(name, []).append(token if name == CSRF else value)
            headers = {"X-CSRFToken": token}
            if request.multipart:
                parts = [(key, (None, each)) for key in fields for each in fields[key]]
                response = client.post(request.url, files=parts, headers=headers)
            else:
                response = client.post(request.url, data=fields, headers=headers)
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        is_text = kind.startswith("text/") or "json" in kind or "xml" in kind
        text = response.text if is_text else ""
        location = without_varying(response.headers.get("Location", ""))
        body = without_varying(text) if is_text else f"{len(response.content)} bytes"
        return Answer(response.status_code, location, kind, body), text

    def note(self, request: Request) -> str:
        answer, text = self.ask(request)
        self.requests.append(request)
        self.answers.append(answer)
        return text if answer.kind == "text/html" else ""

    def repeat(self, requests: Iterable[Request]) -> None:
        for request in requests:
            self.note(request)

    def explore(self, user: str, starts: list[str], view_of: Any, most: int) -> None:
        """
        Follow links from *starts* as *user*, and submit forms, breadth first.

        Args:
            view_of: Names the view of a path; None where there is none.
            most: How many requests, at most.
        """
        asked = Counter[Any]()
        waiting = deque(Request(user, url) for url in starts)
        known: set[Any] = {request.url for request in waiting}
        until = len(self.requests) + most
        while waiting and len(self.requests) < until:
            request = waiting.popleft()
            text = self.note(request)
            if location := self.answers[-1].location:
                text += f'<a href="{location.replace("HOST", self.origin[7:])}"></a>'
            for found in self.found_in(text, request):
                path = urlsplit(found.url)
                view = view_of(path.path)
                names = tuple(sorted(name for name, _ in parse_qsl(path.query)))
                kind = (view, names, found.fields is None)
                key = found.url if found.fields is None else (found.url, "POST")
                if view is None or key in known or asked[kind] >= PER_VIEW:
                    continue
                known.add(key)
                asked[kind] += 1
                # A form comes before other pages: its session has its token.
                put = waiting.append if found.fields is None else waiting.appendleft
                put(found)

    def found_in(self, text: str, request: Request) -> Iterable[Request]:
        if not text:
            return
        page = Page(text)
        for link in page.links:
            if url := self.own(link, request.url):
                yield Request(request.user, url)
        for form in page.forms if request.fields is None else ():
            url = self.own(form.action or request.url, request.url)
            if not url:
                continue
            if form.method == "get":
                query = urlencode(form.fields)
                yield Request(request.user, f"{url.partition('?')[0]}?{query}")
            else:
                fields = tuple(form.fields)
                yield Request(request.user, url, fields, form.multipart)

    def own(self, link: str, base: str) -> str:
        """The address of *link* if it leads to a page of the site."""
        url = urldefrag(urljoin(f"{self.origin}{base}", link)).url
        if not url.startswith(f"{self.origin}/") or AVOIDED.search(url):
            return ""
        return url.removeprefix(self.origin)

    def close(self) -> None:
        for client in self.clients.values():
            client.close()
