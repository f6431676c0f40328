"""url() and static() in templates: Django's links, made once."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.core.files.storage import storages
from django.templatetags.static import static as djangos_static
from django.test import override_settings
from django.urls import (
    NoReverseMatch,
    clear_url_caches,
    converters,
    include,
    register_converter,
    set_script_prefix,
    set_urlconf,
)
from django.urls import reverse as djangos_reverse
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe
from django.utils.translation import override

from vinyl.web import path, reverse
from vinyl.web.http.prefix import script_prefix
from vinyl.web.templating import links
from vinyl.web.templating.links import has_url, static, url

HASHED = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"


def view(request: Any, **kwargs: Any) -> Any: ...


class Site:
    """A module for ROOT_URLCONF."""

    urlpatterns: Any = [
        path("", view, name="home"),
        path("albums/<int:pk>/", view, name="album"),
        path("tags/<str:name>/<slug:page>", view, name="tag"),
        path("shop/", include(([path("<uuid:key>", view, name="item")], "shop"))),
        *i18n_patterns(path("news", view, name="news")),
    ]


class OtherSite:
    urlpatterns: Any = [path("elsewhere/<int:pk>", view, name="album")]


@pytest.fixture(autouse=True)
def site() -> Any:
    with override_settings(ROOT_URLCONF=Site):
        yield


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The calls of Django's functions."""
    calls: list[Any] = []

    def counted(function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append(args[0])
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(links, "djangos_reverse", counted(djangos_reverse))
    monkeypatch.setattr(links, "djangos_static", counted(djangos_static))
    return calls


def test_a_link_is_made_once(made: list[Any]) -> None:
    for _ in range(3):
        assert url("home") == "/"
        assert url("album", 5) == url("album", pk=5) == "/albums/5/"
        assert url("tag", "ä b", mark_safe("x")) == "/tags/%C3%A4%20b/x"
        assert has_url("home")
    assert made == ["home", "album", "album", "tag"]


def test_equal_arguments_of_other_types_are_other_links() -> None:
    assert url("tag", "1", "x") == "/tags/1/x"
    for value in (1, True, 1.0):
        assert url("tag", value, "x") == djangos_reverse("tag", args=(value, "x"))
    lazy = lazystr("1")
    assert url("tag", lazy, "x") == "/tags/1/x"


def test_reverse_is_made_once(made: list[Any]) -> None:
    for _ in range(3):
        assert reverse("album", args=[5]) == "/albums/5/"
        assert reverse("album", kwargs={"pk": 5}) == "/albums/5/"
    assert made == ["album", "album"]


def test_a_link_depends_on_the_instance_of_an_application(made: list[Any]) -> None:
    views = ([path("<int:pk>/", view, name="item")], "shop")
    urlpatterns = [path(f"{name}/", include(views, name)) for name in ("shop", "sale")]
    with override_settings(
        ROOT_URLCONF=type("Shops", (), {"urlpatterns": urlpatterns})
    ):
        for _ in range(2):
            assert reverse("shop:item", args=[1]) == "/shop/1/"
            assert reverse("shop:item", args=[1], current_app="sale") == "/sale/1/"
            assert reverse("shop:item", args=[1], current_app="shop") == "/shop/1/"
    assert made == ["shop:item"] * 3


def test_arguments_of_a_view_may_have_any_name() -> None:
    assert url("tag", name="x", page="y") == "/tags/x/y"
    assert has_url("tag", name="x", page="y")
    assert reverse("tag", kwargs={"name": "x", "page": "y"}) == "/tags/x/y"


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("home",), {}),
        ((view,), {"args": ()}),
        (("album", None, None, {"pk": 1}), {}),
        (("album", Site, (1,)), {}),
        (("album", OtherSite), {"kwargs": {"pk": 1}}),
        (("shop:item",), {"args": ["no UUID"]}),
        (("shop:item",), {"args": [UUID(int=1)], "current_app": "other"}),
        (("album",), {"args": (1,), "kwargs": {"pk": 1}}),
        (("album",), {"args": (1, 2)}),
        (("nothing",), {}),
        (("home",), {"mistaken": 1}),
        (("home",), {"query": {"q": "x"}, "fragment": "top"}),
    ],
)
def test_reverse_is_djangos(args: Any, kwargs: Any) -> None:
    def outcome(function: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            # An unknown argument is named with the function.
            return type(error), str(error).rpartition("() ")[2]

    for _ in range(2):
        assert outcome(reverse) == outcome(djangos_reverse)


def test_a_missing_view_is_missing_each_time() -> None:
    for _ in range(2):
        assert not has_url("nothing")
        with pytest.raises(NoReverseMatch, match="'album' with no arguments"):
            url("album")


def test_a_link_depends_on_prefix_language_and_urlconf() -> None:
    assert url("news") == "/en-us/news"
    with override("de"):
        assert url("news") == "/de/news"
    with script_prefix("/below/"):
        assert url("news") == "/below/en-us/news"
    assert url("album", 1) == "/albums/1/"
    set_urlconf(cast(Any, OtherSite))
    try:
        assert url("album", 1) == "/elsewhere/1"
    finally:
        set_urlconf(None)
    with override_settings(ROOT_URLCONF=OtherSite):
        assert url("album", 1) == "/elsewhere/1"
    assert url("album", 1) == "/albums/1/"


def test_new_patterns_count_after_clear_url_caches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert url("home") == "/"
    monkeypatch.setattr(Site, "urlpatterns", [path("start", view, name="home")])
    clear_url_caches()
    assert url("home") == "/start"
    clear_url_caches()


def test_a_converter_of_the_project_is_asked_each_time(
    monkeypatch: pytest.MonkeyPatch, made: list[Any]
) -> None:
    class Counting(converters.StringConverter):
        count = 0

        def to_url(self, value: Any) -> str:
            Counting.count += 1
            return f"{value}-{Counting.count}"

    monkeypatch.setattr(converters, "REGISTERED_CONVERTERS", {})
    cast(Any, converters.get_converters).cache_clear()
    register_converter(Counting, "counting")
    try:

        class Counted:
            urlpatterns: Any = [
                path("<counting:n>", view, name="n"),
                path("<str:n>/", view, name="plain"),
                path("<counting:n>/", include(([path("b", view, name="b")], "shop"))),
            ]

        with override_settings(ROOT_URLCONF=Counted):
            assert [url("n", "a"), url("n", "a")] == ["/a-1", "/a-2"]
            assert [url("shop:b", n="a"), url("shop:b", n="a")] == ["/a-3/b", "/a-4/b"]
            made.clear()
            # Those of other views are kept.
            assert [url("plain", "a"), url("plain", "a")] == ["/a/", "/a/"]
            assert made == ["plain"]
    finally:
        cast(Any, converters.get_converters).cache_clear()


def test_a_urlconf_may_include_itself() -> None:
    class Again:
        urlpatterns: Any = [path("<int:pk>", view, name="one")]

    Again.urlpatterns.append(path("again/", include((Again.urlpatterns, "again"))))
    with override_settings(ROOT_URLCONF=Again):
        assert url("one", 1) == "/1"
        assert url("again:again:one", 1) == "/again/again/1"


def test_long_links_are_not_kept(made: list[Any]) -> None:
    for _ in range(2):
        assert len(url("tag", "a" * 2000, "x")) > 2000
    assert made == ["tag", "tag"]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "MAX_LINKS", 10)
    for pk in range(100):
        assert url("album", pk) == f"/albums/{pk}/"
        assert static(f"{pk}.css") == f"/static/{pk}.css"
    assert len(links._static_links) <= 10


