"""What packages keep in a threading.local belongs to a request or a task."""

# As packages write them, whose code is not typed.
# mypy: disable-error-code="no-untyped-def, attr-defined"

from __future__ import annotations

import asyncio
import gc
import importlib
import subprocess
import sys
import threading
import types
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path

from tests.records.models import Artist
from vinyl.bridge.threads import in_thread
from vinyl.orm import in_bridge, run
from vinyl.orm.asgi import get_asgi_application as bridged_application
from vinyl.orm.checks import check_settings, check_task_locals
from vinyl.orm.contrib.packages import TABLE
from vinyl.orm.contrib.task_locals import (
    TaskLocal,
    begin_request,
    end_request,
    is_task_local,
    patch_local,
    replace_locals,
)
from vinyl.web import get_asgi_application, mount

pytestmark = pytest.mark.anyio


class Blocks(threading.local):
    """As of django-watson, with what a class may have."""

    kind = "blocks"
    limit = None

    def __init__(self, first: str = "", *, level: int = 0) -> None:
        self.stack: list[str] = [first] if first else []
        self.level = level
        self.by_alias: Any = defaultdict(list)

    @property
    def depth(self) -> int:
        return len(self.stack)

    @depth.setter
    def depth(self, value: int) -> None:
        del self.stack[value:]

    @depth.deleter
    def depth(self) -> None:
        self.stack.clear()

    @contextmanager
    def block(self, name: str) -> Iterator[None]:
        self.stack.append(name)
        yield
        assert self.stack.pop() == name

    def __getattr__(self, name: str) -> str:
        if name.startswith("any_"):
            return name
        raise AttributeError(name)


def of_threads() -> Any:
    return types.new_class("Blocks", (Blocks,))


def of_tasks() -> Any:
    """Another such class, which was patched after an instance was made of it."""
    return patch_local(of_threads())


