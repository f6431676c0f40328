"""
Deletions that many objects go along with: those that depend on others first, in
batches, so that no more than one batch of them is in memory.

Django collects all objects before it deletes the first one. Here each batch is a
deletion of Django's, with its signals, and with what it sets to NULL, refuses, and
finds by generic relations; all of them are in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import model_ngettext
from django.db import models
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext

from vinyl.web.admin.databases import saving_elsewhere, transaction_of
from vinyl.web.admin.deletion import Reached, UnknownRelation, batches
from vinyl.web.admin.progress import Progress, streamed

__all__ = [
    "BatchedDeletions",
    "TooLarge",
    "cascade",
    "is_own",
    "kept_by",
    "may_stream",
]

# Objects in one batch.
BATCH = 500
# Where a request has how many objects its deletion includes, and whether it can be
# answered with a page of its progress.
_TOTAL, _STREAMS = "_vinyl_deletes", "_vinyl_streams"


class TooLarge(Exception):
    """A deletion is to be started again, with its progress on a page."""


class BatchedDeletions(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at runtime
    """The deletions of a ModelAdmin, whatever goes along with its objects."""

    # A deletion of more objects than these, those that go along included, runs in
    # batches; None if none does.
    delete_in_batches_above: int | None = 5_000

    def get_deleted_objects(self, objs: Any, request: Any) -> tuple[Any, Any, Any, Any]:
        found = super().get_deleted_objects(objs, request)
        vars(request)[_TOTAL] = sum(found[1].values())
        return found

    def delete_view(
        self, request: Any, object_id: str, extra_context: Any = None
    ) -> Any:
        # A window answers with what was deleted, and a project with what it likes.
        can_stream = "_popup" not in request.POST
        can_stream = can_stream and is_own(self, "delete_view", "response_delete")
        try:
            with saving_elsewhere(self, request), may_stream(request, can_stream):
                return super().delete_view(request, object_id, extra_context)
        except TooLarge as large:
            [obj] = large.args
            steps = self._deleting(request, obj)
            return streamed(self, request, gettext("Delete"), steps)

    def _deleting(self, request: Any, obj: Any) -> Iterator[Any]:
        about = {"name": self.opts.verbose_name, "obj": str(obj)}
        try:
            with transaction_of([obj]):
                chosen: Any = [obj]
                self.log_deletions(request, chosen)
                yield from cascade([obj])
                super().delete_model(request, obj)
        except (models.ProtectedError, models.RestrictedError) as error:
            yield kept_by(error)
        else:
            yield format_html(
                '<strong class="note success">{}</strong>',
                gettext("The %(name)s “%(obj)s” was deleted successfully.") % about,
            )

    def delete_model(self, request: Any, obj: Any) -> None:
        # A delete() of the project may keep the object, and all that depends on it.
        is_djangos = type(obj).delete is models.Model.delete
        if not (is_djangos and self._is_large(request)):
            return super().delete_model(request, obj)
        if vars(request).get(_STREAMS) and is_own(self, "delete_model"):
            raise TooLarge(obj)
        with transaction_of([obj]):
            _exhaust(cascade([obj]))
            super().delete_model(request, obj)

    def delete_queryset(self, request: Any, queryset: Any) -> None:
        is_djangos = type(queryset).delete is models.QuerySet.delete
        if not (is_djangos and self._is_large(request)):
            return super().delete_queryset(request, queryset)
        if vars(request).get(_STREAMS) and is_own(self, "delete_queryset"):
            raise TooLarge(queryset)
        with transaction_of(queryset):
            _exhaust(cascade(queryset))
            super().delete_queryset(request, queryset)

    def _is_large(self, request: Any) -> bool:
        limit = self.delete_in_batches_above
        return limit is not None and vars(request).get(_TOTAL, 0) > limit


def is_own(options: Any, *names: str) -> bool:
    """
    Return whether the methods *names* of *options*, a ModelAdmin, are not those of a
    project. Never switches.
    """
    own = ("vinyl.web.admin.", "django.contrib.admin.")
    return all(getattr(type(options), n).__module__.startswith(own) for n in names)


@contextmanager
def may_stream(request: Any, can_stream: bool = True) -> Iterator[None]:
    """
    Let a large deletion raise `TooLarge` in this block, if the response *can_stream*.
    Never switches.
    """
    vars(request)[_STREAMS] = can_stream
    try:
        yield
    finally:
        vars(request)[_STREAMS] = False


def cascade(objs: Any) -> Iterator[Progress]:
    """
    Delete what a deletion of *objs* includes, apart from themselves, and yield the
    progress; nothing where something refuses it, which their own deletion will say.
    Switches to the event loop.

    Args:
        objs: Objects of one model, a list or a queryset.
    """
    reached = Reached()
    try:
        reached.start(objs)
    except UnknownRelation:
        return
    if reached.is_kept():
        return
    for model, keys in reached.dependents_first():
        name, done = model._meta.verbose_name_plural, 0
        for batch in batches(keys, BATCH):
            # Not by a manager of the project, whose delete() may do something else.
            rows: Any = models.QuerySet(model, using=reached.using)
            rows.filter(pk__in=batch).delete()
            done += len(batch)
            numbers = {"done": done, "total": len(keys)}
            text = gettext("%(done)s of %(total)s") % numbers
            yield Progress(done, len(keys), f"{capfirst(name)}: {text}")


def kept_by(error: models.ProtectedError | models.RestrictedError) -> str:
    """
    Return what a page says of a deletion that *error* has stopped: only the kind of the
    objects, since its text names objects of any model. Never switches.
    """
    if isinstance(error, models.ProtectedError):
        objs = error.protected_objects
    else:
        objs = error.restricted_objects
    kinds = {str(model_ngettext(obj._meta, 2)) for obj in objs}
    return format_html(
        '<strong class="note error">{}</strong>',
        gettext("Nothing was deleted: the rows are used by other %(objects)s.")
        % {"objects": ", ".join(sorted(kinds))},
    )


def _exhaust(steps: Iterator[Any]) -> None:
    for _ in steps:
        pass
