"""Each of Django's settings counts, or the checks and the docs say that it does not."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import global_settings
from django.core import checks
from django.test import override_settings

from tests.web.serving import serving, settings_for
from vinyl.web import PlainTextResponse, Request, get_asgi_application, path
from vinyl.web.checks.django_settings import COUNT, NEED_MIDDLEWARE, NO_EFFECT

DOCS = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"
EVERY = sorted(name for name in dir(global_settings) if name.isupper())


def told(**settings: Any) -> dict[str, checks.CheckMessage]:
    """What the check says of *settings*, by their names."""
    with override_settings(**settings):
        issues = checks.run_checks(tags=["vinyl"])
    return {
        issue.msg.split()[0].removeprefix("settings."): issue
        for issue in issues
        if issue.id == "vinyl.W121"
    }


@pytest.mark.parametrize("name", EVERY)
def test_each_setting_of_django_has_been_decided_on(name: str) -> None:
    """A new version of Django with a new setting fails here."""
    groups = [COUNT, NO_EFFECT, *NEED_MIDDLEWARE.values()]
    assert sum(name in group for group in groups) == 1


@pytest.mark.parametrize("name", NO_EFFECT)
def test_a_setting_without_effect_is_reported(name: str) -> None:
    issue = told(**{name: "another value"})[name]
    assert f"settings.{name} has no effect, because " in issue.msg
    assert str(issue.hint).startswith(NO_EFFECT[name].hint)
    assert issue.level == checks.WARNING


@pytest.mark.parametrize(
    ("name", "path"),
    [(name, path) for path, names in NEED_MIDDLEWARE.items() for name in sorted(names)],
)
def test_a_setting_whose_middleware_is_missing_is_reported(
    name: str, path: str
) -> None:
    if name not in EVERY:
        pytest.skip("This Django does not have it")
    value: Any = [] if name.startswith("SECURE_CSP") else "another value"
    if name.startswith("SECURE_CSP"):
        value = {"default-src": ["'self'"]}
    issue = told(**{name: value}, MIDDLEWARE=[])[name]
    assert path in issue.msg
    assert path in str(issue.hint)
    before = ["vinyl.web.sessions.SessionMiddleware"]
    assert name not in told(**{name: value}, MIDDLEWARE=[*before, path])


class MySecurity:
    pass


def test_what_counts_or_has_djangos_value_is_not_reported() -> None:
    assert told() == {}
    same = {name: getattr(global_settings, name) for name in NO_EFFECT}
    assert told(**same, LOGIN_URL="/in/", FILE_UPLOAD_PERMISSIONS=0o600) == {}


def test_a_subclass_of_the_middleware_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    from vinyl.web import security

    cls = type("Mine", (security.SecurityMiddleware,), {"__module__": __name__})
    monkeypatch.setattr(f"{__name__}.MySecurity", cls)
    middleware = [f"{__name__}.MySecurity", "missing.Middleware"]
    assert told(SECURE_HSTS_SECONDS=60, MIDDLEWARE=middleware) == {}


def test_the_docs_have_the_same_tables() -> None:
    text = DOCS.read_text().partition("## Django's settings")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    rows = [line.strip("| ").split(" | ") for line in lines]
    needs, without = {}, {}
    for row in rows:
        names = re.findall(r"`([A-Z_0-9]+)`", row[1] if len(row) == 2 else row[0])
        if len(row) == 2:
            needs[row[0].strip(" `")] = frozenset(names)
        elif len(row) == 3:
            for name in names:
                without[name] = (row[1].strip(), row[2].strip())
    assert needs == NEED_MIDDLEWARE
    assert without == NO_EFFECT


# ----- Settings of Django's CommonMiddleware and of its handler

SECURITY = {"MIDDLEWARE": ["vinyl.web.security.SecurityMiddleware"]}


async def page(request: Request) -> Any:
    return PlainTextResponse("a page")


async def failing(request: Request) -> Any:
    raise ZeroDivisionError("on purpose")


@pytest.mark.anyio
async def test_the_settings_of_middleware_of_django(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It runs here as well, and mails and caches by its settings."""
    mailed: list[str] = []
    monkeypatch.setattr(
        "django.middleware.common.mail_managers",
        lambda subject, message, **options: mailed.append(message),
    )
    settings = {
        "MIDDLEWARE": [
            "django.middleware.common.BrokenLinkEmailsMiddleware",
            "django.middleware.cache.UpdateCacheMiddleware",
            "django.middleware.cache.FetchFromCacheMiddleware",
        ],
        "IGNORABLE_404_URLS": [re.compile("^/ignored")],
        "CACHE_MIDDLEWARE_SECONDS": 77,
        "CACHE_MIDDLEWARE_KEY_PREFIX": "settings",
    }
    async with serving(path("", page), **settings) as http:
        for missing in ("/ignored", "/missing"):
            response = await http.get(missing, headers={"referer": "http://other/"})
            assert response.status_code == 404
        assert (await http.get("/")).headers["cache-control"] == "max-age=77"
    (message,) = mailed
    assert "/missing" in message


@pytest.mark.anyio
async def test_user_agents_that_are_not_wanted() -> None:
    agents = {"DISALLOWED_USER_AGENTS": [re.compile("^Bad")]}
    async with serving(path("", page), **SECURITY, **agents) as http:
        refused = await http.get("/", headers={"user-agent": "Bad bot"})
        assert refused.status_code == 403
        assert refused.headers["x-content-type-options"] == "nosniff"
        assert (await http.get("/", headers={"user-agent": "Good"})).text == "a page"


@pytest.mark.anyio
async def test_www_is_prepended() -> None:
    hosts = {"PREPEND_WWW": True, "ALLOWED_HOSTS": [".shop.test"]}
    async with serving(path("page/", page), **SECURITY, **hosts) as http:
        found = await http.get("http://shop.test/page?a=1")
        assert found.status_code == 301
        assert found.headers["location"] == "http://www.shop.test/page/?a=1"
        assert (await http.get("http://www.shop.test/page/")).text == "a page"


@pytest.mark.anyio
async def test_errors_go_on_to_the_server() -> None:
    propagating = {"DEBUG_PROPAGATE_EXCEPTIONS": True}
    with settings_for((path("", failing), path("page/", page)), propagating):
        app = get_asgi_application()
        raised = []

        async def around(scope: Any, receive: Any, send: Any) -> None:
            try:
                await app(scope, receive, send)
            except ZeroDivisionError as error:
                raised.append(error)
                raise

        from vinyl.web.testing import Client

        http = Client(around, raise_request_exception=False)
        assert (await http.get("/")).status_code == 500
        assert (await http.get("/nowhere/")).status_code == 404
    assert len(raised) == 1
