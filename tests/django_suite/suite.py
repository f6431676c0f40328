"""
One run of Django's own tests, in one mode, in this process.

    python -m tests.django_suite.suite DIR MODE DATABASE URL OUTPUT LABEL...

The modes:

stock       Django's own backend, without vinyl
sync        vinyl's backend, without an event loop
loop        the whole run inside the bridge on a running event loop, so that every
            query waits natively
async       only the tests written with `async def`, which Django's runner hands to
            async_to_sync(): awaited on the loop itself, everything around them in the
            bridge. A thread that the ORM uses is a failure
requests    as loop, with the request of vinyl.web in place of Django's

The outcome of each test goes to OUTPUT as JSON.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, unreachable"

from __future__ import annotations

import asyncio
import inspect
import json
import os
import shutil
import sys
import tempfile
import types
import unittest
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

# One test's outcome and what there is to say about it.
Outcome = tuple[str, str]


class Outcomes(unittest.TextTestResult):
    """Notes the outcome of each test."""

    noted: dict[str, Outcome] = {}
    # The tests that are written with `async def`.
    async_tests: set[str] = set()
    # Set in async mode: complaints about the test that has just run.
    complaints: list[str] = []
    # How many queries had a plan, and why others had none, if they are counted.
    plans: Counter[str] = Counter()

    def note(self, test: unittest.TestCase, outcome: str, detail: str = "") -> None:
        # A test with several failing subtests failed once.
        if self.noted.get(test.id(), ("", ""))[0] != "failed":
            self.noted[test.id()] = (outcome, detail)
        if is_async(test):
            self.async_tests.add(test.id())

    def addSuccess(self, test: Any) -> None:
        super().addSuccess(test)
        self.note(test, "passed")

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self.note(test, "skipped", reason)

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self.note(test, "failed", self.errors[-1][1])

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self.note(test, "failed", self.failures[-1][1])

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            where = self.failures if issubclass(err[0], AssertionError) else self.errors
            self.note(test, "failed", where[-1][1])

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        super().addExpectedFailure(test, err)
        self.note(test, "expected failure")

    def addUnexpectedSuccess(self, test: Any) -> None:
        super().addUnexpectedSuccess(test)
        self.note(test, "failed", "unexpected success")

    def stopTest(self, test: Any) -> None:
        super().stopTest(test)
        if self.complaints:
            self.note(test, "failed", "\n".join(self.complaints))
            self.complaints.clear()


def database(mode: str, vendor: str, url: str, name: str) -> dict[str, Any]:
    """An entry of DATABASES; *url* is that of a PostgreSQL server."""
    package = "django.db" if mode == "stock" else "vinyl.orm"
    engine = "postgresql" if vendor == "postgresql" else "sqlite3"
    entry: dict[str, Any] = {"ENGINE": f"{package}.backends.{engine}"}
    if vendor == "postgresql":
        parts = urlsplit(url)
        entry |= {
            "NAME": name,
            "USER": parts.username or "",
            "PASSWORD": parts.password or "",
            "HOST": dict(parse_qsl(parts.query)).get("host", parts.hostname or ""),
            "PORT": str(parts.port or ""),
        }
    return entry


def make_settings(mode: str, vendor: str, url: str) -> None:
    """Put the settings, those of Django's test_sqlite.py, where Django will look."""
    name = f"suite_{mode}_{os.getpid()}"
    settings = types.ModuleType("vinyl_suite_settings")
    settings.__dict__.update(
        DATABASES={
            "default": database(mode, vendor, url, f"{name}_default"),
            "other": database(mode, vendor, url, f"{name}_other"),
        },
        SECRET_KEY="django_tests_secret_key",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        USE_TZ=False,
        TEST_RUNNER="vinyl_suite_runner.Runner",
    )
    plans = os.environ.get("VINYL_SUITE_PLANS", "on")
    if mode != "stock":
        from vinyl.orm.plans import terminals

        settings.__dict__["VINYL"] = {"PLANS": plans != "off"}
        terminals.learns_at_once = plans == "at-once"
    sys.modules[settings.__name__] = settings
    os.environ["DJANGO_SETTINGS_MODULE"] = settings.__name__


