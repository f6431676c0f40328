"""`vinyl makemessages` reads Jinja2's templates, Django's templates and Python."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import override_settings
from django.utils import translation
from django.utils.translation import trans_real

from vinyl.web.templating.engine import Environment

pytestmark = pytest.mark.skipif(
    shutil.which("xgettext") is None, reason="GNU gettext is not installed"
)

PAGE = """<h1>{{ _("Hello") }} {{ gettext("Twice in a line") }}</h1>
{# Translators: a name #}
{% trans who=name %}Hi {{ who }}{% endtrans %}
{% trans count=n %}{{ count }} album{% pluralize %}{{ count }} albums{% endtrans %}
{{ pgettext("month", "May") }} {{ npgettext("disc", "side", "sides", n) }}
{% trans %}100% "quoted" sö{% endtrans %}
{% trans trimmed %}
  over two
  lines
{% endtrans %}
{{ gettext(name) }}
"""
DJANGOS = (
    "{% load i18n %}{% trans 'From Django' %}{% blocktrans %}block{% endblocktrans %}"
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "templates").mkdir()
    (tmp_path / "locale").mkdir()
    (tmp_path / "templates" / "page.html").write_text(PAGE)
    (tmp_path / "templates" / "djangos.html").write_text(DJANGOS)
    (tmp_path / "views.py").write_text("_('In Python')\n")
    monkeypatch.chdir(tmp_path)
    with override_settings(LOCALE_PATHS=[str(tmp_path / "locale")]):
        call_command("makemessages", locale=["de"], verbosity=0)
        yield tmp_path
    trans_real._translations.clear()


def test_every_message_is_found(project: Path) -> None:
    catalogue = (project / "locale/de/LC_MESSAGES/django.po").read_text()
    for text in (
        'msgid "Hello"',
        'msgid "Twice in a line"',
        'msgid "Hi %(who)s"',
        'msgid "%(count)s album"\nmsgid_plural "%(count)s albums"',
        'msgctxt "month"\nmsgid "May"',
        'msgctxt "disc"\nmsgid "side"\nmsgid_plural "sides"',
        r'msgid "100%% \"quoted\" sö"',
        'msgid "over two lines"',
        'msgid "From Django"',
        'msgid "block"',
        'msgid "In Python"',
        "#. Translators: a name\n#: templates/page.html:3",
        "#: templates/page.html:4",
    ):
        assert text in catalogue
    assert catalogue.count("Translators") == 1
    assert sorted(p.name for p in (project / "templates").iterdir()) == [
        "djangos.html",
        "page.html",
    ]


def test_what_is_translated_is_shown(project: Path) -> None:
    path = project / "locale/de/LC_MESSAGES/django.po"
    catalogue = path.read_text()
    albums = 'msgstr[0] "%(count)s LP"\nmsgstr[1] "%(count)s LPs"'
    for text, translated in {
        'msgid "Hi %(who)s"\nmsgstr ""': 'msgid "Hi %(who)s"\nmsgstr "Na, %(who)s"',
        'msgstr[0] ""\nmsgstr[1] ""': albums,
    }.items():
        assert text in catalogue
        catalogue = catalogue.replace(text, translated, 1)
    path.write_text(catalogue)
    call_command("compilemessages", locale=["de"], verbosity=0)
    trans_real._translations.clear()
    template = Environment().from_string(PAGE)
    with translation.override("de"):
        lines = template.render(name="<b>", n=2).splitlines()
    assert lines[2:4] == ["Na, &lt;b&gt;", "2 LPs"]
