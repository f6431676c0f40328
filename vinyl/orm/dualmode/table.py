"""
The dual-mode table: every Django callable that uses the database, with the patch that
makes it work in async mode.

Sync mode is unchanged: a patched callable calls the original. vinyl.bridge.patching
applies the table; most patches are in the modules beside this one and in contrib.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connections
from django.db.models import ForeignKey, OneToOneField, OneToOneRel
from django.db.models.fields.related_descriptors import (
    ForeignKeyDeferredAttribute,
    ForwardManyToOneDescriptor,
    ForwardOneToOneDescriptor,
    ReverseOneToOneDescriptor,
)
from django.db.models.query_utils import DeferredAttribute

from vinyl.bridge.async_methods import patch_instancecheck
from vinyl.bridge.greenlets import in_bridge
from vinyl.bridge.imports import on_call
from vinyl.bridge.mode import dual, dual_if_async
from vinyl.bridge.patching import Patch, apply_patches, patch_sync_to_async
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import dualmode
from vinyl.orm.backends import reconnection
from vinyl.orm.contrib import (
    auth,
    blocking,
    caches,
    commands,
    contenttypes,
    forms,
    generic_foreign_keys,
    managers,
    packages,
    validators,
)
from vinyl.orm.dualmode import (
    atomic,
    closing,
    commit_hooks,
    cursors,
    instances,
    lazy,
    querysets,
    relations,
    versions,
)
from vinyl.orm.observe import lazy_loads
from vinyl.orm.plans import patches
from vinyl.orm.scopes import fork, lending, storage

if TYPE_CHECKING:
    from vinyl.orm.dualmode.assignments import Places

__all__ = ["TABLE", "apply"]


def patch_get_running_loop(get_running_loop: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch the function by which Django's `async_unsafe` asks for a running event loop
    before it blocks. Inside the bridge nothing blocks, so the answer is that none runs.
    """

    @functools.wraps(get_running_loop)
    def guard() -> asyncio.AbstractEventLoop:
        if in_bridge():
            raise RuntimeError("The bridge waits on the event loop; nothing blocks it.")
        loop = get_running_loop()
        if not os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE"):
            raise NotAwaitedError(
                "Sync code used the database on the event loop, which would block "
                "everything else. Await the call itself (`await obj.save()`), or run "
                "the sync code in the bridge: `await vinyl.orm.run(function, ...)`."
            )
        return loop

    return guard


