"""Finding the view of a path: the same match as that of Django's resolver."""

from __future__ import annotations

from typing import Any, cast

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.http import Http404
from django.urls import ResolverMatch, URLPattern, URLResolver, include
from django.urls.resolvers import RegexPattern, RoutePattern
from django.utils.translation import gettext_lazy, override
from hypothesis import given
from hypothesis import strategies as st

from vinyl.web import path, re_path
from vinyl.web.http.url_match import find_match, route_for_tools

ATTRIBUTES = (
    "func",
    "args",
    "kwargs",
    "url_name",
    "route",
    "tried",
    "captured_kwargs",
    "extra_kwargs",
    "app_names",
    "app_name",
    "namespaces",
    "namespace",
    "view_name",
    "_func_path",
)


def view(request: Any) -> Any: ...


class View:
    """A view that is an instance, as feeds are."""

    def __call__(self, request: Any) -> Any: ...


inner: Any = (
    [
        path("", view, name="list"),
        path("<int:pk>/", view, {"extra": 1}, name="one"),
        path("<int:pk>/<slug:word>", View(), name="word"),
        re_path(r"^old/(\d+)/$", view, name="old"),
    ],
    "shop",
)


class Capitals:
    """A pattern of a class of the project."""

    name = "capitals"
    converters: dict[str, Any] = {}

    def match(self, path: str) -> Any:
        return path.isupper() and ("", (), {"word": path})

    def __str__(self) -> str:
        return "CAPITALS"


class Loud(URLPattern):
    """A pattern that resolves paths in a way of its own."""

    def resolve(self, path: str) -> Any:
        return super().resolve(path.removesuffix("!"))


loud = RoutePattern("x", "loud", is_endpoint=True)
SITES: dict[str, list[Any]] = {
    "flat": [
        path("", view, name="home"),
        path("a", view),
        path("a/b", View(), name="ab"),
        path("<int:n>", view, name="number"),
        path("<str:n>", view, {"n": "given"}, name="text"),
        path("<path:rest>/end", view, name="rest"),
    ],
    "nested": [
        path("", include([path("a", view), path("a/<int:pk>", view)])),
        path("a/", include(inner)),
        path("b/<slug:shop>/", include(inner, namespace="other"), {"extra": 2}),
        path("b/", include(([path("1/", include(inner))], "outer"))),
        path("", include([path("<path:all>", view, {"last": True})])),
    ],
    "regular expressions": [
        re_path(r"^(\d+)/", include([re_path(r"^(\w+)$", view, name="pair")])),
        re_path(r"^(?P<n>\d+)/", include([re_path(r"^(\w+)/(\w+)$", view)])),
        re_path(r"^x(?P<optional>\d)?$", view, name="optional"),
        re_path(r"a/(?:b)?", include([re_path(r"1$", view, {"k": 1})])),
        path("<int:n>/", include([re_path(r"(b)/(b)/(b)$", view)])),
    ],
    "of the project": [
        URLPattern(cast(Any, Capitals()), view),
        # As path() and include() never combine them.
        URLPattern(RoutePattern("a/", "start", is_endpoint=False), view),
        path("a/b", view, name="hidden"),
        URLResolver(
            RoutePattern("b/", is_endpoint=True), [path("a", view, name="hidden")]
        ),
        path("b/", include([path("a", view, name="a"), Loud(loud, view)])),
        path("b/<str:rest>", view, name="hidden"),
    ],
    "languages": [
        path("a", view),
        *i18n_patterns(
            path("a", view, name="translated"),
            path(gettext_lazy("Monday"), view, name="monday"),
            prefix_default_language=False,
        ),
        path(gettext_lazy("Monday"), include(inner)),
        path("b", view),
    ],
}


def root(patterns: list[Any]) -> URLResolver:
    return URLResolver(RegexPattern(r"^/"), patterns)


def outcome(resolve: Any, path: str) -> Any:
    try:
        match = resolve(path)
    except Http404 as error:
        return error.args
    values = {name: getattr(match, name) for name in ATTRIBUTES}
    # The order of the arguments shows in the view as well.
    return values, list(match.kwargs), repr(match)


pieces = st.sampled_from(
    [
        "a",
        "b",
        "1",
        "12",
        "x",
        "x1",
        "old",
        "end",
        "de",
        "en",
        "Montag",
        "Monday",
        "é\n",
    ]
)
paths = st.builds(
    "{}{}{}".format,
    st.sampled_from(["/", "/", "/", "", "//"]),
    st.lists(pieces, max_size=5).map("/".join),
    st.sampled_from(["", "", "/"]),
)


@pytest.mark.parametrize("site", SITES)
@given(paths=st.lists(paths, min_size=1), language=st.sampled_from(["en-us", "de"]))
def test_it_is_the_match_of_django(site: str, paths: list[str], language: str) -> None:
    resolver = root(SITES[site])
    with override(language):
        for path_ in [*paths, *paths]:
            found = outcome(lambda path: find_match(resolver, path), path_)
            assert found == outcome(resolver.resolve, path_)


