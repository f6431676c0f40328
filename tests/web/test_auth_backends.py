"""Permissions, and the authentication backends of projects."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, func-returns-value, misc, override"

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.test import override_settings
from django.test.utils import isolate_apps
from django.views.debug import ExceptionReporter

from tests.web.serving import serving
from tests.web.users import AUTH, NINA, VIEWS
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import run
from vinyl.web import PlainTextResponse, path
from vinyl.web.auth import (
    authenticate,
    login,
)

pytestmark = pytest.mark.anyio


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
        user: Any = await authenticate(request, remote_user="abbey")
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
