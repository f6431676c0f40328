"""What is done after the response: on the event loop, natively, and without threads."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
import starlette.background
from django import VERSION
from django.test import override_settings

from tests.records.models import Artist
from tests.web.serving import serving
from vinyl.orm import in_bridge
from vinyl.orm.pools.registry import pool_for
from vinyl.web import (
    BackgroundTask,
    BackgroundTasks,
    JSONResponse,
    StreamingResponse,
    path,
)

pytestmark = pytest.mark.anyio


def plain(name: str) -> None:
    assert in_bridge()
    assert threading.current_thread() is threading.main_thread()
    Artist.objects.create(name=name)


async def native(name: str) -> None:
    await Artist.objects.create(name=name)


def fails(name: str) -> None:
    raise ZeroDivisionError(name)


@pytest.mark.parametrize("of", [starlette.background, None], ids=["starlette", "vinyl"])
@pytest.mark.parametrize("function", [plain, native])
@pytest.mark.parametrize("kind", [JSONResponse, StreamingResponse])
async def test_plain_and_async_functions(
    db: str, of: Any, function: Any, kind: Any, started_threads: list[str]
) -> None:
    task = of.BackgroundTask if of else BackgroundTask

    async def view(request: Any) -> Any:
        return kind(["[]"], background=task(function, "Nina"))

    async with serving(path("", view)) as http:
        # What opens SQLite's connections is a thread.
        await Artist.objects.count()
        started_threads.clear()
        assert (await http.get("/")).status_code == 200
        assert await Artist.objects.filter(name="Nina").exists()
        assert started_threads == []
        assert pool_for("default").in_use == {}


@pytest.mark.parametrize("of", [starlette.background, None], ids=["starlette", "vinyl"])
async def test_one_that_fails_is_logged_and_the_next_one_runs(
    db: str, of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def view(request: Any) -> Any:
        tasks = of.BackgroundTasks() if of else BackgroundTasks()
        response = JSONResponse({}, background=tasks)
        tasks.add_task(fails, "first")
        tasks.add_task(plain, "second")
        return response

    async with serving(path("", view), raising=True) as http:
        assert (await http.get("/")).status_code == 200
    assert await Artist.objects.filter(name="second").exists()
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.getMessage() == "The background task fails failed"
    assert "ZeroDivisionError: first" in caplog.text


async def test_the_response_is_there_before() -> None:
    order = []

    async def later() -> None:
        order.append("task")

    async def view(request: Any) -> Any:
        return JSONResponse({}, background=BackgroundTask(later))

    class Noting:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            async def noting(message: Any) -> None:
                await send(message)
                order.append(message["type"])

            await self.app(scope, receive, noting)

    globals()["Noting"] = Noting
    async with serving(path("", view), MIDDLEWARE=[f"{__name__}.Noting"]) as http:
        await http.get("/")
    assert order[-2:] == ["http.response.body", "task"]


if VERSION >= (6, 0):
    from django.tasks import task

    @task
    def plain_task(name: str) -> str:
        Artist.objects.create(name=name)
        return name

    @task
    async def async_task(name: str) -> str:
        await Artist.objects.create(name=name)
        return name

    @pytest.mark.parametrize("made", [plain_task, async_task], ids=["plain", "async"])
    @pytest.mark.parametrize("kind", ["plain", "async"])
    async def test_djangos_immediate_tasks(
        db: str, made: Any, kind: str, started_threads: list[str]
    ) -> None:
        def view(request: Any) -> Any:
            return JSONResponse(made.enqueue("Nina").return_value)

        async def async_view(request: Any) -> Any:
            result = await made.aenqueue("Nina")
            return JSONResponse(result.return_value)

        backend = "django.tasks.backends.immediate.ImmediateBackend"
        with override_settings(TASKS={"default": {"BACKEND": backend}}):
            serve = view if kind == "plain" else async_view
            async with serving(path("", serve), raising=True) as http:
                await Artist.objects.count()
                started_threads.clear()
                assert (await http.get("/")).json() == "Nina"
                assert started_threads == []
        assert await Artist.objects.filter(name="Nina").exists()
