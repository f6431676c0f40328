"""
What a process does not need when it starts: modules of vinyl that are imported when
they are used for the first time, and code that runs once a module has been imported.

Patches of a module do not import it: `django.contrib.auth.views` and what it needs
would take as long as a fifth of vinyl, in a process that may never show a page.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Loader

__all__ = ["importer_of", "on_call", "on_import"]

NO_NAMES: Mapping[str, str] = {}


def importer_of(
    package: str, names: Mapping[str, str] = NO_NAMES
) -> Callable[[str], Any]:
    """
    Return the `__getattr__()` of *package*: it imports a module of the package when
    code reads the module from the package for the first time. The import sets the
    attribute, so later reads cost what they cost otherwise.

    A package imports these modules for type checkers, too, which therefore know them.

    Args:
        names: What the package takes from modules that are imported with the first use
            of the name, with the full name of the module.

    Never switches.
    """

    def __getattr__(name: str) -> Any:
        if name in names:
            found = getattr(import_module(names[name]), name)
            setattr(sys.modules[package], name, found)
            return found
        module = f"{package}.{name}"
        # Python itself asks for `__path__`, for example, and its tools for more.
        if not name.startswith("__"):
            try:
                return import_module(module)
            except ModuleNotFoundError as error:
                if error.name != module:
                    raise
        raise AttributeError(
            f"module {package!r} has no attribute {name!r}",
            name=name,
            obj=sys.modules[package],
        )

    return __getattr__


def on_call(
    find: Callable[[], Callable[..., Any]],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """
    Return a decorator that decorates a function when it is called for the first time.

    Args:
        find: Returns the decorator that does so, which it may import.

    Never switches.
    """

    def decorate(fn: Callable[..., Any]) -> Callable[..., Any]:
        decorated: Callable[..., Any] | None = None

        @functools.wraps(fn)
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal decorated
            if decorated is None:
                # Where two threads do so, they decorate the same.
                decorated = find()(fn)
            return decorated(*args, **kwargs)

        return call

    return decorate


# By the name of a module that has not been imported yet.
_callbacks: dict[str, list[Callable[[], object]]] = {}


def on_import(module: str, callback: Callable[[], object]) -> None:
    """
    Call *callback* once *module* has been imported: at once if it has been, otherwise
    as the last step of its import, which an error in *callback* fails.

    Args:
        module: The full name. The module need not exist.

    Never switches.
    """
    if module in sys.modules:
        callback()
        return
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    _callbacks.setdefault(module, []).append(callback)


class _Finder:
    """Finds the modules with callbacks, by asking the other finders."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname not in _callbacks:
            return None
        for finder in sys.meta_path:
            if finder is not self:
                spec = finder.find_spec(fullname, path, target)
                if spec is not None:
                    if spec.loader is not None:
                        # No subclass: importlib.abc imports importlib.resources.
                        spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
                    return spec
        return None


class _Loader:
    """Loads a module by *loader*, and then calls its callbacks."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def __getattr__(self, name: str) -> Any:
        # Code that only finds the module may ask for its source, for example.
        return getattr(self.loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # Reading the source of a module, for one, asks its loader.
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        for callback in _callbacks.pop(module.__name__, ()):
            callback()


_finder = _Finder()