def make_runner(mode: str) -> None:
    """Put a test runner that notes outcomes where Django will look for it."""
    from django.test.runner import DiscoverRunner

    class Runner(DiscoverRunner):
        def get_resultclass(self) -> type[unittest.TextTestResult]:
            return Outcomes

        def setup_databases(self, **kwargs: Any) -> Any:
            if mode != "stock" and os.environ.get("VINYL_SUITE_COUNTS"):
                from tests.django_suite.plan_counts import count_plans

                Outcomes.plans = count_plans()
            return super().setup_databases(**kwargs)

        def build_suite(self, *args: Any, **kwargs: Any) -> unittest.TestSuite:
            suite = super().build_suite(*args, **kwargs)
            if mode == "async":
                suite = unittest.TestSuite(filter(is_async, tests_of(suite)))
            return suite

    module = types.ModuleType("vinyl_suite_runner")
    module.__dict__["Runner"] = Runner
    sys.modules[module.__name__] = module


def tests_of(suite: Any) -> list[unittest.TestCase]:
    if not isinstance(suite, unittest.TestSuite):
        return [suite]
    return [test for part in suite for test in tests_of(part)]


def is_async(test: unittest.TestCase) -> bool:
    # A failing setUpClass comes as a test without a method. The class is asked: Django
    # replaces the method of the instance before it runs.
    name = getattr(test, "_testMethodName", "")
    return inspect.iscoroutinefunction(getattr(type(test), name, None))


def watch_for_threads() -> None:
    """Have a test fail if the ORM uses a thread in it."""
    from threading import Thread

    from asgiref.sync import SyncToAsync

    def watched(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if not fits_any_thread(args[0]) and (where := orm_code_that_calls()):
                Outcomes.complaints.append(f"The ORM used a thread: {where}")
            return method(*args, **kwargs)

        return call

    # A thread that is there already is given work without being started.
    for cls, name in (
        (Thread, "start"),
        (ThreadPoolExecutor, "submit"),
        (SyncToAsync, "__call__"),
    ):
        setattr(cls, name, watched(getattr(cls, name)))


def fits_any_thread(caller: Any) -> bool:
    """Whether asgiref was told so, which means no connection: hashing a password."""
    return getattr(caller, "_thread_sensitive", True) is False


def orm_code_that_calls() -> str:
    """The ORM's line that gave work to a thread; empty if other code did."""
    machinery = (
        "asgiref/",
        "asyncio/",
        "concurrent/futures/",
        "threading.py",
        # Here Django's handler gives its sync code to threads.
        "vinyl/orm/contrib/handlers.py",
        "vinyl/orm/scopes/lending.py",
    )
    orm = (
        "django/db/",
        "django/contrib/",
        "django/shortcuts.py",
        "vinyl/bridge/",
        "vinyl/orm/",
    )
    frame = sys._getframe(2)
    while frame is not None and any(p in frame.f_code.co_filename for p in machinery):
        if fits_any_thread(frame.f_locals.get("self")):
            return ""
        frame = frame.f_back  # type: ignore[assignment]
    if frame is None:
        return ""
    file = frame.f_code.co_filename
    # On SQLite vinyl has a thread for each connection.
    if file.endswith("vinyl/orm/backends/worker.py"):
        return ""
    return f"{file}:{frame.f_lineno}" if any(p in file for p in orm) else ""


def django_tests(mode: str, labels: list[str]) -> None:
    """Call the function that Django's runtests.py calls, with vinyl installed."""
    import runtests  # type: ignore[import-not-found]

    if mode != "stock":
        runtests.ALWAYS_INSTALLED_APPS.insert(0, "vinyl.orm")
    if mode == "async":
        watch_for_threads()
    options: dict[str, Any] = dict.fromkeys(
        "failfast keepdb reverse debug_sql pdb buffer timing interactive".split(), False
    )
    options |= {"tags": [], "exclude_tags": [], "test_name_patterns": []}
    options |= {"start_at": None, "start_after": None, "shuffle": False}
    runtests.django_tests(verbosity=0, parallel=1, test_labels=labels, **options)


def main(tests: str, mode: str, vendor: str, url: str, out: str, *names: str) -> None:
    output = Path(out).resolve()
    labels = list(names)
    # What runtests.py does when it is the main program.
    os.chdir(tests)
    sys.path.insert(0, os.getcwd())
    sys.argv = ["runtests.py"]
    os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix="django_")
    os.environ["RUNNING_DJANGOS_TEST_SUITE"] = "true"
    make_settings(mode, vendor, url)
    make_runner(mode)
    if mode == "requests":
        from tests.django_suite.stand_ins import put_in_place

        put_in_place()
    if mode in ("loop", "async", "requests"):
        from vinyl.bridge.greenlets import run

        asyncio.run(run(django_tests, mode, labels))
    else:
        django_tests(mode, labels)
    noted = {
        "tests": Outcomes.noted,
        "async": sorted(Outcomes.async_tests),
        "plans": Outcomes.plans,
    }
    output.write_text(json.dumps(noted))
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that a test left behind must not keep the process from ending.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
