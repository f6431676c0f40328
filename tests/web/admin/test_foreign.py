"""Templates of packages in Django's language, inside the admin's pages."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"
# Not all classes are generic when the tests run.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.template import TemplateDoesNotExist
from django.test import override_settings

from tests.records.models import Album, Artist, Track
from tests.web.admin.administering import administering, an_album, superuser, text
from tests.web.admin.test_static import collected
from vinyl.web import admin
from vinyl.web.admin.static import LIBRARIES

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

FILTER = """
{% load i18n %}<p>{% blocktranslate with t=title %}By {{ t }}{% endblocktranslate %}:
{% for choice in choices %}{{ choice.display }} {% endfor %}{{ user.username }}</p>
"""
INLINE = """
{% for form in inline_admin_formset %}<p>Row {{ form.original|default:"new" }}</p>
{% endfor %}
"""


class Century(admin.SimpleListFilter):
    title = "century"
    parameter_name = "century"
    template = "package/filter.html"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [("20", "Twentieth <century>")]

    def queryset(self, request: Any, queryset: Any) -> Any:
        return queryset.filter(year__lt=2000) if self.value() == "20" else queryset


class TrackInline(admin.StackedInline):
    model = Track
    extra = 1
    template = "package/inline.html"


class AlbumAdmin(admin.ModelAdmin):
    list_filter = [Century]
    inlines = [TrackInline]


site = admin.AdminSite()
site.register(Album, AlbumAdmin)


@pytest.fixture
def engines(tmp_path: Path) -> list[dict[str, Any]]:
    """The setting TEMPLATES with vinyl's engine and Django's."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "filter.html").write_text(FILTER)
    (tmp_path / "package" / "inline.html").write_text(INLINE)
    return [
        {"BACKEND": "vinyl.web.templating.Jinja2", "APP_DIRS": True},
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [tmp_path],
            "OPTIONS": {
                "context_processors": ["django.contrib.auth.context_processors.auth"]
            },
        },
    ]


async def test_filters_and_inlines(engines: list[dict[str, Any]]) -> None:
    await superuser()
    album = await an_album()
    await album.tracks.create(title="Sinnerman")
    async with administering(site=site, TEMPLATES=engines) as http:
        page = await http.get("/admin/records/album/?century=20")
        assert "By century: All Twentieth <century> ada" in text(page)
        assert "Pastel Blues" in page.text
        form = await http.get(f"/admin/records/album/{album.pk}/change/")
        assert "Row Sinnerman" in text(form)
        assert "Row new" in form.text


class InDjangosStyle(admin.ModelAdmin):
    """As a package has it that extends Django's change list."""

    change_list_template = "package/change_list.html"
    list_filter = ["year", ("title", admin.TextFilter), "artist", Century]
    search_fields = ["title"]
    date_hierarchy = "released"


async def test_filters_of_vinyls_in_the_change_list_of_a_package(
    engines: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "package" / "change_list.html").write_text(
        "{% extends 'admin/change_list.html' %}"
        "{% block pretitle %}Package{% endblock %}"
    )
    engines[1]["APP_DIRS"] = True
    engines[1]["OPTIONS"]["context_processors"] += [
        "django.template.context_processors.request",
        "django.contrib.messages.context_processors.messages",
    ]
    await superuser()
    await an_album(year=1958)
    await an_album(title="Second", year=1965)
    # More than a filter lists, so that it has a field for a search.
    await Artist.objects.bulk_create(Artist(name=f"Artist {i}") for i in range(120))
    own = admin.AdminSite()
    own.register(Album, InDjangosStyle)
    own.register(Artist, search_fields=["name"])
    async with administering(site=own, TEMPLATES=engines) as http:
        page = await http.get("/admin/records/album/?q=e&year=1965")
        shown = text(page)
        assert shown.startswith("Select album to change")
        assert "Package" in shown
        assert "Second" in shown
        assert "Pastel Blues" not in shown
        assert "By century: All Twentieth <century>" in shown
        assert 'name="title__icontains"' in page.text
        assert 'name="_find-artist"' in page.text
        # The other parameters are kept.
        assert '<input type="hidden" name="year" value="1965">' in page.text


async def test_a_template_that_no_engine_has(engines: list[dict[str, Any]]) -> None:
    await superuser()
    async with administering(site=site, TEMPLATES=engines[:1], raising=True) as http:
        with pytest.raises(TemplateDoesNotExist, match=r"package/filter\.html"):
            await http.get("/admin/records/album/")


def test_files_of_djangos_pages_are_there_for_pages_in_its_language(
    tmp_path: Path, engines: list[dict[str, Any]]
) -> None:
    with override_settings(TEMPLATES=engines), collected(tmp_path / "root") as names:
        assert "admin/css/base.css" in names
        assert "admin/js/core.js" in names
        assert "vinyl/admin.css" in names
        # What both have is vinyl's.
        sign = finders.find("admin/img/icon-yes.svg", find_all=True)
        assert len(sign) == 1
        assert names > LIBRARIES
