"""
Patches, and applying them to Django's classes.

A patch names a class or module, some of its attributes, and a decorator that returns
the replacement of each attribute. Patches apply to Django's classes and to subclasses
that override one of the names, so models and managers need no changes. Those of a
module that is not imported yet apply as soon as it is.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from itertools import takewhile
from typing import Any

import django
from django.apps import apps
from django.db.models import Model
from django.db.models.signals import class_prepared

from vinyl.bridge.greenlets import run
from vinyl.bridge.imports import on_import
from vinyl.bridge.marks import Mark
from vinyl.bridge.mode import DUAL
from vinyl.exceptions import UnsupportedVersion
from vinyl.records import NamedTuple

__all__ = [
    "Patch",
    "apply_patches",
    "getattr_or_refuse",
    "is_subclass_of",
    "missing_name",
    "name_of_class",
    "patch_sync_to_async",
    "resolve",
]


class Patch(NamedTuple):
    """
    Replaces some attributes of a class or module.

    Args:
        owner: "module:Class" or "module".
        names: The attributes, separated by spaces. `start_*` stands for all attributes
            of subclasses that begin with `start_`.
        decorator: Takes the original attribute, or None if the owner does not have it,
            and returns the replacement.
        inherited: Whether subclasses that override a name are patched, too.
        app: The contrib app that must be installed; empty for Django's core.
        since: The first version of Django that has the owner; None for all versions.
        before: The first version of Django without the owner; None for no limit.
        of_package: Whether the owner belongs to a package other than Django, of which
            some versions lack the names: they are used as they are.
    """

    owner: str
    names: str
    decorator: Callable[[Any], Any]
    inherited: bool = False
    app: str = ""
    since: tuple[int, int] | None = None
    before: tuple[int, int] | None = None
    of_package: bool = False

    def applies(self) -> bool:
        """Whether the installed Django version and apps have the owner."""
        if self.since is not None and django.VERSION < self.since:
            return False
        if self.before is not None and django.VERSION >= self.before:
            return False
        return not self.app or any(
            config.name == f"django.contrib.{self.app}"
            for config in apps.get_app_configs()
        )


def patch_sync_to_async(in_thread: Callable[..., Any]) -> Callable[..., Any]:
    """
    Return a replacement of `sync_to_async` for modules of Django whose `a*` methods use
    it: the sync method runs in the bridge instead of a thread. Functions that may run
    in any thread (`thread_sensitive=False`) do not use the database, and still run in
    a thread.

    Args:
        in_thread: Django's `sync_to_async`.

    Never switches.
    """

    def sync_to_async(
        fn: Callable[..., Any], *, thread_sensitive: bool = True
    ) -> Callable[..., Any]:
        if not thread_sensitive:
            return in_thread(fn, thread_sensitive=False)

        @functools.wraps(fn)
        async def call(*args: Any, **kwargs: Any) -> Any:
            return await run(fn, *args, **kwargs)

        return call

    return sync_to_async


# What Django's classes do not have.
NEW = frozenset(
    {
        "__await__",
        "__aenter__",
        "__aexit__",
        "__aiter__",
        "__copy__",
        "__deepcopy__",
        "cleaned_data",
        "listen",
        "pinned",
        "query",
    }
)

# The mark on functions that patches have made, which are not patched again.
_PATCH = Mark("is_patch")

_applied: set[Patch] = set()


def apply_patches(patches: Iterable[Patch]) -> None:
    """
    Apply the *patches* for the installed Django version and apps, each of them once:
    at once, or when the module that it names has been imported.

    Raises:
        UnsupportedVersion: Django does not have one of the names. The import raises it
            if the module was not imported before.

    Never switches.
    """
    for patch in patches:
        if patch.applies():
            module = patch.owner.partition(":")[0]
            on_import(module, functools.partial(_apply_once, patch))


def _apply_once(patch: Patch) -> None:
    if patch not in _applied:
        if not patch.of_package or _has_names(patch):
            _apply(patch)
        _applied.add(patch)


def _has_names(patch: Patch) -> bool:
    try:
        owner = resolve(patch.owner)
    except UnsupportedVersion:
        return False
    return all(hasattr(owner, name) for name in patch.names.split())


def _apply(patch: Patch) -> None:
    owner = resolve(patch.owner)
    names = patch.names.split()
    for name in names:
        subclasses_only = patch.inherited and not hasattr(owner, name)
        if name not in NEW and not subclasses_only:
            getattr_or_refuse(owner, patch.owner, name)
        if not subclasses_only:
            setattr(
                owner, name, _decorated(patch.decorator, getattr(owner, name, None))
            )
    if patch.inherited:
        _patch_subclasses(owner, names, patch.decorator)


def _decorated(decorator: Callable[..., Any], fn: Any) -> Any:
    """Return *fn* as decorated, with a mark that prevents patching it again."""
    replacement = decorator(fn)
    if replacement is not fn and inspect.isfunction(replacement):
        return _PATCH.put_on(replacement)
    return replacement


def _is_patched(fn: Any) -> bool:
    # What a user's decorator makes of such a function is the user's code.
    return _PATCH.is_on_itself(fn) or DUAL.is_on_itself(fn)


def _expanded(names: list[str], cls: type, base: type) -> Iterator[str]:
    """
    Return *names*, with each `start_*` replaced by the matching names that *cls* has
    before those of *base*.
    """
    for name in names:
        if name.endswith("*"):
            # Not dir(): pages make classes of forms, whose ancestors have many names.
            nearer = takewhile(lambda ancestor: ancestor is not base, cls.__mro__)
            yield from {
                found
                for ancestor in nearer
                for found in vars(ancestor)
                if found.startswith(name[:-1])
            }
        else:
            yield name


def _patch_subclasses(
    base: type, names: list[str], decorator: Callable[..., Any]
) -> None:
    """Apply *decorator* in subclasses of *base* that override one of *names*."""
    exact = {name for name in names if not name.endswith("*")}
    starts = tuple(name[:-1] for name in names if name.endswith("*"))

    def overrides(cls: type) -> bool:
        own = vars(cls).keys()
        # In this order: it goes through the smaller set.
        return not own.isdisjoint(exact) or (
            bool(starts) and any(name.startswith(starts) for name in own)
        )

    def patch_class(cls: type) -> None:
        for name in _expanded(names, cls, base):
            # It gets to *base* at the latest.
            for ancestor in cls.__mro__:  # pragma: no branch
                # A manager made from a queryset calls the queryset's own methods.
                if ancestor is base or "_queryset_class" in vars(ancestor):
                    break
                if (fn := vars(ancestor).get(name)) is not None:
                    # One from a mixin is patched in cls, not in the mixin.
                    if inspect.isfunction(fn) and not _is_patched(fn):
                        replacement = _decorated(decorator, fn)
                        if replacement is not fn:
                            setattr(cls, name, replacement)
                    break

    def patch_all(cls: type[Any]) -> None:
        for subclass in cls.__subclasses__():
            patch_if_needed(subclass)
            patch_all(subclass)

    def patch_if_needed(cls: type) -> None:
        # Pages make many classes of forms with nothing of their own. A single parent
        # has come here before.
        if len(cls.__bases__) > 1 or overrides(cls):
            patch_class(cls)

    patch_all(base)
    if base is Model:
        # Model classes are complete only when the signal says so. Abstract ones, which
        # it does not announce, are patched in those that inherit from them.
        def patch_model(sender: type, **_: Any) -> None:
            if any(
                map(overrides, takewhile(lambda cls: cls is not base, sender.__mro__))
            ):
                patch_class(sender)

        class_prepared.connect(patch_model, weak=False)
        return

    # Django's own, or that of another patch for the same class.
    outer = vars(base).get("__init_subclass__")

    def __init_subclass__(cls: type, **kwargs: Any) -> None:
        if outer is None:
            super(base, cls).__init_subclass__(**kwargs)  # type: ignore[arg-type]
        else:
            outer.__get__(None, cls)(**kwargs)
        patch_if_needed(cls)

    base.__init_subclass__ = classmethod(__init_subclass__)  # type: ignore[assignment, arg-type]


def resolve(path: str) -> Any:
    """
    Return the object at *path*, "package.module:Class" or "package.module".

    Raises:
        UnsupportedVersion: Django does not have the class.

    Never switches.
    """
    module, _, name = path.partition(":")
    found = sys.modules.get(module) or import_module(module)
    return getattr_or_refuse(found, module, name) if name else found


def name_of_class(cls: type) -> str:
    """Return "package.module:Class", by which patches name *cls*. Never switches."""
    return f"{cls.__module__}:{cls.__qualname__}"


def is_subclass_of(cls: type, names: frozenset[str]) -> bool:
    """
    Return whether *cls* is, or inherits from, one of the classes with these *names*,
    "package.module:Class". Does not import them. Never switches.
    """
    return not names.isdisjoint(map(name_of_class, cls.__mro__))


def getattr_or_refuse(owner: Any, path: str, name: str) -> Any:
    """
    Return the attribute *name* of *owner*.

    Args:
        path: Where *owner* is, for the message.

    Raises:
        UnsupportedVersion: It does not have the attribute.

    Never switches.
    """
    try:
        return getattr(owner, name)
    except AttributeError:
        raise missing_name(path, name) from None


def missing_name(path: str, name: str) -> UnsupportedVersion:
    """
    Return the error for an installed library that lacks *name* in the object at *path*.
    Never switches.
    """
    # Imported with the first use: it imports the e-mail and zip packages.
    from importlib.metadata import version

    package = path.partition(":")[0].partition(".")[0]
    library = package if package in ("asgiref", "psycopg") else "Django"
    return UnsupportedVersion(
        f"{library} {version(library)} has no {name!r} in {path!r}, which vinyl relies "
        f"on. Install a release of {library} that this vinyl supports, or a newer "
        f"vinyl."
    )
