"""
What a deletion includes, without loading it: objects are counted by their keys, and the
first of each model are listed.

Django's own preview loads and lists every object. It is used up to `MAX_DETAILED`
objects, and where a relation has an `on_delete` of the project's own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from heapq import nsmallest
from itertools import islice
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import NestedObjects, quote
from django.db import models, router
from django.db.models.deletion import get_candidate_relations_to_delete
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext

from vinyl.web.admin.counting import Count
from vinyl.web.admin.databases import database_of
from vinyl.web.admin.peers import fetch_together

__all__ = [
    "MAX_DETAILED",
    "Reached",
    "UnknownRelation",
    "batches",
    "preview",
]

# Django's preview lists up to this many objects one below the other.
MAX_DETAILED = 200

# How many objects of a model a longer preview lists, and counts before a confirmation.
MAX_LISTED = 50
MAX_COUNTED = 10_000

# Keys in one query. What depends on more of them is found by the query that has found
# them, up to so many of these inside of each other.
BATCH = 1000
MAX_NESTED = 3

# Those in the database are new in Django 6.1.
ACTIONS = {
    getattr(models, name, name): name
    for name in (
        *("CASCADE", "PROTECT", "RESTRICT", "SET_NULL", "SET_DEFAULT", "DO_NOTHING"),
        *("DB_CASCADE", "DB_SET_NULL", "DB_SET_DEFAULT"),
    )
}


class UnknownRelation(Exception):
    """A relation with an `on_delete` that is not Django's."""


def preview(
    objs: Any,
    request: Any,
    site: Any,
    detailed: Callable[[], tuple[Any, Any, Any, Any]],
    *,
    is_confirmed: bool,
) -> tuple[Any, Any, Any, Any]:
    """
    Return what `ModelAdmin.get_deleted_objects()` returns: a nested list of texts, the
    counts by model, the names of models that the visitor may not delete, and the
    objects that protect others.

    Args:
        objs: The chosen objects of one model, a list or a queryset.
        request: The visitor's permissions apply.
        site: The AdminSite, whose ModelAdmins decide about permissions.
        detailed: Returns Django's preview, for a short list.
        is_confirmed: Whether the objects are deleted next. Then permissions are
            checked for all of them, however many there are.

    Switches to the event loop.
    """
    walk = _Preview(request, site, None if is_confirmed else MAX_COUNTED)
    try:
        walk.start(objs)
    except UnknownRelation:
        if not walk.is_elsewhere:
            return detailed()
        walk.collect(objs)
    if walk.total <= MAX_DETAILED and not walk.is_elsewhere:
        return detailed()
    return walk.texts(), walk.counts(), walk.lacking(), walk.protected_texts()


def batches(items: Iterable[Any], size: int = BATCH) -> Iterator[list[Any]]:
    """Yield lists of *size* items, the last one shorter. Never switches."""
    rest = iter(items)
    while batch := [*islice(rest, size)]:
        yield batch


