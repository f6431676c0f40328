"""Script prefix, urlconf, language and time zone: as local as in Django."""

from __future__ import annotations

import asyncio
import datetime
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.local import Local
from asgiref.sync import sync_to_async
from django.urls import (
    base,
    clear_script_prefix,
    get_script_prefix,
    get_urlconf,
    set_script_prefix,
    set_urlconf,
)
from django.utils import timezone, translation

from vinyl.web.http.local_value import LocalValue, patch_local

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        getattr(sys.flags, "thread_inherit_context", False),
        reason="new threads inherit context variables",
    ),
]

UTC1 = datetime.timezone(datetime.timedelta(hours=1))

# By name: setting it, reading it, unsetting it, and two values.
KINDS: dict[str, tuple[Callable[[Any], object], Callable[[], Any], Any, Any, Any]] = {
    "prefix": (set_script_prefix, get_script_prefix, clear_script_prefix, "/a/", "/"),
    "urlconf": (set_urlconf, get_urlconf, lambda: set_urlconf(None), "a", None),
    "language": (
        translation.activate,
        translation.get_language,
        translation.deactivate,
        "de",
        "en-us",
    ),
    "time zone": (
        timezone.activate,
        timezone.get_current_timezone,
        timezone.deactivate,
        UTC1,
        timezone.get_default_timezone(),
    ),
}


def test_django_keeps_them_in_context_variables() -> None:
    # Not the language: Django makes a new Local where a test changes LANGUAGE_CODE.
    for local in (base._prefixes, base._urlconfs, timezone._active):  # type: ignore[attr-defined]
        assert isinstance(local, LocalValue)


@pytest.mark.parametrize("kind", KINDS)
async def test_each_task_has_its_own(kind: str) -> None:
    put, read, clear, value, unset = KINDS[kind]
    ready = asyncio.Event()

    async def other() -> Any:
        await ready.wait()
        return read()

    before = asyncio.create_task(other())
    put(value)
    after = asyncio.create_task(other())
    ready.set()
    assert (await before, await after, read()) == (unset, value, value)
    assert await sync_to_async(read)() == value
    await sync_to_async(clear)()
    assert read() == unset


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_thread_has_none(kind: str) -> None:
    put, read, clear, value, unset = KINDS[kind]
    seen = []
    put(value)
    try:
        thread = threading.Thread(target=lambda: seen.append(read()))
        thread.start()
        thread.join()
        assert (seen, read()) == ([unset], value)
    finally:
        clear()
    assert read() == unset
    # As in Django, it may be cleared again.
    clear()


@pytest.mark.parametrize("make", [Local, LocalValue], ids=["asgiref", "vinyl"])
def test_it_is_like_a_local(make: Any) -> None:
    local = make()
    assert not hasattr(local, "value")
    with pytest.raises(AttributeError):
        del local.value
    local.value = None
    assert local.value is None
    del local.value
    assert getattr(local, "value", "none") == "none"


def test_what_is_set_before_the_patch_stays() -> None:
    local = Local()
    local.value = "before"
    assert patch_local(local).value == "before"
