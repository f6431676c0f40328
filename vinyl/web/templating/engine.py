"""
Jinja2 templates, rendered inside the bridge.

The environment is a synchronous one. Because it runs in the bridge, everything in a
template may use the database: `{{ album.artist.name }}`, `{% if albums %}`, filters
with attributes, forms. An `async def` function that a template calls is awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, ParamSpec, cast

import jinja2
from django.apps import apps
from django.template import TemplateDoesNotExist, loader
from django.template.backends import jinja2 as django_jinja2
from django.utils.functional import cached_property
from django.utils.safestring import SafeString
from jinja2.runtime import Context

from vinyl.bridge.bytecode import PROJECT, VINYL, owner_of
from vinyl.bridge.flows import use_driver
from vinyl.bridge.mode import dual_if_async, suspend_or_refuse
from vinyl.web.http.requests import Request
from vinyl.web.http.responses import HTMLResponse
from vinyl.web.http.streaming import StreamingResponse
from vinyl.web.templating import filters
from vinyl.web.templating.errors import djangos_errors
from vinyl.web.templating.links import has_url, static, url
from vinyl.web.templating.usage import record_render, record_use

__all__ = ["Environment", "Jinja2", "render", "stream"]

# How many expressions and texts of a template are sent together.
BUFFER_SIZE = 50

# Types whose objects are called without a look for `__call__` of their class.
FUNCTIONS = frozenset({FunctionType, MethodType, BuiltinFunctionType})

P = ParamSpec("P")

if TYPE_CHECKING:

    class DualResponse(HTMLResponse):
        """What `render()` returns: the response in sync mode, else a call."""

        def __await__(self) -> Generator[Any, Any, HTMLResponse]: ...


def dual_response(render: Callable[P, HTMLResponse]) -> Callable[P, DualResponse]:
    """Make *render* dual-mode, with a type for both modes."""
    return cast("Callable[P, DualResponse]", use_driver(render))


@dual_response
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
    Return a response with the rendered template. Dual-mode: `await render(...)` in an
    async view, `return render(...)` in a plain one.

    Args:
        request: Becomes `request` in the template, and is passed to the context
            processors; None for neither.
        template_name: As the engines of `settings.TEMPLATES` find it.
        context: The template's variables; None for none.
        status: The status of the response.
        content_type: "text/html; charset=utf-8" by default.
        headers: Further headers of the response.

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
    Return a response that sends the page while it is rendered. For long pages, whose
    first rows arrive before the last ones have been fetched. Do not await it.

    Rendering holds one connection until it ends. An error in the first piece gets an
    error page; a later error ends the response early, because the status has been sent.
    Use the session and show messages in the first piece, which contains about 50
    expressions.

    Args:
        request, context, status, headers: As for `render`.
        template_name: A template of vinyl's Jinja2 engine.
        content_type: "text/html" by default; the charset utf-8 is added.

    Raises:
        TemplateDoesNotExist: No engine has the template.
        TemplateSyntaxError: It cannot be compiled. Errors in templates that it includes
            are raised while the page is sent.
        TypeError: The template belongs to another engine.

    Never switches; the page is rendered inside the bridge while it is sent.
    """
    template: Any = loader.get_template(template_name)
    if not isinstance(template, Template):
        raise TypeError(
            f"stream() was given {template_name!r}, a template of "
            f"{type(template.backend).__name__}, which cannot be rendered in pieces. "
            f"Use render()."
        )
    pieces = template.generate(context, request)
    return StreamingResponse(pieces, status, headers, content_type)