class Reached:
    """
    The keys of the objects that a deletion reaches, by model.

    Args:
        limit: How many of each model are looked for; None for all.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.using = ""
        # The keys by model, in the order in which they were reached.
        self.keys: dict[Any, dict[Any, None]] = defaultdict(dict)
        # Those of the objects that were chosen, and of the same objects as others of
        # their family of models.
        self.chosen: dict[Any, set[Any]] = defaultdict(set)
        # The models whose rows depend on those of a model; and those whose rows the
        # database deletes by itself.
        self.dependents: dict[Any, dict[Any, None]] = defaultdict(dict)
        self.by_database: set[Any] = set()
        # Models with more objects than were counted.
        self.cut: set[Any] = set()
        self.protecting: dict[Any, dict[Any, None]] = defaultdict(dict)
        self.restricting: dict[Any, dict[Any, None]] = defaultdict(dict)

    @property
    def total(self) -> int:
        kept = (*self.protecting.values(), *self.restricting.values())
        return sum(map(len, (*self.keys.values(), *kept)))

    def start(self, objs: Any) -> None:
        """
        Look for all objects that are deleted with *objs*, a list or a queryset.
        Switches to the event loop.

        Raises:
            UnknownRelation: Nobody knows what the `on_delete` of a relation does.
        """
        found: Any = None
        if isinstance(objs, models.QuerySet):
            model = objs.model
            chosen: Any = objs.order_by().values_list("pk", flat=True)
            found = self._bounded(chosen)
        elif objs:
            model, chosen = type(objs[0]), [obj.pk for obj in objs]
        else:
            return
        self.using = database_of(objs)
        rest = [(model, self._new(model, chosen), found, 1)]
        self.chosen[model].update(self.keys[model])
        while rest:
            model, keys, found, depth = rest.pop()
            self._add_parents(model, keys)
            is_nested = found is not None and len(keys) > BATCH and depth <= MAX_NESTED
            for group in [found] if is_nested else batches(keys):
                for related, dependent in self._related(model, group, keys):
                    if new := self._new(related, dependent):
                        below = depth + 1 if is_nested else 1
                        rest.append((related, new, dependent, below))

    def _new(self, model: Any, keys: Iterable[Any]) -> list[Any]:
        known, new = self.keys[model], []
        for key in keys:
            if self.limit is not None and len(known) >= self.limit:
                self.cut.add(model)
                break
            if key not in known:
                known[key] = None
                new.append(key)
        return new

    def _add_parents(self, model: Any, keys: list[Any]) -> None:
        for parent, link in model._meta.concrete_model._meta.parents.items():
            if link is not None:
                for batch in batches(keys):
                    rows = self._rows(model, pk__in=batch)
                    found = rows.values_list(link.attname, model._meta.pk.attname)
                    pairs = [*found]
                    self._new(parent, [key for key, _ in pairs])
                    chosen = self.chosen[model]
                    self.chosen[parent] |= {key for key, of in pairs if of in chosen}

    def _related(
        self, model: Any, group: Any, keys: list[Any]
    ) -> Iterator[tuple[Any, Any]]:
        """
        Yield the models with querysets of the keys that are deleted with objects of
        *model*.

        Args:
            group: A batch of the keys of these objects, or a queryset that finds all.
            keys: All of their keys.
        """
        relations: Any = get_candidate_relations_to_delete(model._meta)
        for relation in relations:
            field = relation.field
            on_delete = field.remote_field.on_delete
            action = ACTIONS.get(on_delete, "")
            if not action and not hasattr(on_delete, "deconstruct"):
                # Nor one that SET() has made.
                raise UnknownRelation
            if action not in ("CASCADE", "DB_CASCADE", "PROTECT", "RESTRICT"):
                continue
            related = relation.related_model
            self.dependents[model][related] = None
            if action == "DB_CASCADE":
                self.by_database.add(related)
            if field.remote_field.parent_link:
                self.chosen[related] |= self.chosen[model]
            rows = self._rows(related, **{f"{field.name}__pk__in": group})
            found = rows.order_by().values_list("pk", flat=True)
            if action.endswith("CASCADE"):
                yield related, self._bounded(found)
            else:
                kept = self.protecting if action == "PROTECT" else self.restricting
                kept[related].update(dict.fromkeys(self._bounded(found)))
        for private in model._meta.private_fields:
            if hasattr(private, "bulk_related_objects"):
                for found in self._related_generically(private, model, group, keys):
                    self.dependents[model][found.model] = None
                    yield found.model, self._bounded(found.values_list("pk", flat=True))

    def _related_generically(
        self, private: Any, model: Any, group: Any, keys: list[Any]
    ) -> Iterator[Any]:
        """Yield querysets of the objects that *private* relates to others."""
        if isinstance(group, list):
            objs = [model(pk=key) for key in group]
            yield private.bulk_related_objects(objs, self.using)
        elif _has_integers(private, model):
            # Not before the apps are ready.
            from django.contrib.contenttypes.models import ContentType

            types = ContentType.objects.db_manager(self.using)
            own = types.get_for_model(
                model, for_concrete_model=private.for_concrete_model
            )
            conditions = {
                f"{private.content_type_field_name}__pk": own.pk,
                f"{private.object_id_field_name}__in": group,
            }
            yield self._rows(private.remote_field.model, **conditions)
        else:
            for batch in batches(keys):
                yield from self._related_generically(private, model, batch, keys)

    def _rows(self, model: Any, **conditions: Any) -> Any:
        return model._base_manager.using(self.using).filter(**conditions)

    def _bounded(self, keys: Any) -> Any:
        return keys if self.limit is None else keys[: self.limit + 1]

    def is_kept(self) -> bool:
        """Return whether something that is not deleted refuses it. Never switches."""
        return any(self._keeping().values())

    def _keeping(self) -> dict[Any, dict[Any, None]]:
        """The keys of the objects that protect or restrict others."""
        kept = {model: keys for model, keys in self.protecting.items() if keys}
        for model, keys in self.restricting.items():
            # Those that are deleted, too, restrict nothing.
            left = {key: None for key in keys if key not in self.keys[model]}
            if left:
                kept[model] = {**kept.get(model, {}), **left}
        return kept

    def dependents_first(self) -> Iterator[tuple[Any, list[Any]]]:
        """
        Yield each model with the keys to delete, without the chosen ones: models that
        depend on others before these, and of one model the rows that were reached last.
        Never switches.
        """
        seen: set[Any] = set()

        def visited(model: Any) -> Iterator[Any]:
            if model not in seen:
                seen.add(model)
                for dependent in self.dependents[model]:
                    yield from visited(dependent)
                yield model

        for first in [*self.keys]:
            for model in visited(first):
                chosen = self.chosen[model]
                keys = [key for key in self.keys[model] if key not in chosen]
                if keys and model not in self.by_database:
                    yield model, keys[::-1]


def _has_integers(private: Any, model: Any) -> bool:
    """Whether a generic relation has keys as they are, and not as texts."""
    name = getattr(private, "object_id_field_name", None)
    if name is None:
        # Of a package, and not Django's.
        return False
    key = private.remote_field.model._meta.get_field(name)
    integers = models.IntegerField
    return isinstance(key, integers) and isinstance(model._meta.pk, integers)


class _Preview(Reached):
    """What the page that asks before a deletion says."""

    def __init__(self, request: Any, site: Any, limit: int | None) -> None:
        super().__init__(limit)
        self.request = request
        self.site = site

    @property
    def is_elsewhere(self) -> bool:
        """Whether the objects are in a database that Django's preview does not read."""
        model = next(iter(self.keys), None)
        return model is not None and self.using != router.db_for_write(model)

    def collect(self, objs: Any) -> None:
        """Look for all objects as Django does, in the database of *objs*."""
        collector = NestedObjects(using=self.using, origin=objs)
        collector.collect(objs)
        for model, found in collector.model_objs.items():
            self.keys[model].update((obj.pk, None) for obj in found)
        for obj in collector.protected:
            self.protecting[type(obj)][obj.pk] = None

    def counts(self) -> dict[Any, Count]:
        return {
            model._meta.verbose_name_plural: (
                Count.at_least(len(keys))
                if model in self.cut
                else Count.exactly(len(keys))
            )
            for model, keys in self.keys.items()
            if keys
        }

    def lacking(self) -> set[Any]:
        """The names of the models that the visitor may not delete all of."""
        return {
            model._meta.verbose_name
            for model, keys in self.keys.items()
            if keys and not self._may_delete(model, keys)
        }

    def _may_delete(self, model: Any, keys: Iterable[Any]) -> bool:
        if not self.site.is_registered(model):
            return True
        own = self.site.get_model_admin(model)
        if type(own).has_delete_permission is admin.ModelAdmin.has_delete_permission:
            # The same answer for each object.
            return bool(own.has_delete_permission(self.request, None))
        return all(
            own.has_delete_permission(self.request, row)
            for batch in batches(keys)
            for row in self._rows(model, pk__in=batch)
        )

    def texts(self) -> list[Any]:
        """The first objects of each model, those of the first one above the others."""
        (_, first), *others = (
            (model, self._listed(model, keys, model in self.cut))
            for model, keys in self.keys.items()
            if keys
        )
        return [*first, [text for _, texts in others for text in texts]]

    def protected_texts(self) -> list[str]:
        return [
            text
            for model, keys in self._keeping().items()
            for text in self._listed(model, keys, is_cut=False)
        ]

    def _listed(self, model: Any, keys: dict[Any, None], is_cut: bool) -> list[str]:
        # By key: databases give rows in any order.
        chosen = nsmallest(MAX_LISTED, keys)
        rows = [*self._rows(model, pk__in=chosen)]
        fetch_together(rows)
        texts = [self._text(row) for row in sorted(rows, key=_place_in(chosen))]
        if (more := len(keys) - len(chosen)) > 0:
            count = Count.at_least(more) if is_cut else Count.exactly(more)
            texts.append(
                gettext("… and %(count)s more %(objects)s")
                % {"count": count, "objects": model._meta.verbose_name_plural}
            )
        return texts

    def _text(self, obj: Any) -> str:
        opts = obj._meta
        name = capfirst(opts.verbose_name)
        if self.site.is_registered(type(obj)):
            try:
                url = reverse(
                    f"{self.site.name}:{opts.app_label}_{opts.model_name}_change",
                    args=(quote(obj.pk),),
                )
            except NoReverseMatch:
                pass
            else:
                return format_html('{}: <a href="{}">{}</a>', name, url, obj)
        return f"{name}: {obj}"


def _place_in(keys: list[Any]) -> Callable[[Any], int]:
    places = {key: place for place, key in enumerate(keys)}
    return lambda row: places[row.pk]
