"""
The methods of QuerySet that record steps. The first time that a step is taken, Django
takes it, so that errors come where Django raises them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any

from django.db.models import Prefetch
from django.db.models.query_utils import RegisterLookupMixin

from vinyl.orm.plans import shapes
from vinyl.orm.plans.expressions import key_of
from vinyl.orm.plans.inners import Found, are_fixed, template_of, values_of
from vinyl.orm.plans.shapes import SLOT, Node, Step, Trail
from vinyl.orm.plans.trails import (
    FILTERS,
    can_move,
    django_method,
    extended,
    in_place,
    is_as_made,
    mark,
    moved,
    settled,
    trail_of,
)
from vinyl.orm.plans.values import Unplannable, keyed, replaced

__all__ = [
    "patch_all",
    "patch_extra",
    "patch_filter_or_exclude",
    "patch_getitem",
    "patch_prefetch_related",
    "patch_register_lookup",
    "patch_select_for_update",
    "patch_setter",
    "patch_step",
    "patch_unregister_lookup",
    "record_filter",
]

# Types of arguments that are part of a shape.
_SIMPLE = frozenset({str, bool, type(None)})
# Methods for which Django warns on each call without names.
_WARNING = frozenset({"select_related", "values_list"})
# The attributes of a queryset that its steps set, besides the query.
_DECIDED = ("_iterable_class", "_fields")
_NO_NAMES: dict[str, Any] = {}


def patch_filter_or_exclude(method: Callable[..., Any]) -> Callable[..., Any]:
    django_method[method.__name__] = method

    @functools.wraps(method)
    def _filter_or_exclude(self: Any, negate: bool, args: Any, kwargs: Any) -> Any:
        return record_filter(
            self, "_filter_or_exclude", negate, args, kwargs, in_place(self)
        )

    return _filter_or_exclude


def record_filter(
    queryset: Any,
    name: str,
    what: Hashable,
    args: Any,
    kwargs: Any,
    is_in_place: bool = False,
) -> Any:
    """
    Return the result of filtering *queryset*, and record the step with its values.

    Args:
        name: The name of the method, one of FILTERS.
        what: Its first argument, which is part of the shape.
        args: The conditions, as for `filter()`.
        kwargs: The keyword arguments, as for `filter()`.
        is_in_place: Whether the method changes *queryset* itself.

    Never switches.
    """
    method = django_method[name]
    trail = trail_of(queryset)
    if trail is None or (is_in_place and queryset._result_cache is not None):
        return method(queryset, what, args, kwargs)
    values: list[Any] = []
    found: list[Found] = []
    is_sticky, is_deferred = queryset._sticky_filter, queryset._defer_next_filter
    try:
        key: Any = "filter", what, is_sticky, keyed(args, kwargs, values, found)
    except Unplannable:
        key = None
    # Outside the handler, so that an error of Django has its usual context.
    if key is None or (found and is_deferred):
        return method(queryset, what, args, kwargs)
    if is_in_place or name == "unordered":
        key = name, *key
    node = trail.node.child(key)
    if node is None:
        args_, kwargs_ = replaced(args, kwargs, lambda _: SLOT)
        step = Step(name, (what, args_, kwargs_), {}, is_sticky, is_in_place)
        template = _template(queryset, trail, step, found)
        result = method(queryset, what, args, kwargs)
        return _explored(
            queryset, result, trail, key, template, values, found, is_deferred
        )
    now = settled(trail)
    if can_move(queryset, now):
        if is_deferred:
            queryset._defer_next_filter = False
            to = extended(now, node, values, is_deferred=True)
            return moved(queryset, to, is_in_place)
        kept = _kept(node, values) if are_fixed(found) else None
        if kept is not None:
            kept += values_of(found)
            return moved(queryset, Trail(node, (*now.values, *kept)), is_in_place)
    result = method(queryset, what, args, kwargs)
    values += values_of(found)
    to = extended(trail, node, values, is_deferred=is_deferred)
    mark(queryset, result, trail, to)
    return result


def _kept(node: Node, values: list[Any]) -> list[Any] | None:
    """
    What the binders of *node* keep of *values*; None if Django has to look at them.
    """
    if node.binders is None:
        return None
    try:
        return [
            binder.kept(value)
            for binder, value in zip(node.binders, values, strict=True)
        ]
    except Unplannable:
        return None


def _template(
    queryset: Any, trail: Trail, step: Step, found: list[Found]
) -> Step | None:
    """
    Return a copy of *step* without the inner querysets *found*; None if the step of
    *queryset* cannot become part of the trie.
    """
    if not is_as_made(queryset, trail):
        # Code has changed this queryset, but not others that take the step.
        return None
    if any("%" in name for name in step.kwargs):
        # Django warns of such an alias each time.
        return None
    try:
        # The caller may change expressions and dictionaries later.
        args, kwargs = template_of((step.args, step.kwargs), found)
    except Unplannable:
        return None
    inners = tuple([one.inner for one in found])
    return step._replace(args=args, kwargs=kwargs, inners=inners)


def _explored(
    queryset: Any,
    result: Any,
    trail: Trail,
    key: Any,
    step: Step | None,
    values: list[Any],
    found: list[Found],
    is_deferred: bool = False,
) -> Any:
    """
    Add the step that led from *queryset* to *result*, which Django returned, to the
    trie.
    """
    node = None if step is None else trail.node.add(key, step, len(values))
    if node is not None:
        node.attributes = {name: getattr(result, name) for name in _DECIDED}
        values += values_of(found)
        to = extended(trail, node, values, is_deferred=is_deferred)
        mark(queryset, result, trail, to)
    return result


def _take(
    queryset: Any,
    trail: Trail,
    key: Any,
    method: Callable[..., Any],
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] = _NO_NAMES,
    found: list[Found] | None = None,
) -> Any:
    """
    Take a step from *trail* without values of its own, which Django's *method* takes if
    it is unknown. Its arguments have the inner querysets *found*.
    """
    is_in_place = in_place(queryset)
    if is_in_place:
        if queryset._result_cache is not None:
            return method(queryset, *args, **kwargs)
        key = "in place", *key
    node = trail.node.child(key)
    if node is not None:
        now = settled(trail) if trail.is_deferred else trail
        if can_move(queryset, now):
            if not found:
                return moved(queryset, Trail(node, now.values), is_in_place)
            if are_fixed(found):
                values = (*now.values, *values_of(found))
                return moved(queryset, Trail(node, values), is_in_place)
    found = [] if found is None else found
    if node is None:
        step = Step(method.__name__, args, kwargs, is_in_place=is_in_place)
        template = _template(queryset, trail, step, found)
        result = method(queryset, *args, **kwargs)
        return _explored(queryset, result, trail, key, template, [], found)
    result = method(queryset, *args, **kwargs)
    mark(queryset, result, trail, extended(trail, node, values_of(found)))
    return result


def patch_step(method: Callable[..., Any]) -> Callable[..., Any]:
    """Patch a method whose arguments, names or expressions, are part of the shape."""
    name = method.__name__
    django_method[name] = method

    @functools.wraps(method)
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        trail = trail_of(self)
        if trail is None or self._sticky_filter:
            return method(self, *args, **kwargs)
        if not args and name in _WARNING:
            return method(self, **kwargs)
        for value in (*args, *kwargs.values()):
            if type(value) not in _SIMPLE:
                break
        else:
            key: Any = name, args, tuple(kwargs.items())
            return _take(self, trail, key, method, args, kwargs)
        found: list[Found] = []
        try:
            names = key_of(tuple(kwargs.items()), found)
            key = "expressions", name, key_of(args, found), names
        except Unplannable:
            key = None
        if key is None:
            return method(self, *args, **kwargs)
        return _take(self, trail, key, method, args, kwargs, found)

    return step


def _copied(queryset: Any) -> Any:
    """
    A copy of *queryset* with the same query; None if Django has to create it.
    """
    trail = trail_of(queryset)
    if trail is None or queryset._sticky_filter:
        return None
    if in_place(queryset):
        return queryset
    step = trail.node.step
    if step is not None and step.method in FILTERS:
        # Django copies the query without the joins that the filter could reuse.
        return _take(queryset, trail, ("_chain",), django_method["_chain"])
    now = settled(trail)
    return moved(queryset, now) if can_move(queryset, now) else None


def patch_prefetch_related(method: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `prefetch_related()`. The step consists of the names of the lookups, which
    Django checks; the lookups are an attribute of the queryset.
    """
    django_method[method.__name__] = method

    @functools.wraps(method)
    def prefetch_related(self: Any, *lookups: Any) -> Any:
        is_reset = lookups == (None,)
        names = tuple(
            [one.prefetch_to if type(one) is Prefetch else one for one in lookups]
        )
        trail = trail_of(self)
        if trail is None or not (is_reset or {*map(type, names)} <= {str}):
            return method(self, *lookups)
        # Taking the step may change this queryset.
        before = self._prefetch_related_lookups
        result = _take(self, trail, ("prefetch_related", names), method, names)
        result._prefetch_related_lookups = () if is_reset else before + lookups
        return result

    return prefetch_related


