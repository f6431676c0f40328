"""`request.user`, logging in and out, and the decorators that ask for a user."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload, comparison-overlap"
# mypy: disable-error-code="func-returns-value, misc, override"

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.contrib.auth.signals import (
    user_logged_in,
    user_logged_out,
    user_login_failed,
)
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.test import override_settings
from django.test.utils import isolate_apps
from django.views.debug import ExceptionReporter

from tests.web.serving import serving, templates
from vinyl.exceptions import NotAwaitedError, NotFetchedError
from vinyl.orm import run
from vinyl.web import PlainTextResponse, path, render
from vinyl.web.auth import (
    authenticate,
    get_user,
    login,
    login_not_required,
    login_required,
    logout,
    permission_required,
    staff_member_required,
    update_session_auth_hash,
    user_passes_test,
)

pytestmark = pytest.mark.anyio

AUTH = {
    "MIDDLEWARE": [
        "vinyl.web.sessions.SessionMiddleware",
        "vinyl.web.auth.AuthenticationMiddleware",
    ],
    "LOGIN_URL": "/login/",
}


async def enter(request: Any) -> Any:
    form = await request.form()
    user = await authenticate(request, name=None, **dict(form))
    if user is None:
        return PlainTextResponse("no", 403)
    await login(request, user)
    assert (await request.user) is user
    assert request.user.username == user.username
    assert isinstance(request.user, User)
    return PlainTextResponse("welcome")


def enter_plainly(request: Any) -> Any:
    user = authenticate(request, **request.POST.dict())
    if user is None:
        return HttpResponse("no", status=403)
    login(request, user)
    assert request.user == user
    return HttpResponse("welcome")


async def leave(request: Any) -> Any:
    await logout(request)
    assert isinstance(await request.user, AnonymousUser)
    return PlainTextResponse("bye")


async def who(request: Any) -> Any:
    user = await request.user
    assert await request.user is user
    assert await request.auser() is user
    return PlainTextResponse(user.username or "nobody")


def who_plainly(request: Any) -> Any:
    return HttpResponse(request.user.username or "nobody")


VIEWS = (
    path("enter/", enter),
    path("enter/plain/", enter_plainly),
    path("leave/", leave),
    path("who/", who),
    path("who/plain/", who_plainly),
)
NINA = {"username": "nina", "password": "sinnerman"}


@pytest.fixture
async def nina(db: Any) -> User:
    return await User.objects.create_user(**NINA)


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


async def test_djangos_login_is_not_forgotten_in_silence(nina: User) -> None:
    """Also the one from django.contrib.auth, imported where Django's users do."""
    from django.contrib.auth import login as djangos

    async def view(request: Any) -> Any:
        await request.session
        call = djangos(request, nina, "django.contrib.auth.backends.ModelBackend")
        with pytest.raises(NotAwaitedError, match="'login' was called"):
            bool(call)
        await djangos(request, nina, "django.contrib.auth.backends.ModelBackend")
        return PlainTextResponse((await get_user(request)).username)

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


# ----- Permissions


async def test_permissions_are_dual_mode(nina: User) -> None:
    permission = await Permission.objects.get(codename="add_user")
    await nina.user_permissions.add(permission)
    assert await nina.has_perm("auth.add_user")
    assert await nina.ahas_perm("auth.add_user")
    assert not await nina.has_perms(["auth.add_user", "auth.delete_user"])
    assert await nina.has_module_perms("auth")
    assert await nina.get_all_permissions() == {"auth.add_user"}
    assert await nina.get_user_permissions() == {"auth.add_user"}
    assert await nina.get_group_permissions() == set()
    assert not await AnonymousUser().has_perm("auth.add_user")
    assert await AnonymousUser().aget_group_permissions() == set()
    with pytest.raises(NotAwaitedError, match="'User.has_perm' was called"):
        bool(nina.has_perm("auth.add_user"))


# ----- Backends


class PlainBackend:
    """As small as Django allows."""

    def authenticate(self, request: Any, token: str) -> Any:
        return User.objects.filter(username=token).first()

    def get_user(self, user_id: Any) -> Any:
        return User.objects.filter(pk=user_id).first()


