"""
The dual-mode table: each Django callable that touches the database, and what it
becomes in async mode.

A row names a class or module, attributes of it, and the change made to each: a function
from what is there to what takes its place. Rows apply to Django's own classes, and to
subclasses that override a name, so that models and managers need not adopt anything.
Sync mode is untouched: the changed callables call what they replaced.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, NamedTuple

import django
from django.apps import apps
from django.db import connections
from django.db.models import Model
from django.db.models.signals import class_prepared

from vinyl.exceptions import NotAwaitedError
from vinyl.orm import (
    auth,
    caches,
    compat,
    cursors,
    forking,
    generic,
    lazy,
    querysets,
    routers,
    threads,
    transaction,
)
from vinyl.orm.bridge import await_, in_bridge, run, runs_sync, suspend_or_refuse
from vinyl.orm.calls import Call
from vinyl.orm.connections import connection_of, install, lent_by_thread

__all__ = ["TABLE", "Row", "apply", "apply_rows", "dual"]


class Row(NamedTuple):
    """
    Args:
        owner: "module:Class" or "module".
        names: Attributes of it, separated by spaces. `start_*`: those of subclasses
            that begin so.
        change: Gives what each becomes, from what it is (None if it is not there).
        inherited: Subclasses that override a name get the change, too.
        app: The contrib app that must be installed; empty for Django's core.
        since: The first version of Django that has it; None for all.
        before: The first version of Django that no longer has it; None for none.
    """

    owner: str
    names: str
    change: Callable[[Any], Any]
    inherited: bool = False
    app: str = ""
    since: tuple[int, int] | None = None
    before: tuple[int, int] | None = None

    def applies(self) -> bool:
        """Whether this Django, with the apps that are installed, has the owner."""
        if self.since is not None and django.VERSION < self.since:
            return False
        if self.before is not None and django.VERSION >= self.before:
            return False
        return not self.app or any(
            config.name == f"django.contrib.{self.app}"
            for config in apps.get_app_configs()
        )


def dual(fn: Callable) -> Callable:
    """
    The change for a method or function that touches the database: called in async
    mode it returns a `Call`, which runs it in the bridge when awaited.

    An `async def` (a user's own `save()`) is awaited where sync code calls it.
    """
    if inspect.iscoroutinefunction(fn):

        @functools.wraps(fn)
        def method(*args: Any, **kwargs: Any) -> Any:
            __traceback_hide__ = True
            coroutine = fn(*args, **kwargs)
            if runs_sync():
                return suspend_or_refuse(coroutine)
            return Call(coroutine, _name(fn, args))

    else:

        @functools.wraps(fn)
        def method(*args: Any, **kwargs: Any) -> Any:
            # Reports of errors would show the arguments; one may be a password.
            __traceback_hide__ = True
            if runs_sync():
                return fn(*args, **kwargs)
            return Call(_awaited(fn, *args, **kwargs), _name(fn, args))

    method.is_dual = True  # type: ignore[attr-defined]
    return method


async def _awaited(fn: Callable, *args: Any, **kwargs: Any) -> Any:
    __traceback_hide__ = True
    result = await run(fn, *args, **kwargs)
    # A wrapper around an async method does not look like one.
    return await result if isinstance(result, Coroutine) else result


def _name(fn: Callable, args: tuple) -> str:
    """What the user called: `Album.save` for a method, `fetch` for a function."""
    if args and hasattr(type(args[0]), fn.__name__):
        return f"{type(args[0]).__name__}.{fn.__name__}"
    return fn.__qualname__


def native(in_thread: Callable) -> Callable:
    """
    The change for the name `sync_to_async` in Django's modules, which their `a*` twins
    use: the sync method runs in the bridge instead of a thread. One that may run in
    any thread (`thread_sensitive=False`) uses no database but the processor.
    """

    def sync_to_async(fn: Callable, *, thread_sensitive: bool = True) -> Callable:
        if not thread_sensitive:
            return in_thread(fn, thread_sensitive=False)

        @functools.wraps(fn)
        async def call(*args: Any, **kwargs: Any) -> Any:
            return await run(fn, *args, **kwargs)

        return call

    return sync_to_async


def lending(call: Callable) -> Callable:
    """
    The change for `async_to_sync(fn)(...)`: what is awaited takes part in the
    transaction of the code that waits. Inside the bridge, where asgiref would
    refuse to block the loop, it awaits.
    """

    @functools.wraps(call)
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        if in_bridge():
            return await_(self.awaitable(*args, **kwargs))
        with lent_by_thread():
            return call(self, *args, **kwargs)

    return __call__


def guarding(get_running_loop: Callable) -> Callable:
    """
    The change for the question that Django's `async_unsafe` asks before blocking: "is
    there an event loop?" Inside the bridge nothing blocks, so the answer is no.
    """

    @functools.wraps(get_running_loop)
    def guard() -> asyncio.AbstractEventLoop:
        if in_bridge():
            raise RuntimeError("The bridge waits on the event loop; nothing blocks it.")
        loop = get_running_loop()
        if not os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE"):
            raise NotAwaitedError(
                "Sync code used the database on the event loop, where it would block "
                "everything else. Await the call itself (`await obj.save()`), or run "
                "the sync code in the bridge: `await vinyl.orm.run(function, ...)`."
            )
        return loop

    return guard


def scoped(getitem: Callable) -> Callable:
    """
    The change for `connections[alias]`: inside the bridge, and in a block on the event
    loop, it gives the connection of the scope.
    """

    @functools.wraps(getitem)
    def __getitem__(self: Any, alias: str) -> Any:
        if self is connections and alias in self.settings:
            if (wrapper := connection_of(alias)) is not None:
                return wrapper
        return getitem(self, alias)

    return __getitem__


def _field_is_cached(descriptor: Any, instance: Any) -> bool:
    return descriptor.is_cached(instance)


def _is_loaded(descriptor: Any, instance: Any) -> bool:
    if descriptor.field.attname in instance.__dict__:
        return True
    # The key of a parent's row is that of the child's.
    return descriptor._check_parent_chain(instance) is not None


_relation = lazy.lazy(_field_is_cached, lambda descriptor: descriptor.field.name)
_reverse = lazy.lazy(_field_is_cached, lambda descriptor: descriptor.related.name)
_deferred = lazy.lazy(_is_loaded, lambda descriptor: descriptor.field.attname, "field")

_MODEL = "django.db.models.base:Model"
_QUERYSET = "django.db.models.query:QuerySet"
_QUERIES = (
    "aggregate bulk_create bulk_update contains count create delete earliest exists "
    "explain first get get_or_create in_bulk last latest update update_or_create"
)
_RAW_QUERYSET = "django.db.models.query:RawQuerySet"
_DESCRIPTORS = "django.db.models.fields.related_descriptors"
_CONTENTTYPES = "django.contrib.contenttypes.fields"
_TRANSACTION = "django.db.transaction"
_ATOMIC = f"{_TRANSACTION}:Atomic"
_DROPPING = "commit rollback savepoint_commit savepoint_rollback"
_WRAPPER = "django.db.backends.base.base:BaseDatabaseWrapper"
_AUTH = "django.contrib.auth"
_PERMISSIONS = (
    "get_all_permissions get_group_permissions get_user_permissions has_module_perms "
    "has_perm has_perms"
)
_ASYNC_PERMISSIONS = " ".join(f"a{name}" for name in _PERMISSIONS.split())

TABLE = (
    Row(_QUERYSET, _QUERIES, dual, inherited=True),
    Row(_QUERYSET, "_fetch_all", querysets.refusing_to_block),
    Row(_QUERYSET, "__await__", querysets.awaited),
    Row(_QUERYSET, "__aiter__", querysets.asynchronously_iterated),
    Row(_QUERYSET, "__getitem__", querysets.indexed),
    Row(_QUERYSET, "__repr__", querysets.telling),
    Row(_QUERYSET, "iterator", querysets.streamed),
    Row(_QUERYSET, "aiterator", querysets.streamed_natively),
    Row(_RAW_QUERYSET, "_fetch_all", querysets.refusing_to_block),
    Row(_RAW_QUERYSET, "__await__", querysets.awaited),
    Row(_RAW_QUERYSET, "__aiter__", querysets.asynchronously_iterated),
    Row(_RAW_QUERYSET, "__getitem__", querysets.indexed),
    Row(_RAW_QUERYSET, "iterator", querysets.streamed),
    Row(
        _MODEL,
        "save delete refresh_from_db full_clean clean clean_fields validate_unique "
        "validate_constraints _get_next_or_previous_by_FIELD "
        "_get_next_or_previous_in_order",
        dual,
        inherited=True,
    ),
    # The related managers are made on the fly; they and users' managers override
    # these. Of Django's own managers only they have them.
    Row(
        "django.db.models.manager:BaseManager",
        f"add clear remove set {_QUERIES}",
        dual,
        inherited=True,
    ),
    Row(f"{_DESCRIPTORS}:ForwardManyToOneDescriptor", "__get__", _relation),
    Row(f"{_DESCRIPTORS}:ReverseOneToOneDescriptor", "__get__", _reverse),
    Row("django.db.models.query_utils:DeferredAttribute", "__get__", _deferred),
    Row("django.db.models.fields.files:FileDescriptor", "__get__", _deferred),
    Row(
        f"{_CONTENTTYPES}:GenericForeignKey",
        "__get__",
        lazy.lazy(generic.is_current, lambda field: field.name, "generic"),
        app="contenttypes",
        before=(6, 1),
    ),
    Row(
        f"{_CONTENTTYPES}:GenericForeignKeyDescriptor",
        "__get__",
        lazy.lazy(
            lambda descriptor, instance: generic.is_current(descriptor.field, instance),
            lambda descriptor: descriptor.field.name,
            "generic",
        ),
        app="contenttypes",
        since=(6, 1),
    ),
    Row("django.db.models.query", "prefetch_related_objects", dual),
    Row("django.db.models", "prefetch_related_objects", dual),
    Row("django.shortcuts", "get_object_or_404 get_list_or_404", dual),
    Row(_ATOMIC, "__aenter__", transaction.entered),
    Row(_ATOMIC, "__aexit__", transaction.left),
    Row(_ATOMIC, "__enter__", transaction.not_blocking),
    Row(_ATOMIC, "__exit__", transaction.shielding),
    Row(_ATOMIC, "__call__", transaction.decorating),
    Row(_WRAPPER, "ensure_connection", cursors.connected),
    Row(_WRAPPER, "on_commit", transaction.registered),
    Row(_WRAPPER, "run_and_clear_commit_hooks", transaction.accepting_async),
    Row(_WRAPPER, "cursor chunked_cursor", cursors.opened, inherited=True),
    Row(_WRAPPER, "pinned", cursors.pinned),
    Row(
        _WRAPPER,
        "check_constraints close commit get_autocommit rollback savepoint "
        "savepoint_commit savepoint_rollback",
        cursors.borrowing,
        inherited=True,
    ),
    Row(_WRAPPER, "set_autocommit", cursors.in_block_only),
    # These drop what the connection's methods of the same names return.
    Row(_TRANSACTION, _DROPPING, dual),
    Row("vinyl.orm.transaction", _DROPPING, dual),
    Row(_TRANSACTION, "on_commit", transaction.returning),
    Row("vinyl.orm.transaction", "on_commit", transaction.returning),
    Row("django.db.models.query", "sync_to_async", native),
    Row("django.db.models.base", "sync_to_async", native),
    Row(_DESCRIPTORS, "sync_to_async", native),
    Row(_CONTENTTYPES, "sync_to_async", native, app="contenttypes"),
    Row(_QUERYSET, "_fetch_all", generic.meeting_when_fetched, app="contenttypes"),
    Row(_RAW_QUERYSET, "_fetch_all", generic.meeting_when_fetched, app="contenttypes"),
    Row(
        "django.contrib.contenttypes.models:ContentTypeManager",
        "get_for_model",
        generic.known_or_refused,
        app="contenttypes",
    ),
    Row(
        _CONTENTTYPES,
        "create_generic_related_manager",
        generic.hinting,
        app="contenttypes",
    ),
    Row(_MODEL, "save_base", generic.meeting_when_saved, app="contenttypes"),
    Row("django.contrib.auth", "sync_to_async", native, app="auth", since=(6, 1)),
    Row("django.contrib.auth.decorators", "sync_to_async", native, app="auth"),
    Row(
        "django.contrib.auth.middleware",
        "sync_to_async",
        native,
        app="auth",
        before=(6, 1),
    ),
    Row("django.contrib.auth.backends", "sync_to_async", native, app="auth"),
    Row(
        "django.contrib.auth.models:UserManager",
        "create_user create_superuser",
        dual,
        inherited=True,
        app="auth",
    ),
    Row(
        _AUTH,
        "authenticate login logout update_session_auth_hash",
        dual,
        app="auth",
    ),
    Row(
        f"{_AUTH}.models:PermissionsMixin",
        _PERMISSIONS,
        dual,
        inherited=True,
        app="auth",
    ),
    Row(
        f"{_AUTH}.models:PermissionsMixin",
        _ASYNC_PERMISSIONS,
        auth.following,
        app="auth",
    ),
    Row(f"{_AUTH}.models:AnonymousUser", _PERMISSIONS, dual, app="auth"),
    # It calls the plain one.
    Row(
        f"{_AUTH}.models:AnonymousUser",
        "aget_group_permissions",
        auth.through_plain,
        app="auth",
    ),
    Row(
        f"{_AUTH}.base_user:AbstractBaseUser",
        "check_password",
        dual,
        inherited=True,
        app="auth",
    ),
    Row(
        f"{_AUTH}.base_user:AbstractBaseUser",
        "acheck_password",
        auth.through_plain,
        app="auth",
    ),
    Row(
        f"{_AUTH}.models:UserManager",
        "acreate_user acreate_superuser",
        auth.through_plain,
        app="auth",
    ),
    # From 6.1 on it uses a thread.
    Row(
        f"{_AUTH}.hashers",
        "acheck_password",
        auth.checking,
        app="auth",
        before=(6, 1),
    ),
    Row(
        f"{_AUTH}.hashers:BasePasswordHasher",
        "encode harden_runtime verify",
        auth.in_worker_thread,
        inherited=True,
        app="auth",
    ),
    Row(
        f"{_AUTH}.backends:BaseBackend",
        "authenticate get_user get_all_permissions get_group_permissions "
        "get_user_permissions has_perm",
        auth.heeding_async,
        app="auth",
    ),
    Row(
        f"{_AUTH}.backends:BaseBackend",
        "aget_all_permissions ahas_perm",
        auth.following,
        app="auth",
    ),
    Row(
        f"{_AUTH}.backends:ModelBackend",
        "aauthenticate",
        auth.through_plain,
        app="auth",
    ),
    Row(
        f"{_AUTH}.backends:ModelBackend",
        "aget_group_permissions aget_user ahas_module_perms ahas_perm "
        "aget_user_permissions",
        auth.following,
        app="auth",
    ),
    Row(
        "django.contrib.sessions.backends.base", "sync_to_async", native, app="sessions"
    ),
    Row("django.contrib.sessions.backends.db", "sync_to_async", native, app="sessions"),
    Row("django.core.cache.backends.base", "sync_to_async", native),
    Row("django.core.cache:CacheHandler", "__getitem__", caches.shared),
    Row(
        "django.core.cache.backends.base:BaseCache",
        "add clear close decr delete delete_many get get_many has_key incr set "
        "set_many touch",
        threads.hopping,
        inherited=True,
    ),
    Row(
        "django.core.files.storage.base:Storage",
        "delete exists get_accessed_time get_created_time get_modified_time listdir "
        "open save size",
        threads.hopping,
        inherited=True,
    ),
    Row(
        "django.core.mail.backends.base:BaseEmailBackend",
        "close open send_messages",
        threads.hopping,
        inherited=True,
    ),
    Row("django.dispatch.dispatcher", "sync_to_async", native),
    Row("django.tasks.base", "sync_to_async", native, since=(6, 0)),
    Row("django.tasks.backends.base", "sync_to_async", native, since=(6, 0)),
    Row("asgiref.sync:AsyncToSync", "__call__", lending),
    Row("django.utils.asyncio", "get_running_loop", guarding),
    Row("django.db.utils:ConnectionHandler", "__getitem__", scoped),
    Row(
        "django.core.handlers.base:BaseHandler",
        "get_response get_response_async",
        routers.in_unit_of_work,
    ),
)

# What Django's classes do not have.
NEW = frozenset(
    {"__await__", "__aenter__", "__aexit__", "__aiter__", "cleaned_data", "pinned"}
)

_applied: set[Row] = set()


def apply(*, with_apps: bool = False) -> None:
    """
    Apply the rows of Django's core, or those of the installed contrib apps. Once each.

    Raises:
        UnsupportedVersion: This Django is not supported, or lacks a name of the table.
    """
    compat.check_django()
    if with_apps:
        compat.check_apps({config.name for config in apps.get_app_configs()})
    install()
    forking.install()
    apply_rows(row for row in TABLE if bool(row.app) is with_apps)


def apply_rows(rows: Iterable[Row]) -> None:
    """
    Apply *rows*, of this table or of another layer's, once each.

    Raises:
        UnsupportedVersion: This Django lacks one of their names.
    """
    for row in rows:
        if row not in _applied and row.applies():
            _apply_row(row)
            _applied.add(row)


def _apply_row(row: Row) -> None:
    owner = compat.resolve(row.owner)
    names = row.names.split()
    for name in names:
        subclasses_only = row.inherited and not hasattr(owner, name)
        if name not in NEW and not subclasses_only:
            compat.getattr_or_refuse(owner, row.owner, name)
        if not subclasses_only:
            setattr(owner, name, row.change(getattr(owner, name, None)))
    if row.inherited:
        _follow(owner, names, row.change)


def _expanded(names: list[str], cls: type) -> Iterator[str]:
    """*names*, with those that *cls* has in place of `start_*`."""
    for name in names:
        if name.endswith("*"):
            yield from (found for found in dir(cls) if found.startswith(name[:-1]))
        else:
            yield name


def _follow(base: type, names: list[str], change: Callable) -> None:
    """Apply *change* in subclasses of *base* that override one of *names*."""

    def adopt(cls: type) -> None:
        for name in _expanded(names, cls):
            for ancestor in cls.__mro__:
                # A manager made from a queryset calls the queryset's own methods.
                if ancestor is base or "_queryset_class" in vars(ancestor):
                    break
                if (fn := vars(ancestor).get(name)) is not None:
                    # One from a mixin changes in cls, not in the mixin.
                    if inspect.isfunction(fn) and not hasattr(fn, "is_dual"):
                        if (changed := change(fn)) is not fn:
                            setattr(cls, name, changed)
                    break

    def adopt_all(cls: type[Any]) -> None:
        for subclass in cls.__subclasses__():
            adopt(subclass)
            adopt_all(subclass)

    adopt_all(base)
    if base is Model:
        # Model classes are complete only when the signal says so.
        class_prepared.connect(lambda sender, **_: adopt(sender), weak=False)
        return

    # Django's own, or that of another row for the same class.
    outer = vars(base).get("__init_subclass__")

    def __init_subclass__(cls: type, **kwargs: Any) -> None:
        if outer is None:
            super(base, cls).__init_subclass__(**kwargs)  # type: ignore[arg-type]
        else:
            outer.__get__(None, cls)(**kwargs)
        adopt(cls)

    base.__init_subclass__ = classmethod(__init_subclass__)  # type: ignore[assignment]
