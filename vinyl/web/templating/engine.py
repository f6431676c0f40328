"""
Jinja2 templates, rendered inside the bridge.

The environment is a plain synchronous one. Because it runs in the bridge, whatever a
template touches may use the database: `{{ album.artist.name }}`, `{% if albums %}`,
filters with attributes, forms. An `async def` that a template calls is awaited.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import django
import jinja2
from django.apps import apps
from django.template import loader
from django.template.backends import jinja2 as django_jinja2
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.functional import cached_property
from django.utils.safestring import SafeString
from jinja2.runtime import Context

from vinyl.bridge.flows import use_driver
from vinyl.bridge.greenlets import suspend_or_refuse
from vinyl.bridge.patching import dual_if_async
from vinyl.web.http.requests import Request
from vinyl.web.http.responses import HTMLResponse
from vinyl.web.http.streaming import StreamingResponse
from vinyl.web.templating import filters
from vinyl.web.templating.errors import djangos_errors
from vinyl.web.templating.usage import record_render, record_use

__all__ = ["Environment", "Jinja2", "render", "stream"]

# Expressions and texts of a template that are sent together.
PIECES = 50


@use_driver
def render(
    request: Request | None,
    template_name: str,
    context: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    content_type: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """
    A response with the rendered template. Dual-mode: `await render(...)` in an async
    view, `return render(...)` in a plain one.

    Args:
        request: Becomes `request` in the template, and goes to context processors.
        template_name: As the engines of `settings.TEMPLATES` find it.
        context: The template's variables.
        content_type: "text/html" with the charset utf-8 unless given.

    Raises:
        TemplateDoesNotExist: No engine has the template.
        TemplateSyntaxError: It cannot be compiled.

    Switches to the event loop in async mode.
    """
    template = loader.get_template(template_name)
    content = template.render(dict(context or {}), cast(Any, request))
    return HTMLResponse(content, status, headers, content_type)


def stream(
    request: Request | None,
    template_name: str,
    context: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    content_type: str = "text/html",
    headers: Mapping[str, str] | None = None,
) -> StreamingResponse:
    """
    A response that sends the page while it is rendered, for long ones: the first rows
    are there before the last ones have been fetched. Returned as it is, not awaited.

    It holds one connection until its end. An error before the first piece gets its
    page; a later one breaks the response off, since the status has been sent by then.
    What touches the session or shows messages has to be in the first piece, the first
    50 expressions or so. The template has to be one of Jinja2's.

    Args, Raises: As for `render`; what the template includes is looked for later.

    Never switches; the page is rendered inside the bridge while it is sent.
    """
    template: Any = loader.get_template(template_name)
    if not isinstance(template, Template):
        raise TypeError(
            f"{template_name!r} is a template of {type(template.backend).__name__}, "
            f"which cannot be rendered in pieces. Use render()."
        )
    pieces = template.generate(context, request)
    return StreamingResponse(pieces, status, headers, content_type)


def url(name: str, *args: Any, **kwargs: Any) -> str:
    """In templates: the address of the view called *name*."""
    return reverse(name, args=args, kwargs=kwargs)


def has_url(name: str, *args: Any, **kwargs: Any) -> bool:
    """In templates: whether the project has a view called *name*."""
    try:
        reverse(name, args=args, kwargs=kwargs)
    except NoReverseMatch:
        return False
    return True


class AwaitingContext(Context):
    """The context of a template; what it calls may be async."""

    def call(self, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        result = super().call(obj, *args, **kwargs)
        return suspend_or_refuse(result) if isinstance(result, Coroutine) else result


class Environment(jinja2.Environment):
    """Jinja2's environment with the functions that pages need: `url`, `static`."""

    context_class = AwaitingContext

    def __init__(self, **options: Any) -> None:
        # What a template misspells is an error, not an empty place on the page.
        options.setdefault("undefined", jinja2.StrictUndefined)
        options |= {"autoescape": True, "enable_async": False}
        super().__init__(**options)
        filters.install(self)
        self.globals.update(url=url, has_url=has_url, static=static)
        # Forms need no token; see csrf.py. Templates made for Django may ask for one.
        self.globals.update(csrf_input=SafeString(), csrf_token=SafeString())

    def get_template(self, name: Any, parent: Any = None, globals: Any = None) -> Any:
        # So that `{% extends ["base.html", "vinyl/base.html"] %}` takes the first one
        # that there is, as `include` does.
        if isinstance(name, (list, tuple)):
            return self.select_template(name, parent, globals)
        template = super().get_template(name, parent, globals)
        if parent is not None:
            record_use(template.name, parent)
        return template

    def select_template(
        self, names: Any, parent: Any = None, globals: Any = None
    ) -> Any:
        template = super().select_template(names, parent, globals)
        if parent is not None:
            record_use(template.name, parent)
        return template