def patch_getitem(getitem: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `connections[alias]` to return the scope's connection inside the bridge, and
    in a block on the event loop.
    """

    @functools.wraps(getitem)
    def __getitem__(self: Any, alias: str) -> Any:
        if self is connections and alias in self.settings:
            if (wrapper := storage.connection_of(alias)) is not None:
                return wrapper
        return getitem(self, alias)

    return __getitem__


def patch_get_response(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """The patch of vinyl.orm.routers, which is imported with Django's handlers."""
    from vinyl.orm import routers

    return routers.patch_get_response(get_response)


def patch_listen(_: None) -> Callable[..., Any]:
    """Give connections `listen()`, which `notifications.listen()` describes."""

    def listen(self: Any, *channels: str, timeout: float | None = None) -> Any:
        return dualmode.notifications.listen(self, *channels, timeout=timeout)

    return listen


def _is_cached(descriptor: Any, instance: Any) -> bool:
    return descriptor.is_cached(instance)


# Django's own descriptors of these return what is in the cache, unless it is None.
_CACHING = frozenset({ForeignKey, OneToOneField, OneToOneRel})
_RELATED = frozenset({ForwardManyToOneDescriptor, ForwardOneToOneDescriptor})
_FIELDS = frozenset({DeferredAttribute, ForeignKeyDeferredAttribute})


def _name_in_cache(descriptor: Any) -> str | None:
    if type(descriptor) in _RELATED and type(descriptor.field) in _CACHING:
        name: str = descriptor.field.cache_name
        return name
    return None


def _name_of_reverse_in_cache(descriptor: Any) -> str | None:
    relation = descriptor.related
    if type(descriptor) is ReverseOneToOneDescriptor and type(relation) in _CACHING:
        name: str = relation.cache_name
        return name
    return None


def _cached_field(descriptor: Any, instance: Any) -> Any:
    # Not for other subclasses: that of a FileField makes a FieldFile of the value.
    if type(descriptor) in _FIELDS:
        return instance.__dict__.get(descriptor.field.attname)
    return None


def _is_loaded(descriptor: Any, instance: Any) -> bool:
    if descriptor.field.attname in instance.__dict__:
        return True
    # With multi-table inheritance, the key of the parent is that of the child.
    return descriptor._check_parent_chain(instance) is not None


def _places_of_relation(descriptor: Any) -> Places:
    field = descriptor.field
    keys = [key.attname for key in field.local_related_fields]
    return dualmode.assignments.Places(keys, [field.cache_name])


def _places_of_reverse(descriptor: Any) -> Places:
    relation = descriptor.related
    keys = [key.attname for key in relation.field.foreign_related_fields]
    return dualmode.assignments.Places(keys, [relation.cache_name])


def _places_of_target(descriptor: Any) -> Places:
    keys = generic_foreign_keys.attnames_of(descriptor)
    return dualmode.assignments.Places(keys, [generic_foreign_keys.name_of(descriptor)])


def _places_of_field(descriptor: Any) -> Places:
    field = descriptor.field
    return dualmode.assignments.Places(
        [field.attname], [field.cache_name] if field.is_relation else []
    )


_relation = lazy.patch_get(
    _is_cached,
    lambda it: it.field.name,
    _places_of_relation,
    fetch=relations.fetch_related,
    name_in_cache=_name_in_cache,
)
_reverse = lazy.patch_get(
    _is_cached,
    lambda it: it.related.name,
    _places_of_reverse,
    fetch=relations.fetch_related,
    name_in_cache=_name_of_reverse_in_cache,
)
_deferred = lazy.patch_get(
    _is_loaded,
    lambda it: it.field.attname,
    _places_of_field,
    "field",
    cached=_cached_field,
)
_generic = lazy.patch_get(
    generic_foreign_keys.is_fetched,
    generic_foreign_keys.name_of,
    _places_of_target,
    "generic",
)

_MODEL = "django.db.models.base:Model"
_QUERYSET = "django.db.models.query:QuerySet"
_QUERIES = (
    "aggregate bulk_create bulk_update contains count create delete earliest exists "
    "explain first get get_or_create in_bulk last latest update update_or_create"
)
_RAW_QUERYSET = "django.db.models.query:RawQuerySet"
_PREFETCH = "prefetch_related_objects"
_DESCRIPTORS = "django.db.models.fields.related_descriptors"
_TRANSACTION = "django.db.transaction"
_FIELD = "django.db.models.fields:Field"
_ATOMIC = f"{_TRANSACTION}:Atomic"
_DROPPING = "commit rollback savepoint_commit savepoint_rollback"
_HANDLER = "django.db.utils:ConnectionHandler"
_WRAPPER = "django.db.backends.base.base:BaseDatabaseWrapper"
TABLE = (
    # Below the dual-mode methods, which call them.
    *patches.PATCHES,
    Patch(_QUERYSET, _QUERIES, querysets.patch_terminal, inherited=True),
    Patch(_QUERYSET, "_fetch_all", querysets.patch_fetch_all),
    Patch(_QUERYSET, "__await__", querysets.patch_await),
    Patch(_QUERYSET, "__aiter__", querysets.patch_aiter),
    Patch(_QUERYSET, "__getitem__", querysets.patch_getitem),
    Patch(_QUERYSET, "__repr__", querysets.patch_repr),
    Patch(_QUERYSET, "__str__", querysets.patch_str),
    Patch(_QUERYSET, "iterator", on_call(lambda: dualmode.streams.patch_iterator)),
    Patch(_QUERYSET, "aiterator", on_call(lambda: dualmode.streams.patch_aiterator)),
    Patch(_RAW_QUERYSET, "_fetch_all", querysets.patch_fetch_all),
    Patch(_RAW_QUERYSET, "__await__", querysets.patch_await),
    Patch(_RAW_QUERYSET, "__aiter__", querysets.patch_aiter),
    Patch(_RAW_QUERYSET, "__getitem__", querysets.patch_getitem),
    Patch(_RAW_QUERYSET, "__str__", querysets.patch_str),
    Patch(_RAW_QUERYSET, "columns", querysets.patch_columns),
    Patch(_RAW_QUERYSET, "iterator", on_call(lambda: dualmode.streams.patch_iterator)),
    Patch(_MODEL, "save", instances.patch_save, inherited=True),
    Patch(_MODEL, "delete", instances.patch_delete, inherited=True),
    Patch(
        _MODEL,
        "refresh_from_db full_clean clean clean_fields validate_unique "
        "validate_constraints _get_next_or_previous_by_FIELD "
        "_get_next_or_previous_in_order",
        dual,
        inherited=True,
    ),
    Patch(_FIELD, "clean to_python validate", dual_if_async, inherited=True),
    *validators.TABLE,
    # Related managers, whose classes Django makes when they are needed, and users'
    # managers override these. BaseManager itself has none of them.
    Patch(
        "django.db.models.manager:BaseManager",
        f"add clear remove set {_QUERIES}",
        dual,
        inherited=True,
    ),
    Patch(f"{_DESCRIPTORS}:ForwardManyToOneDescriptor", "__get__", _relation),
    Patch(f"{_DESCRIPTORS}:ReverseOneToOneDescriptor", "__get__", _reverse),
    Patch("django.db.models.query_utils:DeferredAttribute", "__get__", _deferred),
    Patch("django.db.models.fields.files:FileDescriptor", "__get__", _deferred),
    Patch("django.db.models.signals:pre_init", "send", lazy.patch_pre_init),
    Patch(
        "django.db.models.query", _PREFETCH, querysets.patch_prefetch_related_objects
    ),
    Patch("django.db.models", _PREFETCH, querysets.patch_prefetch_related_objects),
    Patch("django.db.models.query", _PREFETCH, dual),
    Patch("django.db.models", _PREFETCH, dual),
    Patch("django.shortcuts", "get_object_or_404 get_list_or_404", dual),
    Patch(_ATOMIC, "__aenter__", atomic.patch_aenter),
    Patch(_ATOMIC, "__aexit__", atomic.patch_aexit),
    Patch(_ATOMIC, "__enter__", atomic.patch_enter),
    Patch(_ATOMIC, "__exit__", atomic.patch_exit),
    Patch(_ATOMIC, "__call__", atomic.patch_call),
    Patch(
        "django.db.models.sql.compiler:SQLCompiler",
        "execute_sql",
        reconnection.patch_execute_sql,
    ),
    Patch(_WRAPPER, "ensure_connection", cursors.patch_ensure_connection),
    Patch(_WRAPPER, "on_commit", commit_hooks.patch_connection_on_commit),
    Patch(
        _WRAPPER,
        "run_and_clear_commit_hooks",
        commit_hooks.patch_run_and_clear_commit_hooks,
    ),
    Patch(_WRAPPER, "cursor chunked_cursor", cursors.patch_cursor, inherited=True),
    Patch(_WRAPPER, "pinned", cursors.patch_pinned),
    Patch(_WRAPPER, "listen", patch_listen),
    Patch(
        _WRAPPER,
        "check_constraints commit get_autocommit rollback savepoint "
        "savepoint_commit savepoint_rollback",
        cursors.patch_connection_method,
        inherited=True,
    ),
    Patch(_WRAPPER, "set_autocommit", cursors.patch_set_autocommit),
    Patch(_WRAPPER, "close", closing.patch_close, inherited=True),
    Patch(
        _WRAPPER,
        "close_if_unusable_or_obsolete",
        closing.patch_close_if_unusable_or_obsolete,
    ),
    Patch(_HANDLER, "all", closing.patch_all),
    Patch(_HANDLER, "close_all", closing.patch_close_all),
    # Django's functions drop what the connection's methods of the same name return.
    Patch(_TRANSACTION, _DROPPING, dual),
    Patch(_TRANSACTION, "on_commit", commit_hooks.patch_on_commit),
    Patch("django.db.models.query", "sync_to_async", patch_sync_to_async),
    Patch("django.db.models.base", "sync_to_async", patch_sync_to_async),
    Patch(_DESCRIPTORS, "sync_to_async", patch_sync_to_async),
    Patch(
        _DESCRIPTORS,
        "create_reverse_many_to_one_manager create_forward_many_to_many_manager",
        lazy_loads.patch_create_related_manager,
    ),
    Patch(
        "django.db.models.query",
        "prefetch_one_level",
        lazy_loads.patch_prefetch_one_level,
    ),
    *forms.TABLE,
    *contenttypes.TABLE,
    *generic_foreign_keys.TABLE,
    Patch(generic_foreign_keys.DESCRIPTOR, "__get__", _generic, app="contenttypes"),
    *auth.TABLE,
    *managers.TABLE,
    *packages.TABLE,
    Patch(
        "django.contrib.sessions.backends.base",
        "sync_to_async",
        patch_sync_to_async,
        app="sessions",
    ),
    Patch(
        "django.contrib.sessions.backends.db",
        "sync_to_async",
        patch_sync_to_async,
        app="sessions",
    ),
    *caches.TABLE,
    *blocking.TABLE,
    *commands.TABLE,
    Patch("django.dispatch.dispatcher", "sync_to_async", patch_sync_to_async),
    Patch("django.tasks.base", "sync_to_async", patch_sync_to_async, since=(6, 0)),
    Patch(
        "django.tasks.backends.base", "sync_to_async", patch_sync_to_async, since=(6, 0)
    ),
    Patch("abc:ABCMeta", "__instancecheck__", patch_instancecheck),
    Patch("asgiref.sync:AsyncToSync", "__call__", lending.patch_async_to_sync),
    Patch("asgiref.sync:SyncToAsync", "__call__", lending.patch_sync_to_async),
    Patch("django.utils.asyncio", "get_running_loop", patch_get_running_loop),
    Patch(_HANDLER, "__getitem__", patch_getitem),
    Patch(
        "django.core.handlers.base:BaseHandler",
        "get_response get_response_async",
        patch_get_response,
    ),
)


def apply(*, with_apps: bool = False) -> None:
    """
    Patch Django. Each patch is applied once, however often this is called.

    Args:
        with_apps: Whether to apply the patches of the installed contrib apps, or those
            of Django's core.

    Raises:
        UnsupportedVersion: This Django is not supported, or lacks a name in the table.
            For a module that is not imported yet, its import raises this.

    Never switches.
    """
    if with_apps:
        versions.check_apps({config.name for config in apps.get_app_configs()})
    else:
        versions.check_django()
    storage.install()
    fork.install()
    apply_patches(patch for patch in TABLE if bool(patch.app) is with_apps)
