"""
Finding the view of a path, with the results of `URLResolver.resolve()` but in a
fraction of its time.

As in Django, the patterns are tried level by level and in their order. But there is one
`ResolverMatch` instead of one for each level, and its attributes are computed once for
all paths, except for the captured arguments. Regular expressions are not needed for
patterns without arguments, or if the path does not begin with the text before the first
argument.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, TypeAlias

from django.urls import Resolver404, ResolverMatch, URLPattern, URLResolver
from django.urls.resolvers import RegexPattern, RoutePattern

from vinyl.records import NamedTuple

__all__ = ["find_match", "route_for_tools"]

# The pattern that matches, below the resolvers inside the root that lead to it; the
# positional and the keyword arguments; and the keywords that the last pattern captured.
Found: TypeAlias = (
    "tuple[tuple[Any, ...], tuple[Any, ...], dict[str, Any], dict[str, Any]]"
)

NOTHING: dict[str, Any] = {}


class Route(NamedTuple):
    """What tools read about a route, under Starlette's names."""

    path: str
    path_format: str
    name: str | None
    endpoint: Any


class Match(ResolverMatch):
    """A match that finds out only on demand which patterns were tried before it."""

    # None if the route depends on the language.
    _route_for_tools: Route | None

    # Whether the route is the same in all languages.
    _is_fixed: bool
    _resolver: URLResolver
    _path: str

    @cached_property
    def tried(self) -> Any:  # type: ignore[override]
        try:
            return self._resolver.resolve(self._path).tried
        except Resolver404 as error:
            # The view has activated another language.
            return error.args[0]["tried"]


class Copied:
    """An attribute that is copied from the class on first use, since it can change."""

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value

    def __get__(self, match: Any, owner: type) -> Any:
        if match is None:
            return self
        value = vars(match)[self.name] = self.value.copy()
        return value


class UnknownPattern(Exception):
    """A pattern of another class, which may resolve paths differently."""


class Finder:
    """
    Finds patterns below one root, and caches what it learns about them.

    Args:
        root: The root resolver.
    """

    def __init__(self, root: URLResolver) -> None:
        # Whether the pattern of *root* is the usual one.
        self.is_root = type(root.pattern) is RegexPattern and str(root.pattern) == "^/"
        # By pattern: the text with which matching paths begin, and whether the pattern
        # consists of this text only.
        self.starts: dict[Any, tuple[str, bool]] = {}
        # By chain: the class of its matches. The attributes of the class do not depend
        # on the path.
        self.classes: dict[tuple[Any, ...], type[Match]] = {}
        # By path: what its text alone leads to.
        self.texts: dict[str, TextMatch] = {}
        # How often a pattern was tried with more than its text, or in vain the patterns
        # of an include().
        self.tries = 0

    def find(self, resolver: Any, path: str) -> Found | None:
        """
        Return the pattern below *resolver* that matches *path*, the rest of the path;
        None if there is none.

        Raises:
            UnknownPattern: A pattern that might match first cannot be tried here.
        """
        starts = self.starts
        for child in resolver.url_patterns:
            start, is_all = starts.get(child) or self.learn(child)
            if not path.startswith(start):
                continue
            kind = type(child)
            if kind is URLPattern:
                if not is_all:
                    self.tries += 1
                    matched = child.pattern.match(path)
                    if not matched:
                        continue
                    _, args, captured = matched
                elif path == start:
                    args, captured = (), {}
                else:
                    continue
                if child.default_args:
                    return (child,), args, {**captured, **child.default_args}, captured
                return (child,), args, captured.copy(), captured
            if kind is not URLResolver:
                raise UnknownPattern
            if is_all:
                rest, args, kwargs = path[len(start) :], (), NOTHING
            else:
                self.tries += 1
                if not (matched := child.pattern.match(path)):
                    continue
                rest, args, kwargs = matched
            if (found := self.find(child, rest)) is not None:
                return below(child, args, kwargs, found)
            self.tries += 1
        return None

    def learn(self, child: Any) -> tuple[str, bool]:
        """Add *child* to `starts`, and return its value there."""
        start, is_all = "", False
        if type(child) in (URLPattern, URLResolver):
            pattern = child.pattern
            if type(pattern) is RoutePattern and is_fixed(pattern):
                start, bracket, _ = str(pattern).partition("<")
                # As path() makes them: the text is all of the path, or before a rest.
                is_endpoint: bool = pattern._is_endpoint  # type: ignore[attr-defined]
                is_all = not bracket and is_endpoint is (type(child) is URLPattern)
        self.starts[child] = start, is_all
        return start, is_all

    def match_class(self, root: URLResolver, chain: tuple[Any, ...]) -> type[Match]:
        """Return the class of the matches of *chain*, below *root*."""
        attributes = attributes_of(root, chain)
        for name, value in attributes.items():
            if isinstance(value, (dict, list)):
                attributes[name] = Copied(name, value)
        # A function in a class would become a method.
        attributes["func"] = staticmethod(attributes["func"])
        attributes["_is_fixed"] = all(is_fixed(each.pattern) for each in chain)
        cls: Any = type("ResolverMatch", (Match,), attributes)
        self.classes[chain] = cls
        cls._route_for_tools = _made_route(cls) if cls._is_fixed else None
        cls._resolver = root
        return cls


