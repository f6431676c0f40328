"""Django's filters in Jinja2's templates: what they give, escaped exactly once."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined"

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.template import engines
from django.test import override_settings
from django.utils import timezone, translation
from django.utils.safestring import SafeString
from jinja2.defaults import DEFAULT_FILTERS
from markupsafe import Markup

from tests.web.serving import serving, templates
from vinyl.orm import run
from vinyl.web import Request, Response, path, render
from vinyl.web.templating.engine import Environment
from vinyl.web.templating.filters import FILTERS, LIBRARIES

pytestmark = pytest.mark.anyio

UTC = datetime.UTC
EVENING = datetime.datetime(2025, 11, 25, 20, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def in_utc() -> Any:
    with timezone.override(UTC):
        yield


def rendered(source: str, **context: Any) -> str:
    return Environment().from_string(source).render(context)


@pytest.mark.parametrize(
    ("source", "value", "expected"),
    [
        ("{{ v|date('j. F Y') }}", EVENING, "25. November 2025"),
        ("{{ v|date('Y-m-d H:i e') }}", EVENING, "2025-11-25 20:30 UTC"),
        ("{{ v|date }}", None, ""),
        ("{{ v|time('H:i') }}", EVENING, "20:30"),
        ("{{ v|timesince(n) }}", EVENING, "2 hours"),
        ("{{ n|timeuntil(v) }}", EVENING, "2 hours"),
        ("{{ v|intcomma }}", 1234567, "1,234,567"),
        ("{{ v|intword }}", 1200000, "1.2 million"),
        ("{{ v|ordinal }}", 3, "3rd"),
        ("{{ v|apnumber }}", 4, "four"),
        ("{{ v|floatformat(2) }}", 1.5, "1.50"),
        ("{{ v|floatformat }}", 2.0, "2"),
        ("{{ v }} album{{ v|pluralize }}", 1, "1 album"),
        ("{{ v }} box{{ v|pluralize('es') }}", 2, "2 boxes"),
        ("{{ v|slugify }}", "Pastel Blues!", "pastel-blues"),
        ("{{ v|truncatechars(6) }}", "Sinnerman", "Sinne…"),
        ("{{ v|truncatewords(2) }}", "one two three", "one two …"),
        ("{{ v|yesno('yes,no,maybe') }}", None, "maybe"),
        ("{{ v|default_if_none('-') }}", None, "-"),
        ("{{ v|default_if_none('-') }}", "", ""),
        ("{{ v|capfirst }}", "blues", "Blues"),
        ("{{ v|cut(' ') }}", "a b c", "abc"),
        ("{{ v|stringformat('05d') }}", 42, "00042"),
        ("{{ v|map('floatformat', 1)|join(' ') }}", [1, 2], "1.0 2.0"),
        ("{{ v|localize }}", 1.5, "1.5"),
        # Jinja2's own.
        ("{{ v|filesizeformat }}", 2000, "2.0 kB"),
        ("{{ v|striptags }}", "<b>a</b>  b", "a b"),
        ("{{ v|first }}", [1, 2], "1"),
        ("{{ v|title }}", "pastel blues", "Pastel Blues"),
    ],
)
def test_what_they_give(source: str, value: Any, expected: str) -> None:
    later = EVENING + datetime.timedelta(hours=2)
    assert rendered(source, v=value, n=later).replace("\xa0", " ") == expected


def test_natural_times() -> None:
    now = timezone.now()
    day = datetime.timedelta(days=1)
    hours = datetime.timedelta(hours=2, minutes=5)
    text = rendered(
        "{{ a|naturaltime }}; {{ b|naturalday }}; {{ c|naturalday }}",
        a=now - hours,
        b=now,
        c=now + day,
    )
    assert text.replace("\xa0", " ") == "2 hours ago; today; tomorrow"


def test_all_of_djangos_are_there_and_jinjas_are_its_own() -> None:
    names = {name for library in LIBRARIES for name in library.filters}
    environment = Environment()
    assert names - set(DEFAULT_FILTERS) == set(FILTERS)
    for name, fn in DEFAULT_FILTERS.items():
        assert environment.filters[name] is fn


HTML = "<b title='x'>&\"</b> https://vinyl.test/\n\nblues"
# For each filter that takes text: how it is called.
OF_TEXT = [
    "addslashes",
    "capfirst",
    "cut('z')",
    "default_if_none('-')",
    "escapejs",
    "force_escape",
    "linebreaks",
    "linebreaksbr",
    "linenumbers",
    "ljust(60)",
    "rjust(60)",
    "stringformat('s')",
    "truncatechars(500)",
    "truncatechars_html(500)",
    "truncatewords(500)",
    "truncatewords_html(500)",
    "urlizetrunc(40)",
    "yesno('<yes>,no')",
    "iriencode",
    "slugify",
    "phone2numeric",
]


@pytest.mark.parametrize("call", OF_TEXT)
@pytest.mark.parametrize("kind", [str, SafeString, Markup])
def test_escaped_as_in_djangos_templates(call: str, kind: type) -> None:
    """Django's own templates show what is right, for safe text and for other."""
    name, _, argument = call.rstrip(")").partition("(")
    djangos = f"{{{{ v|{name}" + (f":{argument}" if argument else "") + " }}"
    expected = _django(djangos, v=kind(HTML))
    # The two write quotes in different ways.
    expected = expected.replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    found = rendered(f"{{{{ v|{call} }}}}", v=kind(HTML))
    assert found.replace("&quot;", "&#34;").replace("&#x27;", "&#39;") == expected
    # What takes HTML escapes what it makes of it by itself, in Django as well.
    if kind is str and "html" not in name:
        assert "<b " not in found
        assert "&amp;amp;" not in found


