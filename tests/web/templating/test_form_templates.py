"""Django's forms have the same HTML in Jinja2 as in Django's template language."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.forms import widgets
from django.forms.renderers import DjangoTemplates, EngineMixin, get_default_renderer
from django.template import TemplateDoesNotExist
from django.test.html import parse_html
from django.test.utils import override_settings
from django.utils import translation
from django.utils.functional import lazy
from django.utils.safestring import mark_safe

from vinyl.web.templating.form_templates import FormEnvironment, FormTemplate

LABELS = [
    ("a", "<b>"),
    (1234, 1234567),
    ("", 1.5),
    (None, datetime.date(2024, 5, 17)),
    ("group & co", [("x", mark_safe("<i>x</i>")), ("y", lazy(str, str)("lazy"))]),
]
# DateTimeBaseInput is only a base class: it has no format.
WIDGETS: list[Any] = [
    widget
    for name, widget in inspect.getmembers(widgets, inspect.isclass)
    if issubclass(widget, forms.Widget) and getattr(widget, "template_name", None)
    if widget is not widgets.DateTimeBaseInput
]
ATTRS = {"class": "wide", "data-n": 12345, "required": True, "hidden": False, "x": None}
VALUES = [None, "", "<a>", 1234, ["a", "x"], "2024-05-17 10:30:00"]


class InDjangosLanguage(DjangoTemplates):
    """Django's renderer, whose `get_template()` vinyl has not changed."""

    get_template = EngineMixin.get_template


def forget_renderer() -> None:
    cached: Any = get_default_renderer
    cached.cache_clear()


@pytest.fixture(autouse=True)
def fresh_renderer() -> Iterator[None]:
    forget_renderer()
    yield
    forget_renderer()


def made(widget: Any) -> Any:
    if widget is forms.MultiWidget:
        return widget([forms.TextInput(), forms.Select(choices=LABELS)], ATTRS)
    takes_choices = issubclass(widget, widgets.ChoiceWidget)
    if takes_choices and widget is not forms.NullBooleanSelect:
        return widget(ATTRS, choices=LABELS)
    return widget(ATTRS)


def shape(html: str) -> Any:
    """*html*, parsed, so that white space between tags makes no difference."""
    return parse_html(html)


