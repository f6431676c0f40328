"""What a deletion includes: the same as Django says, without loading it."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.utils import get_deleted_objects
from django.contrib.auth.models import User
from django.db import connections, models
from django.test.utils import isolate_apps

from tests.records.models import Album, Artist, Biography, Genre, Review, Tag, Track
from tests.web.admin.administering import administering, site, superuser, text, user
from vinyl.orm import run
from vinyl.web.admin import AdminSite, ModelAdmin, deletion

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


@pytest.fixture(autouse=True)
def nothing_detailed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion, "MAX_DETAILED", 0)
    monkeypatch.setattr(deletion, "BATCH", 4)


class Asking:
    """A request as far as a preview reads it."""

    def __init__(self, user: User) -> None:
        self.user = user


async def a_discography(albums: int = 10, name: str = "Nina Simone") -> Artist:
    artist = await Artist.objects.create(name=name)
    genre, _ = await Genre.objects.get_or_create(name="Jazz")
    await Biography.objects.create(artist=artist, text="Born in Tryon.")
    for i in range(albums):
        album = await Album.objects.create(title=f"Album {i:02}", artist=artist)
        await Track.objects.create(title=f"Track {i}", album=album)
        await Tag.objects.create(word=f"Tag {i}", target=album)
        await album.genres.add(genre)
    return artist


def previews(objs: Any, request: Any, **options: Any) -> tuple[Any, Any]:
    """Django's and vinyl's."""

    def detailed() -> Any:
        raise AssertionError("not for this one")

    options = {"is_confirmed": False, **options}
    expected = get_deleted_objects(objs, request, site)
    return expected, deletion.preview(objs, request, site, detailed, **options)


@pytest.mark.parametrize("are_texts", [False, True], ids=["integers", "texts"])
async def test_the_same_counts_as_djangos(
    are_texts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if are_texts:
        # As for the keys of generic relations that are kept as texts.
        monkeypatch.setattr(deletion, "_has_integers", lambda *args: False)
    artist = await a_discography()
    await a_discography_of("Sun Ra")
    request = Asking(await superuser())
    for objs in ([artist], Artist.objects.all(), Album.objects.filter(artist=artist)):
        expected, found = await run(previews, objs, request)
        assert found[1] == expected[1]
        assert found[2:] == (set(), [])
        assert all(count.is_exact for count in found[1].values())


async def a_discography_of(name: str) -> None:
    artist = await Artist.objects.create(name=name)
    for i in range(3):
        await Album.objects.create(title=f"Other {i}", artist=artist)


async def test_many_objects_are_counted_in_few_queries_and_not_loaded(
    queries: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "MAX_LISTED", 3)
    monkeypatch.setattr(deletion, "BATCH", 1000)
    artist = await Artist.objects.create(name="Sun Ra")
    await Album.objects.bulk_create(
        Album(title=f"Album {i:03}", artist=artist) for i in range(300)
    )
    await superuser()
    async with administering() as http:
        queries.clear()
        page = await http.get(f"/admin/records/artist/{artist.pk}/delete/")
        assert len(queries) < 25, queries
    shown = text(page)
    assert "Albums: 300" in shown
    assert "Album: Album 000 by Sun Ra" in shown
    assert "Album 003" not in shown
    assert "… and 297 more albums" in shown
    assert f'<a href="/admin/records/artist/{artist.pk}/change/">' in page.text


async def test_what_depends_on_many_objects_is_found_in_few_queries(
    queries: list[str],
) -> None:
    artist = await a_discography(30)
    request: Any = Asking(await superuser())
    expected = await run(get_deleted_objects, [artist], request, site)
    queries.clear()
    walk = deletion.Reached()
    await run(walk.start, [artist])
    # However many albums there are, and batches of them.
    assert len(queries) < 25, queries
    counts = {model._meta.verbose_name_plural: len(k) for model, k in walk.keys.items()}
    assert {name: n for name, n in counts.items() if n} == expected[1]


async def test_counts_stop_before_the_question_and_not_before_the_deletion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deletion, "MAX_COUNTED", 5)
    monkeypatch.setattr(deletion, "MAX_LISTED", 2)
    artist = await a_discography()
    request = Asking(await superuser())
    (_, counts, _, _), found = await run(previews, [artist], request)
    assert str(found[1]["albums"]) == "5+"
    assert "… and 3+ more albums" in str(found[0])
    _, found = await run(previews, [artist], request, is_confirmed=True)
    assert found[1] == counts


async def test_what_the_visitor_may_not_delete_is_named() -> None:
    artist = await a_discography()
    names = ("artist", "album", "biography")
    visitor = await user("ada", *(f"delete_{name}" for name in names))
    expected, found = await run(previews, [artist], Asking(visitor))
    assert found[2] == expected[2] == {"track"}
    async with administering() as http:
        url = f"/admin/records/artist/{artist.pk}/delete/"
        shown = text(await http.get(url))
        assert "to delete the following types of objects: track" in shown
        assert (await http.post(url, data={"post": "yes"})).status_code == 403
    assert await Artist.objects.count() == 1


async def test_permissions_for_objects_are_asked_for_each() -> None:
    class Careful(ModelAdmin):
        def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
            return obj is None or obj.title != "Track 7"

    artist = await a_discography()
    own = AdminSite()
    own.register(Track, Careful)
    await superuser()

    def lacking(keep: str) -> Any:
        some = Album.objects.exclude(title=keep)
        return deletion.preview(some, None, own, no_preview, is_confirmed=True)[2]

    assert await run(lacking, "") == {"track"}
    assert await run(lacking, "Album 07") == set()
    assert artist.pk


async def test_nothing_to_delete_is_djangos_to_say() -> None:
    def nothing() -> Any:
        return deletion.preview([], None, site, no_preview, is_confirmed=False)

    assert await run(nothing) == no_preview()


def never(collector: Any, field: Any, objs: Any, using: Any) -> None:
    raise AssertionError


with isolate_apps("tests.records"):

    class Owner(models.Model):
        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return f"owner {self.pk}"

    class Base(models.Model):
        owner: Any = models.ForeignKey(Owner, models.CASCADE, null=True)
        parent: Any = models.ForeignKey("self", models.CASCADE, null=True)

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return f"guard {self.pk}"

    class Guard(Base):
        other: Any = models.ForeignKey(Owner, models.PROTECT, related_name="+")
        kept: Any = models.ForeignKey(
            Owner, models.RESTRICT, null=True, related_name="+"
        )
        left: Any = models.ForeignKey(
            Owner, models.SET(None), null=True, related_name="+"
        )

        class Meta:
            app_label = "records"

    class Stranger(models.Model):
        base: Any = models.ForeignKey(Base, never)

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return f"stranger {self.pk}"


@pytest.fixture
def guards(db: Any) -> Iterator[None]:
    made = (Owner, Base, Guard, Stranger)
    with connections["default"].schema_editor() as editor:
        for model in made:
            editor.create_model(model)
    connections["default"].close()
    yield
    with connections["default"].schema_editor() as editor:
        for model in reversed(made):
            editor.delete_model(model)


@pytest.mark.usefixtures("guards")
async def test_relations_that_protect_restrict_or_are_a_projects_own() -> None:
    one, two, three = [await Owner.objects.create() for _ in range(3)]
    guard = await Guard.objects.create(other=two, kept=one)
    child = await Guard.objects.create(other=two, kept=two, parent=guard)

    def preview(owner: Any, own: Any = None) -> Any:
        return deletion.preview([owner], None, site, no_preview, is_confirmed=False)

    for owner, kept in ((one, [guard]), (two, [guard, child])):
        *_, protected = await run(preview, owner)
        assert protected == [f"Guard: guard {row.pk}" for row in kept]
    assert (await run(preview, three))[3] == []
    # Through the parents of a guard to strangers, whose end nobody knows.
    assert await run(preview, guard) == no_preview()
    # With the guard that restricts it goes the first one.
    guard.owner = one
    await guard.save()
    assert await run(preview, one) == no_preview()


def no_preview() -> Any:
    """Instead of Django's."""
    return [], {}, set(), ["Django's"]


async def test_reviews_with_a_save_of_their_own_are_counted() -> None:
    artist = await a_discography(1)
    await Review.objects.create(album=await Album.objects.get(), text="Fine")
    request = Asking(await superuser())
    expected, found = await run(previews, [artist], request)
    assert found[1] == expected[1]
