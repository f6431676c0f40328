"""`request.user`, logging in and out, and the decorators that ask for a user."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, call-overload, comparison-overlap"
# mypy: disable-error-code="func-returns-value, misc"

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.auth.signals import (
    user_logged_in,
    user_logged_out,
    user_login_failed,
)
from django.contrib.sessions.models import Session
from django.http import HttpResponse

from tests.web.serving import serving, templates
from tests.web.users import AUTH, NINA, VIEWS, enter, who
from vinyl.exceptions import NotAwaitedError, NotFetchedError
from vinyl.web import PlainTextResponse, path, render
from vinyl.web.auth import (
    get_user,
    login_not_required,
    login_required,
    permission_required,
    staff_member_required,
    update_session_auth_hash,
    user_passes_test,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("url", ["/enter/", "/enter/plain/"])
async def test_logging_in_and_out(nina: User, url: str) -> None:
    async with serving(*VIEWS, **AUTH) as page:
        assert (await page.get("/who/")).text == "nobody"
        assert (await page.post(url, data=NINA)).text == "welcome"
        assert (await page.get("/who/")).text == "nina"
        assert (await page.get("/who/plain/")).text == "nina"
        # Nothing but the session's cookie: no token of Django's CSRF protection.
        assert list(page.cookies) == ["sessionid"]
        assert (await page.post("/leave/")).text == "bye"
        assert (await page.get("/who/")).text == "nobody"
        assert list(page.cookies) == []
    await nina.refresh_from_db()
    assert nina.last_login is not None
    assert await Session.objects.count() == 0


@pytest.mark.parametrize("wrong", [{"password": "x"}, {"username": "x"}])
async def test_wrong_credentials(nina: User, wrong: dict[str, str]) -> None:
    failed: list[Any] = []

    def note(**kwargs: Any) -> None:
        failed.append(kwargs["credentials"])

    user_login_failed.connect(note)
    try:
        async with serving(*VIEWS, **AUTH) as page:
            assert (await page.post("/enter/", data=NINA | wrong)).text == "no"
    finally:
        user_login_failed.disconnect(note)
    assert failed[0]["password"] == "*" * 20


async def test_signals_reach_plain_and_async_receivers(nina: User) -> None:
    seen = []

    def plain(signal: Any, user: Any, **kwargs: Any) -> None:
        seen.append(user.username)

    async def native(signal: Any, user: Any, **kwargs: Any) -> None:
        seen.append(await User.objects.count())

    for signal in (user_logged_in, user_logged_out):
        signal.connect(plain)
        signal.connect(native)
    try:
        async with serving(*VIEWS, **AUTH) as page:
            await page.post("/enter/", data=NINA)
            await page.post("/leave/")
    finally:
        for signal in (user_logged_in, user_logged_out):
            signal.disconnect(plain)
            signal.disconnect(native)
    assert seen == ["nina", 1, "nina", 1]


async def test_logging_in_takes_a_new_session_key_and_keeps_the_data(
    nina: User,
) -> None:
    async def put(request: Any) -> Any:
        await request.session.aset("cart", [1])
        return PlainTextResponse("")

    async def get(request: Any) -> Any:
        return PlainTextResponse(str(await request.session.aget("cart")))

    urls = *VIEWS, path("put/", put), path("get/", get)
    async with serving(*urls, **AUTH) as page:
        await page.get("/put/")
        before = page.cookies["sessionid"]
        await page.post("/enter/", data=NINA)
        assert page.cookies["sessionid"] != before
        assert (await page.get("/get/")).text == "[1]"
        # The key from before the login leads nowhere.
        assert not await Session.objects.filter(pk=before).exists()
        # Another user gets nothing of it.
        await User.objects.create_user("bud", password="powell")
        await page.post("/enter/", data={"username": "bud", "password": "powell"})
        assert (await page.get("/get/")).text == "None"


async def test_a_user_that_was_not_awaited_is_an_error(nina: User) -> None:
    async def view(request: Any) -> Any:
        for use in (
            lambda u: u.username,
            bool,
            str,
            lambda u: isinstance(u, User),
            lambda u: u == nina,
            lambda u: u in {nina},
            lambda u: {u: 1},
            lambda u: f"{u}",
            lambda u: hasattr(u, "email"),
            lambda u: User.objects.filter(pk=u),
            copy.copy,
            copy.deepcopy,
            pickle.dumps,
            lambda u: setattr(u, "x", 1),
        ):
            with pytest.raises(NotFetchedError, match=r"user = await request\.user"):
                use(request.user)
        assert repr(request.user) == "<NotFetched request.user>"
        await request.user
        assert isinstance(request.user, User)
        return PlainTextResponse(request.user.username)

    async with serving(path("", view), *VIEWS, **AUTH) as page:
        await page.post("/enter/", data=NINA)
        assert (await page.get("/")).text == "nina"


async def test_asyncio_may_gather_the_user(nina: User) -> None:
    async def view(request: Any) -> Any:
        lazy = request.user
        assert inspect.isawaitable(lazy)
        user, count, again = await asyncio.gather(lazy, User.objects.count(), lazy)
        assert isinstance(lazy, User)
        assert {user: count}[lazy] == {lazy: count}[again] == 1
        assert copy.copy(lazy).username == "nina"
        assert await asyncio.gather(request.user) == [nina]
        return PlainTextResponse(user.username)

    async with serving(path("", view), *VIEWS, **AUTH) as page:
        await page.post("/enter/", data=NINA)
        assert (await page.get("/")).text == "nina"


async def test_tasks_share_one_fetch(nina: User, queries: list[str]) -> None:
    async def view(request: Any) -> Any:
        users = await asyncio.gather(*(request.auser() for _ in range(5)))
        assert len({id(user) for user in users}) == 1
        return PlainTextResponse(str(len(queries)))

    async with serving(path("", view), *VIEWS, **AUTH) as page:
        await page.post("/enter/", data=NINA)
        queries.clear()
        # One for the session, one for the user.
        assert (await page.get("/")).text == "2"


async def test_a_session_that_code_assigns_says_who_the_user_is(nina: User) -> None:
    """As packages do that find the session by a token of their own."""

    def view(request: Any) -> Any:
        cookies = request.session
        request.session = type(cookies)(request.headers["X-Token"])
        if "used" in request.GET:
            # Django's lazy user, too, keeps what it has fetched.
            assert request.user.username == "nina"
            request.session = cookies
        return PlainTextResponse(request.user.username or "nobody")

    async with serving(path("", view), *VIEWS, **AUTH) as page:
        await page.post("/enter/", data=NINA)
        headers = {"X-Token": page.cookies.pop("sessionid")}
        for url in ("/", "/?used"):
            assert (await page.get(url, headers=headers)).text == "nina"
        headers = {"X-Token": "none"}
        assert (await page.get("/", headers=headers)).text == "nobody"


async def test_djangos_login_is_not_forgotten_in_silence(nina: User) -> None:
    """Also the one from django.contrib.auth, imported where Django's users do."""
    from django.contrib.auth import login as djangos

    async def view(request: Any) -> Any:
        await request.session
        call = djangos(request, nina, "django.contrib.auth.backends.ModelBackend")
        with pytest.raises(NotAwaitedError, match="'login' was called"):
            bool(call)
        await djangos(request, nina, "django.contrib.auth.backends.ModelBackend")
        user: Any = await get_user(request)
        return PlainTextResponse(user.username)

    async with serving(path("", view), **AUTH) as page:
        assert (await page.get("/")).text == "nina"