class TextMatch:
    """
    What a path leads to, found by its text alone.

    Args:
        cls: The class of its matches.
        root: The root resolver.
        chain: The pattern, after the resolvers inside the root that lead to it.
    """

    __slots__ = ("cls", "levels", "pattern")

    def __init__(
        self, cls: type[Match], root: URLResolver, chain: tuple[Any, ...]
    ) -> None:
        self.cls = cls
        *inner, self.pattern = chain
        # The patterns that are tried, and the same as they are now.
        self.levels = [(r.url_patterns, [*r.url_patterns]) for r in (root, *inner)]

    def is_valid(self) -> bool:
        """Return whether it is still so: tests replace patterns and their views."""
        for patterns, known in self.levels:
            if patterns != known:
                return False
        return self.cls.func is self.pattern.callback


def find_match(resolver: URLResolver, path: str) -> ResolverMatch:
    """
    Return the match of *path*, which is equal to `resolver.resolve(path)`.

    Args:
        resolver: The root, as `get_resolver()` returns it.
        path: The path below the prefix.

    Raises:
        Resolver404: No pattern matches.

    Never switches.
    """
    finder = getattr(resolver, "_vinyl_finder", None)
    if finder is None:
        # It lives as long as the resolver, which clear_url_caches() drops.
        finder = vars(resolver)["_vinyl_finder"] = Finder(resolver)
    if (text := finder.texts.get(path)) is not None and text.is_valid():
        match = text.cls.__new__(text.cls)
        match.args = ()
        match.kwargs = {}
        match.captured_kwargs = {}
        match._path = path
        return match
    found, tries = None, finder.tries
    if finder.is_root and path.startswith("/"):
        try:
            found = finder.find(resolver, path[1:])
        except UnknownPattern:
            pass
    if found is None:
        # Raises the error with all patterns that were tried, or finds another pattern.
        return resolver.resolve(path)
    chain, args, kwargs, captured = found
    cls = finder.classes.get(chain)
    # Tests replace the view of a pattern.
    if cls is None or cls.func is not chain[-1].callback:
        cls = finder.match_class(resolver, chain)
    match = cls.__new__(cls)
    if not cls._is_fixed:
        match.route = route_of(chain)
    elif not kwargs and finder.tries == tries:
        finder.texts[path] = TextMatch(cls, resolver, chain)
    match.args = args
    match.kwargs = kwargs
    match.captured_kwargs = captured
    match._path = path
    return match


def route_for_tools(match: ResolverMatch) -> Route:
    """Return the route of *match* as tools read it. Never switches."""
    return getattr(match, "_route_for_tools", None) or _made_route(match)


def _made_route(match: Any) -> Route:
    path = f"/{match.route}"
    return Route(path, path, match.view_name, match.func)


def below(
    resolver: URLResolver, args: tuple[Any, ...], kwargs: dict[str, Any], found: Found
) -> Found:
    """
    Return *found*, a pattern below *resolver*, with the resolver's arguments added.

    Args:
        args: The positional arguments that the resolver's own pattern captured.
        kwargs: The keyword arguments that it captured.
    """
    chain, inner_args, inner_kwargs, captured = found
    if kwargs or resolver.default_kwargs:
        # Inner values win.
        inner_kwargs = {**kwargs, **resolver.default_kwargs, **inner_kwargs}
    if args and not inner_kwargs:
        # Positional arguments count only where there are no keywords.
        inner_args = args + inner_args
    return (resolver, *chain), inner_args, inner_kwargs, captured


def is_fixed(pattern: Any) -> bool:
    """Whether the text of *pattern* is the same in all languages."""
    kind = type(pattern)
    if kind is RoutePattern:
        return type(pattern._route) is str
    return kind is RegexPattern and type(pattern._regex) is str


def route_of(chain: tuple[Any, ...]) -> str:
    """Return the route of the matches of *chain*, in the active language."""
    join: Any = URLResolver._join_route  # type: ignore[attr-defined]
    *inner, last = chain
    route = str(last.pattern)
    for resolver in reversed(inner):
        route = join(str(resolver.pattern), route)
    return route


def attributes_of(root: URLResolver, chain: tuple[Any, ...]) -> dict[str, Any]:
    """Return the attributes of a match of *chain* that do not depend on the path."""
    *inner, last = chain
    resolvers = [root, *inner]
    extra: dict[str, Any] = {}
    for resolver in resolvers:
        extra |= resolver.default_kwargs
    match = ResolverMatch(
        last.callback,
        (),
        {},
        last.pattern.name,
        [resolver.app_name for resolver in resolvers],
        [resolver.namespace for resolver in resolvers],
        route_of(chain),
        extra_kwargs=extra | last.default_args,
    )
    attributes = dict(vars(match))
    for name in ("args", "kwargs", "tried", "captured_kwargs"):
        del attributes[name]
    return attributes
