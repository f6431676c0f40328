"""
The functions that return URLs: `reverse()`, and `url()`, `has_url()` and `static()` of
templates.

Their results are cached, because a page has many links, and Django takes 20 to 40 µs
for each. URLs of views are cached with the resolver, which `clear_url_caches()` and a
new `ROOT_URLCONF` discard, and URLs of static files until the settings change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from django.apps import apps
from django.conf import STATICFILES_STORAGE_ALIAS
from django.contrib.staticfiles.storage import (
    ManifestStaticFilesStorage,
    StaticFilesStorage,
)
from django.core.files.storage import storages
from django.core.signals import setting_changed
from django.templatetags.static import static as djangos_static
from django.urls import (
    NoReverseMatch,
    URLResolver,
    get_resolver,
    get_script_prefix,
    get_urlconf,
)
from django.urls import reverse as djangos_reverse
from django.urls.converters import DEFAULT_CONVERTERS
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from vinyl.conf import django_setting

__all__ = ["has_url", "reverse", "static", "url"]

# Maximum number of cached links of each kind. Beyond that, all of them are discarded.
MAX_LINKS = 5000
# In characters. Longer ones are not kept, since visitors may have sent the arguments.
MAX_LENGTH = 1000

# Django's own converters.
CONVERTERS = frozenset(map(type, DEFAULT_CONVERTERS.values()))

# Types of arguments that are equal only if their texts are.
PLAIN = frozenset({str, int, SafeString, UUID})


def reverse(
    viewname: Any,
    urlconf: Any = None,
    args: Sequence[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
    current_app: str | None = None,
    **options: Any,
) -> str:
    """
    Return the URL of a view, as `django.urls.reverse()` does. The URLs of the project's
    own URLconf are cached.

    Args:
        viewname: The name of the view, with its namespaces, or the view itself.
        urlconf: Another URLconf; None for the current one.
        args: Positional arguments of the view.
        kwargs: Its keyword arguments; not together with *args*.
        current_app: The instance of an application, for its namespace.
        options: `query` and `fragment`, from Django 5.2 on.

    Raises:
        NoReverseMatch: There is no such view, or it does not take these arguments.
        ValueError: Both *args* and *kwargs* are given.

    Never switches.
    """
    if urlconf is None and not options and not (args and kwargs):
        return _link(viewname, tuple(args or ()), kwargs or {}, current_app)
    return djangos_reverse(viewname, urlconf, args, kwargs, current_app, **options)


def url(name: Any, /, *args: Any, **kwargs: Any) -> str:
    """
    Return the URL of the view called *name*, as `reverse()` does with *args* and
    *kwargs*. Never switches.

    Raises:
        NoReverseMatch: There is no such view, or it does not take these arguments.
    """
    return _link(name, args, kwargs)


def _link(
    name: Any, args: tuple[Any, ...], kwargs: dict[str, Any], app: str | None = None
) -> str:
    if type(name) is not str:
        return djangos_reverse(name, None, args, kwargs, app)
    resolver = get_resolver(get_urlconf())
    known = vars(resolver)
    if args or kwargs:
        varying = known.get("_vinyl_varying")
        if varying is None:
            varying = known["_vinyl_varying"] = frozenset(_varying_names(resolver))
        if name.rpartition(":")[2] in varying or not PLAIN.issuperset(
            map(type, (*args, *kwargs.values()))
        ):
            return djangos_reverse(name, None, args, kwargs, app)
    links = known.get("_vinyl_links")
    if links is None or len(links) >= MAX_LINKS:
        links = known["_vinyl_links"] = {}
    key = (name, app, get_language(), get_script_prefix(), args, *kwargs.items())
    link = links.get(key)
    if link is None:
        link = djangos_reverse(name, None, args, kwargs, app)
        if len(link) <= MAX_LENGTH:
            links[key] = link
    return link


def _varying_names(resolver: URLResolver) -> Iterator[str]:
    """
    Yield the names, without namespaces, of the views below *resolver* whose URLs need a
    converter of the project, which may make another text each time.
    """
    patterns: list[tuple[Any, bool]] = [(resolver, False)]
    # A URLconf may include itself.
    seen = set()
    while patterns:
        pattern, varies = patterns.pop()
        kinds = map(type, pattern.pattern.converters.values())
        varies = varies or not CONVERTERS.issuperset(kinds)
        if (pattern, varies) in seen:
            continue
        seen.add((pattern, varies))
        if isinstance(pattern, URLResolver):
            patterns += [(child, varies) for child in pattern.url_patterns]
        elif varies and pattern.name:
            yield pattern.name


def has_url(name: str, /, *args: Any, **kwargs: Any) -> bool:
    """Return whether the project has a view called *name*. Never switches."""
    try:
        url(name, *args, **kwargs)
    except NoReverseMatch:
        return False
    return True


def static(path: str) -> str:
    """
    Return the URL of the static file at *path*, as Django's `static()` does. Never
    switches.
    """
    key = (path, get_script_prefix(), django_setting("DEBUG"))
    link = _static_links.get(key)
    if link is None or _manifest.has_changed():
        link = djangos_static(path)
        if _is_constant(path):
            if len(_static_links) >= MAX_LINKS:
                _static_links.clear()
            _static_links[key] = link
    return link


_static_links: dict[Any, str] = {}


class Manifest:
    """The manifest of static files that `_static_links` is based on."""

    storage: Any = None
    files: Any = None

    def has_changed(self) -> bool:
        """Return whether `collectstatic` has run; if so, discard the cached links."""
        if self.storage is None or self.storage.hashed_files is self.files:
            return False
        self.forget()
        return True

    def forget(self, **changed: Any) -> None:
        """Discard the links to static files. A receiver of `setting_changed`, too."""
        self.storage = self.files = None
        _static_links.clear()


_manifest = Manifest()
setting_changed.connect(_manifest.forget, dispatch_uid="vinyl.web.static")


def _is_constant(path: Any) -> bool:
    """Whether the URL of *path* stays the same while the settings do."""
    if not isinstance(path, str):
        return False
    if not apps.is_installed("django.contrib.staticfiles"):
        return True
    storage: Any = storages[STATICFILES_STORAGE_ALIAS]
    cls = type(storage)
    if issubclass(cls, ManifestStaticFilesStorage):
        if not _inherits(cls, ManifestStaticFilesStorage):
            return False
        _manifest.storage, _manifest.files = storage, storage.hashed_files
        # Otherwise the name depends on the content of the file.
        return storage.hash_key(storage.clean_name(path)) in storage.hashed_files
    return _inherits(cls, StaticFilesStorage)


# The methods and attributes of a storage that determine the URL of a file.
METHODS = "base_url url _url stored_name _stored_name clean_name hash_key".split()


def _inherits(cls: type, base: type) -> bool:
    """Whether *cls* is *base*, or a subclass that makes URLs in the same way."""
    return issubclass(cls, base) and all(
        getattr(cls, name, None) is getattr(base, name, None) for name in METHODS
    )
