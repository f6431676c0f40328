"""
The templates of Django's forms, rendered by Jinja2.

Django has each of these templates in both languages. Its default renderer searches for
those in Django's language; where it finds Django's own, it gets the same template in
Jinja2. A template that the project or an app puts in its place is rendered in Django's
language, even if one of Django's includes it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import django.forms
import jinja2
from django.conf import settings
from django.forms.renderers import get_default_renderer
from django.template import TemplateDoesNotExist
from django.utils.formats import localize
from django.utils.timezone import template_localtime  # type: ignore[attr-defined]
from jinja2.utils import missing

from vinyl.bridge.patching import Patch
from vinyl.web.templating.engine import Environment

__all__ = ["TABLE"]

INCLUDE = re.compile(r"""{% include (["'])(?P<name>[^"']+)\1 %}""")

# Most options have the template of Django's Select.
SELECT, OPTION = (f"django/forms/widgets/select{part}.html" for part in ("", "_option"))
INCLUDES_ANY = "{% include widget.template_name %}"
INCLUDES_OPTION = (
    f'{{% if widget.template_name == "{OPTION}" %}}{{% include "{OPTION}" %}}'
    f"{{% else %}}{INCLUDES_ANY}{{% endif %}}"
)

FOLDER = Path(django.forms.__path__[0])


def patch_get_template(get_template: Callable[..., Any]) -> Callable[..., Any]:
    """The patch for `get_template()` of Django's default form renderer."""

    @functools.wraps(get_template)
    def changed(self: Any, template_name: str) -> Any:
        # A form may have a renderer of its own, made again for each form.
        default: Any = get_default_renderer()
        if self is not default:
            return get_template(self, template_name)
        environment = self.__dict__.get("_vinyl_environment")
        if environment is None:
            find = functools.partial(get_template, self)
            environment = self._vinyl_environment = FormEnvironment(find)
        return environment.find_template(template_name)

    return changed


class FormTemplate:
    """A template of Django's forms in Jinja2, as Django's engines return one."""

    def __init__(self, inner: jinja2.Template, origin: Any) -> None:
        self.inner = inner
        self.origin = origin

    def render(self, context: Any = None, request: Any = None) -> str:
        return self.inner.render(context or {})


class IncludedTemplate:
    """
    A template in Django's language, with what Jinja2 uses of one that it includes.
    """

    def __init__(self, template: Any) -> None:
        self.template = template

    def new_context(
        self, variables: Mapping[str, Any], shared: bool, local: Mapping[str, Any]
    ) -> dict[str, Any]:
        known = {name: value for name, value in local.items() if value is not missing}
        return {**variables, **known}

    def root_render_func(self, context: dict[str, Any]) -> Iterator[str]:
        yield self.template.render(context)


class FormEnvironment(Environment):
    """
    The environment of pages, with the templates of Django's forms.

    Args:
        find: Returns the template with a name in Django's language.
    """

    def __init__(self, find: Callable[[str], Any]) -> None:
        super().__init__(
            loader=jinja2.FunctionLoader(self.source),
            # Django's templates test for variables that may be missing.
            undefined=jinja2.Undefined,
            finalize=localized,
            auto_reload=False,
        )
        self.find = find
        self.found: dict[str, Any] = {}

    def find_template(self, name: str) -> Any:
        """
        Return the template called *name*: a `FormTemplate` if it is Django's own.

        Raises:
            TemplateDoesNotExist: Neither Django nor an app has it.
        """
        template = self.found.get(name)
        if template is None or settings.DEBUG:
            template = self.find(name)
            if has_twin(name, template.origin.name):
                inner = self._load_template(name, None)
                template = FormTemplate(inner, template.origin)
            self.found[name] = template
        return template

    def source(self, name: str) -> str:
        """
        Return the source of Django's template *name* in Jinja2. Those that it includes
        are part of it, since an include takes longer than what it renders; except with
        DEBUG, where the project may replace one at any time.
        """
        text = form_source(name)
        return text if settings.DEBUG else INCLUDE.sub(self._inlined, text)

    def _inlined(self, include: re.Match[str]) -> str:
        name = include["name"]
        if not isinstance(self.find_template(name), FormTemplate):
            return include[0]
        text = self.source(name)
        # A variable would be set in the template around it, too.
        return include[0] if "{% set" in text else text.removesuffix("\n")

    def get_template(self, name: Any, parent: Any = None, globals: Any = None) -> Any:
        """Return the template that one of Django's includes, as Jinja2 needs it."""
        try:
            template = self.find_template(name)
        except TemplateDoesNotExist as error:
            raise jinja2.TemplateNotFound(name) from error
        if isinstance(template, FormTemplate):
            return template.inner
        return IncludedTemplate(template)


@functools.cache
def has_twin(name: str, origin: str) -> bool:
    """
    Whether the template that was found in the file *origin* is Django's own, and Django
    has it in Jinja2.
    """
    return Path(origin) == FOLDER / "templates" / name and (
        (FOLDER / "jinja2" / name).is_file()
    )


def form_source(name: str) -> str:
    """Return the source of Django's template *name* in Jinja2."""
    source = (FOLDER / "jinja2" / name).read_text()
    if name == SELECT:
        source = source.replace(INCLUDES_ANY, INCLUDES_OPTION)
    if "stringformat" in (FOLDER / "templates" / name).read_text():
        # Values that a browser sends back are not localized.
        for value in ("value", "widget.value"):
            source = source.replace(f"{{{{ {value} }}}}", f"{{{{ {value}|string }}}}")
    return source


def localized(value: Any) -> Any:
    """Localize *value* as Django's template language does."""
    if isinstance(value, str | jinja2.Undefined):
        return value
    return localize(template_localtime(cast(Any, value)))


TABLE = (
    Patch("django.forms.renderers:DjangoTemplates", "get_template", patch_get_template),
)
