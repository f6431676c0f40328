"""Django's forms: awaited on the event loop, plain elsewhere."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django import forms
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.forms import formsets
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from starlette.datastructures import FormData

from tests.records.models import Album, Artist, Genre, Track
from tests.web.serving import serving, templates
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import models, rows, run, transaction
from vinyl.web import HTMLResponse, JSONResponse, path, redirect, render
from vinyl.web import forms as forms_module

pytestmark = pytest.mark.anyio


class AlbumForm(forms.ModelForm):
    class Meta:
        model = Album
        fields = ["title", "year", "artist", "genres"]

    def clean_title(self) -> str:
        title = self.cleaned_data["title"].strip()
        if Album.objects.filter(title=title).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("There is an album of that title.")
        return title


@pytest.fixture
def music(db: Any) -> dict[str, Any]:
    """What the forms choose from. Made in sync mode."""
    artist = Artist.objects.create(name="Nina Simone")
    other = Artist.objects.create(name="<Bach>")
    genres = [Genre.objects.create(name=name) for name in ("jazz", "blues", "folk")]
    album = Album.objects.create(title="Pastel Blues", artist=artist)
    album.genres.set(genres[:1])
    connections["default"].close()
    return {"artist": artist, "other": other, "genres": genres, "album": album}


def query_dict(**fields: Any) -> QueryDict:
    data = QueryDict(mutable=True)
    for name, value in fields.items():
        data.setlist(name, value if isinstance(value, list) else [value])
    return data


def album_data(music: dict[str, Any], **changed: Any) -> QueryDict:
    data = {
        "title": "Wild Is the Wind",
        "year": "1966",
        "artist": music["artist"].pk,
        "genres": [genre.pk for genre in music["genres"][1:]],
    }
    return query_dict(**data | changed)


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


# ----- On the event loop


async def test_a_form_on_the_event_loop(music: dict[str, Any]) -> None:
    form = AlbumForm(album_data(music))
    assert await form.is_valid() is True
    assert (form.errors, form.non_field_errors()) == ({}, [])
    assert form.cleaned_data["artist"] == music["artist"]
    album = await form.save()
    assert await album.genres.count() == 2
    again = AlbumForm(album_data(music))
    assert await again.is_valid() is False
    assert again.errors == {"title": ["There is an album of that title."]}
    again.add_error(None, "And another thing.")
    assert again.non_field_errors() == ["And another thing."]
    assert again.has_error("title")
    with pytest.raises(ValueError, match="could not be created"):
        await again.save()


async def test_saving_without_commit(music: dict[str, Any]) -> None:
    form = AlbumForm(album_data(music))
    album = await form.save(commit=False)
    assert album.pk is None
    album.year = 1967
    await album.save()
    assert await album.genres.count() == 0
    await form.save_m2m()
    assert await album.genres.count() == 2


async def test_the_form_knows_what_was_there_before(music: dict[str, Any]) -> None:
    form = AlbumForm(album_data(music), instance=music["album"])
    with pytest.raises(NotAwaitedError):
        list(form.initial["genres"])
    await form.is_valid()
    await form.save()
    assert list(form.initial["genres"]) == music["genres"][:1]
    assert form.changed_data == ["title", "year", "genres"]
    assert form.has_changed()


@pytest.mark.usefixtures("db")
async def test_a_forgotten_await_is_an_error() -> None:
    form = AlbumForm({"title": "Pastel Blues"})
    with pytest.raises(NotAwaitedError, match=r"'AlbumForm\.is_valid'.*truth"):
        if form.is_valid():
            pass
    with pytest.raises(NotAwaitedError, match=r"AlbumForm\.errors.*await form\.is_val"):
        form.errors  # noqa: B018
    with pytest.raises(AttributeError, match=r"AlbumForm has no cleaned_data.*await"):
        form.cleaned_data  # noqa: B018
    with pytest.raises(NotAwaitedError, match=r"'AlbumForm\.save'"):
        form.save().pk  # noqa: B018
    with pytest.raises(NotAwaitedError):
        str(form)
    assert not hasattr(form, "cleaned_data")
    await form.full_clean()
    assert list(form.errors) == ["year", "artist", "genres"]


async def test_an_unbound_form_has_no_errors() -> None:
    form = AlbumForm()
    assert form.errors == {}
    assert await form.is_valid() is False


async def test_saving_takes_part_in_a_transaction(music: dict[str, Any]) -> None:
    form = AlbumForm(album_data(music))
    with pytest.raises(LookupError):
        async with transaction.atomic():
            assert (await form.save()).pk
            raise LookupError
    assert await Album.objects.count() == 1


async def test_what_would_have_to_wait_after_all_is_refused(db: Any) -> None:
    assert forms_module.at_once(len, "abc") == 3
    with pytest.raises(NotAwaitedError, match=r"'QuerySet.count' needs the database"):
        forms_module.at_once(Artist.objects.count)
    # The connection that was to be used is given back: see the fixture.
    assert await Artist.objects.count() == 0


async def test_numbers_that_no_column_holds_are_errors(music: dict[str, Any]) -> None:
    form = AlbumForm(album_data(music, year="9" * 40, artist="9" * 40))
    assert not await form.is_valid()
    assert set(form.errors) == {"year", "artist"}


def test_without_an_event_loop_nothing_is_awaited(music: dict[str, Any]) -> None:
    form = AlbumForm(album_data(music), instance=music["album"])
    assert form.initial["genres"] == music["genres"][:1]
    assert form.errors == {}
    assert form.is_valid() is True
    assert form.save().genres.count() == 2


# ----- What users override


class Invitation(forms.Form):
    """A form whose save is its own, with hooks that query."""

    name = forms.CharField()

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean()  # type: ignore[assignment]
        if Artist.objects.filter(name=data.get("name")).exists():
            self.add_error("name", "Invited already.")
        return data

    def save(self) -> Artist:
        artist = Artist(name=self.cleaned_data["name"])
        artist.save()
        return artist


class Signed(AlbumForm):
    """A model form whose save does more than one thing."""

    def save(self, commit: bool = True) -> Any:
        album = super().save(commit)
        album.tracks.create(title="Signature")
        return album

    def is_valid(self) -> bool:
        return super().is_valid() and Album.objects.count() < 3


async def test_overridden_methods_run_in_the_bridge(music: dict[str, Any]) -> None:
    form = Invitation({"name": "Bob"})
    assert await form.is_valid()
    assert (await form.save()).pk
    again = Invitation({"name": "Bob"})
    assert not await again.is_valid()
    assert again.errors == {"name": ["Invited already."]}
    signed = Signed(album_data(music))
    assert await signed.is_valid()
    assert await (await signed.save()).tracks.count() == 1
    await Album.objects.create(title="3", artist=music["artist"])
    assert await Signed(album_data(music, title="4")).is_valid() is False


class Async(forms.ModelForm):
    class Meta:
        model = Artist
        fields = ["name"]

    async def clean_name(self) -> str:
        name = self.cleaned_data["name"]
        if await Artist.objects.filter(name__iexact=name).exists():
            raise forms.ValidationError("Known.")
        return name.title()

    async def clean(self) -> dict[str, Any]:
        return {**await super().clean(), "count": await Artist.objects.count()}

    async def save(self, commit: bool = True) -> Any:
        artist = await super().save(commit)
        await artist.albums.create(title="First")
        return artist


async def test_overrides_may_be_async(db: Any) -> None:
    form = Async({"name": "bob"})
    assert await form.is_valid()
    assert form.cleaned_data == {"name": "Bob", "count": 0}
    artist = await form.save()
    assert (artist.name, await artist.albums.count()) == ("Bob", 1)
    again = Async({"name": "BOB"})
    # As in a plain view.
    assert await run(again.is_valid) is False
    assert again.errors["name"] == ["Known."]


def test_async_overrides_need_an_event_loop(db: Any) -> None:
    with pytest.raises(NotAwaitedError, match=r"clean_name' is async"):
        Async({"name": "bob"}).is_valid()


async def test_a_form_class_made_by_a_factory(music: dict[str, Any]) -> None:
    form_class = forms.modelform_factory(Artist, fields=["name"])
    taken = form_class({"name": "Nina Simone"})
    assert not await taken.is_valid()
    assert taken.errors == {"name": ["Artist with this Name already exists."]}
    free = form_class({"name": "Odetta"})
    assert (await free.save()).pk


# ----- Formsets

Names = forms.formset_factory(Invitation, extra=2, can_delete=True, can_order=True)
Albums = forms.modelformset_factory(Album, AlbumForm, extra=1, can_delete=True)
Tracks = forms.inlineformset_factory(Album, Track, fields=["title"], extra=2)


def management(total: int, initial: int, prefix: str = "form") -> dict[str, Any]:
    return {f"{prefix}-TOTAL_FORMS": total, f"{prefix}-INITIAL_FORMS": initial}


async def test_a_formset(music: dict[str, Any]) -> None:
    data = query_dict(
        **management(3, 0),
        **{
            "form-0-name": "Odetta",
            "form-0-ORDER": "2",
            "form-1-name": "Bob",
            "form-1-ORDER": "1",
            "form-2-name": "x",
            "form-2-DELETE": "on",
        },
    )
    formset = Names(data)
    assert len(formset) == 3
    with pytest.raises(NotAwaitedError, match="truth"):
        if formset.is_valid():
            pass
    for name in ("errors", "cleaned_data", "deleted_forms", "ordered_forms"):
        with pytest.raises(NotAwaitedError, match="await form.is_valid"):
            getattr(formset, name)
    with pytest.raises(NotAwaitedError, match="await form.is_valid"):
        formset.total_error_count()
    assert await formset.is_valid()
    # As in Django: of those that are to be deleted, errors do not matter.
    assert formset.errors == [{}, {}]
    assert formset.total_error_count() == len(formset.non_form_errors()) == 0
    names = [form.cleaned_data["name"] for form in formset.ordered_forms]
    assert names == ["Bob", "Odetta"]
    assert len(formset.cleaned_data) == 3
    assert formset.has_changed()
    assert [form["name"].value() for form in formset.deleted_forms] == ["x"]
    assert await forms.all_valid([formset, Names(data)])
    assert await formsets.all_valid([formset, Names(data)])
    assert not await Names({}).is_valid()


async def test_a_model_formset(music: dict[str, Any]) -> None:
    album = music["album"]
    fields = album_data(music)
    data = query_dict(**management(2, 1), **{"form-0-id": album.pk})
    for name, values in fields.lists():
        data.setlist(f"form-0-{name}", values)
        data.setlist(f"form-1-{name}", values)
    data["form-0-title"] = "Changed"
    queryset = Album.objects.filter(title="Pastel Blues")
    formset = Albums(data, queryset=queryset)
    assert await formset.is_valid()
    saved = await formset.save(commit=False)
    assert [album.title for album in saved] == ["Changed", "Wild Is the Wind"]
    for album in saved:
        await album.save()
    await formset.save_m2m()
    assert [await album.genres.count() for album in saved] == [2, 2]
    assert (len(formset.changed_objects), len(formset.new_objects)) == (1, 1)
    data["form-1-title"] = ""
    refused = Albums(data, queryset=Album.objects.filter(title="Changed"))
    assert not await refused.is_valid()
    assert refused.errors[1] == {"title": ["This field is required."]}


async def test_a_forgotten_await_of_save_m2m(music: dict[str, Any]) -> None:
    data = query_dict(**management(0, 0))
    formset = Albums(data, queryset=Album.objects.none())
    await formset.save(commit=False)
    with pytest.raises(NotAwaitedError, match=r"Formset\.save_m2m'|FormSet\.save_m2m'"):
        bool(formset.save_m2m())


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


# ----- Where it applies


def test_the_rows_are_those_of_this_django() -> None:
    for row in forms_module.TABLE:
        assert row in rows._applied, row


def test_without_vinyl_web_forms_are_djangos() -> None:
    code = (
        "import django; from django.conf import settings;"
        "settings.configure(INSTALLED_APPS=['vinyl.orm']); django.setup();"
        "from django.forms import Form;"
        "print(hasattr(Form.is_valid, 'is_dual'), hasattr(Form, 'cleaned_data'))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout == "False False\n"