def _django(source: str, v: Any) -> str:
    from django.template import Context, Engine

    # Django knows no Markup but by its __html__(), and so gets its own kind.
    v = SafeString(v) if isinstance(v, Markup) else v
    return Engine().from_string(source).render(Context({"v": v}))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # Safe text goes on through Jinja2's filters without being escaped again.
        ("{{ v|linebreaksbr|upper }}", "&LT;B&GT;<BR>X"),
        ("{{ v|linebreaksbr|replace('x', 'y') }}", "&lt;b&gt;<br>y"),
        ("{{ v|e|linebreaksbr }}", "&lt;b&gt;<br>x"),
        ("{{ v|safe|linebreaksbr }}", "<b><br>x"),
        ("{{ v|truncatechars(50) ~ '<' }}", "&lt;b&gt;\nx&lt;"),
        ("{{ (v|linebreaksbr) ~ v }}", "&lt;b&gt;<br>x&lt;b&gt;\nx"),
        ("{% autoescape false %}{{ v|linebreaksbr }}{% endautoescape %}", "<b><br>x"),
        ("{{ [v]|unordered_list }}", "\t<li>&lt;b&gt;\nx</li>"),
        ("{{ v|json_script('d') }}", None),
        ("{{ v|add('<i>') }}", "&lt;b&gt;\nx&lt;i&gt;"),
        ("{% filter linebreaksbr %}{{ v }}{% endfilter %}", "&lt;b&gt;<br>x"),
    ],
)
def test_escaped_once(source: str, expected: str | None) -> None:
    if expected is None:
        expected = (
            '<script id="d" type="application/json">"\\u003Cb\\u003E\\nx"</script>'
        )
    assert rendered(source, v="<b>\nx") == expected


def test_a_misspelt_variable_is_an_error() -> None:
    from jinja2 import UndefinedError

    for call in ("date", "linebreaks", "default_if_none('-')", "yesno", "intcomma"):
        with pytest.raises(UndefinedError, match="albm"):
            rendered(f"{{{{ albm|{call} }}}}")


class TestLocalised:
    def test_numbers_and_dates(self) -> None:
        source = (
            "{{ v|floatformat(2) }} {{ v|localize }} {{ d|date }} {{ d|date('F') }}"
        )
        with translation.override("de"):
            text = rendered(source, v=1.5, d=EVENING)
        assert text == "1,50 1,5 25. November 2025 November"

    def test_constants_are_not_fixed_at_the_first_language(self) -> None:
        template = Environment().from_string("{{ 1.5|floatformat(2) }}")
        assert template.render() == "1.50"
        with translation.override("de"):
            assert template.render() == "1,50"

    def test_times_are_the_visitors(self) -> None:
        source = (
            "{{ d|time('H:i') }} {{ d|date('H:i') }} {{ (d|localtime).hour }} "
            "{{ (d|utc).hour }} {{ (d|timezone('Asia/Tokyo')).hour }}"
        )
        with timezone.override("Europe/Berlin"):
            assert rendered(source, d=EVENING) == "21:30 21:30 21 20 5"
            assert "9:30" in rendered("{{ d|localize }}", d=EVENING)
            naive = EVENING.replace(tzinfo=None)
            assert rendered("{{ d|time('H:i') }}", d=naive) == "20:30"


class TestTranslated:
    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("{% trans %}Yes{% endtrans %}", "Ja"),
            ("{{ _('Yes') }}", "Ja"),
            ("{{ gettext('Yes') }}", "Ja"),
            ("{{ pgettext('alt. month', 'March') }}", "März"),
            ("{{ ngettext('%(num)d year', '%(num)d years', 2) }}", "2 Jahre"),
            ("{{ get_language() }}", "de"),
            ("{{ late }}", "Ja"),
            # Names are escaped, translations are the project's own.
            ("{% trans who=v %}Hello {{ who }}{% endtrans %}", "Hello &lt;b&gt;"),
            ("{{ _('<i>%(who)s</i>', who=v) }}", "<i>&lt;b&gt;</i>"),
            ("{% trans %}100%{% endtrans %}", "100%"),
        ],
    )
    def test_in_templates(self, source: str, expected: str) -> None:
        template = Environment().from_string(source)
        late = translation.gettext_lazy("Yes")
        with translation.override("de"):
            text = template.render(n=1, v="<b>", late=late)
        assert text.replace("\xa0", " ") == expected

    async def test_in_pages_that_are_rendered_at_the_same_time(self) -> None:
        files = {"page.html": "{% trans %}Yes{% endtrans %} {{ 1.5|floatformat(2) }}"}

        async def view(request: Request, language: str) -> Response:
            with translation.override(language):
                return await render(request, "page.html")

        pattern = path("<language>/", view)
        async with serving(pattern, **templates(files=files)) as http:
            assert (await http.get("/de/")).text == "Ja 1,50"
            assert (await http.get("/fr/")).text == "Oui 1,50"

    async def test_a_projects_own_filter_comes_first(self) -> None:
        with override_settings(**templates(files={}, environment=f"{__name__}.Own")):
            engine: Any = engines.all()[0]
            template = engine.from_string("{{ 1|ordinal }}")
            assert await run(template.render) == "one"


class Own(Environment):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.filters["ordinal"] = lambda value: "one"
