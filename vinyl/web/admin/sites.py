"""The site: the registered models, its own pages, and the context of every page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy

from vinyl.bridge.mode import dual_if_async
from vinyl.web.admin import tags
from vinyl.web.admin.options import ModelAdmin, adapted

__all__ = ["AdminSite"]


class AdminSite(admin.AdminSite):
    """
    Django's AdminSite: `path("admin/", admin.site.urls)`.

    A ModelAdmin that was written for Django is combined with vinyl's when it is
    registered; its own methods and attributes take precedence.
    """

    site_title = gettext_lazy("Administration")
    site_header = gettext_lazy("Administration")
    logout_template = "admin/logged_out.html"
    password_change_template = "admin/password_change_form.html"
    password_change_done_template = "admin/password_change_done.html"

    def register(
        self,
        model_or_iterable: Any,
        admin_class: type[admin.ModelAdmin[Any]] | None = None,
        **options: Any,
    ) -> None:
        admin_class = adapted(admin_class or ModelAdmin, ModelAdmin)
        super().register(model_or_iterable, admin_class, **options)

    def add_action(self, action: Any, name: str | None = None) -> None:
        """Make *action*, plain or async, available for every model."""
        super().add_action(dual_if_async(action), name)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """
        Return *view*, plain or async, restricted to users with permission to view the
        admin.
        """
        return super().admin_view(dual_if_async(view), cacheable)

    def each_context(self, request: Any) -> dict[str, Any]:
        """Return the variables of every page: Django's, and those of the templates."""
        return {
            **super().each_context(request),
            "_": gettext,
            "admin_url": self._url,
            "messages": messages.get_messages(request),
            "model_url": self._model_url,
            "tags": tags,
            "user": request.user,
        }

    def _url(self, name: str, *args: Any) -> str:
        return reverse(f"admin:{name}", args=args, current_app=self.name)

    def _model_url(self, opts: Any, page: str, pk: Any = None) -> str:
        args = () if pk is None else (quote(pk),)
        return self._url(f"{opts.app_label}_{opts.model_name}_{page}", *args)
