"""Middleware whose state is bound to threads, which requests in the bridge share."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any

from asgiref.local import Local
from django.utils.module_loading import import_string

from vinyl.bridge.threads import runs_in_thread

__all__ = ["middleware_with_thread_locals", "patch_local", "patch_values"]


def middleware_with_thread_locals(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """
    Yield those of *paths*, entries such as in `settings.MIDDLEWARE`, that keep state in
    a `threading.local`, each with the name of the module that has it: that of the
    middleware, or one of its package that this imports. In the bridge all requests
    share a thread, so one would see the values of another. Middleware marked with
    `in_thread` is left out. Never switches.
    """
    for path in paths:
        # vinyl's keep nothing of a request in the thread-local state that vinyl has.
        if path.startswith("vinyl."):
            continue
        try:
            middleware = import_string(path)
        except Exception:
            # Whatever it is, such as an app that is not installed, others report it.
            continue
        if runs_in_thread(middleware):
            continue
        for module in _modules_of(middleware):
            if _has_local(module):
                yield path, module.__name__
                break


def _modules_of(middleware: Any) -> Iterator[ModuleType]:
    """Yield the module of *middleware* and those of its package that this imports."""
    own = sys.modules.get(getattr(middleware, "__module__", ""))
    if own is None:
        return
    yield own
    package = own.__name__.partition(".")[0]
    # In the order of the imports, each once.
    names = dict.fromkeys(map(_origin, vars(own).values()))
    for name in names:
        if name.partition(".")[0] == package and name != own.__name__:
            if (module := sys.modules.get(name)) is not None:
                yield module


def _origin(value: Any) -> str:
    """The name of the module that *value*, a global of another one, comes from."""
    if isinstance(value, ModuleType):
        return value.__name__
    if not isinstance(value, type | FunctionType):
        # Not asked itself: it may be lazy.
        value = type(value)
    return str(value.__module__)


def _has_local(module: ModuleType) -> bool:
    names = vars(module)
    for value in list(names.values()):
        if isinstance(value, threading.local):
            return True
        # Imported by its name, or a subclass.
        if isinstance(value, type) and issubclass(value, threading.local):
            return True
    return names.get("threading") is threading and any(
        {"threading", "local"} <= set(function.__code__.co_names)
        for function in _functions_of(module)
    )


def _functions_of(module: ModuleType) -> Iterator[FunctionType]:
    """Yield the functions of *module* and the methods of its classes."""
    own = [
        value
        for value in list(vars(module).values())
        if isinstance(value, type | FunctionType) and _origin(value) == module.__name__
    ]
    for value in own:
        found = list(vars(value).values()) if isinstance(value, type) else [value]
        yield from (each for each in found if isinstance(each, FunctionType))


def patch_local(local: type) -> type:
    """
    The patch for `threading.local` in a module: values that belong to the running task,
    and that the threads which it waits for have as well.
    """
    return Local


def patch_values(values: threading.local) -> Local:
    """
    The patch for the `threading.local` of a module, which nothing has used yet: as for
    `patch_local()`.
    """
    return Local()
