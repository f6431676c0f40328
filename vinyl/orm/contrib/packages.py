"""
The patches of modules that many processes do not import: those of other packages,
Django's handlers and its decorators for views. What they become is imported with them.
"""

from __future__ import annotations

from vinyl.bridge.imports import on_call
from vinyl.bridge.patching import Patch
from vinyl.orm import contrib

__all__ = ["TABLE"]

_PANEL = "debug_toolbar.panels.sql.panel:SQLPanel"
_BASE = "django.core.handlers.base"
_ASGI = "django.core.handlers.asgi"
# State in a `threading.local`, which requests would share.
_LOCALS = {
    # The user who may not log in, for the page that says so.
    "allauth.account.auth_backends": "_stash",
    # The caches of open transactions.
    "cachalot.cache": "CacheHandler",
    # Blocks that turn invalidation off, open transactions, and instances as they were
    # before they are saved.
    "cacheops.invalidation": "InvalidationState",
    "cacheops.query": "_old_objs",
    "cacheops.transaction": "TransactionStates",
    # The version of the URLs, which it keeps there only on demand.
    "cms.utils.apphook_reload": "_urlconf_revision_threadlocal",
    # The request, and with it the user, that code asks for anywhere.
    "crum": "_thread_locals",
    "django_currentuser.middleware": "_thread_locals",
    "threadlocals.threadlocals": "_threadlocals",
    "two_factor.middleware.threadlocals": "_thread_locals",
    # Models whose hooks a block turns off.
    "django_lifecycle.mixins:_bypass_state": "_state",
    # What an index has prepared of an object.
    "haystack.indexes": "SearchIndex",
    # The request, which chooses the site, and blocks that choose another one.
    "mezzanine.core.request": "_thread_local",
    "mezzanine.utils.sites:override_current_site_id": "thread_local",
    # Blocks that choose the language of fields.
    "modeltranslation.thread_context": "ModelTranslationThreadLocal",
    # Blocks that delay or turn off the updates of a tree; made for each model.
    "mptt.models": "threading",
    # The user and the URL that are written into the history.
    "pghistory.runtime": "_tracker",
    # The triggers that a block turns off.
    "pgtrigger.runtime": "_ignore _schema",
    # The objects that a predicate is being asked about.
    "rules.predicates": "localcontext",
    # The request that is being recorded.
    "silk.collector": "local",
    # The objects to index at the end of a block or request.
    "watson.search": "SearchContextManager",
}
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
    *(
        Patch(
            owner,
            names,
            lambda it: contrib.task_locals.patch_local(it),
            of_package=True,
        )
        for owner, names in _LOCALS.items()
    ),
    Patch(
        "django.views.decorators.cache",
        "cache_page",
        lambda it: contrib.view_decorators.patch_cache_page(it),
    ),
    Patch(
        "django.views.decorators.http",
        "condition",
        lambda it: contrib.view_decorators.patch_condition(it),
    ),
    Patch(
        f"{_ASGI}:ASGIHandler", "handle", lambda it: contrib.handlers.patch_handle(it)
    ),
    Patch(
        f"{_BASE}:BaseHandler",
        "adapt_method_mode",
        lambda it: contrib.handlers.patch_adapt_method_mode(it),
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