async def test_a_changed_password_ends_other_sessions(nina: User) -> None:
    async def change(request: Any) -> Any:
        user = await request.user
        user.set_password("new one")
        await user.save()
        await update_session_auth_hash(request, user)
        return PlainTextResponse("")

    async with serving(*VIEWS, path("change/", change), **AUTH) as page:
        await page.post("/enter/", data=NINA)
        elsewhere = page.cookies["sessionid"]
        page.cookies.clear()
        await page.post("/enter/", data=NINA)
        await page.get("/change/")
        assert (await page.get("/who/")).text == "nina"
        page.cookies["sessionid"] = elsewhere
        assert (await page.get("/who/")).text == "nobody"


# ----- Who may see a view


async def hello(request: Any) -> Any:
    return PlainTextResponse("hello")


def hello_plainly(request: Any) -> Any:
    return HttpResponse("hello")


def is_nina(user: Any) -> bool:
    return user.username == "nina"


async def is_nina_natively(user: Any) -> bool:
    return await User.objects.filter(pk=user.pk, username="nina").exists()


@pytest.mark.parametrize("view", [hello, hello_plainly])
async def test_decorators(nina: User, view: Any) -> None:
    needs = "auth.change_user"
    async with serving(
        *VIEWS,
        path("a/", login_required(view)),
        path("b/", permission_required(needs)(view)),
        path("c/", permission_required(needs, raise_exception=True)(view)),
        path("d/", user_passes_test(is_nina, login_url="/other/")(view)),
        path("e/", user_passes_test(is_nina_natively)(view)),
        path("f/", staff_member_required(view, login_url="/login/")),
        **AUTH,
    ) as page:
        for url in "abdef":
            refused = await page.get(f"/{url}/?q=1")
            login_url = "/other/" if url == "d" else "/login/"
            assert refused.status_code == 302
            assert refused.headers["location"] == f"{login_url}?next=/{url}/%3Fq%3D1"
        assert (await page.get("/c/")).status_code == 403
        await page.post("/enter/", data=NINA)
        answers = {url: (await page.get(f"/{url}/")).status_code for url in "abcdef"}
        assert answers == {"a": 200, "b": 302, "c": 403, "d": 200, "e": 200, "f": 302}
        group = await Group.objects.create(name="editors")
        await group.permissions.add(
            await Permission.objects.get(codename="change_user")
        )
        await nina.groups.add(group)
        await User.objects.update(is_staff=True)
        for url in "abcdef":
            assert (await page.get(f"/{url}/")).text == "hello"
        await group.delete()