def backend_classes() -> Any:
    from django.contrib.auth.backends import BaseBackend, ModelBackend

    class AsyncBackend(BaseBackend):
        async def aauthenticate(self, request: Any, token: str = "") -> Any:
            return await User.objects.filter(username=token).first()

        async def aget_user(self, user_id: Any) -> Any:
            return await User.objects.filter(pk=user_id).first()

        async def ahas_perm(self, user: Any, perm: str, obj: Any = None) -> bool:
            return perm == "records.sing"

    class Strict(ModelBackend):
        """Overrides the plain methods alone, as code from before async does."""

        def authenticate(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            user = super().authenticate(request, *args, **kwargs)
            if user is not None and user.username == "banned":
                raise PermissionDenied
            return user

        def has_perm(self, user: Any, perm: str, obj: Any = None) -> bool:
            return perm == "records.listen"

    class StrictAndAsync(ModelBackend):
        """Overrides the plain methods with async ones."""

        async def user_can_authenticate(self, user: Any) -> bool:
            return not await User.objects.filter(pk=user.pk, username="banned").exists()

        async def has_perm(self, user: Any, perm: str, obj: Any = None) -> bool:
            return perm == "records.listen"

        async def has_module_perms(self, user: Any, app_label: str) -> bool:
            return app_label == "records"

    class OfItsOwn:
        """Derived from nothing, as Django allows."""

        async def authenticate(self, request: Any, username: str, password: str) -> Any:
            del request, password
            return (
                await User.objects.filter(username=username)
                .exclude(username="banned")
                .first()
            )

        async def has_perm(self, user: Any, perm: str, obj: Any = None) -> bool:
            return perm == "records.listen"

        async def has_module_perms(self, user: Any, app_label: str) -> bool:
            return app_label == "records"

    return AsyncBackend, Strict, StrictAndAsync, OfItsOwn


AsyncBackend, Strict, StrictAndAsync, OfItsOwn = backend_classes()


@pytest.mark.parametrize("name", ["PlainBackend", "AsyncBackend"])
async def test_backends_of_a_project(nina: User, name: str) -> None:
    async def enter(request: Any) -> Any:
        user = await authenticate(request, token="nina")
        await login(request, user)
        return PlainTextResponse("")

    def enter_plainly(request: Any) -> Any:
        login(request, authenticate(request, token="nina"))
        return HttpResponse("")

    urls = path("in/", enter), path("in/plain/", enter_plainly)
    backends = {"AUTHENTICATION_BACKENDS": [f"{__name__}.{name}"]}
    for url in ("/in/", "/in/plain/"):
        async with serving(*urls, *VIEWS, **AUTH, **backends) as page:
            assert (await page.get(url)).status_code == 200
            assert (await page.get("/who/")).text == "nina"
            assert (await page.get("/who/plain/")).text == "nina"


async def test_the_backend_for_users_whom_the_web_server_knows(db: Any) -> None:
    async def enter(request: Any) -> Any:
        user = await authenticate(request, remote_user="abbey")
        await login(request, user)
        return PlainTextResponse(user.username)

    backend = "django.contrib.auth.backends.RemoteUserBackend"
    settings = AUTH | {"AUTHENTICATION_BACKENDS": [backend]}
    async with serving(path("in/", enter), *VIEWS, **settings) as page:
        assert (await page.get("/in/")).text == "abbey"
        assert (await page.get("/who/")).text == "abbey"


async def test_async_and_plain_names_decide_alike(nina: User) -> None:
    from django.contrib.auth import aauthenticate

    await User.objects.create_user("banned", password="x")
    with override_settings(AUTHENTICATION_BACKENDS=[f"{__name__}.Strict"]):
        assert await aauthenticate(**NINA) == nina
        assert await authenticate(**NINA) == nina
        assert await aauthenticate(username="banned", password="x") is None
        assert await authenticate(username="banned", password="x") is None
        assert await nina.ahas_perm("records.listen")
        assert await nina.has_perm("records.listen")
    with override_settings(AUTHENTICATION_BACKENDS=[f"{__name__}.AsyncBackend"]):
        assert await nina.ahas_perm("records.sing")
        assert await nina.has_perm("records.sing")
        assert not await nina.has_perm("records.listen")


@pytest.mark.parametrize("name", ["StrictAndAsync", "OfItsOwn"])
async def test_a_backend_may_say_no_in_async_code(name: str, nina: User) -> None:
    await User.objects.create_user("banned", password="x")

    def plain() -> tuple[Any, ...]:
        return (
            authenticate(username="banned", password="x"),
            nina.has_perm("records.sing"),
            nina.has_module_perms("cellar"),
        )

    with override_settings(AUTHENTICATION_BACKENDS=[f"{__name__}.{name}"]):
        assert await authenticate(**NINA) == nina
        assert await authenticate(username="banned", password="x") is None
        assert await nina.has_perm("records.listen")
        assert not await nina.has_perm("records.sing")
        assert await nina.has_module_perms("records")
        assert not await nina.has_module_perms("cellar")
        assert await run(plain) == (None, False, False)


@isolate_apps("tests.records")
async def test_a_user_of_its_own_kind_may_say_no_in_async_code() -> None:
    class Guest(AbstractBaseUser):
        async def has_perm(self, perm: str, obj: Any = None) -> bool:
            return perm == "records.listen"

        def has_perms(self, perms: list[str], obj: Any = None) -> bool:
            return all(self.has_perm(perm, obj) for perm in perms)

        class Meta:
            app_label = "records"

    guest = Guest()
    for perm, answer in (("records.listen", True), ("records.sing", False)):
        assert await guest.has_perm(perm) is answer
        assert await guest.has_perms([perm]) is answer
        assert await run(guest.has_perms, [perm]) is answer


class BrokenBackend:
    def authenticate(self, request: Any, username: str, password: str) -> Any:
        del username, password
        raise RuntimeError("the directory does not answer")


async def test_a_report_of_an_error_does_not_show_the_password(
    db: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def native(request: Any) -> Any:
        return await authenticate(**await secret(request))

    def plain(request: Any) -> Any:
        return authenticate(username="nina", password="".join(reversed(PART)))

    PART = "pws-terces"

    async def secret(request: Any) -> dict[str, str]:
        return {"username": "nina", "password": "".join(reversed(PART))}

    urls = path("native/", native), path("plain/", plain)
    settings = {"AUTHENTICATION_BACKENDS": [f"{__name__}.BrokenBackend"]}
    for url in ("/native/", "/plain/"):
        caplog.clear()
        async with serving(*urls, **settings) as page:
            assert (await page.get(url)).status_code == 500
        (record,) = [r for r in caplog.records if r.exc_info]
        reporter = ExceptionReporter(None, *record.exc_info)
        for report in (reporter.get_traceback_text(), reporter.get_traceback_html()):
            assert "the directory does not answer" in report
            assert "secret-swp" not in report


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
