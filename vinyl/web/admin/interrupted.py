"""
Posts that the site cannot serve, because the session has expired, somebody else is
logged in or the database is away: what was typed goes along in hidden fields, and is
sent again by the visitor.
"""

from __future__ import annotations

import functools
import json
import logging
import sqlite3
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from django.template.response import TemplateResponse
from django.urls import Resolver404, resolve, reverse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.views.decorators.csrf import csrf_protect

from vinyl.exceptions import PoolTimeout
from vinyl.web.admin.held import HELD, typed
from vinyl.web.admin.reauthentication import Reauthenticating

__all__ = ["KeptPosts", "author_of", "check_author", "is_away", "kept_post"]

# Names of posted fields: who a form was made for; and a post that waits for the login.
AUTHOR = "_author"
WAITING = "_waiting_post"
_SALT = "vinyl.web.admin.interrupted"
# Where a request has what its page is to keep.
_KEPT = "_vinyl_kept"
AWAY = (OperationalError, InterfaceError, PoolTimeout)

Pairs = list[tuple[str, str]]
logger = logging.getLogger("django.request")


def author_of(request: Any) -> str:
    """
    Return who a form is made for, for its field `AUTHOR`: a digest. Switches to the
    event loop.
    """
    key = str(request.user.pk)
    # Django 6.1 asks for an algorithm.
    return salted_hmac(_SALT, key, algorithm="sha256").hexdigest()[:20]


class OtherAuthor(PermissionDenied):
    """The form was made for somebody else, who was logged in before."""


def check_author(request: Any) -> None:
    """
    Refuse a posted form that was made for another user. Switches to the event loop.

    Raises:
        OtherAuthor: The site's page for logging in keeps what was typed.
    """
    author = request.POST.get(AUTHOR) if request.method == "POST" else None
    if author and not constant_time_compare(author, author_of(request)):
        raise OtherAuthor("The form was made for somebody else.")


def kept_post(request: Any) -> Pairs:
    """Return what an error page keeps of the post that failed. Never switches."""
    kept: Pairs = vars(request).get(_KEPT, [])
    return kept


def is_away(error: Exception) -> bool:
    """
    Return whether *error* says that the database cannot answer now, whatever it is
    asked. Never switches.
    """
    # What SQLite reports of a query itself, such as a missing table.
    code = getattr(error.__cause__, "sqlite_errorcode", None)
    return isinstance(error, AWAY) and code != sqlite3.SQLITE_ERROR


class KeptPosts(Reauthenticating):
    """A site that keeps what was posted while it could not be served."""

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        inner = super().admin_view(view, cacheable)

        @functools.wraps(inner)
        def kept(request: Any, *args: Any, **kwargs: Any) -> Any:
            if request.method != "POST":
                return inner(request, *args, **kwargs)
            try:
                if not self.has_permission(request) and (pairs := typed(request)):
                    if request.path != self._path("logout"):
                        return self._asked_to_log_in(request, pairs)
                return inner(request, *args, **kwargs)
            except OtherAuthor:
                return self._asked_to_log_in(request, typed(request))
            except PermissionDenied:
                if _is_form(request.path):
                    vars(request)[_KEPT] = _to_send_again(request)
                raise
            except AWAY as error:
                pairs = _to_send_again(request)
                if not pairs or settings.DEBUG or not is_away(error):
                    raise
                logger.exception("The database is away: %s", request.path)
                return self._unavailable(request, pairs)

        return kept

    def login(self, request: Any, extra_context: Any = None) -> Any:
        waiting = request.POST.get(WAITING, "")
        context = {"waiting": waiting, **(extra_context or {})}
        response = super().login(request, context)
        if response.status_code == 302 and (pairs := _pairs(waiting)):
            return self._resumed(request, pairs, response["Location"])
        return response

    def _path(self, name: str) -> str:
        return reverse(f"admin:{name}", current_app=self.name)

    # Both pages have a button that sends the post once more, now from this site: they
    # must not keep one that another site has sent.
    @method_decorator(csrf_protect)
    def _asked_to_log_in(self, request: Any, pairs: Pairs) -> Any:
        """Return the login page, whose form has what was typed."""
        # Needs the models of users.
        from django.contrib.admin.forms import AdminAuthenticationForm

        form = (self.login_form or AdminAuthenticationForm)(request)
        context = {
            **self.each_context(request),
            "title": gettext("Log in again"),
            "app_path": self._path("login"),
            "form": form,
            "next": request.get_full_path(),
            "username": request.user.get_username(),
            "waiting": json.dumps(pairs),
        }
        template = self.login_template or "admin/login.html"
        return TemplateResponse(request, template, context, status=403)

    def _resumed(self, request: Any, pairs: Pairs, url: str) -> Any:
        """Return the page from which the visitor sends the form once more."""
        author = dict(pairs).get(AUTHOR)
        is_author = not author or constant_time_compare(author, author_of(request))
        goes_to_form = _is_form(url)
        if goes_to_form:
            pairs = [*pairs, (HELD, "1")]
        context = {
            **self.each_context(request),
            "title": gettext("Log in again"),
            "goes_to_form": goes_to_form,
            "is_author": is_author,
            "kept": pairs if is_author else [],
            "url": url,
        }
        return TemplateResponse(request, "admin/resume.html", context)

    @method_decorator(csrf_protect)
    def _unavailable(self, request: Any, pairs: Pairs) -> HttpResponse:
        vars(request)[_KEPT] = pairs
        page: Any = self.error_response  # type: ignore[attr-defined]  # of the site
        response: HttpResponse = page(request, 503, "")
        response["Retry-After"] = "5"
        return response


def _to_send_again(request: Any) -> Pairs:
    """What was typed; a form that had files is shown instead of saved without them."""
    pairs = typed(request)
    if request.FILES and _is_form(request.path):
        pairs.append((HELD, "1"))
    return pairs


def _pairs(text: str) -> Pairs:
    try:
        return [(str(name), str(value)) for name, value in json.loads(text or "[]")]
    except (ValueError, TypeError, RecursionError):
        return []


def _is_form(url: str) -> bool:
    """Return whether *url* is that of a form, which can be shown without saving."""
    try:
        name = resolve(url.partition("?")[0]).url_name or ""
    except Resolver404:
        return False
    return name.endswith(("_add", "_change"))
