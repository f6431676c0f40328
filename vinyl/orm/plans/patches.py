"""Which of Django's methods record steps and use plans."""

from __future__ import annotations

from vinyl.bridge.imports import on_call
from vinyl.bridge.patching import Patch
from vinyl.orm import plans
from vinyl.orm.plans import (
    changes,
    model_init,
    pending,
    related_managers,
    steps,
    streams,
    subqueries,
    terminals,
)

__all__ = ["PATCHES"]

_QUERYSET = "django.db.models.query:QuerySet"
_SUBQUERY = "django.db.models.expressions:Subquery"
_LOOKUPS = "django.db.models.query_utils:RegisterLookupMixin"
PATCHES = (
    Patch(_LOOKUPS, "register_lookup", steps.patch_register_lookup),
    Patch(_LOOKUPS, "_unregister_lookup", steps.patch_unregister_lookup),
    Patch("django.db.models.options:Options", "__setattr__", changes.patch_set_option),
    Patch(
        "django.db.models.base:ModelBase",
        "__setattr__ __delattr__",
        changes.patch_change_class,
    ),
    Patch(_QUERYSET, "__init__", pending.patch_init),
    Patch(_QUERYSET, "query", pending.patch_query),
    Patch(_QUERYSET, "ordered", pending.patch_ordered),
    Patch(_QUERYSET, "__getstate__ __deepcopy__", pending.patch_copying),
    Patch(
        _QUERYSET,
        "_not_support_combined_queries",
        pending.patch_not_support_combined_queries,
    ),
    Patch(_QUERYSET, "_filter_or_exclude", steps.patch_filter_or_exclude),
    Patch(
        _QUERYSET,
        "annotate alias order_by reverse distinct only defer values values_list "
        "select_related",
        steps.patch_step,
    ),
    Patch(_QUERYSET, "prefetch_related", steps.patch_prefetch_related),
    Patch(_QUERYSET, "select_for_update", steps.patch_select_for_update),
    Patch(_QUERYSET, "resolve_expression", subqueries.patch_resolve_expression),
    Patch(_SUBQUERY, "query", lambda _: subqueries.HeldQuery()),
    Patch(_SUBQUERY, "__init__", subqueries.patch_init),
    Patch("django.db.models.expressions:Exists", "__init__", subqueries.patch_init),
    Patch(_SUBQUERY, "__getstate__", subqueries.patch_getstate),
    Patch(_SUBQUERY, "__copy__", subqueries.patch_copy),
    Patch(_SUBQUERY, "__deepcopy__", subqueries.patch_deepcopy),
    Patch(_QUERYSET, "extra", steps.patch_extra),
    Patch(_QUERYSET, "using", steps.patch_setter("_db")),
    Patch(_QUERYSET, "fetch_mode", steps.patch_setter("_fetch_mode"), since=(6, 1)),
    Patch(
        "django.db.models.fields.related_descriptors",
        "_filter_prefetch_queryset",
        on_call(lambda: plans.prefetch_filters.patch_filter_prefetch_queryset),
    ),
    Patch(
        "django.db.models.query",
        "normalize_prefetch_lookups",
        on_call(lambda: plans.prefetches.patch_normalize_prefetch_lookups),
    ),
    Patch(
        "django.db.models.query",
        "prefetch_one_level",
        on_call(lambda: plans.prefetches.patch_prefetch_one_level),
    ),
    Patch(
        "django.db.models.fields.related_descriptors:ReverseManyToOneDescriptor",
        "__get__",
        related_managers.patch_get,
    ),
    Patch(_QUERYSET, "all", steps.patch_all),
    Patch(_QUERYSET, "__getitem__", steps.patch_getitem),
    Patch(
        _QUERYSET,
        "aggregate",
        on_call(lambda: plans.aggregates.patch_aggregate),
    ),
    Patch(
        _QUERYSET,
        "earliest latest",
        on_call(lambda: plans.aggregates.patch_earliest),
    ),
    Patch(
        "django.db.models.sql.subqueries:AggregateQuery",
        "__init__",
        on_call(lambda: plans.marked_query.patch_aggregate_query),
    ),
    Patch(
        "django.db.models.sql.compiler:SQLInsertCompiler",
        "execute_sql",
        on_call(lambda: plans.inserts.patch_insert),
    ),
    Patch("django.db.models.base:Model", "__init__", model_init.patch_init),
    Patch(
        "django.db.models.base:Model",
        "save",
        on_call(lambda: plans.saves.patch_save),
    ),
    Patch(
        _QUERYSET,
        "bulk_create",
        on_call(lambda: plans.bulk_creates.patch_bulk_create),
    ),
    Patch(_QUERYSET, "update", on_call(lambda: plans.updates.patch_update)),
    Patch(
        _QUERYSET,
        "_update",
        on_call(lambda: plans.updates.patch_update_fields),
    ),
    Patch(
        "django.db.models.base:Model",
        "delete",
        on_call(lambda: plans.deletes.patch_delete_instance),
    ),
    Patch(
        "django.db.models.base:Model",
        "__getstate__",
        on_call(lambda: plans.prefetched.patch_getstate),
    ),
    Patch(_QUERYSET, "delete", on_call(lambda: plans.deletes.patch_delete)),
    Patch(
        _QUERYSET,
        "_raw_delete",
        on_call(lambda: plans.deletes.patch_raw_delete),
    ),
    Patch(_QUERYSET, "in_bulk", on_call(lambda: plans.in_bulk.patch_in_bulk)),
    Patch(_QUERYSET, "get", terminals.patch_get),
    Patch(_QUERYSET, "first last", terminals.patch_first),
    Patch(_QUERYSET, "exists count", terminals.patch_scalar),
    *(
        Patch(f"django.db.models.query:{name}", "__iter__", streams.patch_iter)
        for name in (
            "ModelIterable",
            "ValuesIterable",
            "ValuesListIterable",
            "FlatValuesListIterable",
        )
    ),
)