def in_another_thread(fn: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(fn()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize("make", [of_threads, of_tasks])
def test_attributes_are_as_of_a_threading_local(make: Callable[[], Any]) -> None:
    blocks = make()("first", level=2)
    assert isinstance(blocks, threading.local)
    assert vars(blocks) == {"stack": ["first"], "level": 2, "by_alias": {}}
    assert (blocks.kind, blocks.limit, blocks.depth) == ("blocks", None, 1)
    blocks.kind = "own"
    blocks.depth = 0
    assert (blocks.kind, type(blocks).kind, blocks.depth) == ("own", "blocks", 0)
    del blocks.kind
    assert blocks.kind == "blocks"
    with blocks.block("a"), blocks.block("b"):
        assert blocks.stack == ["a", "b"]
        del blocks.depth
        blocks.stack += ["a", "b"]
    assert blocks.any_name == "any_name"
    with pytest.raises(AttributeError, match="^missing$"):
        _ = blocks.missing
    with pytest.raises(AttributeError, match="missing"):
        del blocks.missing
    blocks.__dict__["level"] = 3
    assert blocks.level == 3
    # A thread has its own, made with the same arguments.
    assert in_another_thread(lambda: (blocks.stack, blocks.level)) == (["first"], 2)


@pytest.mark.parametrize("make", [threading.local, TaskLocal])
def test_without_a_class_of_its_own(make: Callable[[], Any]) -> None:
    values = make()
    values.user = "nina"
    assert in_another_thread(lambda: hasattr(values, "user")) is False
    with pytest.raises(AttributeError, match="has no attribute 'request'"):
        _ = values.request
    with pytest.raises(AttributeError, match="has no attribute 'request'"):
        del values.request
    del values.user
    assert vars(values) == {}


def test_an_instance_that_was_there_before_its_class_was_patched() -> None:
    cls = of_threads()
    blocks = cls()
    blocks.level = 5
    assert patch_local(blocks) is blocks
    assert is_task_local(blocks)
    assert is_task_local(cls)
    assert (blocks.level, blocks.stack) == (0, [])


async def test_tasks_have_their_own() -> None:
    values = patch_local(threading.local())
    all_set = asyncio.Barrier(2)

    async def request(url: str) -> str:
        values.url = url
        await all_set.wait()
        # What it waits for in the bridge or in a thread is part of it.
        assert await run(lambda: values.url) == url
        return await sync_to_async(lambda: str(values.url))()

    one, two = await asyncio.gather(request("/one/"), request("/two/"))
    assert (one, two) == ("/one/", "/two/")
    assert not hasattr(values, "url")


async def test_what_the_bridge_sets_stays() -> None:
    blocks = of_tasks()()
    await run(blocks.stack.append, "a")
    await run(setattr, blocks, "level", 1)
    assert await sync_to_async(lambda: (blocks.stack, blocks.level))() == (["a"], 1)


async def test_a_task_begins_with_the_values_of_the_one_that_starts_it() -> None:
    blocks = of_tasks()()
    blocks.objects = set()
    blocks.by_alias["default"].append("outer")
    entered = asyncio.Barrier(2)

    async def child(name: str) -> None:
        with blocks.block(name):
            blocks.by_alias["default"].append(name)
            blocks.level = name
            await entered.wait()
            # Its own block inside the outer one; no block of its sibling.
            assert blocks.stack == ["outer", name]
            assert blocks.by_alias == {"default": ["outer", name]}
            assert blocks.level == name
            # Collected for the task that has started it.
            blocks.objects.add(name)
            await entered.wait()

    with blocks.block("outer"):
        await asyncio.gather(child("a"), child("b"))
    assert blocks.objects == {"a", "b"}
    assert blocks.by_alias == {"default": ["outer"]}
    assert blocks.level == 0


async def test_a_request_begins_without_values() -> None:
    blocks = of_tasks()()
    blocks.level = 1
    token = begin_request()
    assert (blocks.level, blocks.stack) == (0, [])
    blocks.level = 2

    async def next_request() -> int:
        """As if a server began it in a context of the one before."""
        another = begin_request()
        found: int = blocks.level
        end_request(another)
        return found

    assert await asyncio.create_task(next_request()) == 0
    end_request(token)
    again = begin_request()
    assert blocks.level == 0
    end_request(again)


async def test_values_end_with_their_task() -> None:
    values = TaskLocal()

    class User:
        pass

    async def request() -> weakref.ref[User]:
        token = begin_request()
        values.user = user = User()
        end_request(token)
        return weakref.ref(user)

    gc.collect()
    gc.disable()
    try:
        gone = await asyncio.create_task(request())
        await asyncio.sleep(0)
        assert gone() is None
    finally:
        gc.enable()


# Requests that run at the same time.

blocks: Any = of_tasks()()
at_a_time = 3
arrived: list[str] = []


class Indexing:
    """As the middleware of django-watson."""

    def __init__(self, get_response: Callable[..., Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with blocks.block(request.path):
            response: HttpResponse = self.get_response(request)
            response["X-Stack"] = " ".join(blocks.stack)
        return response


@in_thread
class IndexingInThread(Indexing):
    pass


def plain_view(request: HttpRequest, name: str) -> HttpResponse:
    assert in_bridge()
    arrived.append(name)
    # Until all are inside of their blocks.
    while len(arrived) < at_a_time:
        Artist.objects.count()
    return HttpResponse(" ".join(blocks.stack))


async def async_view(request: HttpRequest, name: str) -> HttpResponse:
    arrived.append(name)
    while len(arrived) < at_a_time:
        await Artist.objects.acount()
    return HttpResponse(" ".join(blocks.stack))


urlpatterns = [path("plain/<name>/", plain_view), path("async/<name>/", async_view)]


def in_bridge_of_django(name: str) -> Any:
    return bridged_application(middleware=[f"{__name__}.{name}"], urlconf=__name__)


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("middleware", ["Indexing", "IndexingInThread"])
@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize("handler", ["bridged", "threads", "web"])
async def test_requests_have_their_own(
    handler: str, kind: str, middleware: str
) -> None:
    if (handler, kind) == ("threads", "plain"):
        kind = "async"
    arrived.clear()
    with override_settings(
        ROOT_URLCONF=__name__, MIDDLEWARE=[f"{__name__}.{middleware}"]
    ):
        if handler == "web":
            application: Any = get_asgi_application()
        elif handler == "bridged":
            application = in_bridge_of_django(middleware)
        else:
            application = ASGIHandler()
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://testserver"
        ) as client:
            urls = [f"/{kind}/{n}/" for n in range(at_a_time)]
            responses = await asyncio.gather(*map(client.get, urls))
    assert [response.text for response in responses] == urls
    assert [response.headers["X-Stack"] for response in responses] == urls
    assert blocks.stack == []


async def test_a_mounted_application_serves_a_part_of_the_request() -> None:
    inner = bridged_application(
        middleware=[f"{__name__}.IndexingInThread"], urlconf=__name__
    )
    urls = types.ModuleType("outer_urls")
    vars(urls)["urlpatterns"] = [mount("in/", inner)]
    arrived.extend("abc")
    with override_settings(ROOT_URLCONF=urls, MIDDLEWARE=[f"{__name__}.Indexing"]):
        transport = httpx.ASGITransport(get_asgi_application())
        async with httpx.AsyncClient(
            transport=transport, base_url="http://testserver"
        ) as client:
            response = await client.get("/in/async/a/")
    assert response.text == "/in/async/a/ /in/async/a/"


# The patches of packages, and the setting for others.


def test_the_patch_leaves_what_it_cannot_take_over() -> None:
    class Own(threading.local):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)

    lock = threading.Lock()
    assert patch_local(Own) is Own
    assert not is_task_local(Own)
    assert patch_local(lock) is lock
    assert patch_local(None) is None


def test_names_of_the_threading_module() -> None:
    assert patch_local(threading.local) is TaskLocal
    module = patch_local(threading)
    assert is_task_local(module.local())
    assert module.Lock is threading.Lock


@pytest.mark.parametrize(
    "owner",
    [
        "cms.utils.apphook_reload",
        "crum",
        "mezzanine.utils.sites:override_current_site_id",
        "pghistory.runtime",
        "watson.search",
    ],
)
def test_packages_are_in_the_table(owner: str) -> None:
    (patch,) = (patch for patch in TABLE if patch.owner == owner)
    assert is_task_local(patch.decorator(threading.local()))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module with a threading.local, and one that imports it."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "__init__.py").touch()
    (tmp_path / "audit" / "state.py").write_text(
        "import threading\n"
        "class State(threading.local): pass\n"
        "class Own(threading.local):\n"
        "    def __getattribute__(self, name): return name\n"
        "state = State()\n"
        "plain = threading.local()\n"
        "number = 5\n"
    )
    (tmp_path / "audit" / "use.py").write_text("from audit.state import plain, state\n")
    importlib.invalidate_caches()
    yield str(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "audit"]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["State", "state"])
def test_the_setting_names_a_class_or_an_instance(name: str, package: str) -> None:
    replace_locals([f"audit.state.{name}", "audit.state.plain"])
    assert "audit.state" not in sys.modules
    use = importlib.import_module("audit.use")
    assert is_task_local(use.state)
    assert is_task_local(use.plain)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("missing", "but there is no such name."),
        ("number", "but 5 is not a threading.local that"),
        ("Own", "but <class 'audit.state.Own'> is not a threading.local that"),
    ],
)
def test_the_setting_names_something_else(name: str, told: str, package: str) -> None:
    replace_locals([f"audit.state.{name}"])
    problem = f"settings.VINYL\\['TASK_LOCALS'\\] contains 'audit.state.{name}', {told}"
    with pytest.raises(ImproperlyConfigured, match=problem):
        importlib.import_module("audit.use")
    importlib.import_module("audit.state")
    with pytest.raises(ImproperlyConfigured, match=problem):
        replace_locals([f"audit.state.{name}"])


@pytest.mark.parametrize("value", ["audit.state", ["audit"], [5], ["a b.c"], ["a..b"]])
def test_the_setting_is_not_a_list_of_paths(value: Any) -> None:
    with override_settings(VINYL={"TASK_LOCALS": value}):
        (told,) = check_settings()
        assert check_task_locals() == []
    assert told.id == "vinyl.E011"
    assert "is not a list of dotted paths, so requests may share" in told.msg


def test_the_setting_names_a_module_that_is_not_there() -> None:
    with override_settings(VINYL={"TASK_LOCALS": ["audti.state.x", "json.loads"]}):
        (told,) = check_task_locals()
    assert told.id == "vinyl.E011"
    assert "contains 'audti.state.x', but 'audti.state' cannot be imported" in told.msg


SITE = """
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["vinyl.orm", "audit"], VINYL={"TASK_LOCALS": ["audit.state.plain"]}
)
django.setup()
import audit.use
print(type(audit.use.plain).__name__)
"""


def test_the_setting_counts_from_the_start(package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SITE],
        env={"PYTHONPATH": f"{package}:{Path(__file__).parents[3]}"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "TaskLocal"