# ----- Static files


@pytest.fixture
def static_settings() -> Any:
    with override_settings(
        STATIC_URL="/static/", INSTALLED_APPS=["django.contrib.staticfiles"]
    ):
        yield


@pytest.mark.usefixtures("static_settings")
def test_the_url_of_a_static_file_is_made_once(made: list[Any]) -> None:
    for _ in range(3):
        assert static("a b.css") == "/static/a%20b.css"
    assert made == ["a b.css"]


@pytest.mark.usefixtures("static_settings")
def test_it_depends_on_settings_and_prefix() -> None:
    assert static("a.css") == "/static/a.css"
    with override_settings(STATIC_URL="https://cdn.example/"):
        assert static("a.css") == "https://cdn.example/a.css"
    with override_settings(STATIC_URL="files/"):
        assert static("a.css") == "/files/a.css"
        set_script_prefix("/below/")
        try:
            assert static("a.css") == "/below/files/a.css"
        finally:
            set_script_prefix("/")
        assert static("a.css") == "/files/a.css"
    assert static("a.css") == "/static/a.css"


class Signing(StaticFilesStorage):
    """As a storage whose URLs expire."""

    def url(self, name: Any) -> str:
        return f"{super().url(name)}?at={datetime.datetime.now().isoformat()}"


@pytest.mark.usefixtures("static_settings")
def test_a_storage_with_urls_of_its_own_is_asked_each_time() -> None:
    storage = {"BACKEND": f"{__name__}.Signing"}
    with override_settings(STORAGES={"staticfiles": storage}):
        assert static("a.css") != static("a.css")


@pytest.mark.usefixtures("static_settings")
def test_a_new_manifest_counts(tmp_path: Path, made: list[Any]) -> None:
    def write(name: str) -> None:
        content = {"version": "1.1", "paths": {"a.css": name}, "hash": ""}
        (tmp_path / "staticfiles.json").write_text(json.dumps(content))

    write("a.1.css")
    with override_settings(
        STATIC_ROOT=tmp_path, STORAGES={"staticfiles": {"BACKEND": HASHED}}
    ):
        assert [static("a.css"), static("a.css")] == ["/static/a.1.css"] * 2
        assert made == ["a.css"]
        with override_settings(DEBUG=True):
            assert static("a.css") == "/static/a.css"
        write("a.2.css")
        # As collectstatic leaves it.
        storage: Any = storages["staticfiles"]
        storage.hashed_files, _ = storage.load_manifest()
        assert static("a.css") == "/static/a.2.css"
        with pytest.raises(ValueError, match="Missing staticfiles manifest entry"):
            static("missing.css")
