"""Middleware whose state is bound to threads, which requests in the bridge share."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any

from django.utils.module_loading import import_string

from vinyl.bridge.threads import runs_in_thread
from vinyl.orm.contrib.task_locals import is_task_local

__all__ = ["middleware_with_thread_locals"]


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
    names = dict(vars(module))
    own = [value for value in names.values() if _is_own(value, module)]
    attributes = [value for owner in own for value in list(vars(owner).values())]
    if any(map(_is_local, [*names.values(), *attributes])):
        return True
    # Imported by its name, or through its module.
    makers = [{name} for name, value in names.items() if value is threading.local]
    if names.get("threading") is threading:
        makers.append({"threading", "local"})
    return any(
        maker <= set(function.__code__.co_names)
        for function in _functions_of(module)
        for maker in makers
    )


def _is_own(value: Any, module: ModuleType) -> bool:
    """Whether *value* is a class or a function of *module*."""
    is_owner = isinstance(value, type | FunctionType)
    return is_owner and value.__module__ == module.__name__


def _is_local(value: Any) -> bool:
    """Whether *value* is a `threading.local`, or a subclass with values of threads."""
    if value is threading.local:
        return False
    cls = value if isinstance(value, type) else type(value)
    return issubclass(cls, threading.local) and not is_task_local(cls)


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
