"""
A dual-mode call that nobody can await any more is refused where it is made.

The code that calls is compiled from text, so that one can say whose it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import django
import pytest
from django.test import override_settings

from vinyl.bridge import bytecode, dropped
from vinyl.bridge.calls import Call
from vinyl.bridge.mode import dual
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import run, use_driver

pytestmark = pytest.mark.anyio

OURS = "/srv/shop/views.py"
DJANGOS = str(Path(django.__file__).parent / "forms" / "made_up.py")
PACKAGES = "/srv/venv/lib/python3.11/site-packages/somebody/factory.py"
OF_PROJECT = "/srv/venv/lib/python3.11/site-packages/tests/factory.py"
PYTHONS = contextlib.__file__


class Thing:
    """Something with dual-mode methods, which note that they ran."""

    def __init__(self) -> None:
        self.saved = 0

    @dual
    def save(self, *args: Any, **kwargs: Any) -> int:
        self.saved += 1
        return self.saved

    @dual
    def update(self, *args: Any) -> int:
        return self.save()

    @dual
    def __getitem__(self, index: int) -> int:
        return index


@use_driver
def transfer(thing: Thing) -> Any:
    yield thing.save, ()


def compiled(text: str, filename: str, names: dict[str, Any]) -> Callable[..., Any]:
    """The function `work` of *text*, as if it stood in *filename*."""
    module = Path(filename).stem
    namespace = {
        "__name__": f"made_up.{module}",
        "asyncio": asyncio,
        "contextlib": contextlib,
        "functools": functools,
        "transfer": transfer,
        **names,
    }
    exec(compile(textwrap.dedent(text), filename, "exec"), namespace)
    return namespace["work"]


def indented(lines: str) -> str:
    return textwrap.indent(textwrap.dedent(lines), " " * 4)


@pytest.fixture
def thing() -> Iterator[Thing]:
    """A Thing; the test may leave no coroutine behind that nobody awaits."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield Thing()


DROPPED = {
    "statement": "thing.save()",
    "with arguments": "thing.save(1, 2)",
    "with keywords": "thing.save(using=1)",
    "with a star": "thing.save(*[1], **{'using': 1})",
    "of a choice": "thing.save(1 if thing else 2)",
    "over several lines": """
        (thing
            .save(1,
                2))
        """,
    "chosen": "thing.save() if thing else None",
    "after and": "thing and thing.save()",
    "in a block": """
        with contextlib.suppress(ValueError):
            thing.save()
        """,
    "before another": "thing.save(); x = 1",
    "in a loop": """
        for one in [thing]:
            one.save()
        """,
    "under another name": """
        store = thing.save
        store()
        """,
    "of a partial": """
        store = functools.partial(thing.save, 1)
        store()
        """,
    "of a flow": "transfer(thing)",
    "an item": "thing[3]",
    "through a helper": """
        def helper():
            return thing.save()
        helper()
        """,
    "through a decorator": """
        def decorated(fn):
            @functools.wraps(fn)
            def wrapper(*args):
                result = fn(*args)
                return result
            return wrapper
        save = decorated(thing.save)
        save()
        """,
    "through a lambda": """
        save = lambda: thing.save()
        save()
        """,
    "of a long function": "\n".join(["x = thing.saved + 1"] * 300) + "\nthing.save()",
}


@pytest.mark.parametrize("code", DROPPED.values(), ids=DROPPED.keys())
class TestADroppedResult:
    async def test_is_refused_in_a_coroutine(self, thing: Thing, code: str) -> None:
        text = f"async def work(thing):\n{indented(code)}"
        work = compiled(text, OURS, {})
        for _ in range(2):
            with pytest.raises(
                NotAwaitedError, match=r"result.* Write `await`|`await`"
            ):
                await work(thing)
        assert thing.saved == 0

    async def test_is_refused_in_a_plain_function(
        self, thing: Thing, code: str
    ) -> None:
        text = f"def work(thing):\n{indented(code)}"
        work = compiled(text, OURS, {})
        with pytest.raises(NotAwaitedError, match=r"dropped|drops"):
            work(thing)
        assert thing.saved == 0

    async def test_is_refused_in_a_package(self, thing: Thing, code: str) -> None:
        text = f"def work(thing):\n{indented(code)}"
        work = compiled(text, PACKAGES, {})
        with pytest.raises(NotAwaitedError, match=r"of made_up\.factory, sync code"):
            work(thing)

    async def test_is_fine_in_the_bridge(self, thing: Thing, code: str) -> None:
        work = compiled(f"def work(thing):\n{indented(code)}", OURS, {})
        await run(work, thing)
        assert thing.saved == (code != "thing[3]")


