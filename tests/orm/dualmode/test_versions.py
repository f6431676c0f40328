"""An unsupported Django is refused by name, and so is a setting that makes no sense."""

from __future__ import annotations

import ast
import asyncio
import re
from importlib.metadata import version
from pathlib import Path

import django
import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

import vinyl
from tests.fix_db import default_database
from vinyl.exceptions import UnsupportedVersion
from vinyl.orm.dualmode import table, versions
from vinyl.orm.pools.registry import pool_for


def test_the_installed_django_is_supported() -> None:
    versions.check_django()


@pytest.mark.parametrize("release", [(5, 1), (6, 2), (7, 0)], ids=str)
def test_another_django_is_refused_by_name(
    release: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(django, "VERSION", (*release, 0, "final", 0))
    with pytest.raises(UnsupportedVersion, match=r"works with Django 5\.2, 6\.0, 6\.1"):
        versions.check_django()


def test_a_django_that_lacks_a_name_is_refused_by_that_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(versions.READ, "django.db.models.query:QuerySet", "_no_such")
    with pytest.raises(UnsupportedVersion, match=r"no '_no_such' in .*QuerySet"):
        versions.check_django()


def test_a_django_that_lacks_an_attribute_of_instances_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    method = "django.db.models.query:QuerySet.__init__"
    monkeypatch.setitem(versions.READ_OF_INSTANCES, method, "_db _no_such")
    with pytest.raises(UnsupportedVersion, match=r"Django .* no '_no_such' in .*init"):
        versions.check_django()


def test_another_library_is_refused_by_its_name_and_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(versions.READ, "asgiref.sync", "_no_such")
    with pytest.raises(UnsupportedVersion, match=rf"asgiref {version('asgiref')} has"):
        versions.check_django()


# Names that are in no table, and why.
NOT_CHECKED = {
    "_backoff": "of redis-py's Retry, used if the option `retry` is",
    "_cloning_enabled": "of Django 6.1",
    "_current_frames": "of Python's `sys`",
    "_csp_config": "set on responses by Django's decorators, if they are used",
    "_csp_ro_config": "set on responses by Django's decorators, if they are used",
    "_fetch_mode": "of Django 6.1",
    "_field_defaults": "of named tuples",
    "_fetching": "of vinyl, set through `__dict__`",
    "_fixtureinfo": "of pytest's items, which the pytest plugin alone reads",
    "_from_testcase": "set on atomic() as Django's TestCase does; tests need it",
    "_getframe": "of Python's `sys`",
    "_load_template": "of Jinja2, which vinyl.orm does not need",
    "_local": "of vinyl, set through `object`",
    "_meta": "documented",
    "_non_atomic_requests": "set on views by a decorator, if it is used",
    "_pool": "set for a check of psycopg's, which does no harm if it is missing",
    "_prefetched_objects_cache": "set on instances by Django's prefetches",
    "_queued_messages": "of contrib.messages, which vinyl.orm does not need",
    "_ready": "of vinyl, set on querysets of Django",
    "_reject": "of Django's CSRF middleware, which vinyl.orm does not need",
    "_retries": "of redis-py's Retry, used if the option `retry` is",
    "_set_running_loop": "of Python's asyncio",
    "_setupfunc": "of SimpleLazyObject, set through its __dict__",
}


def test_private_names_of_libraries_are_in_the_tables() -> None:
    """Names with an underscore that vinyl reads and does not define itself."""
    own: set[str] = set()
    read: set[str] = set()
    for path in sorted(Path(vinyl.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    own.add(name)
                case ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                    own.add(name)
                case ast.Attribute(
                    value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()
                ):
                    own.add(name)
                case ast.Assign(targets=[ast.Name(id="__slots__")], value=slots):
                    own.update(ast.literal_eval(slots))
                case ast.Attribute(attr=name):
                    read.add(name)
                case ast.ImportFrom(module=str(module), names=names):
                    if not module.startswith("vinyl"):
                        read.update(alias.name for alias in names)
    private = {name for name in read - own if re.match("_[a-z]", name)}
    tables: list[dict[str, str]] = [versions.READ, versions.READ_OF_INSTANCES]
    for more in (versions.READ_FROM_ENGINES, versions.READ_FROM_APPS):
        tables += more.values()
    listed = {
        name for one in tables for names in one.values() for name in names.split()
    }
    listed.update(name for patch in table.TABLE for name in patch.names.split())
    assert private - listed == NOT_CHECKED.keys() - listed
    assert not NOT_CHECKED.keys() - private


def test_a_django_whose_backend_lacks_a_name_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = {"django.db.backends.sqlite3.base": "_no_such"}
    monkeypatch.setitem(versions.READ_FROM_ENGINES, "vinyl.orm.backends.sqlite3", read)
    with pytest.raises(UnsupportedVersion, match=r"no '_no_such' in .*sqlite3"):
        versions.check_django()
    monkeypatch.setattr(settings, "DATABASES", {"default": {"ENGINE": "another"}})
    versions.check_django()


def test_a_django_whose_app_lacks_a_name_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = "django.contrib.contenttypes"
    read = {"django.contrib.contenttypes.models:ContentTypeManager": "_no_such"}
    monkeypatch.setitem(versions.READ_FROM_APPS, app, read)
    versions.check_apps(set())
    with pytest.raises(UnsupportedVersion, match=r"no '_no_such' in .*ContentType"):
        versions.check_apps({app})


def test_a_backend_that_blocks_is_refused_on_the_event_loop() -> None:
    async def use() -> None:
        pool_for("default")

    blocking = {"ENGINE": "django.db.backends.sqlite3", "NAME": "/nonexistent"}
    with default_database(blocking):
        with pytest.raises(ImproperlyConfigured, match="ENGINE.*blocks"):
            asyncio.run(use())