class Jinja2(django_jinja2.Jinja2):
    """
    The engine for `settings.TEMPLATES`:

        TEMPLATES = [{"BACKEND": "vinyl.web.templating.Jinja2", "APP_DIRS": True}]

    Looks into DIRS and, with APP_DIRS, into the `templates` folder of each app. OPTIONS
    go to the environment, but for `context_processors` and `environment` (a dotted path
    to a subclass of `vinyl.web.templating.Environment`).
    """

    app_dirname = "templates"

    @cached_property
    def template_dirs(self) -> tuple[Any, ...]:
        """
        The folders to search: DIRS, and the apps' folders without those of Django's own
        apps, whose templates are in Django's template language. An app config with a
        `files_path` has its templates there.
        """
        return (*self.dirs, *(_app_folders(self.app_dirname) if self.app_dirs else ()))

    def __init__(self, params: dict[str, Any]) -> None:
        options = {
            "environment": "vinyl.web.templating.Environment",
            "undefined": jinja2.StrictUndefined,
            **params.get("OPTIONS", {}),
        }
        super().__init__({**params, "OPTIONS": options})

    def get_template(self, template_name: str) -> Template:
        """
        Raises:
            TemplateDoesNotExist: Neither DIRS nor an app has it.
            TemplateSyntaxError: It cannot be compiled.
        """
        with djangos_errors(self):
            return Template(self.env.get_template(template_name), self)

    def from_string(self, template_code: str) -> Template:
        return Template(self.env.from_string(template_code), self)


def _app_folders(name: str) -> Iterator[Path]:
    djangos = Path(django.__file__).parent
    for config in apps.get_app_configs():
        folder = Path(getattr(config, "files_path", config.path), name)
        if djangos not in folder.parents and folder.is_dir():
            yield folder


class Template(django_jinja2.Template):
    """A template for Starlette's request; its variables come from the context alone."""

    backend: Jinja2

    def render(self, context: Any = None, request: Any = None) -> SafeString:
        """
        The text.

        Args:
            context: A mapping with the template's variables, or None.
            request: A `vinyl.web.Request`, or None.

        Raises:
            TemplateDoesNotExist: It includes or extends a template that is not there.
            TemplateSyntaxError: One of those cannot be compiled.

        Switches to the event loop inside the bridge.
        """
        variables = self._variables(context, request)
        with djangos_errors(self.backend), record_render(self.template):
            return SafeString(self.template.render(variables))

    def generate(self, context: Any = None, request: Any = None) -> Iterator[str]:
        """The text piece by piece, each when it is asked for; else as `render()`."""
        variables = self._variables(context, request)
        with djangos_errors(self.backend), record_render(self.template):
            pieces = self.template.stream(variables)
            pieces.enable_buffering(PIECES)
            yield from pieces

    def _variables(self, context: Any, request: Any) -> dict[str, Any]:
        variables: dict[str, Any] = {"request": request}
        if request is not None:
            variables["csp_nonce"] = getattr(request, "csp_nonce", None)
            for processor in self.backend.template_context_processors:
                variables.update(dual_if_async(processor)(request))
        variables.update(context or {})
        return variables
