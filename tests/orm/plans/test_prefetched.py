"""The querysets that related managers return after a prefetch are like Django's."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, union-attr"

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Prefetch, QuerySet, prefetch_related_objects

from tests.orm.plans.scenarios.chains import fill
from tests.orm.plans.scenarios.outcomes import queryset_of
from tests.orm.plans.test_prefetches import compare
from tests.records.models import Album, Track
from vinyl.orm.backends.collection import MANY, Pause
from vinyl.orm.plans import prefetched
from vinyl.orm.plans.trails import PENDING

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The instance of each queryset that has been copied."""
    found: list[Any] = []
    making = prefetched._making

    def noted(*args: Any) -> Any:
        make = making(*args)

        def made(instance: Any, *args: Any) -> Any:
            found.append(instance)
            return make(instance, *args)

        return made

    monkeypatch.setattr(prefetched, "_making", noted)
    return found


USES: dict[str, Callable[[Any], Any]] = {
    "all": lambda manager: [one.pk for one in manager.all()],
    "filter": lambda manager: [one.pk for one in manager.filter(pk__gt=3)],
    "count": lambda manager: [manager.count(), manager.filter(pk__gt=3).count()],
    "first": lambda manager: manager.order_by("-pk").first(),
    "what is known": lambda manager: [
        queryset_of(manager.all(), ()),
        [str(one) for one in manager.order_by("-pk")],
    ],
    "a new query": lambda manager: [one.pk for one in manager.all().all()],
    "its SQL": lambda manager: str(manager.all().query),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", ["tracks", "genres"])
def test_copies_work_like_djangos_querysets(
    use: str, name: str, copies: list[Any]
) -> None:
    fill()

    def make() -> Any:
        found = Album.objects.order_by("pk").prefetch_related(name)
        return [USES[use](getattr(album, name)) for album in found]

    compare(make)
    assert len(copies) >= 2 * (Album.objects.count() - 1)


@pytest.mark.parametrize("name", ["tracks", "genres"])
def test_copies_share_nothing(name: str, copies: list[Any]) -> None:
    fill()
    for _ in range(4):
        found = list(Album.objects.order_by("pk").prefetch_related(name))
    first, second, *_ = (getattr(album, name).all() for album in found)
    assert first._query is second._query is PENDING
    assert first._hints == {"instance": found[0]}
    assert second._hints == {"instance": found[1]}
    first._add_hints(more=1)
    assert "more" not in second._hints
    assert first.query is not second.query


def test_a_copy_is_made_when_it_is_read(copies: list[Any]) -> None:
    fill()
    for _ in range(4):
        copies.clear()
        _, second, third, *_ = Album.objects.order_by("pk").prefetch_related(
            "tracks", "genres"
        )
    assert not copies
    assert second.tracks.all() is second.tracks.all()
    assert copies == [second]
    assert third.tracks.add(third.tracks.all()[0]) is None
    assert list(third.genres.all()) == list(third.genres.using("default"))
    assert copies == [second, third, third]


def test_a_copy_is_of_the_time_of_the_prefetch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill()

    def make() -> Any:
        _, album, *_ = Album.objects.order_by("pk").prefetch_related("tracks", "genres")
        key, album.pk = album.pk, 0
        found: list[Any] = []
        for manager in (album.tracks, album.genres):
            known = manager.all()._known_related_objects
            found.append([[*one] == [key] for one in known.values()])
            found.append(str(manager.all().all().query))
        return found

    compare(make)


@pytest.mark.parametrize("name", ["genres", "reviews"])
def test_a_second_prefetch_after_reading_the_first(name: str) -> None:
    """The copies still belong to the instance itself."""
    fill()
    for _ in range(4):
        albums = list(Album.objects.order_by("pk").prefetch_related("tracks"))
        for album in albums:
            assert list(album.tracks.all()) == list(album.tracks.all())
        prefetch_related_objects(albums, name)
        for album in albums:
            found = getattr(album, name).all()
            assert found._hints["instance"] is album
            assert all(track.album is album for track in album.tracks.all())


def test_instances_do_not_keep_each_other_alive() -> None:
    fill()
    for _ in range(4):
        found = list(Album.objects.order_by("pk").prefetch_related("tracks"))
    first, last = weakref.ref(found[0]), found[-1]
    del found
    gc.collect()
    assert first() is None
    assert last.tracks.all()[0].album is last


def test_what_is_not_read_needs_no_garbage_collector() -> None:
    fill()
    with Pause(MANY):
        for _ in range(4):
            found = list(Album.objects.order_by("pk").prefetch_related("tracks"))
            # Django makes the queryset of the first one, which refers to it.
            refs = [weakref.ref(album) for album in found[1:]]
            read = found[2]
            assert all(track.album is read for track in read.tracks.all())
            del found, read
        alive = [ref() is not None for ref in refs]
    assert alive == [False, True, *[False] * (len(refs) - 2)]


def kept_cache() -> dict[str, Any]:
    _, album, *_ = Album.objects.order_by("pk").prefetch_related("tracks", "genres")
    cache: dict[str, Any] = vars(album)["_prefetched_objects_cache"]
    return cache


def kept_copy() -> dict[str, Any]:
    _, album, *_ = Album.objects.order_by("pk").prefetch_related("tracks", "genres")
    cache: dict[str, Any] = vars(copy.copy(album))["_prefetched_objects_cache"]
    return cache


@pytest.mark.parametrize("keep", [kept_cache, kept_copy])
def test_the_cache_may_outlive_its_instance(keep: Callable[[], Any]) -> None:
    fill()

    def make() -> Any:
        cache = keep()
        gc.collect()
        tracks, genres = cache["tracks"], cache["genres"]
        key = tracks[0].album_id
        return (
            [(one.pk, one.album.pk) for one in tracks],
            [one.pk for one in genres],
            [one.pk for one in tracks.filter(album=key).order_by("-pk")],
            {one.pk for one in genres.all()} == {one.pk for one in genres},
        )

    compare(make)
    # What the instance was has to be fetched again.
    track = keep()["tracks"][0]
    assert track.album.title == Album.objects.get(pk=track.album_id).title


# Each returns a dictionary with the queryset of tracks, or that queryset.
READS: dict[str, Callable[[Any], Any]] = {
    "dict()": dict,
    "**": lambda cache: {**cache},
    "update()": lambda cache: {} | cache,
    "|": lambda cache: cache | {},
    "copy()": lambda cache: cache.copy(),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda cache: pickle.loads(pickle.dumps(cache)),
    "items()": lambda cache: dict(cache.items()),
    "values()": lambda cache: next(iter(cache.values())),
    "get()": lambda cache: cache.get("tracks"),
    "[]": lambda cache: cache["tracks"],
    "setdefault()": lambda cache: cache.setdefault("tracks", []),
    "pop()": lambda cache: cache.pop("tracks", None),
    "popitem()": lambda cache: dict([cache.popitem()]),
}


@pytest.mark.parametrize("read", READS)
def test_code_that_reads_the_cache_finds_querysets(read: str) -> None:
    fill()
    for _ in range(4):
        _, album, *_ = Album.objects.order_by("pk").prefetch_related("tracks")
        expected = list(Track.objects.filter(album=album).order_by("pk"))
        cache = vars(album)["_prefetched_objects_cache"]
        assert cache.get("genres", 1) == 1
        assert list(cache) == ["tracks"]
        result = READS[read](cache)
        if not isinstance(result, QuerySet):
            assert read in ("|", "copy()") or type(result) is dict
            result = result["tracks"]
        assert type(result) is QuerySet
        assert sorted(result, key=lambda one: one.pk) == expected
    assert "QuerySet" in repr(cache) or not cache


def test_code_may_set_a_list_in_the_cache() -> None:
    fill()
    for _ in range(4):
        _, album, *_ = Album.objects.order_by("pk").prefetch_related("tracks", "genres")
        cache = vars(album)["_prefetched_objects_cache"]
        cache["tracks"] = []
        assert album.tracks.all() == []
        del cache["genres"]
        cache |= {"genres": ["x"]}
        assert cache == {"tracks": [], "genres": ["x"]}
        assert album.genres.all() == ["x"]


def test_copies_of_a_given_queryset_share_its_hints_as_in_django(
    copies: list[Any],
) -> None:
    fill()

    def make() -> Any:
        tracks = Track.objects.filter(position__gte=0)
        lookup: Any = Prefetch("tracks", tracks)
        found = list(Album.objects.order_by("pk").prefetch_related(lookup))
        of_all = [album.tracks.all()._hints for album in found]
        return (
            [hints["instance"].pk for hints in of_all],
            [hints is tracks._hints for hints in of_all],
        )

    compare(make)
    assert copies


def test_a_custom_queryset_class_is_not_copied(copies: list[Any]) -> None:
    class Noting(QuerySet[Track]):
        def using(self, alias: str | None) -> Any:
            noted.append(alias)
            return super().using(alias)

    noted: list[Any] = []
    fill()

    def make() -> Any:
        noted.clear()
        lookup: Any = Prefetch("tracks", Noting(Track))
        found = list(Album.objects.order_by("pk").prefetch_related(lookup))
        return found, list(noted)

    compare(make)
    assert noted
    assert not copies
