"""
Patches for Django's contrib apps, the parts of Django that use the ORM, and packages.

auth.py                  users, permissions and their backends
contenttypes.py          content types and generic relations
generic_foreign_keys.py  generic foreign keys
packages.py              the patches of modules that may never be imported
managers.py              managers of other contrib apps, files of models
forms.py                 forms and formsets, whose validation may use the database
validators.py            validators that are `async def`
handlers.py              Django's ASGI handler, with its sync code in the bridge
view_decorators.py       decorators that wait for a cache, around async views
task_locals.py           values of requests in place of those of threads
thread_locals.py         middleware whose state is bound to threads
commands.py              commands and migrations that are `async def`
caches.py                one cache object for all tasks of an event loop
redis.py                 a cache backend that waits for Redis on the event loop
loop_checks.py           packages that ask for a running event loop
debug_toolbar.py         the SQL panel of django-debug-toolbar
procrastinate.py         deferring jobs of procrastinate
blocking.py              worker threads for caches, storages and e-mail that block
"""

from typing import TYPE_CHECKING

from vinyl.bridge.imports import importer_of

if TYPE_CHECKING:
    from vinyl.orm.contrib import (
        debug_toolbar,
        handlers,
        loop_checks,
        procrastinate,
        task_locals,
        view_decorators,
    )
else:
    # Modules that many processes do not need: imported with their first use.
    __getattr__ = importer_of(__name__)

__all__ = [
    "debug_toolbar",
    "handlers",
    "loop_checks",
    "procrastinate",
    "task_locals",
    "view_decorators",
]