@pytest.mark.parametrize("widget", WIDGETS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_widget_has_the_same_html(widget: Any, value: Any) -> None:
    if widget is forms.NullBooleanSelect and isinstance(value, list):
        value = True
    if issubclass(widget, forms.CheckboxSelectMultiple | forms.SelectMultiple):
        value = value if isinstance(value, list) else None
    if issubclass(widget, forms.MultiWidget | forms.MultipleHiddenInput):
        value = value if isinstance(value, list) else [value, "a"]
    if issubclass(widget, forms.SplitDateTimeWidget):
        value = datetime.datetime(2024, 5, 17, 10, 30)
    with override_settings(USE_THOUSAND_SEPARATOR=True), translation.override("de"):
        rendered, expected = (
            made(widget).render("field", value, {"id": "id_field"}, renderer)
            for renderer in (get_default_renderer(), InDjangosLanguage())
        )
    assert shape(rendered) == shape(expected)


class Person(forms.Form):
    required_css_class = "required"
    error_css_class = "error"

    name = forms.CharField(help_text="as in <b>your</b> passport", label="<Name>")
    born = forms.DateField(widget=forms.SelectDateWidget(years=range(1950, 1953)))
    at = forms.SplitDateTimeField(required=False)
    picture = forms.ImageField(required=False)
    genres = forms.MultipleChoiceField(
        choices=[("j", "Jazz"), ("Others", [("b", "Blues"), ("f", "Folk")])],
        widget=forms.CheckboxSelectMultiple,
    )
    rating = forms.TypedChoiceField(
        choices=[(1, 1000), (2, 2000)], widget=forms.RadioSelect, coerce=int
    )
    token = forms.CharField(widget=forms.HiddenInput)

    def clean(self) -> Any:
        raise forms.ValidationError(["Not <this>.", "Nor that."])


LAYOUTS = ["as_div", "as_p", "as_table", "as_ul", "__str__"]
DATA = [None, {}, {"name": '"<x>"', "genres": ["b"], "rating": "2", "born_year": "x"}]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("data", DATA, ids=["unbound", "empty", "wrong"])
def test_a_form_has_the_same_html(layout: str, data: Any) -> None:
    rendered, expected = (
        getattr(Person(data, renderer=renderer), layout)()
        for renderer in (get_default_renderer(), InDjangosLanguage())
    )
    assert shape(rendered) == shape(expected)
    assert "<input" in rendered
    for errors in ("as_ul", "as_text"):
        assert shape(
            getattr(Person(data, renderer=get_default_renderer()).errors, errors)()
        ) == shape(getattr(Person(data, renderer=InDjangosLanguage()).errors, errors)())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_formset_has_the_same_html(layout: str) -> None:
    rendered, expected = (
        getattr(
            forms.formset_factory(
                Person, extra=2, can_delete=True, renderer=renderer
            )(),
            layout,
        )()
        for renderer in (get_default_renderer(), InDjangosLanguage())
    )
    assert shape(rendered) == shape(expected)


def test_the_default_renderer_uses_jinja2() -> None:
    template = get_default_renderer().get_template("django/forms/widgets/text.html")
    assert isinstance(template, FormTemplate)


def test_a_renderer_of_a_form_is_not_changed() -> None:
    # It may be made again for each form, so templates would be compiled again.
    template = DjangoTemplates().get_template("django/forms/widgets/text.html")
    assert not isinstance(template, FormTemplate)


class WithTemplates(DjangoTemplates):
    """Searches a folder of the project before Django's."""

    folder = Path()

    @property
    def engine(self) -> Any:
        if not hasattr(self, "_engine"):
            engine = self.backend(
                {
                    "APP_DIRS": False,
                    "DIRS": [self.folder, Path(forms.__path__[0]) / "templates"],
                    "NAME": "own",
                    "OPTIONS": {},
                }
            )
            self._engine = engine
        return self._engine


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    WithTemplates.folder = tmp_path
    (tmp_path / "django/forms/widgets").mkdir(parents=True)
    with override_settings(FORM_RENDERER=f"{__name__}.WithTemplates"):
        forget_renderer()
        yield tmp_path


def test_a_template_of_the_project_is_rendered_in_djangos_language(
    folder: Path,
) -> None:
    text = "{% load l10n %}<em>{{ widget.value|default:'none'|upper }}</em>"
    (folder / "django/forms/widgets/text.html").write_text(text)
    assert forms.TextInput().render("x", "<a>") == "<em>&lt;A&gt;</em>"
    assert "<em>" not in forms.NumberInput().render("x", 1)


def test_a_template_that_djangos_templates_include_is_honoured(folder: Path) -> None:
    text = (
        " data-own{% for name, value in widget.attrs.items %}={{ value }}{% endfor %}"
    )
    (folder / "django/forms/widgets/attrs.html").write_text(text)
    rendered = forms.Select({"a": 7}, choices=[(1, "one")]).render("x", 1)
    assert '<select name="x" data-own=7>' in rendered
    assert '<option value="1" data-own=True>one</option>' in rendered


def test_djangos_templates_are_one_with_those_that_they_include() -> None:
    template: Any = get_default_renderer().get_template("django/forms/label.html")
    source = template.inner.environment.source
    for name in ("widgets/text.html", "label.html", "errors/list/default.html"):
        assert "{% include" not in source(f"django/forms/{name}")
    with override_settings(DEBUG=True):
        assert "{% include" in source("django/forms/widgets/text.html")


class StarOption(forms.Select):
    option_template_name = "star.html"


def test_options_of_a_select_have_the_template_of_the_widget(folder: Path) -> None:
    (folder / "star.html").write_text("<option>* {{ widget.label }}</option>")
    choices = [(1, "one"), ("More", [(2, "two")])]
    rendered = StarOption(choices=choices).render("x", 1)
    assert "<option>* one</option>" in rendered
    assert "<option>* two</option>" in rendered


def test_options_of_a_select_have_the_template_of_the_project(folder: Path) -> None:
    text = "<option>{{ widget.label|upper }}</option>"
    (folder / "django/forms/widgets/select_option.html").write_text(text)
    rendered = forms.Select(choices=[(1, "one")]).render("x", 1)
    assert "<option>ONE</option>" in rendered


def test_a_subwidget_with_a_template_of_the_project(folder: Path) -> None:
    class Stars(forms.TextInput):
        template_name = "stars.html"

    (folder / "stars.html").write_text("<b>{{ widget.name|upper }}</b>")
    widget = forms.MultiWidget([Stars(), forms.TextInput()])
    rendered = widget.render("x", ["1", "2"])
    assert rendered.startswith("<b>X_0</b>")
    assert '<input type="text" name="x_1" value="2">' in rendered


def test_a_template_that_does_not_exist_is_djangos_error(folder: Path) -> None:
    with pytest.raises(TemplateDoesNotExist, match="no-such"):
        get_default_renderer().get_template("no-such.html")


def test_changed_templates_are_seen_with_debug(folder: Path) -> None:
    path = folder / "django/forms/widgets/text.html"
    with override_settings(DEBUG=True):
        before = forms.TextInput().render("x", "y")
        path.write_text("<em>{{ widget.value }}</em>")
        renderer: Any = get_default_renderer()
        for loader in renderer.engine.engine.template_loaders:
            loader.reset()
        after = forms.TextInput().render("x", "y")
    assert "<input" in before
    assert after == "<em>y</em>"


def test_the_environment_is_that_of_pages() -> None:
    environment = FormEnvironment(InDjangosLanguage().get_template)
    assert {"url", "static", "has_url"} <= set(environment.globals)
    assert "date" in environment.filters
