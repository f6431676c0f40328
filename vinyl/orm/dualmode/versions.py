"""
The versions of Django that vinyl supports, and the private names that it reads of
Django, psycopg and asgiref.

The table (table.py) lists what is patched; this module lists what is only read. Both
are checked at start-up, or when the module with the name is imported, so that a release
that lacks one of the names is refused with that name instead of failing later.
"""

from __future__ import annotations

import inspect

import django
from django.conf import settings

from vinyl.bridge.patching import getattr_or_refuse, missing_name, resolve
from vinyl.exceptions import UnsupportedVersion

__all__ = ["check_apps", "check_django"]

SUPPORTED = ((5, 2), (6, 0), (6, 1))

# The names that are read, by class or module.
READ = {
    "asgiref.sync": "_restore_context",
    "django.core.cache:caches": "_connections",
    "django.db.backends.base.base:BaseDatabaseWrapper": (
        "connect ensure_connection validate_thread_sharing get_new_connection "
        "get_connection_params queries_limit create_cursor _commit _rollback "
        "_savepoint_rollback _set_autocommit close_if_health_check_failed "
        "wrap_database_errors make_cursor queries_logged"
    ),
    "django.db.backends.utils:CursorWrapper": "_execute_with_wrappers",
    "django.db.models.base:Model": (
        "_do_insert _do_update _get_pk_val _is_pk_set _prepare_related_fields_for_save "
        "_save_parents _save_table save_base"
    ),
    "django.db.models.base:ModelBase": "_base_manager _default_manager",
    "django.db.models.expressions:BaseExpression": "__getstate__ flatten",
    "django.db.models.fields.mixins:FieldCacheMixin": "cache_name is_cached",
    "django.db.models.fields.related:ForeignObject": (
        "foreign_related_fields local_related_fields"
    ),
    "django.db.models.fields.related_descriptors:ReverseManyToOneDescriptor": (
        "related_manager_cls"
    ),
    "django.db.models.lookups:Lookup": "process_rhs",
    "django.db.models.manager:Manager": "_queryset_class _set_creation_counter",
    "django.db.models.query:Prefetch": "get_current_querysets get_current_to_attr",
    "django.db.models.query:QuerySet": (
        "_add_hints _batched_insert _chain _check_bulk_create_options _clone "
        "_fetch_all _filter_or_exclude_inplace _insert _iterator _next_is_sticky "
        "_prepare_for_bulk_create _raw_delete"
    ),
    "django.db.models.query_utils:DeferredAttribute": "_check_parent_chain",
    "django.db.models.sql.compiler:SQLCompiler": (
        "apply_converters as_sql get_converters has_composite_fields pre_sql_setup"
    ),
    "django.db.models.sql.compiler:SQLInsertCompiler": (
        "as_sql pre_save_val prepare_value returning_params"
    ),
    "django.db.models.sql.query:Query": (
        "add_q annotation_select build_lookup chain clone combinator distinct_fields "
        "exists extra_order_by get_compiler"
    ),
    "django.db.models.sql.query:RawQuery": "chain",
    "django.db.utils:DatabaseErrorWrapper": "__exit__",
    "django.db.utils:ConnectionHandler": "create_connection thread_critical",
    "django.dispatch.dispatcher:Signal": "connect",
    "django.forms.widgets:Media": "_css _js",
    "django.http.request:QueryDict": "_mutable",
    "django.urls.resolvers:URLResolver": "_join_route",
}

# The attributes of instances that are read, by the method that sets them.
READ_OF_INSTANCES = {
    "asgiref.sync:SyncToAsync.__init__": "_thread_sensitive",
    "django.db.models.query:Prefetch.__init__": "prefetch_through queryset",
    "django.db.models.query:QuerySet.__init__": (
        "_db _defer_next_filter _deferred_filter _fields _for_write _hints "
        "_iterable_class _known_related_objects _prefetch_done "
        "_prefetch_related_lookups _query _result_cache _sticky_filter"
        + (" _cloning_enabled _fetch_mode" if django.VERSION >= (6, 1) else "")
    ),
    "django.db.models.sql.compiler:SQLCompiler.__init__": "klass_info select",
    "django.forms.forms:BaseForm.__init__": "_errors",
    "django.http.response:HttpResponseBase.__init__": "_resource_closers",
    "django.urls.resolvers:RegexPattern.__init__": "_regex",
    "django.urls.resolvers:RoutePattern.__init__": "_is_endpoint _route",
}

# The same by ENGINE, whose modules a process without it does not import.
READ_FROM_ENGINES = {
    "vinyl.orm.backends.postgresql": {
        "psycopg.generators": "execute fetch_many send",
        "psycopg.waiting": "Ready Wait wait_async",
        "psycopg:ServerCursor": (
            "_describe_gen _fetch_gen _format _select_current_result"
        ),
        "psycopg:Connection": "_commit_gen _get_tx_start_command _start_query wait",
    },
    "vinyl.orm.backends.sqlite3": {
        "django.db.backends.sqlite3.base": "SQLiteCursorWrapper",
        "django.db.backends.sqlite3.base:DatabaseWrapper": (
            "_start_transaction_under_autocommit"
        ),
        "django.db.backends.sqlite3.operations:DatabaseOperations": (
            "convert_booleanfield_value convert_datefield_value "
            "convert_datetimefield_value convert_durationfield_value "
            "convert_timefield_value convert_uuidfield_value get_decimalfield_converter"
        ),
    },
}

# The same by contrib app, whose modules can be imported only if it is installed.
READ_FROM_APPS = {
    "django.contrib.contenttypes": {
        "django.contrib.contenttypes.models:ContentTypeManager": (
            "_get_from_cache _get_opts"
        ),
    },
    "django.contrib.sessions": {
        "django.contrib.sessions.backends.base:SessionBase": (
            "_aget_session _get_session _validate_session_key"
        ),
    },
}


def check_django() -> None:
    """
    Check that vinyl supports the installed Django.

    Raises:
        UnsupportedVersion: It does not, or Django lacks a name that vinyl reads.

    Never switches.
    """
    if django.VERSION[:2] not in SUPPORTED:
        known = ", ".join(f"{major}.{minor}" for major, minor in SUPPORTED)
        raise UnsupportedVersion(
            f"Django {django.get_version()} is installed, which this version of vinyl "
            f"does not support, because it relies on Django's internals. It works with "
            f"Django {known}: install one of these, or a newer vinyl."
        )
    _check(READ)
    for method, names in READ_OF_INSTANCES.items():
        _check_instances(method, names)
    engines = {entry.get("ENGINE") for entry in settings.DATABASES.values()}
    for engine in engines & READ_FROM_ENGINES.keys():
        _check(READ_FROM_ENGINES[engine])


def check_apps(installed: set[str]) -> None:
    """
    Check the contrib apps among *installed*, names such as "django.contrib.auth".

    Raises:
        UnsupportedVersion: One of them lacks a name that vinyl reads.

    Never switches.
    """
    for app, read in READ_FROM_APPS.items():
        if app in installed:
            _check(read)


def _check(read: dict[str, str]) -> None:
    for path, names in read.items():
        owner = resolve(path)
        for name in names.split():
            getattr_or_refuse(owner, path, name)


def _check_instances(path: str, names: str) -> None:
    owner, _, method = path.partition(".__")
    set_there = inspect.unwrap(
        getattr_or_refuse(resolve(owner), owner, f"__{method}")
    ).__code__.co_names
    for name in names.split():
        if name not in set_there:
            raise missing_name(path, name)