class AwaitingContext(Context):
    """The context of a template; functions that the template calls may be async."""

    def call(self, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        if type(obj) in FUNCTIONS and not hasattr(obj, "jinja_pass_arg"):
            # As Jinja2's own, without a look at what only other objects may have.
            kwargs.pop("_block_vars", None)
            kwargs.pop("_loop_vars", None)
            try:
                result = obj(*args, **kwargs)
            except StopIteration:
                result = self.environment.undefined(
                    f"{obj!r} raised StopIteration, so it has no value"
                )
        else:
            result = super().call(obj, *args, **kwargs)
        return suspend_or_refuse(result) if isinstance(result, Coroutine) else result


class Environment(jinja2.Environment):
    """
    Jinja2's environment with Django's filters and the functions that pages need: `url`,
    `has_url`, `static`, and those for translations. Undefined variables are errors.

    Args:
        options: As for `jinja2.Environment`, except `autoescape`, which is always on,
            and `enable_async`, which is always off.
    """

    context_class = AwaitingContext

    def __init__(self, **options: Any) -> None:
        # A misspelt variable is an error, not an empty place on the page.
        options.setdefault("undefined", jinja2.StrictUndefined)
        options |= {"autoescape": True, "enable_async": False}
        super().__init__(**options)
        filters.install(self)
        self.globals.update(url=url, has_url=has_url, static=static)
        # Forms need no token (see csrf.py), but templates made for Django ask for one.
        self.globals.update(csrf_input=SafeString(), csrf_token=SafeString())

    def get_template(self, name: Any, parent: Any = None, globals: Any = None) -> Any:
        # So that `{% extends ["base.html", "vinyl/base.html"] %}` uses the first one
        # that exists, as `include` does.
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

    It searches DIRS and, with APP_DIRS, the `templates` folders of the project's apps.
    The templates of installed packages are in Django's template language: list Django's
    engine after this one for them. A package may have a `jinja2` folder for this one.

    Args:
        params: The entry of `settings.TEMPLATES`, without BACKEND.

    OPTIONS:
        apps: Labels of the apps whose `templates` folders to search, in place of all
            apps of the project, if others are in Django's template language.
        environment: Dotted path of a subclass of `vinyl.web.templating.Environment`.
        context_processors: Dotted paths of functions of the request that return
            variables; they may be async.
        Others are passed to the environment.
    """

    app_dirname = "templates"

    @cached_property
    def template_dirs(self) -> tuple[Any, ...]:
        """
        The folders to search: DIRS, and those of the apps. An app config with a
        `files_path` has its templates there.
        """
        return (*self.dirs, *(self._app_folders() if self.app_dirs else ()))

    def _app_folders(self) -> Iterator[Path]:
        for config in apps.get_app_configs():
            own = getattr(config, "files_path", None)
            folder = Path(own or config.path)
            owner = owner_of(f"{folder}/")
            # Vinyl's own apps have theirs where other engines do not look.
            is_jinja = own is not None or owner == PROJECT
            if self._labels is not None and owner != VINYL:
                is_jinja = config.label in self._labels
            folder /= self.app_dirname if is_jinja else "jinja2"
            if folder.is_dir():
                yield folder

    def __init__(self, params: dict[str, Any]) -> None:
        options = {
            "environment": "vinyl.web.templating.Environment",
            "undefined": jinja2.StrictUndefined,
            **params.get("OPTIONS", {}),
        }
        self._labels: list[str] | None = options.pop("apps", None)
        super().__init__({**params, "OPTIONS": options})
        # The message and the places of templates that do not exist, by name.
        self._missing: dict[str, Any] = {}

    def get_template(self, template_name: str) -> Template:
        """
        Return the template with this name. Never switches.

        Raises:
            TemplateDoesNotExist: Neither DIRS nor an app has it.
            TemplateSyntaxError: It cannot be compiled.
        """
        if (known := self._missing.get(template_name)) is not None:
            message, tried = known
            raise TemplateDoesNotExist(message, tried, self)
        try:
            with djangos_errors(self):
                return Template(self.env.get_template(template_name), self)
        except TemplateDoesNotExist as error:
            # Whoever selects one of several templates asks for each page.
            if not self.env.auto_reload:
                self._missing[template_name] = (str(error), error.tried)
            raise

    def from_string(self, template_code: str) -> Template:
        """Return a template made from its source. Never switches."""
        return Template(self.env.from_string(template_code), self)


class Template(django_jinja2.Template):
    """A template that takes vinyl's request."""

    backend: Jinja2

    def render(self, context: Any = None, request: Any = None) -> SafeString:
        """
        Return the rendered text.

        Args:
            context: A mapping with the template's variables, or None.
            request: A `vinyl.web.Request`, or None.

        Raises:
            TemplateDoesNotExist: It includes or extends a template that does not exist.
            TemplateSyntaxError: One of those cannot be compiled.

        Switches to the event loop inside the bridge.
        """
        variables = self._variables(context, request)
        with djangos_errors(self.backend), record_render(self.template):
            return SafeString(self.template.render(variables))

    def generate(self, context: Any = None, request: Any = None) -> Iterator[str]:
        """Yield the text in pieces, rendered on demand; otherwise as `render()`."""
        variables = self._variables(context, request)
        with djangos_errors(self.backend), record_render(self.template):
            pieces = self.template.stream(variables)
            pieces.enable_buffering(BUFFER_SIZE)
            yield from pieces

    def _variables(self, context: Any, request: Any) -> dict[str, Any]:
        variables: dict[str, Any] = {"request": request}
        if request is not None:
            variables["csp_nonce"] = getattr(request, "csp_nonce", None)
            for processor in self.backend.template_context_processors:
                variables.update(dual_if_async(processor)(request))
        variables.update(context or {})
        return variables
