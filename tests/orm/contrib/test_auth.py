"""The plain and the async name of a method; tests/web/test_auth.py has the rest."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import aauthenticate
from django.contrib.auth.models import User
from django.test import override_settings

from vinyl.orm import run
from vinyl.orm.contrib.auth import _is_plain_overridden, twins

pytestmark = pytest.mark.anyio


class Base:
    def may(self) -> str:
        return "plain"

    async def amay(self) -> str:
        return "async"


class PlainOverridden(Base):
    def may(self) -> str:
        return "own"


class AsyncOverridden(Base):
    async def amay(self) -> str:
        return "own"


class BothOverridden(PlainOverridden):
    async def amay(self) -> str:
        return "own async"


@pytest.mark.parametrize(
    ("cls", "is_overridden"),
    [
        (Base, False),
        (PlainOverridden, True),
        (AsyncOverridden, False),
        (BothOverridden, False),
    ],
)
def test_only_a_plain_method_that_stands_alone_counts_as_overridden(
    cls: type[Base], is_overridden: bool
) -> None:
    assert _is_plain_overridden(cls(), "may", "amay") is is_overridden


async def test_an_async_method_calls_its_twin_in_the_bridge() -> None:
    patched = twins(_is_plain_overridden)(Base.amay)
    assert await patched(Base()) == "async"
    assert await patched(PlainOverridden()) == "own"


async def test_a_plain_method_calls_its_twin_only_in_the_bridge() -> None:
    patched = twins(lambda obj, plain, asynchronous: True)(Base.may)
    assert patched(AsyncOverridden()) == "plain"
    assert await run(patched, AsyncOverridden()) == "own"


def backend_classes() -> Any:
    from django.contrib.auth.backends import BaseBackend, ModelBackend

    class Neither(BaseBackend):
        """Overrides nothing."""

    class PlainBySuper(ModelBackend):
        def has_perm(self, user: Any, perm: str, obj: Any = None) -> bool:
            return super().has_perm(user, perm, obj) or perm == "own"

        def get_all_permissions(self, user: Any, obj: Any = None) -> Any:
            return super().get_all_permissions(user, obj) | {"all"}

    class AsyncBySuper(BaseBackend):
        async def aget_user_permissions(self, user: Any, obj: Any = None) -> Any:
            return await super().aget_user_permissions(user, obj) | {"own"}

        async def ahas_perm(self, user: Any, perm: str, obj: Any = None) -> bool:
            return await super().ahas_perm(user, perm, obj)

    class PlainOfBase(BaseBackend):
        def get_user_permissions(self, user: Any, obj: Any = None) -> Any:
            return super().get_user_permissions(user, obj) | {"own"}

    class AsyncOverPlainOfBase(PlainOfBase):
        async def aget_user_permissions(self, user: Any, obj: Any = None) -> Any:
            return await super().aget_user_permissions(user, obj) | {"async"}

    return [
        (Neither, set()),
        (PlainBySuper, {"own", "all"}),
        (AsyncBySuper, {"own"}),
        (PlainOfBase, {"own"}),
        (AsyncOverPlainOfBase, {"own", "async"}),
    ]


@pytest.mark.parametrize(
    ("cls", "permissions"),
    [pytest.param(*case, id=case[0].__name__) for case in backend_classes()],
)
async def test_a_backend_that_calls_super_does_not_call_itself(
    cls: Any, permissions: set[str]
) -> None:
    class User:
        is_active, is_anonymous, is_superuser = True, False, False
        _user_perm_cache: set[str] = set()
        _group_perm_cache: set[str] = set()

    for perm in ("own", "all", "async"):
        expected = perm in permissions
        assert await cls().ahas_perm(User(), perm) is expected, perm
        assert await run(cls().has_perm, User(), perm) is expected, perm


class PlainBackend:
    """A backend of a package, which does not inherit from Django's."""

    def authenticate(self, request: Any, **credentials: Any) -> Any:
        return User.objects.filter(username=credentials.get("username")).first()

    def has_perm(self, user: Any, perm: str, obj: Any = None) -> bool:
        return User.objects.filter(pk=user.pk, username=perm).exists()


@pytest.mark.anyio
@override_settings(AUTHENTICATION_BACKENDS=[f"{__name__}.PlainBackend"])
async def test_async_code_asks_a_backend_with_plain_methods_only(db: str) -> None:
    made = await User.objects.acreate_user("ada")
    user = await aauthenticate(username="ada")
    assert user == made
    assert await user.ahas_perm("ada")
    assert not await user.ahas_perm("grace")
    assert await aauthenticate(username="grace") is None
