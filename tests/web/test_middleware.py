"""settings.MIDDLEWARE: what takes the place of Django's classes, and of others'."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.middleware.cache import UpdateCacheMiddleware
from django.test import override_settings
from django.utils.module_loading import import_string

from vinyl.web import get_asgi_application
from vinyl.web.checks.settings import check_middleware
from vinyl.web.middleware import (
    REPLACEMENTS,
    UnusableMiddleware,
    is_of_djangos_kind,
    load_middleware,
    middleware_classes,
)
from vinyl.web.sessions import SessionMiddleware


@pytest.mark.parametrize("path", REPLACEMENTS)
def test_what_replaces_a_class_is_named(path: str) -> None:
    replacement = REPLACEMENTS[path]
    hint = f"Use {replacement!r}." if replacement else "Remove it."
    with override_settings(MIDDLEWARE=[path]):
        (error,) = check_middleware()
        assert (error.id, error.hint) == ("vinyl.E102", hint)
        with pytest.raises(ImproperlyConfigured, match=hint):
            get_asgi_application()


@pytest.mark.parametrize("path", sorted({it for it in REPLACEMENTS.values() if it}))
def test_what_replaces_it_can_be_listed(path: str, tmp_path: Any) -> None:
    async def app(*args: Any) -> None: ...

    with override_settings(MIDDLEWARE=[path], STATIC_ROOT=str(tmp_path)):
        assert check_middleware() == []
        assert callable(import_string(path)(app))


def test_an_entry_that_cannot_be_imported() -> None:
    with pytest.raises(UnusableMiddleware) as raised:
        load_middleware("tests.nowhere.Middleware")
    assert raised.value.problem.startswith(
        "settings.MIDDLEWARE contains 'tests.nowhere.Middleware', which cannot be "
        "imported: "
    )
    assert raised.value.hint.startswith("Correct the dotted path")
    assert str(raised.value) == f"{raised.value.problem} {raised.value.hint}"


def factory(app: Any) -> Any:
    return app


def test_the_classes_of_a_list() -> None:
    paths = [
        "vinyl.web.sessions.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "tests.nowhere.Middleware",
        f"{__name__}.factory",
    ]
    assert list(middleware_classes(paths)) == [SessionMiddleware]
    assert load_middleware(paths[-1]) is factory


def simple(get_response: Any) -> Any:
    return get_response


class WithRequest:
    def __init__(self, get: Any) -> None: ...

    def __call__(self, request: Any) -> Any: ...


class WithHook:
    def __init__(self, *args: Any) -> None: ...

    def __call__(self, *args: Any) -> Any: ...

    def process_view(self, *args: Any) -> Any: ...


class Pure:
    def __init__(self, app: Any) -> None: ...

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class Configurable:
    def __init__(self, app: Any, *, level: int = 1) -> None: ...

    async def __call__(self, *args: Any) -> None: ...


@pytest.mark.parametrize(
    ("middleware", "is_djangos"),
    [
        (simple, True),
        (WithRequest, True),
        (WithHook, True),
        (UpdateCacheMiddleware, True),
        (factory, False),
        (Pure, False),
        (Configurable, False),
        (SessionMiddleware, False),
    ],
)
def test_the_kinds_of_middleware(middleware: Any, is_djangos: bool) -> None:
    assert is_of_djangos_kind(middleware) is is_djangos


class Uncallable:
    def __init__(self, app: Any) -> None: ...


class TwoArguments(Uncallable):
    def __call__(self, one: Any, two: Any) -> Any: ...


class NoMode:
    sync_capable = False

    def __call__(self, request: Any) -> Any: ...


VALUE = "no middleware"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Uncallable", "neither of Django's kind nor pure ASGI"),
        ("TwoArguments", "neither of Django's kind nor pure ASGI"),
        ("NoMode", "neither as sync nor as async code"),
        ("VALUE", "not callable"),
    ],
)
def test_what_cannot_serve_is_refused_by_name(name: str, reason: str) -> None:
    entry = f"{__name__}.{name}"
    with override_settings(MIDDLEWARE=[entry]):
        (error,) = check_middleware()
        assert entry in error.msg
        assert reason in error.msg
        assert error.hint
        with pytest.raises(ImproperlyConfigured, match=name):
            get_asgi_application()