def patch_select_for_update(method: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `select_for_update()`, whose options are part of the shape."""
    django_method[method.__name__] = method

    @functools.wraps(method)
    def select_for_update(
        self: Any,
        nowait: Any = False,
        skip_locked: Any = False,
        of: Any = (),
        no_key: Any = False,
    ) -> Any:
        trail = trail_of(self)
        given = nowait, skip_locked, of, no_key
        if (
            trail is None
            or self._sticky_filter
            or not {type(nowait), type(skip_locked), type(no_key)} <= {bool}
            or type(of) is not tuple
            or not {*map(type, of)} <= {str}
        ):
            return method(self, *given)
        result = _take(self, trail, ("select_for_update", given), method, given)
        result._for_write = True
        return result

    return select_for_update


def patch_setter(attribute: str) -> Callable[..., Any]:
    """Patch a method that sets *attribute* of a copy: `using()` and `fetch_mode()`."""

    def patch(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def setter(self: Any, value: Any) -> Any:
            result = _copied(self)
            if result is None:
                return method(self, value)
            setattr(result, attribute, value)
            return result

        return setter

    return patch


def patch_all(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def all(self: Any) -> Any:
        result = _copied(self)
        return method(self) if result is None else result

    return all


def patch_extra(method: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `extra()`, for calls with `select` only, as in prefetches of many-to-many
    relations.
    """
    django_method[method.__name__] = method

    @functools.wraps(method)
    def extra(self: Any, select: Any = None, *args: Any, **kwargs: Any) -> Any:
        trail = trail_of(self)
        if (
            trail is None
            or self._sticky_filter
            or args
            or kwargs
            or type(select) is not dict
            or not {type(part) for item in select.items() for part in item} <= {str}
        ):
            return method(self, select, *args, **kwargs)
        key = "extra", tuple(select.items())
        return _take(self, trail, key, method, (select,))

    return extra


def patch_getitem(method: Callable[..., Any]) -> Callable[..., Any]:
    django_method[method.__name__] = method

    @functools.wraps(method)
    def __getitem__(self: Any, k: Any) -> Any:
        trail = trail_of(self)
        if trail is None or self._result_cache is not None or self._sticky_filter:
            return method(self, k)
        if type(k) is int and k >= 0 and not in_place(self):
            return list(self[k : k + 1])[0]
        if (
            type(k) is not slice
            or k.step is not None
            or not {type(k.start), type(k.stop)} <= {int, type(None)}
        ):
            return method(self, k)
        key = "slice", k.start, k.stop
        return _take(self, trail, key, method, (k,))

    return __getitem__


class _Forgetting:
    """A method that registers or unregisters a lookup, after which no plan is valid."""

    def __init__(self, descriptor: Any) -> None:
        self.descriptor = descriptor

    def __get__(self, instance: Any, owner: type) -> Callable[..., Any]:
        method = self.descriptor.__get__(instance, owner)

        @functools.wraps(self.descriptor.class_method)
        def changing(*args: Any, **kwargs: Any) -> Any:
            shapes.forget()
            return method(*args, **kwargs)

        return changing


def patch_register_lookup(_: Any) -> Any:
    return _Forgetting(vars(RegisterLookupMixin)["register_lookup"])


def patch_unregister_lookup(_: Any) -> Any:
    return _Forgetting(vars(RegisterLookupMixin)["_unregister_lookup"])
