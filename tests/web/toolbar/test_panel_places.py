"""The line that a query is put down to, in whichever way a template asks for it."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.template import engines
from django.utils.functional import SimpleLazyObject

from tests.records.models import Artist
from tests.web.serving import serving, templates
from vinyl.orm import await_, run
from vinyl.orm.recording import current_recording
from vinyl.web import HTMLResponse, Request, Response, path, render

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

MIDDLEWARE = [
    "vinyl.web.sessions.SessionMiddleware",
    "vinyl.web.auth.AuthenticationMiddleware",
    "vinyl.web.messages.MessagesMiddleware",
]
PROCESSORS = [
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
    f"{__name__}.newest",
]


def newest(request: Any) -> dict[str, Any]:
    """A context processor whose value is fetched when a template asks for it."""
    return {"newest": SimpleLazyObject(Artist.objects.first)}


async def helper() -> int:
    return await Artist.objects.count()


def counted() -> int:
    return Artist.objects.count()


def awaited(*anything: Any) -> int:
    return await_(helper())


def twice_in_the_bridge() -> int:
    """Sync code that waits for a run of other sync code."""
    return await_(run(Artist.objects.count))


FILES = {
    "parts.html": "\n\n{% macro part(artists) %}\n{{ artists|length }}{% endmacro %}",
    "row.html": "\n\n{{ artists|length }}",
    "base.html": "<body>{% block body %}{% endblock %}</body>",
}

# The page's lines after its first one, and the place of the queries. No line of this
# module is among them unless it says so.
CASES = {
    "user": ("{{ user.username }}", "template page.html:2"),
    "request.user": ("{{ request.user.username }}", "template page.html:2"),
    "a condition": (
        "{% if user.is_authenticated %}x{% endif %}",
        "template page.html:2",
    ),
    "perms of an app": ("{% if perms.records %}x{% endif %}", "template page.html:2"),
    "one of perms": (
        "\n{% if perms.records.add_album %}x{% endif %}",
        "template page.html:3",
    ),
    "in perms": (
        "{% if 'records.add_album' in perms %}x{% endif %}",
        "template page.html:2",
    ),
    "messages": ("{% for one in messages %}x{% endfor %}", "template page.html:2"),
    "the session": ("{{ request.session.get('cart', '') }}", "template page.html:2"),
    "a lazy object": ("{{ newest.name }}", "template page.html:2"),
    "a queryset": ("{{ artists|length }}", "template page.html:2"),
    "a loop": ("{% for one in artists %}x{% endfor %}", "template page.html:2"),
    "a filter": ("\n{{ artists|map(attribute='name')|join }}", "template page.html:3"),
    "a method": ("{{ artists.count() }}", "template page.html:2"),
    "a macro": (
        "{% from 'parts.html' import part %}{{ part(artists) }}",
        "template parts.html:4",
    ),
    "an include": ("{% include 'row.html' %}", "template row.html:3"),
    "a set": ("{% set n = artists.count() %}{{ n }}", "template page.html:2"),
    "a macro of the page": (
        "{% macro own() %}\n{{ perms.records.add_album }}{% endmacro %}{{ own() }}",
        "template page.html:3",
    ),
    "a run inside": ("{{ inside() }}", "twice_in_the_bridge"),
    "a function": ("{{ counted() }}", "counted"),
    "an async function": ("{{ awaited() }}", "helper"),
}


async def log_in(http: Any) -> None:
    user = await User.objects.create_user("ada", password="secret")
    permission = await Permission.objects.get(
        codename="add_album", content_type__app_label="records"
    )
    await user.user_permissions.add(permission)
    await Artist.objects.create(name="Nina Simone")
    await http.force_login(user)


@pytest.mark.parametrize("is_plain", [False, True], ids=["async view", "plain view"])
@pytest.mark.parametrize("name", CASES)
async def test_the_line_that_runs(name: str, is_plain: bool) -> None:
    body, expected = CASES[name]
    callsites: list[Any] = []

    def context() -> dict[str, Any]:
        return {
            "artists": Artist.objects.all(),
            "awaited": awaited,
            "counted": counted,
            "inside": twice_in_the_bridge,
        }

    async def view(request: Request) -> Response:
        response = await render(request, "page.html", context())
        callsites.extend(query.callsite for query in recorded())
        return response

    def plain_view(request: Request) -> Response:
        response = render(request, "page.html", context())
        callsites.extend(query.callsite for query in recorded())
        return response

    page = f"{{% extends 'base.html' %}}{{% block body %}}\n{body}{{% endblock %}}"
    options = templates(
        files={**FILES, "page.html": page}, context_processors=PROCESSORS
    )
    url = path("", plain_view if is_plain else view)
    settings: dict[str, Any] = {
        "DEBUG": True,
        "MESSAGE_STORAGE": "django.contrib.messages.storage.session.SessionStorage",
        "MIDDLEWARE": MIDDLEWARE,
        **options,
    }
    async with serving(url, raising=True, **settings) as http:
        await log_in(http)
        assert (await http.get("/")).status_code == 200
    assert callsites
    for one in callsites:
        if expected.startswith("template"):
            assert str(one) == expected, callsites
        else:
            assert one.frame.function == expected, callsites
            assert str(one.template) == "template page.html:2"


def recorded() -> list[Any]:
    record = current_recording()
    assert record is not None
    return record.queries


async def test_the_request_is_not_put_down_to_a_template_that_has_ended() -> None:
    """What a view asks for itself is its own line, before and after it renders."""
    callsites: list[Any] = []

    async def view(request: Request) -> Response:
        await request.user
        await render(request, "page.html")
        await Artist.objects.count()
        callsites.extend(query.callsite for query in recorded())
        return HTMLResponse("")

    page = templates(files={"page.html": "{{ request.user.username }}"})
    settings: dict[str, Any] = {"DEBUG": True, "MIDDLEWARE": MIDDLEWARE, **page}
    async with serving(path("", view), raising=True, **settings) as http:
        await log_in(http)
        await http.get("/")
    assert {one.template for one in callsites} == {None}
    first = view.__code__.co_firstlineno
    assert {one.frame.line - first for one in callsites} == {1, 3}


async def test_a_template_of_djangos_own_engine() -> None:
    callsites: list[Any] = []
    source = "\n{% load l10n %}\n{{ user.username }}"
    engine = {"BACKEND": "django.template.backends.django.DjangoTemplates"}

    async def view(request: Request) -> Response:
        template = engines["django"].from_string(source)
        text = await run(template.render, {"user": request.user})
        callsites.extend(query.callsite for query in recorded())
        return HTMLResponse(text)

    settings: dict[str, Any] = {"DEBUG": True, "MIDDLEWARE": MIDDLEWARE}
    async with serving(path("", view), TEMPLATES=[engine], **settings) as http:
        await log_in(http)
        assert "ada" in (await http.get("/")).text
    assert callsites
    for one in callsites:
        assert one.template is not None
        assert one.template.line == 3
