"""The site: the registered models, its own pages, and the context of every page."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from types import FunctionType
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import SEARCH_VAR
from django.http import Http404, HttpResponse
from django.template import loader
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_POST

from vinyl.bridge.mode import dual_if_async
from vinyl.web.admin import tags
from vinyl.web.admin.actions import delete_selected
from vinyl.web.admin.cards import Card
from vinyl.web.admin.completion import CompletionView
from vinyl.web.admin.interrupted import KeptPosts, kept_post
from vinyl.web.admin.options import ModelAdmin, adapted
from vinyl.web.admin.preferences import Preferences
from vinyl.web.admin.search import search
from vinyl.web.admin.throttle import Throttle, throttled
from vinyl.web.errors.framed import frame_errors
from vinyl.web.http.responses import reason_phrase
from vinyl.web.templating.links import reverse

__all__ = ["AdminSite"]


class AdminSite(KeptPosts):
    """
    Django's AdminSite: `path("admin/", admin.site.urls)`.

    A ModelAdmin that was written for Django is combined with vinyl's when it is
    registered; its own methods and attributes take precedence.
    """

    site_title = gettext_lazy("Administration")
    site_header = gettext_lazy("Administration")
    # A field for related objects has a list of them all up to this number. Above it, it
    # completes what is typed, or takes keys. None for no limit.
    autocomplete_threshold: int | None = 100
    logout_template = "admin/logged_out.html"
    password_change_template = "admin/password_change_form.html"
    password_change_done_template = "admin/password_change_done.html"
    # The template of errors such as 403 and 404, inside the frame of the other pages.
    error_template = "admin/error.html"
    # The template of the search over all models, and whether there is one.
    search_template = "admin/search.html"
    enable_search = True
    # How many logins may fail for one account and from one address in a period, in
    # seconds, and the cache that counts them. None for any number.
    login_account_limit: int | None = 10
    login_address_limit: int | None = 100
    login_limit_seconds: float = 15 * 60
    login_limit_cache = "default"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_action(delete_selected, "delete_selected")

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

    def autocomplete_view(self, request: Any) -> Any:
        return CompletionView.as_view(admin_site=self)(request)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """
        Return *view*, plain or async, restricted to users with permission to view the
        admin. Its errors are shown in the site's frame.
        """
        inner = super().admin_view(dual_if_async(view), cacheable)

        @functools.wraps(inner)
        def framed(request: Any, *args: Any, **kwargs: Any) -> Any:
            frame_errors(request, self.error_response)
            return inner(request, *args, **kwargs)

        return framed

    def get_urls(self) -> list[Any]:
        """Return Django's URLs, and those of vinyl's own pages."""
        own = [
            path(
                "preferences/",
                self.admin_view(require_POST(self.preferences)),
                name="preferences",
            ),
            path("search/", self.admin_view(self.search), name="search"),
        ]
        urls = [*own, *super().get_urls()]
        _frame(urls, self.error_response)
        return urls

    def each_context(self, request: Any) -> dict[str, Any]:
        """Return the variables of every page: Django's, and those of the templates."""
        context = super().each_context(request)
        preferences = Preferences.of(request)
        return {
            **context,
            "_": gettext,
            "admin_url": self._url,
            "enable_search": self.enable_search,
            "favourites": _chosen(context["available_apps"], preferences.favourites),
            "messages": messages.get_messages(request),
            "model_url": self._model_url,
            "preferences": preferences,
            "tags": tags,
            "user": request.user,
        }

    def get_cards(self, request: Any) -> Iterable[Card]:
        """
        Return the cards of the first page: `Card`, `ListCard` and `TemplateCard`. A
        project overrides it, also as `async def`.

        Args:
            request: Of the visitor; a card may depend on `request.user`.

        Never switches.
        """
        return ()

    def index(
        self, request: Any, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """
        Return the first page: cards, models and recent actions.

        Args:
            request: Of the visitor.
            extra_context: Further variables of the template.

        Switches to the event loop.
        """
        cards = [*self.get_cards(request)]
        return super().index(request, {"cards": cards, **(extra_context or {})})

    def get_login_throttle(self) -> Throttle | None:
        """
        Return what limits failed logins; None for no limit.

        Never switches.
        """
        return Throttle(
            self.login_account_limit,
            self.login_address_limit,
            self.login_limit_seconds,
            cache=self.login_limit_cache,
            prefix=self.name,
        )

    def login(
        self, request: Any, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """
        Return the page for logging in, with `login_form` and the limits of
        `get_login_throttle()`.

        Args:
            request: Of the visitor.
            extra_context: Further variables of the template.

        Switches to the event loop.
        """
        # Needs the models of users.
        from django.contrib.admin.forms import AdminAuthenticationForm

        self.login_form = throttled(self.login_form or AdminAuthenticationForm, self)
        return super().login(request, extra_context)

    def search(
        self, request: Any, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """
        Return the page of the search over all models.

        Args:
            request: Its query string has the words as `q`.
            extra_context: Further variables of the template.

        Raises:
            Http404: `enable_search` is off.

        Switches to the event loop.
        """
        if not self.enable_search:
            raise Http404
        form, found = search(self, request)
        context = {
            **self.each_context(request),
            "title": gettext("Search"),
            "form": form,
            "found": found,
            "query": request.GET.get(SEARCH_VAR, ""),
            **(extra_context or {}),
        }
        request.current_app = self.name
        return TemplateResponse(request, self.search_template, context)

    def preferences(self, request: Any) -> Any:
        """
        Store how the visitor of *request* arranges the pages, and go back.
        Never switches.
        """
        preferences = Preferences.of(request)
        preferences.update(request.POST)
        return preferences.response(request, self._url("index"))

    def error_response(self, request: Any, status: int, detail: str) -> HttpResponse:
        """
        Return the page for an error of *status*.

        Args:
            request: The request that failed.
            status: From 400 on.
            detail: What went wrong, if the visitor may know it.

        Switches to the event loop.
        """
        context: dict[str, Any] = {
            "status": status,
            "title": gettext(reason_phrase(status)),
            "detail": detail,
            "kept": kept_post(request),
        }
        if status < 500 and hasattr(request, "user"):
            context = {**self.each_context(request), **context}
        else:
            # Without a query: it may be the database that failed. Or a middleware has
            # refused the request before the user was known.
            context |= {
                "_": gettext,
                "admin_url": self._url,
                "has_permission": False,
                "is_popup": False,
                "messages": [],
                "preferences": Preferences.of(request),
                "site_header": self.site_header,
                "site_title": self.site_title,
                "tags": tags,
            }
        text = loader.render_to_string(self.error_template, context, request)
        return HttpResponse(text, status=status)

    def _url(self, name: str, *args: Any) -> str:
        return reverse(f"admin:{name}", args=args, current_app=self.name)

    def _model_url(self, opts: Any, page: str, pk: Any = None) -> str:
        args = () if pk is None else (quote(pk),)
        return self._url(f"{opts.app_label}_{opts.model_name}_{page}", *args)


def _frame(urls: Iterable[Any], page: Any) -> None:
    """Let errors before the views of *urls* have *page* as well."""
    for url in urls:
        # A module is imported later.
        if isinstance(included := getattr(url, "urlconf_name", None), list):
            _frame(included, page)
        elif isinstance(view := getattr(url, "callback", None), FunctionType):
            vars(view)["error_page"] = page


def _chosen(apps: Iterable[Any], labels: Iterable[str]) -> list[Any]:
    """The models of *apps* that have *labels*, in the order of the labels."""
    by_label = {
        model["model"]._meta.label_lower: model
        for app in apps
        for model in app["models"]
    }
    return [by_label[label] for label in labels if label in by_label]