KEPT = {
    "awaited": "assert await thing.save() == 1",
    "awaited over several lines": """
        await (
            thing
            .save()
        )
        """,
    "kept": """
        call = thing.save()
        await call
        """,
    "in a tuple": """
        call, _ = thing.save(), 1
        await call
        """,
    "as a task": """
        task = asyncio.create_task(thing.save())
        await task
        """,
    "as a task that is dropped": "asyncio.ensure_future(thing.save())",
    "in a task group": """
        async with asyncio.TaskGroup() as group:
            group.create_task(thing.save())
        """,
    "gathered from map": """
        async def gathered():
            asyncio.gather(*map(lambda one: one.save(), [thing]))
        await gathered()
        """,
    "gathered by a helper": """
        def helper():
            return asyncio.gather(*map(type(thing).save, [thing]))
        helper()
        """,
    "gathered from a generator": "await asyncio.gather(*(t.save() for t in [thing]))",
    "a list of calls": """
        calls = [t.save() for t in [thing]]
        for call in calls:
            await call
        """,
    "collected by C code": """
        calls = []
        calls.extend(map(type(thing).save, [thing]))
        await calls[0]
        """,
    "collected under the same name": """
        found = type("List", (list,), {"update": list.extend})()
        found.update(map(type(thing).update, [thing]))
        await found[0]
        """,
    "sorted by calls": """
        found = []
        sorted([thing], key=lambda t: found.append(t.save()))
        await found[0]
        """,
    "returned": """
        async def giving():
            return thing.save()
        await (await giving())
        """,
    "returned by a helper": """
        def helper():
            for one in [thing]:
                return one.save()
        await helper()
        """,
    "of an item": "assert await thing[3] == 3; await thing.save()",
    "yielded": """
        def giving():
            yield thing.save()
        for call in giving():
            await call
        """,
    "of a cached property": """
        class Cached:
            @functools.cached_property
            def total(self):
                return thing.save()
        await Cached().total
        """,
}


@pytest.mark.parametrize("code", KEPT.values(), ids=KEPT.keys())
@pytest.mark.parametrize("place", [OURS, PACKAGES], ids=["ours", "a package's"])
async def test_a_result_that_is_kept_in_a_coroutine_is_fine(
    thing: Thing, code: str, place: str
) -> None:
    before = asyncio.all_tasks()
    await compiled(f"async def work(thing):\n{indented(code)}", place, {})(thing)
    await asyncio.gather(*(asyncio.all_tasks() - before))
    assert thing.saved == 1


async def test_a_call_that_a_helper_returns_from_a_block_is_refused(
    thing: Thing,
) -> None:
    text = """
        def work(thing):
            with contextlib.nullcontext():
                return thing.save()
        """
    assert await compiled(text, OURS, {})(thing) == 1
    with pytest.raises(NotAwaitedError):
        compiled(text, PACKAGES, {})(thing)


FOREIGN = {
    "used": "return bool(thing.save())",
    "kept": """
        thing.result = thing.save()
        return thing
        """,
    "kept and returned": """
        result = thing.save()
        thing.result = result
        return result
        """,
    "returned in try": """
        try:
            return thing.save()
        except ValueError:
            return None
        """,
    "collected": "return [*map(type(thing).save, [thing])]",
    "in a comprehension": "return [one.save() for one in [thing]]",
    "in a generator": "return all(one.save() for one in [thing])",
    "dropped by a callback": """
        contextlib.ExitStack().callback(thing.save)
        for method in [thing.save]:
            [method][0]()
        """,
}


