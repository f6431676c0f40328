"""Each of Django's session engines, and those of projects."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import sys
import threading
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar

import pytest
from django.contrib.sessions.backends import file
from django.contrib.sessions.backends.cached_db import SessionStore as CachedDBStore
from django.contrib.sessions.backends.db import SessionStore as DBStore

from tests.web.serving import serving
from tests.web.session_views import (
    ENGINES,
    VIEWS,
    sessions,
)
from vinyl.web import PlainTextResponse, path
from vinyl.web.sessions import session_store

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("session_folder")]


@pytest.mark.parametrize("engine", ENGINES)
async def test_each_engine_keeps_what_is_put_into_it(db: Any, engine: str) -> None:
    async with serving(*VIEWS, **sessions(engine)) as page:
        assert (await page.get("/count/")).text == "1"
        assert (await page.get("/native/")).text == "2"
        assert (await page.get("/plain/")).text == "3"
        # The data goes on under another key.
        key = page.cookies["sessionid"]
        cycled = await page.get("/cycle/")
        if engine != "signed_cookies":
            assert cycled.text == "True"
            assert page.cookies["sessionid"] != key
        assert (await page.get("/count/")).text == "4"
        stale = {"cookie": f"sessionid={key}"}
        if engine != "signed_cookies":
            page.cookies.clear()
            assert (await page.get("/read/", headers=stale)).text == "None"
        page.cookies.clear()
        assert (await page.get("/count/")).text == "1"
        gone = await page.get("/flush/")
        assert gone.headers["set-cookie"].startswith('sessionid="";')
        assert "sessionid" not in page.cookies
        assert (await page.get("/read/")).text == "None"


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_async_names_do_what_they_say_in_each_engine(
    db: Any, engine: str
) -> None:
    found = []

    async def use(request: Any) -> Any:
        session = request.session
        await session.aset("n", 1)
        await session.asave()
        first = session.session_key
        await session.acycle_key()
        second = session.session_key
        found.extend([await session.aexists(first), await session.aexists(second)])
        await session.aflush()
        found.append(await session.aexists(second))
        return PlainTextResponse("")

    async with serving(path("use/", use), **sessions(engine)) as page:
        await page.get("/use/")
    assert found == [False, engine != "signed_cookies", False]


class CheckingStore(CachedDBStore):
    """An engine that overrides plain methods only, as engines of before Django 5.1."""

    cache_key = property(lambda self: f"own-{self.session_key}")
    flushed: ClassVar[list[str]] = []

    def load(self) -> Any:
        return {**super().load(), "checked": True}

    def flush(self) -> None:
        self.flushed.append(str(self.session_key))
        super().flush()


async def test_an_engine_that_overrides_plain_methods_is_heeded(
    db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def see(request: Any) -> Any:
        session = await request.session
        return PlainTextResponse(str(session.get("checked")))

    def see_plainly(request: Any) -> Any:
        return PlainTextResponse(str(request.session.get("checked")))

    async def show_key(request: Any) -> Any:
        key = request.session.session_key
        return PlainTextResponse(f"{key} {await request.session.acache_key()}")

    async def leave(request: Any) -> Any:
        await request.session.aflush()
        return PlainTextResponse("")

    urls = [
        path("see/", see),
        path("see_plainly/", see_plainly),
        path("key/", show_key),
    ]
    settings = {**sessions(), "SESSION_ENGINE": "checking"}
    engine: Any = ModuleType("checking")
    engine.SessionStore = CheckingStore
    monkeypatch.setitem(sys.modules, "checking", engine)
    async with serving(*VIEWS, *urls, path("leave/", leave), **settings) as page:
        await page.get("/count/")
        key = page.cookies["sessionid"]
        assert (await page.get("/see/")).text == "True"
        assert (await page.get("/see_plainly/")).text == "True"
        assert (await page.get("/key/")).text == f"{key} own-{key}"
        await page.get("/leave/")
        assert CheckingStore.flushed == [key]
        CheckingStore.flushed.clear()


async def test_the_data_is_signed_as_djangos_own_is(db: Any) -> None:
    """A session that Django made can be read, and the other way round."""
    store = DBStore()
    await store.aset("n", 41)
    await store.asave()
    async with serving(*VIEWS, **sessions()) as page:
        page.cookies["sessionid"] = str(store.session_key)
        assert (await page.get("/count/")).text == "42"
    assert await DBStore(store.session_key).aget("n") == 42


async def test_files_of_sessions_are_written_beside_the_event_loop() -> None:
    threads = []

    class Store(file.SessionStore):
        def save(self, must_create: bool = False) -> None:
            threads.append(threading.current_thread())
            super().save(must_create)

    engine = ModuleType("tests.engine_of_files")
    engine.SessionStore = Store  # type: ignore[attr-defined]
    sys.modules[engine.__name__] = engine
    try:
        settings = {**sessions(), "SESSION_ENGINE": engine.__name__}
        async with serving(*VIEWS, **settings) as page:
            await page.get("/count/")
            assert (await page.get("/count/")).text == "2"
    finally:
        del sys.modules[engine.__name__]
    assert threads
    assert threading.current_thread() not in threads


COOKIES = {
    "unknown": "a" * 32,
    "short": "abc",
    "empty": "",
    "not ASCII": "\xe9" * 40,
    "quoted NUL": '"abcdefgh\\000ijkl"',
    "path": "../../../../etc/passwd",
    "huge": "x" * 20_000,
    "percent": "%00%ff%27;--",
    "signed by nobody": "eyJhIjoxfQ:1abcde:abcdefghijklmnop",
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cookie", COOKIES.values(), ids=COOKIES)
async def test_a_forged_cookie_is_an_anonymous_session(
    db: Any, engine: str, cookie: str
) -> None:
    headers = {"cookie": f"sessionid={cookie}".encode("latin-1")}
    async with serving(*VIEWS, **sessions(engine)) as page:
        response = await page.get("/read/", headers=headers)
        assert (response.status_code, response.text) == (200, "None")
        response = await page.get("/count/", headers=headers)
        assert (response.status_code, response.text) == (200, "1")
        # Never the key that the client came with.
        assert page.cookies["sessionid"] != cookie
        assert (await page.get("/count/")).text == "2"


class ShoutingStore(DBStore):
    """A project's own engine, whose sync methods alone are written."""

    def load(self) -> Any:
        return {k: v * 10 for k, v in super().load().items()}

    async def aload(self) -> Any:
        return {k: v * 10 for k, v in (await super().aload()).items()}


SessionStore = ShoutingStore


async def test_a_projects_own_engine(db: Any) -> None:
    settings = sessions() | {"SESSION_ENGINE": __name__}
    async with serving(*VIEWS, **settings) as page:
        await page.get("/count/")
        assert (await page.get("/read/")).text == "10"
        assert (await page.get("/plain/")).text == "11"


@pytest.mark.parametrize("engine", ENGINES)
def test_outside_the_event_loop_a_store_is_djangos(engine: str) -> None:
    module = import_module(f"django.contrib.sessions.backends.{engine}")
    store = session_store(module.SessionStore)
    assert store.__qualname__ == "SessionStore"
    assert store is session_store(module.SessionStore)
    if engine in ("file", "cache", "signed_cookies"):
        made = store()
        made["n"] = 1
        made.save()
        assert module.SessionStore(made.session_key)["n"] == 1
