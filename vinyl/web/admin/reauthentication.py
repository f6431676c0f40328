"""
The password once more, before what is dangerous: the page that asks keeps the post that
it interrupts, and posts it together with the password to the same place.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Collection
from typing import Any

from django.contrib import admin, auth
from django.core.exceptions import PermissionDenied
from django.forms import HiddenInput
from django.http import HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext

from vinyl.web.admin.held import typed
from vinyl.web.admin.throttle import throttled

__all__ = ["Reauthenticating", "guard", "guard_form"]

# The prefix of the fields of the password; and a posted field that says that a page was
# asked for, with nothing to carry out.
PREFIX, ASKED_FOR = "_confirm", "_confirm_page"
# Where a session has who has given the password and when; and a request, that it has
# come with the right one.
LAST, _CONFIRMED = "_vinyl_password", "_vinyl_confirmed"
# Pages and actions that ask before they do anything, and the field of the answer.
ANSWERS = {"delete_selected": "post", "import": "save"}

logger = logging.getLogger("django.security.reauthentication")


class PasswordNeeded(PermissionDenied):
    """The password was not given lately; the site asks for it, and then goes on."""


class Reauthenticating(admin.AdminSite):
    """A site that asks for the password again before what is dangerous."""

    # How long a password that was given counts, in seconds; 0 asks each time, and None
    # never.
    reauthenticate_after: float | None = None
    # What asks for it: the names of pages, as at the end of the names of their URLs,
    # such as "change" and names of your own; the names of actions; and "permissions",
    # the forms that change those of somebody.
    reauthenticate_for: Collection[str] = (
        "delete",
        "delete_selected",
        "import",
        "password_change",
        "permissions",
    )

    def require_password(self, request: Any) -> None:
        """
        Ask for the password, unless it was given in the last `reauthenticate_after`
        seconds. Call it in any view or method of the admin before it changes something:
        what was posted is posted again together with the password.

        Args:
            request: Of the visitor.

        Raises:
            PasswordNeeded: It has to be asked for; `admin_view()` does so.

        Switches to the event loop.
        """
        limit = self.reauthenticate_after
        if limit is None or vars(request).get(_CONFIRMED):
            return
        user, moment = request.session.get(LAST) or ("", 0)
        if user == str(request.user.pk) and 0 <= time.time() - moment < limit:
            return
        raise PasswordNeeded("The password is needed once more.")

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        options = _owner_of(view)

        @functools.wraps(view)
        def asking(request: Any, *args: Any, **kwargs: Any) -> Any:
            if self.reauthenticate_after is None:
                return view(request, *args, **kwargs)
            try:
                if (response := self._take_password(request)) is not None:
                    return response
                if options is not None:
                    self._guard_page(request, options)
                return view(request, *args, **kwargs)
            except PasswordNeeded:
                return self._asking_for_password(request)

        return super().admin_view(asking, cacheable)

    def login(self, request: Any, extra_context: Any = None) -> Any:
        response = super().login(request, extra_context)
        if request.method == "POST" and response.status_code == 302:
            self._remember(request)
        return response

    def _guard_page(self, request: Any, options: Any) -> None:
        match = getattr(request, "resolver_match", None)
        name = (match and match.url_name) or ""
        page = name.removeprefix(f"{options.opts.app_label}_{options.opts.model_name}_")
        if request.method == "POST":
            guard(request, options, page)
        elif page == "password_change":
            # Before it is typed, since passwords are not kept.
            guard(request, options, page)

    def _remember(self, request: Any) -> None:
        vars(request)[_CONFIRMED] = True
        request.session[LAST] = [str(request.user.pk), time.time()]

    def _form(self, request: Any, data: Any = None) -> Any:
        """The form for logging in, with the name of the visitor."""
        # Needs the models of users.
        from django.contrib.admin.forms import AdminAuthenticationForm

        form = throttled(self.login_form or AdminAuthenticationForm, self)
        if data is not None:
            data = data.copy()
            data[f"{PREFIX}-username"] = request.user.get_username()
        made = form(request, data, prefix=PREFIX)
        made.fields["username"].widget = HiddenInput()
        made.fields["password"].widget.attrs["autofocus"] = True
        return made

    def _take_password(self, request: Any) -> HttpResponse | None:
        """
        Take the password out of what was posted, if it is there. Return the page that
        asks again if it is wrong, and that which was asked for if nothing else was
        posted.
        """
        if request.method != "POST" or f"{PREFIX}-password" not in request.POST:
            return None
        form = self._form(request, request.POST)
        data = request.POST.copy()
        asked_for = data.pop(ASKED_FOR, None)
        for name in [name for name in data if name.startswith(f"{PREFIX}-")]:
            del data[name]
        request.POST = data
        is_right = form.is_valid() and form.get_user().pk == request.user.pk
        name, address = request.user.get_username(), request.META.get("REMOTE_ADDR")
        about = (name, address, request.method, request.path)
        if not is_right:
            logger.warning("Wrong password of %r from %s: %s %s", *about)
            return self._asking_for_password(request, form, asked_for is not None)
        logger.info("Password confirmed by %r from %s: %s %s", *about)
        self._remember(request)
        if asked_for is None:
            return None
        return HttpResponseRedirect(request.get_full_path())

    def _asking_for_password(
        self, request: Any, form: Any = None, asked_for: bool | None = None
    ) -> TemplateResponse:
        if asked_for is None:
            asked_for = request.method != "POST"
        files = [
            (name, file.name)
            for name, several in request.FILES.lists()
            for file in several
        ]
        context = {
            **self.each_context(request),
            "title": gettext("Log in again"),
            "form": form or self._form(request),
            "kept": [(ASKED_FOR, "1")] if asked_for else typed(request, files=False),
            "files": files,
            "is_popup": "_popup" in request.POST or "_popup" in request.GET,
        }
        request.current_app = self.name
        return TemplateResponse(request, "admin/confirm.html", context, status=403)


def guard(request: Any, options: Any, name: str) -> None:
    """
    Ask for the password if the site or the ModelAdmin of *options* names *name*.
    Switches to the event loop.

    Raises:
        PasswordNeeded: It was not given lately.
    """
    site = options.admin_site
    if getattr(site, "reauthenticate_after", None) is None:
        return
    names = getattr(options, "reauthenticate_for", None)
    answer = ANSWERS.get(name)
    if answer is not None and answer not in request.POST:
        return
    if name in (site.reauthenticate_for if names is None else names):
        site.require_password(request)


def guard_form(form: Any, request: Any, options: Any) -> None:
    """
    Let *form*, a class of model forms made for one request, ask for the password before
    it is saved with other permissions of somebody. Never switches.
    """
    granting = _granting(form._meta.model)
    if not granting or request.method != "POST":
        return
    full_clean = form.full_clean

    def guarded_clean(self: Any) -> None:
        full_clean(self)
        if self.is_bound and not self._errors and granting & {*self.changed_data}:
            guard(request, options, "permissions")

    form.full_clean = guarded_clean


def _owner_of(view: Any) -> Any:
    """The ModelAdmin of which *view* is a method; None if it is not one."""
    while not hasattr(view, "__self__") and hasattr(view, "__wrapped__"):
        view = view.__wrapped__
    owner = getattr(view, "__self__", None)
    return owner if isinstance(owner, admin.ModelAdmin) else None


@functools.cache
def _granting(model: type) -> set[str]:
    """The names of the fields of *model* that give permissions to somebody."""
    # Needs the models of users.
    from django.contrib.auth.models import Group, Permission

    opts: Any = model._meta  # type: ignore[attr-defined]  # a model
    found = {
        field.name
        for field in (*opts.concrete_fields, *opts.many_to_many)
        if field.remote_field
        and isinstance(field.remote_field.model, type)
        and issubclass(field.remote_field.model, (Group, Permission))
    }
    if found:
        # The box that removes a row of an inline.
        found.add("DELETE")
    if issubclass(model, auth.get_user_model()):
        found |= {"is_staff", "is_superuser"}
    return found