async def test_an_awaited_user_is_still_awaitable_after_a_decorator(nina: User) -> None:
    @login_required
    async def view(request: Any) -> Any:
        return await who(request)

    async with serving(path("", view), *VIEWS, **AUTH) as page:
        await page.post("/enter/", data=NINA)
        assert (await page.get("/")).text == "nina"


async def test_login_required_middleware(nina: User) -> None:
    middleware = [*AUTH["MIDDLEWARE"], "vinyl.web.auth.LoginRequiredMiddleware"]
    urls = (
        path("enter/", login_not_required(partial(enter))),
        path("open/", login_not_required(partial(who))),
        path("closed/", hello),
        path("plain/", hello_plainly),
    )
    async with serving(*urls, **{**AUTH, "MIDDLEWARE": middleware}) as page:
        assert (await page.get("/open/")).text == "nobody"
        for url in ("/closed/", "/plain/"):
            refused = await page.get(url)
            assert refused.headers["location"] == f"/login/?next={url}"
        assert (await page.get("/missing/")).status_code == 404
        await page.post("/enter/", data=NINA)
        assert (await page.get("/closed/")).text == "hello"


async def test_users_without_sessions_are_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    middleware = ["vinyl.web.auth.AuthenticationMiddleware"]
    async with serving(path("", hello), MIDDLEWARE=middleware) as page:
        assert (await page.get("/")).status_code == 500
    assert "List 'vinyl.web.sessions.SessionMiddleware' before" in caplog.text


# ----- Templates


PROCESSORS = [
    "django.contrib.auth.context_processors.auth",
    "django.template.context_processors.request",
    "django.template.context_processors.debug",
    "django.template.context_processors.csrf",
    "django.template.context_processors.i18n",
    "django.template.context_processors.tz",
    "django.template.context_processors.static",
    "django.template.context_processors.media",
]


async def test_templates_get_the_user_and_the_permissions(
    nina: User, queries: list[str]
) -> None:
    async def named(request: Any) -> Any:
        return await render(request, "named.html")

    async def quiet(request: Any) -> Any:
        return await render(request, "quiet.html")

    texts = {
        "named.html": "{% if user.is_authenticated %}{{ user }}{% endif %}"
        " {{ perms.auth.add_user }} {{ 'auth.change_user' in perms }}"
        " {{ request.user.username }}",
        "quiet.html": "-",
    }
    await nina.user_permissions.add(await Permission.objects.get(codename="add_user"))
    urls = *VIEWS, path("", named), path("quiet/", quiet)
    options = templates(files=texts, context_processors=PROCESSORS)
    async with serving(*urls, **AUTH, **options) as page:
        assert (await page.get("/")).text == " False False "
        await page.post("/enter/", data=NINA)
        assert (await page.get("/")).text == "nina True False nina"
        queries.clear()
        quiet_page = await page.get("/quiet/")
        assert (quiet_page.text, queries) == ("-", [])
        assert "vary" not in quiet_page.headers