@pytest.mark.parametrize(
    ("path_", "name"),
    [("/A", "capitals"), ("/a/b", "start"), ("/b/a", "a"), ("/b/x!", "loud")],
)
def test_patterns_of_a_project_match_as_in_django(path_: str, name: str) -> None:
    resolver = root(SITES["of the project"])
    match = outcome(resolver.resolve, path_)
    assert match[0]["url_name"] == name
    assert outcome(lambda path: find_match(resolver, path), path_) == match


def test_patterns_may_be_added_later() -> None:
    patterns = [path("a", view, name="first"), path("<str:x>", view, name="any")]
    resolver = root(patterns)
    assert find_match(resolver, "/b").url_name == "any"
    patterns.insert(0, path("b", view, name="b"))
    assert find_match(resolver, "/b").url_name == "b"
    del patterns[0]
    assert find_match(resolver, "/b").url_name == "any"


def test_patterns_may_be_added_where_texts_are_known() -> None:
    of_shop: list[Any] = [path("a", view, name="inner")]
    patterns: list[Any] = [path("", include(of_shop)), path("b", view, name="outer")]
    resolver = root(patterns)
    for _ in range(2):
        assert find_match(resolver, "/a").url_name == "inner"
        assert find_match(resolver, "/b").url_name == "outer"
    of_shop.insert(0, path("a", view, name="earlier"))
    of_shop.append(path("b", view, name="of the shop"))
    assert find_match(resolver, "/a").url_name == "earlier"
    assert find_match(resolver, "/b").url_name == "of the shop"
    of_shop[0] = path("<str:x>", view, name="any")
    assert find_match(resolver, "/a").url_name == "any"


def test_a_pattern_that_precedes_a_text_is_asked_each_time() -> None:
    pattern = path("<str:word>", view, name="word")
    words: list[str] = []

    class Word:
        def to_python(self, text: str) -> str:
            if text not in words:
                raise ValueError
            return text

    pattern.pattern.converters["word"] = cast(Any, Word())
    resolver = root([pattern, path("a", view, name="text")])
    for _ in range(2):
        assert find_match(resolver, "/a").url_name == "text"
    words.append("a")
    assert find_match(resolver, "/a").url_name == "word"


@pytest.mark.parametrize("path_", ["/b/x/1/", "/b/x/"])
def test_matches_share_nothing_that_can_change(path_: str) -> None:
    resolver = root(SITES["nested"])
    match: Any = find_match(resolver, path_)
    before = outcome(resolver.resolve, path_)
    match.kwargs.clear()
    match.captured_kwargs.clear()
    match.extra_kwargs.clear()
    match.app_names.clear()
    match.namespaces.clear()
    assert outcome(lambda path: find_match(resolver, path), path_) == before


def test_matches_of_a_text_share_nothing_that_can_change() -> None:
    resolver = root([path("a", view)])
    for _ in range(3):
        found = outcome(lambda path: find_match(resolver, path), "/a")
        assert found == outcome(resolver.resolve, "/a")
        match: Any = find_match(resolver, "/a")
        for name in ("kwargs", "captured_kwargs", "extra_kwargs"):
            getattr(match, name)["key"] = 1


def test_one_match_is_made_for_all_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a pattern has been met, its matches are copies."""
    made = []
    resolver = root(SITES["nested"])
    find_match(resolver, "/b/x/1/")
    monkeypatch.setattr(ResolverMatch, "__init__", lambda *args: made.append(args))
    assert find_match(resolver, "/b/y/2/").kwargs == {"shop": "y", "pk": 2, "extra": 1}
    assert not made


def test_one_class_serves_all_languages() -> None:
    resolver = root([path(gettext_lazy("Monday"), view, name="monday")])
    english = find_match(resolver, "/Monday")
    with override("de"):
        german = find_match(resolver, "/Montag")
    assert (english.route, german.route) == ("Monday", "Montag")
    assert type(english) is type(german)
    assert route_for_tools(english).path == "/Monday"
    assert route_for_tools(german).path == "/Montag"
    # As debug pages read it, after the view has activated another language.
    assert german.tried == [[resolver.url_patterns[0]]]


def test_tools_read_the_same_route_for_each_match() -> None:
    resolver = root(SITES["nested"])
    one, other = find_match(resolver, "/b/x/1/"), find_match(resolver, "/b/y/2/")
    route = route_for_tools(one)
    assert (route.path, route.name) == (f"/{one.route}", one.view_name)
    assert route.endpoint is one.func
    assert route_for_tools(other) is route
    django = resolver.resolve("/b/x/1/")
    assert route_for_tools(django) == route


def test_the_view_of_a_pattern_may_be_replaced() -> None:
    pattern = path("a", view)
    resolver = root([pattern])
    assert find_match(resolver, "/a").func is view
    pattern.callback = other = View()
    assert find_match(resolver, "/a").func is other
    assert route_for_tools(find_match(resolver, "/a")).endpoint is other
