"""
The catalogues of vinyl's own texts: whole, compiled, and used where Django has none.

After a change of a `django.po`, run `django-admin compilemessages` in `vinyl/web`.
"""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from http.client import responses
from pathlib import Path

import django
import jinja2
import pytest
from django.test import override_settings
from django.utils import translation

import vinyl.web
from tests.web.admin.administering import administering, superuser

PACKAGE = Path(vinyl.web.__file__).parent
LANGUAGES = ["de", "es", "fr", "pt_BR"]
CALLS = {"gettext": 0, "gettext_lazy": 0, "ngettext": 0, "pgettext": 1}


def catalogue(language: str) -> dict[str, str]:
    """The entries of a `django.po`, without its header."""
    text = (PACKAGE / f"locale/{language}/LC_MESSAGES/django.po").read_text("utf-8")
    pairs = re.findall(r'^msgid (".*")\nmsgstr (".*")$', text, re.MULTILINE)
    entries = {ast.literal_eval(key): ast.literal_eval(value) for key, value in pairs}
    return {key: value for key, value in entries.items() if key}


def texts() -> Iterator[str]:
    """The texts that vinyl.web has translated."""
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                place = CALLS.get(node.func.id, len(node.args))
                for argument in node.args[place : place + 1]:
                    if isinstance(argument, ast.Constant):
                        yield str(argument.value)
    environment = jinja2.Environment(extensions=["jinja2.ext.i18n", "jinja2.ext.do"])
    for file in PACKAGE.rglob("templates/**/*.html"):
        found = environment.extract_translations(file.read_text("utf-8"))  # type: ignore[attr-defined]  # of the extension
        for _, _, message in found:
            # A variable in the template is no text.
            for text in [message] if isinstance(message, str) else message or ():
                yield text or ""


def of_django(language: str) -> set[str]:
    folders = [*Path(django.__file__).parent.rglob(f"locale/{language}/LC_MESSAGES")]
    keys: set[str] = set()
    for file in [file for folder in folders for file in folder.glob("django*.mo")]:
        with file.open("rb") as stream:
            found = vars(gettext.GNUTranslations(stream))["_catalog"]
        first = (key[0] if isinstance(key, tuple) else key for key in found)
        keys |= {key.rpartition("\x04")[2] for key in first}
    return keys


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_text_is_translated(language: str) -> None:
    own = catalogue(language)
    used = {*texts()} - {""}
    assert len(used) > 150
    assert used - of_django("de") <= own.keys()
    assert own.keys() - used <= {*responses.values(), "Content Too Large"} | {
        "Request Entity Too Large"
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_have_the_values_of_their_texts(language: str) -> None:
    def values(text: str) -> list[str]:
        return sorted(re.findall(r"%\(\w+\)[sd]|%s", text))

    for text, translated in catalogue(language).items():
        assert translated.strip()
        assert values(translated) == values(text)
        # A sentence stays one.
        assert (translated[-1] in ".:…") == (text[-1] in ".:…"), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_is_the_same(language: str) -> None:
    with (PACKAGE / f"locale/{language}/LC_MESSAGES/django.mo").open("rb") as stream:
        compiled = dict(vars(gettext.GNUTranslations(stream))["_catalog"])
    del compiled[""]
    assert compiled == catalogue(language)


def test_a_variant_of_a_language_has_its_texts() -> None:
    for code, expected in (("de-at", "Weglassen"), ("pt-br", "Omitir")):
        with translation.override(code):
            assert translation.gettext("Leave out") == expected


@pytest.mark.anyio
@pytest.mark.usefixtures("db")
async def test_a_page_is_in_one_language() -> None:
    await superuser()
    with override_settings(LANGUAGE_CODE="de"), translation.override("de"):
        async with administering() as http:
            page = await http.get("/admin/records/album/")
    assert "Alle Modelle durchsuchen" in page.text
    assert "Search" not in page.text
