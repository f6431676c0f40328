"""Django's forms: awaited on the event loop, plain elsewhere."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg, var-annotated"

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django import forms
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.utils.datastructures import MultiValueDict
from starlette.datastructures import FormData

from tests.orm.contrib.test_forms import AlbumForm, album_data, management, music
from tests.records.models import Album, Artist, Track
from tests.web.serving import serving, templates
from vinyl.orm import models, run
from vinyl.web import HTMLResponse, JSONResponse, path, redirect, render

__all__ = ["music"]

pytestmark = pytest.mark.anyio


# ----- In a view


async def edit(request: Any, pk: int) -> Any:
    album = await Album.objects.get(pk=pk)
    await request.form()
    form = AlbumForm(request.POST or None, request.FILES or None, instance=album)
    if await form.is_valid():
        saved = await form.save()
        return redirect(f"/{saved.pk}/")
    return await render(request, "form.html", {"form": form})


async def edit_with_form_data(request: Any, pk: int) -> Any:
    album = await Album.objects.get(pk=pk)
    form = AlbumForm(await request.form() or None, instance=album)
    if await form.is_valid():
        saved = await form.save()
        return redirect(f"/{saved.pk}/")
    return await render(request, "form.html", {"form": form})


def edit_plainly(request: Any, pk: int) -> Any:
    album = Album.objects.get(pk=pk)
    form = AlbumForm(request.POST or None, request.FILES or None, instance=album)
    if form.is_valid():
        saved = form.save()
        return redirect(f"/{saved.pk}/")
    return render(request, "form.html", {"form": form})


@pytest.mark.parametrize("view", [edit, edit_with_form_data, edit_plainly])
async def test_a_model_form_in_a_view(view: Any, music: dict[str, Any]) -> None:
    texts = {"form.html": "{{ form }}"}
    pk = music["album"].pk
    async with serving(path("<int:pk>/", view), **templates(files=texts)) as page:
        shown = (await page.get(f"/{pk}/")).text
        data = {**album_data(music).dict(), "genres": music["genres"][2].pk}
        refused = await page.post(f"/{pk}/", data=data | {"year": "<b>"})
        saved = await page.post(f"/{pk}/", data=data)
    assert 'value="Pastel Blues"' in shown
    assert "&lt;Bach&gt;" in shown
    assert f'<option value="{music["genres"][0].pk}" selected>jazz' in shown
    assert f'<option value="{music["genres"][1].pk}">blues' in shown
    assert "Enter a whole number." in refused.text
    assert 'value="&lt;b&gt;"' in refused.text
    assert saved.headers["location"] == f"/{pk}/"
    album = await Album.objects.get(pk=pk)
    assert (album.title, album.year) == ("Wild Is the Wind", 1966)
    assert [genre.name async for genre in album.genres.all()] == ["folk"]


PARTS = [
    "{{ form.as_p() }}",
    "{{ form.as_div() }}",
    "{{ form.as_table() }}",
    "{{ form.as_ul() }}",
    "{% for field in form %}{{ field.label_tag() }}{{ field }}{% endfor %}",
    "{{ form.non_field_errors() }}{{ form.artist }}",
    "{{ form['artist'].as_field_group() }}",
    "{% for subwidget in form.artist %}{{ subwidget.tag() }}{% endfor %}",
]
RENDERERS = ["DjangoTemplates", "Jinja2"]


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("text", PARTS)
async def test_a_form_is_escaped_exactly_once(
    text: str, renderer: str, music: dict[str, Any]
) -> None:
    async def view(request: Any) -> Any:
        return await render(request, "form.html", {"form": AlbumForm()})

    settings = templates(files={"form.html": text})
    settings["FORM_RENDERER"] = f"django.forms.renderers.{renderer}"
    async with serving(path("", view), **settings) as page:
        shown = (await page.get("/")).text
    assert "&lt;Bach&gt;" in shown
    assert "<option" in shown


async def test_forms_rendered_with_the_projects_own_templates(
    music: dict[str, Any],
) -> None:
    async def view(request: Any) -> Any:
        form = AlbumForm({"title": ""})
        await form.is_valid()
        return HTMLResponse(await run(str, form))

    engine = {
        "BACKEND": "vinyl.web.templating.Jinja2",
        "DIRS": [forms.__path__[0] + "/jinja2"],
    }
    renderer = "django.forms.renderers.TemplatesSetting"
    async with serving(path("", view), TEMPLATES=[engine], FORM_RENDERER=renderer) as p:
        shown = (await p.get("/")).text
    assert '<ul class="errorlist" id="id_title_error"><li>This field is re' in shown
    assert "&lt;Bach&gt;</option>" in shown


# ----- Formsets

Tracks = forms.inlineformset_factory(Album, Track, fields=["title"], extra=2)


def tracks_of(request: Any, pk: int) -> Any:
    album = Album.objects.get(pk=pk)
    formset = Tracks(request.POST or None, instance=album)
    if formset.is_valid():
        formset.save()
        return redirect("/")
    return render(request, "tracks.html", {"formset": formset})


async def tracks_of_async(request: Any, pk: int) -> Any:
    album = await Album.objects.get(pk=pk)
    formset = Tracks(await request.form() or None, instance=album)
    if await formset.is_valid():
        await formset.save()
        return redirect("/")
    return await render(request, "tracks.html", {"formset": formset})


@pytest.mark.parametrize("view", [tracks_of, tracks_of_async])
async def test_an_inline_formset(view: Any, music: dict[str, Any]) -> None:
    album = music["album"]
    old = await album.tracks.create(title="Sinnerman")
    texts = {"tracks.html": "{{ formset }}"}
    data = {
        **management(3, 1, "tracks"),
        "tracks-0-id": old.pk,
        "tracks-0-album": album.pk,
        "tracks-0-title": "Sinnerman",
        "tracks-0-DELETE": "on",
        "tracks-1-album": album.pk,
        "tracks-1-title": "Be My Husband",
        "tracks-2-album": album.pk,
        "tracks-2-title": "",
    }
    async with serving(path("<int:pk>/", view), **templates(files=texts)) as page:
        shown = (await page.get(f"/{album.pk}/")).text
        too_long = data | {"tracks-1-title": "x" * 201}
        refused = (await page.post(f"/{album.pk}/", data=too_long)).text
        saved = await page.post(f"/{album.pk}/", data=data)
    assert 'name="tracks-TOTAL_FORMS" value="3"' in shown
    assert 'value="Sinnerman"' in shown
    assert "at most 200 characters" in refused
    assert saved.status_code == 302
    assert [track.title async for track in album.tracks.all()] == ["Be My Husband"]


# ----- Files


class Cover(models.Model):
    """A model of this module only: its table is made by the fixture."""

    title = models.CharField(max_length=20)
    image = models.FileField(upload_to="covers", blank=True)
    back = models.ForeignKey(Artist, models.CASCADE, null=True, blank=True)

    class Meta:
        app_label = "covers_of_test_forms"

    def __str__(self) -> str:
        return self.title


class CoverForm(forms.ModelForm):
    class Meta:
        model = Cover
        fields = ["title", "image"]


@pytest.fixture
def covers(db: Any, tmp_path: Any, monkeypatch: Any) -> Iterator[Any]:
    monkeypatch.setattr(
        Cover._meta.get_field("image"), "storage", FileSystemStorage(tmp_path, "/m/")
    )
    with connections["default"].schema_editor() as editor:
        editor.create_model(Cover)
    connections["default"].close()
    yield tmp_path
    with connections["default"].schema_editor() as editor:
        editor.delete_model(Cover)


async def cover(request: Any, pk: int | None = None) -> Any:
    instance = await Cover.objects.get(pk=pk) if pk else None
    await request.form()
    form = CoverForm(request.POST, request.FILES, instance=instance)
    if await form.is_valid():
        return JSONResponse({"pk": (await form.save()).pk})
    return JSONResponse(form.errors, 400)


async def cover_with_form_data(request: Any, pk: int | None = None) -> Any:
    instance = await Cover.objects.get(pk=pk) if pk else None
    form = CoverForm(await request.form(), instance=instance)
    if await form.is_valid():
        return JSONResponse({"pk": (await form.save()).pk})
    return JSONResponse(form.errors, 400)


def cover_plainly(request: Any, pk: int | None = None) -> Any:
    instance = Cover.objects.get(pk=pk) if pk else None
    form = CoverForm(request.POST, request.FILES, instance=instance)
    if form.is_valid():
        return JSONResponse({"pk": form.save().pk})
    return JSONResponse(form.errors, 400)


@pytest.mark.parametrize("view", [cover, cover_with_form_data, cover_plainly])
async def test_uploads_are_stored_kept_replaced_and_cleared(
    view: Any, covers: Any
) -> None:
    async with serving(path("", view), path("<int:pk>/", view)) as page:

        async def post(url: str, data: dict[str, str], image: str = "") -> Any:
            files = {"image": (f"{image}.png", image.encode())} if image else None
            response = await page.post(url, data=data, files=files)
            assert response.status_code == 200, response.text
            return await Cover.objects.get(pk=response.json()["pk"])

        new = await post("/", {"title": "a"}, "front")
        assert new.image.name == "covers/front.png"
        assert (covers / "covers/front.png").read_bytes() == b"front"
        kept = await post(f"/{new.pk}/", {"title": "b"})
        assert (kept.title, kept.image.name) == ("b", "covers/front.png")
        replaced = await post(f"/{new.pk}/", {"title": "b"}, "other")
        assert replaced.image.name == "covers/other.png"
        cleared = await post(f"/{new.pk}/", {"title": "b", "image-clear": "on"})
        assert cleared.image.name == ""
        both = {"title": "b", "image-clear": "on"}
        files = {"image": ("c.png", b"c")}
        refused = await page.post(f"/{new.pk}/", data=both, files=files)
        assert refused.status_code == 400
        assert "not both" in refused.text


async def test_files_are_stored_in_a_thread(covers: Any, monkeypatch: Any) -> None:
    threads = []

    class Slow(FileSystemStorage):
        def _save(self, name: str, content: Any) -> str:
            threads.append(threading.current_thread())
            return super()._save(name, content)

    monkeypatch.setattr(Cover._meta.get_field("image"), "storage", Slow(covers))
    files = {"image": SimpleUploadedFile("a.png", b"a")}
    await CoverForm({"title": "a"}, files).save()
    assert threads[0] is not threading.current_thread()


async def test_files_that_are_given_win(covers: Any) -> None:
    files = MultiValueDict({"image": [SimpleUploadedFile("given.png", b"given")]})
    form = CoverForm(FormData([("title", "a")]), files)
    assert (await form.save()).image.name == "covers/given.png"
