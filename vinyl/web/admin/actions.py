"""
The action that deletes: Django's for the rows of a page; for more of them in batches,
with its progress on the page, in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from django.contrib.admin import action
from django.contrib.admin.actions import delete_selected as delete_few
from django.contrib.admin.utils import model_ngettext
from django.core.exceptions import PermissionDenied
from django.db.models import ProtectedError, QuerySet, RestrictedError
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.translation import gettext, gettext_lazy

from vinyl.web.admin.cascades import TooLarge, cascade, kept_by, may_stream
from vinyl.web.admin.databases import transaction_of
from vinyl.web.admin.deletion import batches
from vinyl.web.admin.peers import fetch_together
from vinyl.web.admin.progress import Progress

__all__ = ["delete_selected"]

# With more rows the form asks for all rows of the list, not for each by its key. They
# are deleted in batches of this size.
BATCH = 500

# How many rows there were when the visitor was asked.
EXPECTED = "expected"


@action(
    permissions=["delete"],
    description=gettext_lazy("Delete selected %(verbose_name_plural)s"),
)
def delete_selected(model_admin: Any, request: Any, queryset: QuerySet[Any]) -> Any:
    """
    Ask, then delete the chosen rows. Switches to the event loop.

    Returns:
        The page that asks, None after a short deletion, a generator of its progress
        for a long one.

    Raises:
        PermissionDenied: The visitor may not delete all that goes with the rows.
    """
    across = request.POST.get("select_across") == "1"
    is_large = across and queryset.order_by()[: BATCH + 1].count() > BATCH
    if not is_large:
        return _delete_few(model_admin, request, queryset)
    total = queryset.order_by().count()
    if request.POST.get("post") and request.POST.get(EXPECTED) == str(total):
        _, _, lacking, protected = model_admin.get_deleted_objects(queryset, request)
        if lacking:
            raise PermissionDenied
        if not protected:
            return _deleting(model_admin, request, queryset, total)
    page = _ask(model_admin, request, queryset)
    page.context_data = {**(page.context_data or {}), EXPECTED: total}
    return page


def _delete_few(model_admin: Any, request: Any, queryset: QuerySet[Any]) -> Any:
    """Django's action, unless too many objects go along with the rows."""
    if not request.POST.get("post"):
        return delete_few(model_admin, request, queryset)
    try:
        with transaction_of(queryset):
            with may_stream(request):
                return delete_few(model_admin, request, queryset)
    except TooLarge:
        total = queryset.order_by().count()
        return _deleting(model_admin, request, queryset, total, with_others=True)


def _ask(model_admin: Any, request: Any, queryset: QuerySet[Any]) -> TemplateResponse:
    """Django's page, with the first row alone: the form asks for all of them."""
    post = request.POST
    # Without the answer, since there are other rows now than those that it was about.
    request.POST = post.copy()
    request.POST.pop("post", None)
    try:
        page = cast(TemplateResponse, delete_few(model_admin, request, queryset))
    finally:
        request.POST = post
    page.context_data = {
        **(page.context_data or {}),
        "queryset": queryset[:1],
        "select_across": True,
        "sent_before": "post" in post,
    }
    return page


def _deleting(
    model_admin: Any,
    request: Any,
    queryset: QuerySet[Any],
    total: int,
    *,
    with_others: bool = False,
) -> Iterator[Any]:
    name = model_ngettext(queryset.model._meta, total)
    keys = [*queryset.order_by().values_list("pk", flat=True)]
    done = 0
    try:
        with transaction_of(queryset):
            for batch in batches(keys, BATCH):
                rows = model_admin.get_queryset(request).filter(pk__in=batch)
                fetch_together(rows)
                model_admin.log_deletions(request, rows)
                if with_others:
                    yield from cascade(rows)
                model_admin.delete_queryset(request, rows)
                done += len(batch)
                yield Progress(done, total)
    except (ProtectedError, RestrictedError) as error:
        yield kept_by(error)
    else:
        yield format_html(
            '<strong class="note success">{}</strong>',
            gettext("Successfully deleted %(count)d %(items)s.")
            % {"count": done, "items": name},
        )
