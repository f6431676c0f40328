"""Options of a ModelAdmin that concern its forms have Django's meaning."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc, override, type-var"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

import re
from typing import Any

import django
import pytest
from django import forms
from django.contrib.admin.models import LogEntry
from django.db import models
from django.http import HttpResponse
from django.test import override_settings

from tests.records.models import Album, Artist, Genre, Label, Track
from tests.web.admin.administering import (
    administering,
    an_album,
    superuser,
    text,
)
from tests.web.http.posting import Page
from vinyl.orm import run
from vinyl.web import path
from vinyl.web.admin import (
    HORIZONTAL,
    VERTICAL,
    AdminSite,
    ModelAdmin,
    StackedInline,
    TabularInline,
    action,
    display,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

ADD = "/admin/records/album/add/"


def site_with(base: type[ModelAdmin] = ModelAdmin, **options: Any) -> AdminSite:
    site = AdminSite()
    site.register(Album, base, **{"fields": ["title", "artist"], **options})
    site.register([Artist, Genre, Label, Track])
    return site


async def the_album() -> tuple[Album, str]:
    await superuser()
    album = await an_album()
    return album, f"/admin/records/album/{album.pk}/change/"


class Colour(forms.TextInput):
    """A widget of a third party, which builds on jQuery."""

    class Media:
        css = {"all": ["shop/colour.css"]}
        js = ["admin/js/jquery.init.js", "shop/colour.js"]


async def test_radio_fields_are_groups_of_buttons() -> None:
    _, url = await the_album()
    verve = await Label.objects.create(name="Verve")
    for order, inline in ((HORIZONTAL, True), (VERTICAL, False)):
        site = site_with(fields=["title", "label"], radio_fields={"label": order})
        async with administering(site=site) as http:
            page = await http.get(url)
            buttons = re.findall(
                r'<input type="radio" name="label" value="(\d*)"', page.text
            )
            assert buttons == [str(verve.pk)]
            assert ('class="radiolist inline"' in page.text) is inline
            assert '<fieldset class="group">' in page.text
            assert ">Label</legend>" in page.text
            data = {"title": "At Last", "label": str(verve.pk)}
            assert (await http.post(url, data=data)).status_code == 302
    assert (await Album.objects.get()).label_id == verve.pk


async def test_save_as_makes_another_object() -> None:
    album, url = await the_album()
    data = {"title": "A copy", "artist": album.artist_id, "_saveasnew": "1"}
    async with administering(site=site_with(save_as=True)) as http:
        page = await http.get(url)
        assert 'name="_saveasnew"' in page.text
        assert 'name="_addanother"' not in page.text
        # With a mistake, the form goes on as one that adds, and offers what it can do.
        wrong = await http.post(url, data={**data, "artist": ""})
        assert "This field is required." in text(wrong)
        response = await http.post(url, data=data)
        copy = await Album.objects.get(title="A copy")
        one = f"/admin/records/album/{copy.pk}/change/"
        assert response.headers["location"] == one
    site = site_with(save_as=True, save_as_continue=False)
    async with administering(site=site) as http:
        response = await http.post(url, data={**data, "title": "Another"})
        assert response.headers["location"] == "/admin/records/album/"
    async with administering(site=site_with()) as http:
        assert 'name="_saveasnew"' not in (await http.get(url)).text
    titles = {album.title async for album in Album.objects.all()}
    assert titles == {"Pastel Blues", "A copy", "Another"}


async def test_buttons_above_the_form() -> None:
    _, url = await the_album()
    for on_top, number in ((True, 2), (False, 1)):
        async with administering(site=site_with(save_on_top=on_top)) as http:
            page = await http.get(url)
            assert page.text.count('name="_continue"') == number


class Listed(ModelAdmin):
    async def view_on_site(self, album: Album) -> str:
        return f"/albums/{await Album.objects.filter(pk=album.pk).count()}/"


async def test_a_link_to_the_page_on_the_site(monkeypatch: Any) -> None:
    _, url = await the_album()
    async with administering(site=site_with(Listed)) as http:
        assert "/albums/1/" in Page((await http.get(url)).text).links
        assert "View on site" not in (await http.get(ADD)).text
    monkeypatch.setattr(Album, "get_absolute_url", lambda self: "/x/", raising=False)
    for option, shown in ((True, True), (False, False)):
        async with administering(site=site_with(view_on_site=option)) as http:
            page = await http.get(url)
            assert ("View on site" in page.text) is shown


async def test_a_widget_for_all_fields_of_a_kind_brings_its_media() -> None:
    _, url = await the_album()

    class Notes(ModelAdmin):
        fields = ["title", "notes", "released"]
        formfield_overrides = {
            models.CharField: {"widget": Colour, "help_text": "As #rrggbb"},
            models.DateField: {"widget": forms.DateInput(attrs={"class": "own"})},
        }

        class Media:
            css = {"print": ["shop/print.css"]}
            js = ["shop/album.js"]

    async with administering(site=site_with(Notes, fields=Notes.fields)) as http:
        for address in (url, ADD):
            page = (await http.get(address)).text
            assert "As #rrggbb" in page
            assert re.search(r'type="text" name="released"[^>]*class="own"', page)
            scripts = re.findall(r'<script src="/static/([^"]+)"', page)
            assert scripts == [
                "shop/album.js",
                "admin/js/vendor/jquery/jquery.min.js",
                "admin/js/jquery.init.js",
                "shop/colour.js",
            ] or scripts == [
                "admin/js/vendor/jquery/jquery.min.js",
                "admin/js/jquery.init.js",
                "shop/album.js",
                "shop/colour.js",
            ]
            assert 'href="/static/shop/colour.css" media="all"' in page
            assert 'href="/static/shop/print.css" media="print"' in page
    # Only where they are asked for.
    async with administering(site=site_with()) as http:
        assert "jquery" not in (await http.get(url)).text


class TitleForm(forms.ModelForm):
    confirmed = forms.BooleanField()

    class Meta:
        model = Album
        fields = ["title", "year"]
        labels = {"title": "name of the <album>"}

    def clean_title(self) -> str:
        # A query of a plain method.
        title: str = self.cleaned_data["title"]
        if Album.objects.filter(title=title).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("There is one of this name.")
        return title


async def test_a_form_of_ones_own() -> None:
    album, url = await the_album()
    await an_album(title="Taken")
    async with administering(site=site_with(form=TitleForm, fields=None)) as http:
        page = await http.get(url)
        assert "name of the &lt;album&gt;" in page.text
        assert Page(page.text).posted["confirmed"] == []
        data = {"title": "Taken", "year": "1970"}
        shown = text(await http.post(url, data=data))
        assert "There is one of this name." in shown
        assert "This field is required." in shown
        data = {"title": "Free", "year": "1970", "confirmed": "on"}
        assert (await http.post(url, data=data)).status_code == 302
    await album.refresh_from_db()
    assert (album.title, album.year) == ("Free", 1970)


class Arranged(ModelAdmin):
    empty_value_display = "nothing"
    readonly_fields = ["label", "shout", "listed", "released"]
    fieldsets = [
        (None, {"fields": [("title", "year"), "shout"], "description": "<b>First</b>"}),
        (
            "Folded",
            {
                "fields": ["label", "listed", "released"],
                "classes": ["collapse", "wide"],
            },
        ),
    ]

    @display(description="Shouted")
    def shout(self, album: Album) -> str | None:
        return f"<{album.title.upper()}>" if album.pk else None

    async def listed(self, album: Album) -> list[str]:
        """Of the <database>."""
        return [label.name async for label in Label.objects.all()]

    def get_readonly_fields(self, request: Any, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), *(["year"] if obj else [])]


async def test_fieldsets_rows_and_values_to_read() -> None:
    album, url = await the_album()
    await Label.objects.create(name="Verve")
    site = site_with(Arranged, fields=None)
    async with administering(site=site) as http:
        page = await http.get(url)
        shown = text(page)
        assert "<b>First</b>" in page.text
        assert "&lt;PASTEL BLUES&gt;" in page.text
        assert "Label nothing" in shown
        assert "['Verve']" in shown or "Verve" in shown
        assert "Oct. 1, 1965" in shown
        assert 'class="line several"' in page.text
        folded = page.text.partition('<fieldset class="card collapse wide"')[2]
        assert "<details><summary>Folded</summary>" in folded
        assert set(Page(page.text).posted) & {"year", "shout", "title"} == {"title"}
        added = await http.get(ADD)
        # As in Django, `empty_value` is for columns of lists.
        assert "Shouted None" in text(added)
        assert "year" in Page(added.text).posted
        data = {"title": "At Last", "year": "1", "shout": "x", "label": "1"}
        assert (await http.post(url, data=data)).status_code == 302
    await album.refresh_from_db()
    assert (album.title, album.year, album.label_id) == ("At Last", 1965, None)


TEMPLATES = {
    "admin/records/album/change_form.html": """
        {% extends "admin/change_form.html" %}
        {% block object_tools_items %}{{ super() }}<a href="/t/">Tool</a>{% endblock %}
        {% block form_top %}at the top{% endblock %}
        {% block submit_buttons_top %}above{% endblock %}
        {% block after_field_sets %}after the fields{% endblock %}
        {% block after_related_objects %}after the inlines{% endblock %}
        {% block submit_buttons_bottom %}{{ super() }}below{% endblock %}
    """,
    "admin/records/change_form.html": """
        {% extends "admin/change_form.html" %}
        {% block form_top %}of the app{% endblock %}
    """,
    "own/add.html": """
        {% extends "admin/change_form.html" %}
        {% block form_top %}to add {{ greeting }}{% endblock %}
    """,
    "own/change.html": """
        {% extends "admin/change_form.html" %}
        {% block form_top %}to change{% endblock %}
    """,
    "own/inline.html": """<p>Own inline of {{ inline_admin_formset.formset.prefix }}</p>
        {{ inline_admin_formset.formset.management_form }}
    """,
    "admin/records/album/object_history.html": """
        {% extends "admin/object_history.html" %}
        {% block content %}Own history{% endblock %}
    """,
}


class Tracks(TabularInline):
    model = Track
    template = "own/inline.html"


class WithTemplates(ModelAdmin):
    inlines = [Tracks]
    add_form_template = "own/add.html"
    change_form_template = "own/change.html"

    def add_view(
        self, request: Any, form_url: str = "", extra_context: Any = None
    ) -> Any:
        context = {"greeting": "<hello>", **(extra_context or {})}
        return super().add_view(request, form_url, context)


@pytest.fixture
def own_templates(tmp_path: Any) -> Any:
    for name, source in TEMPLATES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    engine = {
        "BACKEND": "vinyl.web.templating.Jinja2",
        "DIRS": [tmp_path],
        "APP_DIRS": True,
    }
    with override_settings(TEMPLATES=[engine]):
        yield


@pytest.mark.usefixtures("own_templates")
async def test_templates_of_ones_own_at_each_level() -> None:
    album, url = await the_album()
    label = await Label.objects.create(name="Verve")
    async with administering(site=site_with(save_on_top=True)) as http:
        shown = text(await http.get(url))
        words = ["History", "Tool", "at the top", "above", "after the fields"]
        words += ["after the inlines", "below"]
        places = [shown.index(word) for word in words]
        assert places == sorted(places)
        other = f"/admin/records/label/{label.pk}/change/"
        assert "of the app" in text(await http.get(other))
        history = f"/admin/records/album/{album.pk}/history/"
        assert "Own history" in text(await http.get(history))
    async with administering(site=site_with(WithTemplates)) as http:
        page = await http.get(ADD)
        assert "to add &lt;hello&gt;" in page.text
        assert "Own inline of tracks" in page.text
        assert "to change" in text(await http.get(url))


class Pages(ModelAdmin):
    def get_urls(self) -> Any:
        return [
            path("<int:pk>/sleeve/", self.admin_site.admin_view(self.sleeve)),
            *super().get_urls(),
        ]

    async def sleeve(self, request: Any, pk: int) -> HttpResponse:
        return HttpResponse(f"Sleeve of {(await Album.objects.get(pk=pk)).title}")


async def test_pages_of_ones_own_beside_a_form() -> None:
    album, _ = await the_album()
    url = f"/admin/records/album/{album.pk}/sleeve/"
    async with administering(site=site_with(Pages)) as http:
        assert (await http.get(url)).text == "Sleeve of Pastel Blues"
    async with administering(None, site=site_with(Pages)) as http:
        assert (await http.get(url)).status_code == 302


class Hooks(ModelAdmin):
    """The methods that a form is made and saved with, some of them async."""

    calls: list[str] = []

    def get_fieldsets(self, request: Any, obj: Any = None) -> Any:
        return [("By method", {"fields": self.get_fields(request, obj)})]

    async def get_fields(self, request: Any, obj: Any = None) -> Any:
        return ["title", "artist"] if await Album.objects.count() else ["title"]

    def get_changeform_initial_data(self, request: Any) -> Any:
        return {"title": f"By {request.user}"}

    def get_exclude(self, request: Any, obj: Any = None) -> Any:
        return ["notes"]

    async def get_inlines(self, request: Any, obj: Any) -> Any:
        return [Plain] if obj else []

    def get_formset_kwargs(self, *args: Any) -> Any:
        return {**super().get_formset_kwargs(*args)}

    def formfield_for_dbfield(self, field: Any, request: Any, **kwargs: Any) -> Any:
        made: Any = super().formfield_for_dbfield(field, request, **kwargs)
        if field.name == "title":
            made.help_text = "By a hook"
        return made

    def formfield_for_foreignkey(self, field: Any, request: Any, **kwargs: Any) -> Any:
        kwargs["queryset"] = Artist.objects.filter(name__startswith="N")
        return super().formfield_for_foreignkey(field, request, **kwargs)

    def save_form(self, request: Any, form: Any, change: bool) -> Any:
        self.calls.append("save_form")
        return super().save_form(request, form, change)

    async def save_related(
        self, request: Any, form: Any, formsets: Any, change: bool
    ) -> None:
        self.calls.append(f"save_related {await Track.objects.count()}")
        await run(super().save_related, request, form, formsets, change)

    def save_formset(self, request: Any, form: Any, formset: Any, change: bool) -> None:
        self.calls.append(f"save_formset {formset.prefix}")
        super().save_formset(request, form, formset, change)

    def construct_change_message(self, *args: Any) -> Any:
        return f"Own message {Album.objects.count()}"

    def response_change(self, request: Any, obj: Any) -> Any:
        self.calls.append("response_change")
        return super().response_change(request, obj)

    def response_post_save_change(self, request: Any, obj: Any) -> Any:
        return HttpResponse("Saved")


class Plain(StackedInline):
    model = Track

    async def get_extra(self, request: Any, obj: Any = None, **kwargs: Any) -> int:
        return 2

    def get_min_num(self, request: Any, obj: Any = None, **kwargs: Any) -> int:
        return 1

    def get_max_num(self, request: Any, obj: Any = None, **kwargs: Any) -> int:
        return 4


async def test_the_hooks_of_a_form_are_called() -> None:
    _, url = await the_album()
    await Artist.objects.create(name="Etta James")
    site = site_with(Hooks, fields=None)
    Hooks.calls.clear()
    async with administering(site=site) as http:
        page = await http.get(ADD)
        assert Page(page.text).posted["title"] == ["By ada"]
        assert ">By method</legend>" in page.text
        assert "By a hook" in page.text
        assert "Etta James" not in page.text
        data = Page((await http.get(url)).text).posted
        assert data["tracks-TOTAL_FORMS"] == ["3"]
        assert data["tracks-MAX_NUM_FORMS"] == ["4"]
        data["tracks-0-title"] = ["Sinnerman"]
        response = await http.post(url, data=data)
        assert response.text == "Saved", text(response)
    assert Hooks.calls == [
        "save_form",
        "save_related 0",
        "save_formset tracks",
        "response_change",
    ]
    assert (await LogEntry.objects.get()).change_message == "Own message 1"


@pytest.mark.skipif(django.VERSION < (6, 1), reason="It came with Django 6.1")
async def test_an_action_of_a_form_is_run_for_its_object() -> None:
    from django.contrib.admin import ActionLocation

    class Acting(ModelAdmin):
        actions = ["shout"]

        @action(description="Shout", location=[ActionLocation.CHANGE_FORM])
        async def shout(self, request: Any, queryset: Any) -> None:
            async for album in queryset:
                album.title = album.title.upper()
                await album.save()

    album, url = await the_album()
    other = await an_album(title="Other")
    async with administering(site=site_with(Acting)) as http:
        page = await http.get(url)
        assert ">Shout</option>" in page.text
        assert "Shout" not in (await http.get(ADD)).text
        data = Page(page.text).posted
        assert (await http.post(url, data={**data, "_save": "1"})).status_code == 302
        data["CHANGE_FORM-action"] = ["shout"]
        both = {**data, "_selected_action": [str(album.pk), str(other.pk)]}
        assert (await http.post(url, data=both)).status_code == 400
        assert (await http.post(url, data={**data, "index": "0"})).status_code == 302
    titles = [album.title async for album in Album.objects.order_by("pk")]
    assert titles == ["PASTEL BLUES", "Other"]
