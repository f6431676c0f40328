"""
The patches of modules that many processes do not import: those of other packages, and
Django's handlers. What they become is imported with them.
"""

from __future__ import annotations

from vinyl.bridge.imports import on_call
from vinyl.bridge.patching import Patch
from vinyl.orm import contrib

__all__ = ["TABLE"]

_PANEL = "debug_toolbar.panels.sql.panel:SQLPanel"
_BASE = "django.core.handlers.base"
_ASGI = "django.core.handlers.asgi"
TABLE = (
    Patch(
        _PANEL,
        "aenable_instrumentation",
        lambda it: contrib.debug_toolbar.patch_aenable(it),
        of_package=True,
    ),
    Patch(
        _PANEL,
        "disable_instrumentation",
        lambda it: contrib.debug_toolbar.patch_disable(it),
        of_package=True,
    ),
    # Returns a proxy of the setting, to be awaited.
    Patch(
        "constance.base",
        "asyncio",
        lambda it: contrib.loop_checks.LoopHidden(it),
        of_package=True,
    ),
    # Returns coroutines to the sync GraphQLView.
    Patch(
        "strawberry.utils.inspect",
        "asyncio",
        lambda it: contrib.loop_checks.LoopHidden(it),
        of_package=True,
    ),
    Patch(
        "procrastinate.contrib.django.django_connector:DjangoConnector",
        "execute_query_async execute_query_one_async execute_query_all_async",
        lambda it: contrib.procrastinate.patch_execute(it),
        of_package=True,
    ),
    # The request, and with it the user, that code asks for anywhere.
    Patch(
        "crum",
        "_thread_locals",
        lambda it: contrib.thread_locals.patch_values(it),
        of_package=True,
    ),
    # The user and the URL that are written into the history.
    Patch(
        "pghistory.runtime",
        "_tracker",
        lambda it: contrib.thread_locals.patch_values(it),
        of_package=True,
    ),
    # The triggers that a block turns off.
    Patch(
        "pgtrigger.runtime",
        "_ignore _schema",
        lambda it: contrib.thread_locals.patch_values(it),
        of_package=True,
    ),
    # The request that is being recorded.
    Patch(
        "silk.collector",
        "local",
        lambda it: contrib.thread_locals.patch_local(it),
        of_package=True,
    ),
    Patch(
        f"{_ASGI}:ASGIHandler", "handle", lambda it: contrib.handlers.patch_handle(it)
    ),
    Patch(
        f"{_BASE}:BaseHandler",
        "get_response_async",
        lambda it: contrib.handlers.patch_get_response_async(it),
    ),
    Patch(
        _ASGI,
        "sync_to_async",
        lambda it: contrib.handlers.patch_handlers_sync_to_async(it),
    ),
    Patch(
        _BASE,
        "sync_to_async",
        lambda it: contrib.handlers.patch_handlers_sync_to_async(it),
    ),
    # Each process imports this one.
    Patch(
        "django.utils.deprecation",
        "sync_to_async",
        on_call(lambda: contrib.handlers.patch_handlers_sync_to_async),
    ),
    Patch(
        "django.core.handlers.exception",
        "sync_to_async",
        lambda it: contrib.handlers.patch_errors_sync_to_async(it),
    ),
)
