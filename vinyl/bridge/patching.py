"""
How a row of a dual-mode table is applied: a change of something of Django's.

A row names a class or module, attributes of it, and the change made to each: a function
from what is there to what takes its place. Rows apply to Django's own classes, and to
subclasses that override a name, so that models and managers need not adopt anything.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

import django
from django.apps import apps
from django.db.models import Model
from django.db.models.signals import class_prepared

from vinyl.bridge.greenlets import run
from vinyl.bridge.mode import dual, dual_if_async
from vinyl.exceptions import UnsupportedVersion

__all__ = [
    "Row",
    "apply_rows",
    "dual",
    "dual_if_async",
    "getattr_or_refuse",
    "native",
    "resolve",
]


class Row(NamedTuple):
    """
    Args:
        owner: "module:Class" or "module".
        names: Attributes of it, separated by spaces. `start_*`: those of subclasses
            that begin so.
        change: Gives what each becomes, from what it is (None if it is not there).
        inherited: Subclasses that override a name get the change, too.
        app: The contrib app that must be installed; empty for Django's core.
        since: The first version of Django that has it; None for all.
        before: The first version of Django that no longer has it; None for none.
    """

    owner: str
    names: str
    change: Callable[[Any], Any]
    inherited: bool = False
    app: str = ""
    since: tuple[int, int] | None = None
    before: tuple[int, int] | None = None

    def applies(self) -> bool:
        """Whether this Django, with the apps that are installed, has the owner."""
        if self.since is not None and django.VERSION < self.since:
            return False
        if self.before is not None and django.VERSION >= self.before:
            return False
        return not self.app or any(
            config.name == f"django.contrib.{self.app}"
            for config in apps.get_app_configs()
        )


def native(in_thread: Callable[..., Any]) -> Callable[..., Any]:
    """
    The change for the name `sync_to_async` in Django's modules, which their `a*` twins
    use: the sync method runs in the bridge instead of a thread. One that may run in
    any thread (`thread_sensitive=False`) uses no database but the processor.
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
        "cleaned_data",
        "listen",
        "pinned",
    }
)

_applied: set[Row] = set()


def apply_rows(rows: Iterable[Row]) -> None:
    """
    Apply *rows*, of this table or of another layer's, once each.

    Raises:
        UnsupportedVersion: This Django lacks one of their names.
    """
    for row in rows:
        if row not in _applied and row.applies():
            _apply_row(row)
            _applied.add(row)


def _apply_row(row: Row) -> None:
    owner = resolve(row.owner)
    names = row.names.split()
    for name in names:
        subclasses_only = row.inherited and not hasattr(owner, name)
        if name not in NEW and not subclasses_only:
            getattr_or_refuse(owner, row.owner, name)
        if not subclasses_only:
            setattr(owner, name, _changed(row.change, getattr(owner, name, None)))
    if row.inherited:
        _follow(owner, names, row.change)


def _changed(change: Callable[..., Any], fn: Any) -> Any:
    """What *change* makes of *fn*, marked so that it is not changed again."""
    changed = change(fn)
    if changed is not fn and inspect.isfunction(changed):
        # Itself: a decorator copies the mark to what it makes.
        changed.changed_by_row = changed  # type: ignore[attr-defined]
    return changed


def _is_changed(fn: Any) -> bool:
    marks = getattr(fn, "changed_by_row", None), getattr(fn, "is_dual", None)
    return any(mark is fn for mark in marks)


def _expanded(names: list[str], cls: type) -> Iterator[str]:
    """*names*, with those that *cls* has in place of `start_*`."""
    for name in names:
        if name.endswith("*"):
            yield from (found for found in dir(cls) if found.startswith(name[:-1]))
        else:
            yield name


def _follow(base: type, names: list[str], change: Callable[..., Any]) -> None:
    """Apply *change* in subclasses of *base* that override one of *names*."""

    def adopt(cls: type) -> None:
        for name in _expanded(names, cls):
            for ancestor in cls.__mro__:
                # A manager made from a queryset calls the queryset's own methods.
                if ancestor is base or "_queryset_class" in vars(ancestor):
                    break
                if (fn := vars(ancestor).get(name)) is not None:
                    # One from a mixin changes in cls, not in the mixin.
                    if inspect.isfunction(fn) and not _is_changed(fn):
                        if (changed := _changed(change, fn)) is not fn:
                            setattr(cls, name, changed)
                    break

    def adopt_all(cls: type[Any]) -> None:
        for subclass in cls.__subclasses__():
            adopt(subclass)
            adopt_all(subclass)

    adopt_all(base)
    if base is Model:
        # Model classes are complete only when the signal says so.
        class_prepared.connect(lambda sender, **_: adopt(sender), weak=False)
        return

    # Django's own, or that of another row for the same class.
    outer = vars(base).get("__init_subclass__")

    def __init_subclass__(cls: type, **kwargs: Any) -> None:
        if outer is None:
            super(base, cls).__init_subclass__(**kwargs)  # type: ignore[arg-type]
        else:
            outer.__get__(None, cls)(**kwargs)
        adopt(cls)

    base.__init_subclass__ = classmethod(__init_subclass__)  # type: ignore[assignment, arg-type]


def resolve(path: str) -> Any:
    """The object at *path*, "package.module:Class" or "package.module"."""
    module, _, name = path.partition(":")
    found = import_module(module)
    return getattr_or_refuse(found, module, name) if name else found


def getattr_or_refuse(owner: Any, path: str, name: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError:
        raise UnsupportedVersion(
            f"Django {django.get_version()} has no {name!r} in {path!r}, which vinyl "
            f"relies on. Install a release of Django that this vinyl supports, or "
            f"a newer vinyl."
        ) from None
