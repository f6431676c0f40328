"""Starts Django on the test project; the fixtures are in the fix_* modules."""

from __future__ import annotations

import asyncio.constants
import gc
import logging
import os
import signal

import django
from hypothesis import HealthCheck, settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
# Debug mode of asyncio names the line that made a coroutine nobody awaited.
os.environ.setdefault("PYTHONASYNCIODEBUG", "1")
# It looks at the stack for each callback. These frames reach from inside a dual-mode
# call to the line that made it.
asyncio.constants.DEBUG_STACK_DEPTH = 4  # type: ignore[misc]  # Final
# It also logs what took long, which depends on the machine: not a message of a test's.
logging.getLogger("asyncio").addFilter(
    lambda record: not record.getMessage().startswith("Executing ")
)
django.setup()

# A busy machine takes its time for an example. Fixtures that clean up after a test
# serve all of its examples.
settings.register_profile(
    "tests",
    parent=settings.default,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("tests")

# A shell starts jobs in the background with Ctrl-C ignored, and nohup with SIGHUP
# ignored. Tests send both to processes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

pytest_plugins = [
    "tests.fix_bridge",
    "tests.fix_content_types",
    "tests.fix_db",
    "tests.fix_kills",
    "tests.fix_lazy_loads",
    "tests.fix_observing",
    "tests.fix_plans",
    "tests.fix_replicas",
    "tests.fix_retry",
    "tests.fix_sqlite",
    "tests.fix_threads",
    "tests.fix_web",
]


def pytest_collection_finish() -> None:
    """
    Keep what has been imported out of the garbage collector's way: the fixture `db`
    collects after each test.
    """
    gc.collect()
    gc.freeze()