@pytest.mark.parametrize("code", FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize("place", [DJANGOS, PACKAGES], ids=["Django", "a package"])
class TestSyncCodeOfOthers:
    async def test_is_refused(self, thing: Thing, code: str, place: str) -> None:
        work = compiled(f"def work(thing):\n{indented(code)}", place, {})
        with pytest.raises(NotAwaitedError, match=r"work\(\) of made_up.*\.run\(work,"):
            work(thing)
        assert thing.saved == 0

    async def test_is_fine_in_the_bridge(
        self, thing: Thing, code: str, place: str
    ) -> None:
        await run(compiled(f"def work(thing):\n{indented(code)}", place, {}), thing)
        assert thing.saved == 1


async def test_the_remedy_names_what_the_project_called(thing: Thing) -> None:
    text = """
        class Form:
            def is_valid(self, thing):
                return not self.errors(thing)
            def errors(self, thing):
                thing.result = thing.save()
        work = Form().is_valid
        """
    work = compiled(text, DJANGOS, {})
    expected = r"'Thing\.save' .* Form\.errors\(\) of .*\.run\(Form\.is_valid, \.\.\.\)"
    with pytest.raises(NotAwaitedError, match=expected):
        work(thing)


PASSING = {
    "at once": "return thing.save(*args)",
    "by getattr": "return getattr(thing, 'save')(*args)",
    "from a loop": """
        for one in [thing]:
            return one.save(*args)
        """,
    "from a variable": """
        result = thing.save(*args)
        return result
        """,
    "in a choice": "return thing.save(*args) if thing else None",
}


@pytest.mark.parametrize("code", PASSING.values(), ids=PASSING.keys())
@pytest.mark.parametrize("place", [DJANGOS, PACKAGES], ids=["Django", "a package"])
async def test_what_others_only_return_is_for_their_caller(
    thing: Thing, code: str, place: str
) -> None:
    work = compiled(f"def work(thing, *args):\n{indented(code)}", place, {})
    assert await work(thing) == 1
    call = work(thing)
    assert isinstance(call, Call)
    await call
    plain = compiled("def work(do, t):\n    t.x = do(t)", place, {})
    with pytest.raises(NotAwaitedError):
        plain(work, thing)


async def test_what_djangos_managers_return_is_known_to_be_dropped(
    thing: Thing,
) -> None:
    text = "def work(thing):\n    return getattr(thing, 'save')()"
    holder = SimpleNamespace(save=functools.partial(compiled(text, DJANGOS, {}), thing))
    text = "async def work(holder):\n    holder.save()"
    with pytest.raises(NotAwaitedError, match="result was dropped"):
        await compiled(text, OURS, {})(holder)


async def test_plain_code_of_a_package_that_awaits_is_trusted(thing: Thing) -> None:
    text = """
        def work(thing):
            return asyncio.create_task(thing.save())
        """
    await compiled(text, PACKAGES, {})(thing)
    text = """
        from inspect import isawaitable
        def work(thing):
            value = thing.save()
            return [value] if isawaitable(value) else value
        """
    assert await compiled(text, PACKAGES, {})(thing)[0] == 2


async def test_a_method_of_the_projects_that_a_package_calls_may_return_it(
    thing: Thing,
) -> None:
    """As a cached property of Django's does, and then it is awaited."""
    ours = compiled("def work(thing):\n    return thing.save()", OURS, {})
    theirs = compiled("def work(fn, t):\n    t.x = fn(t)\n    return t.x", DJANGOS, {})
    assert await theirs(ours, thing) == 1


class TestWhoseCodeItis:
    def test_by_its_file(self) -> None:
        owners = [OURS, DJANGOS, PACKAGES, PYTHONS, dropped.__file__, "<string>"]
        assert [bytecode.owner_of(name) for name in owners] == [
            bytecode.PROJECT,
            bytecode.DJANGO,
            bytecode.PACKAGE,
            bytecode.PYTHON,
            bytecode.VINYL,
            bytecode.PROJECT,
        ]

    def test_a_project_that_is_installed_is_the_projects(self) -> None:
        assert bytecode.owner_of(OF_PROJECT) == bytecode.PROJECT
        with override_settings(ROOT_URLCONF="somebody.urls"):
            bytecode.owner_of.cache_clear()
            assert bytecode.owner_of(PACKAGES) == bytecode.PROJECT
        bytecode.owner_of.cache_clear()


async def test_what_is_known_of_places_is_bounded(monkeypatch: Any) -> None:
    thing = Thing()
    monkeypatch.setattr(dropped, "MAX_SITES", 10)
    for number in range(30):
        text = f"async def work(thing):\n    assert await thing.save() == {number + 1}"
        await compiled(text, OURS, {})(thing)
        assert len(dropped._sites) <= 10
