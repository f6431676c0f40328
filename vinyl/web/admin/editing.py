"""
Saving without losing anything: forms that collide with the work of others, or with a
constraint of the database, are shown again with what was typed.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.db import IntegrityError, models
from django.http import HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext

from vinyl.web.admin.completion import LookupView
from vinyl.web.admin.conflicts import (
    VERSION,
    conflicts_of,
    lock_object,
    refuse_other_rows,
    rows_of,
    version_of,
    watch_form,
    watch_rows,
)
from vinyl.web.admin.databases import saving_elsewhere, transaction_of
from vinyl.web.admin.held import (
    asks_for_lookup,
    hold,
    hold_form,
    hold_formset,
    kept_fields,
    reason_of,
    take_choice,
)
from vinyl.web.admin.interrupted import author_of, check_author
from vinyl.web.admin.popups import finish_popup
from vinyl.web.admin.violations import reason_for

__all__ = ["SafeEditing", "SafeRows"]

# Where a request has that its object was deleted, and its form is to add it again.
_RECREATES = "_vinyl_recreates"


class SafeEditing(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at runtime
    """The pages of a ModelAdmin that save."""

    # Whether a form is compared with the database before it is saved.
    detect_conflicts = True

    def changeform_view(
        self,
        request: Any,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> Any:
        if asks_for_lookup(request):
            return self._lookup(request)
        check_author(request)
        take_choice(request)
        arguments = (request, object_id, form_url, extra_context)
        try:
            with saving_elsewhere(self, request):
                response = super().changeform_view(*arguments)
        except IntegrityError as error:
            hold(request, reason_for(error, self.model))
            with saving_elsewhere(self, request):
                response = super().changeform_view(*arguments)
        return finish_popup(response)

    def changelist_view(self, request: Any, extra_context: Any = None) -> Any:
        if asks_for_lookup(request):
            return self._lookup(request)
        check_author(request)
        take_choice(request, "_save")
        if not (request.method == "POST" and "_save" in request.POST):
            return _with_versions(
                request, super().changelist_view(request, extra_context)
            )
        try:
            with transaction_of(self.get_queryset(request)):
                response = super().changelist_view(request, extra_context)
        except IntegrityError as error:
            hold(request, reason_for(error, self.model))
            response = super().changelist_view(request, extra_context)
        return _with_versions(request, response)

    def delete_view(
        self, request: Any, object_id: str, extra_context: Any = None
    ) -> Any:
        try:
            response = super().delete_view(request, object_id, extra_context)
        except (IntegrityError, models.ProtectedError, models.RestrictedError) as error:
            # Something that refers to it has been added meanwhile.
            self.message_user(request, reason_for(error, self.model), messages.ERROR)
            response = HttpResponseRedirect(request.get_full_path())
        return finish_popup(response)

    def _lookup(self, request: Any) -> Any:
        return LookupView.as_view(admin_site=self.admin_site)(request)

    def get_object(
        self, request: Any, object_id: str, from_field: str | None = None
    ) -> Any:
        if request.method == "POST" and self.detect_conflicts:
            field = self.opts.get_field(from_field) if from_field else self.opts.pk
            lock_object(self.get_queryset(request), field, object_id)
        return super().get_object(request, object_id, from_field)

    def get_form(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        form = super().get_form(request, *args, **kwargs)
        if self.detect_conflicts:
            watch_form(form, request)
        hold_form(form, request, main=True)
        return form

    def get_changelist_form(self, request: Any, **kwargs: Any) -> Any:
        form = super().get_changelist_form(request, **kwargs)
        if self.detect_conflicts:
            watch_form(form, request, is_row=True)
        return form

    def get_changelist_formset(self, request: Any, **kwargs: Any) -> Any:
        formset = super().get_changelist_formset(request, **kwargs)
        if self.detect_conflicts:
            watch_rows(formset)
        refuse_other_rows(formset)
        hold_formset(formset, request)
        return formset

    def get_formset_kwargs(self, request: Any, *args: Any) -> Any:
        options = super().get_formset_kwargs(request, *args)
        if vars(request).get(_RECREATES):
            options["save_as_new"] = True
        return options

    def render_change_form(
        self, request: Any, context: Any, *args: Any, **kwargs: Any
    ) -> Any:
        forms = [context["adminform"].form]
        for group in context["inline_admin_formsets"]:
            forms += group.formset.forms
            if group.formset.is_bound:
                group.formset.vinyl_rows = rows_of(group.formset)
        context["held"] = reason_of(request)
        context["version"] = version_of(forms) if self.detect_conflicts else ""
        context["conflicts"] = conflicts_of(forms)
        context["author"] = author_of(request)
        return super().render_change_form(request, context, *args, **kwargs)

    def _get_obj_does_not_exist_redirect(
        self, request: Any, opts: Any, object_id: str
    ) -> Any:
        if request.method == "POST" and request.POST.get(VERSION):
            return self._shown_as_new(request)
        return super()._get_obj_does_not_exist_redirect(request, opts, object_id)  # type: ignore[misc]  # not in the stubs

    def _shown_as_new(self, request: Any) -> Any:
        """Show what was typed for an object that has been deleted meanwhile."""
        reason = gettext("Somebody else has deleted this meanwhile.")
        if not self.has_add_permission(request):
            context = {
                **self.admin_site.each_context(request),
                "title": reason,
                "opts": self.opts,
                "kept": [*kept_fields(request.POST)],
            }
            template = "admin/deleted_meanwhile.html"
            return TemplateResponse(request, template, context, status=404)
        data = request.POST.copy()
        del data[VERSION]
        for name in data:
            if name.endswith("-INITIAL_FORMS"):
                data[name] = "0"
        request.POST = data
        vars(request)[_RECREATES] = True
        more = gettext("What you typed is below; save it to add it as a new object.")
        hold(request, f"{reason} {more}", quiet=True)
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_add"
        url = reverse(name, current_app=self.admin_site.name)
        filters = self.get_preserved_filters(request)
        kept: Any = {"preserved_filters": filters, "opts": self.opts}
        return self.changeform_view(request, None, add_preserved_filters(kept, url))


class SafeRows(admin.options.InlineModelAdmin):  # type: ignore[type-arg]  # as above
    """The rows of an inline, whose forms and locks are those of SafeEditing."""

    detect_conflicts = True

    def get_formset(self, request: Any, obj: Any = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        if self.detect_conflicts:
            watch_form(formset.form, request, is_row=True)
            watch_rows(formset)
        refuse_other_rows(formset)
        hold_form(formset.form, request)
        return formset


def _with_versions(request: Any, response: Any) -> Any:
    """Return *response*; a page of rows has the versions of those that are editable."""
    changelist = (getattr(response, "context_data", None) or {}).get("cl")
    if changelist is None:
        return response
    formset = changelist.formset
    forms = formset.forms if formset else []
    if formset and formset.is_bound:
        # The rows as they were posted: others may stand between them by now.
        changelist.result_list = rows_of(formset, changelist.result_list)
    response.context_data["version"] = version_of(forms)
    response.context_data["conflicts"] = conflicts_of(forms)
    response.context_data["author"] = author_of(request)
    return response
