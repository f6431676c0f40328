"""Django's forms with vinyl.orm alone: awaited on the event loop, plain elsewhere."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, comparison-overlap, func-returns-value"
# mypy: disable-error-code="misc, override"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

from typing import Any

import pytest
from django import forms
from django.db import connections
from django.db.models import QuerySet
from django.forms import formsets
from django.http import QueryDict

from tests.records.models import Album, Artist, Genre
from vinyl.bridge import patching
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import run, transaction
from vinyl.orm.contrib import forms as forms_module
from vinyl.orm.recording import recording

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


async def test_the_form_has_the_initial_values(music: dict[str, Any]) -> None:
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


async def test_a_method_that_would_wait_is_refused(db: Any) -> None:
    assert forms_module.run_nowait(len, "abc") == 3
    with pytest.raises(NotAwaitedError, match=r"'QuerySet.count' needs the database"):
        forms_module.run_nowait(Artist.objects.count)
    # The connection that was to be used is given back: see the fixture.
    assert await Artist.objects.count() == 0


async def test_numbers_that_no_column_holds_are_errors(music: dict[str, Any]) -> None:
    form = AlbumForm(album_data(music, year="9" * 40, artist="9" * 40))
    assert not await form.is_valid()
    assert set(form.errors) == {"year", "artist"}


def choices_of(queryset: Any, **options: Any) -> list[tuple[str, str]]:
    field: Any = forms.ModelChoiceField(queryset, **options)
    return [(str(value), label) for value, label in field.choices]


class Shouting(QuerySet):
    """A queryset whose iterator() gives what others do not."""

    def iterator(self, *args: Any, **kwargs: Any) -> Any:
        for artist in super().iterator(*args, **kwargs):
            artist.name = artist.name.upper()
            yield artist


class TestChoices:
    async def test_are_read_by_one_query_without_a_cursor_in_the_server(
        self, music: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*args: Any, **kwargs: Any) -> None:
            raise AssertionError("The choices were read with a cursor.")

        artists = Artist.objects.order_by("name")
        field: Any = forms.ModelChoiceField(artists, empty_label="none")
        expected = [
            ("", "none"),
            (str(music["other"].pk), "<Bach>"),
            (str(music["artist"].pk), "Nina Simone"),
        ]

        def read() -> list[tuple[str, str]]:
            return [(str(value), label) for value, label in field.choices]

        with monkeypatch.context() as patched, recording() as record:
            patched.setattr(QuerySet, "iterator", refuse)
            assert await run(read) == expected
        assert record.count == 1
        # Each time anew.
        await Artist.objects.filter(name="<Bach>").delete()
        assert await run(read) == [expected[0], expected[2]]
        assert artists._result_cache is None

    def test_without_an_event_loop(self, music: dict[str, Any]) -> None:
        artists = Artist.objects.order_by("name")
        found = choices_of(artists.prefetch_related("albums"), empty_label=None)
        assert [label for _, label in found] == ["<Bach>", "Nina Simone"]
        assert choices_of(artists, empty_label=None) == found
        field: Any = forms.ModelChoiceField(artists, empty_label=None)
        assert [value.instance for value, _ in field.choices] == list(artists)

    async def test_of_a_queryset_with_an_iterator_of_its_own(
        self, music: dict[str, Any]
    ) -> None:
        queryset = Shouting(Artist).order_by("name")
        found = await run(choices_of, queryset, empty_label=None)
        assert [label for _, label in found] == ["<BACH>", "NINA SIMONE"]

    async def test_on_the_event_loop_are_refused(self, music: dict[str, Any]) -> None:
        with pytest.raises(NotAwaitedError, match="on the event loop"):
            choices_of(Artist.objects.all())


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


# ----- Where it applies


def test_the_patches_are_those_of_this_django() -> None:
    for patch in forms_module.TABLE:
        assert patch in patching._applied, patch
