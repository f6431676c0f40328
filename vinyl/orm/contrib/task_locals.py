"""
The `threading.local` of other packages, with values of a request instead of a thread.

In the bridge and in async views, requests share a thread. A class of values that belong
to threads gets other methods here, which find the values through a context variable:
those of the running request or task. Its instances stay the same objects, so it does
not matter who has imported them before.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterable
from contextvars import ContextVar, Token
from copy import copy
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary, ref

from django.core.exceptions import ImproperlyConfigured

from vinyl.bridge.imports import on_import

__all__ = [
    "TaskLocal",
    "begin_request",
    "end_request",
    "is_task_local",
    "patch_local",
    "replace_locals",
]


class _Holder:
    """
    The values of a task.

    Args:
        request: What they belong to; None outside requests.
        task: Whose they are; None without an event loop.
        values: Of each `threading.local`, by its id. The object is there as well, so
            that no other gets the id.
    """

    __slots__ = ("request", "task", "values")

    def __init__(
        self,
        request: object,
        task: ref[Any] | None,
        values: dict[int, tuple[Any, dict[str, Any]]],
    ) -> None:
        self.request = request
        self.task = task
        self.values = values

    def of_child(self, task: ref[Any]) -> _Holder:
        """
        Return the values of a task that another one has started: what is replaced or
        added in one of them is unknown to the other. Never switches.
        """
        inherited = {
            key: (local, {name: _copied(value) for name, value in values.items()})
            for key, (local, values) in self.values.items()
        }
        return _Holder(self.request, task, inherited)


def _copied(value: Any) -> Any:
    """
    Return *value* for a task that another one has started. Lists are stacks of blocks:
    each task has its own blocks, inside those of the other. What else a task collects
    is for the one that has started it.
    """
    if isinstance(value, list):
        return copy(value)
    if isinstance(value, defaultdict) and all(
        isinstance(each, list) for each in value.values()
    ):
        # A stack for each database, say.
        copied = copy(value)
        copied.update((key, copy(each)) for key, each in value.items())
        return copied
    return value


_request: ContextVar[object] = ContextVar("vinyl_request_of_values", default=None)
_current: ContextVar[_Holder | None] = ContextVar("vinyl_task_locals", default=None)
# What instances were made with: their __init__() runs again for each request.
_arguments: WeakKeyDictionary[Any, tuple[Any, Any]] = WeakKeyDictionary()


def begin_request() -> Token[Any]:
    """
    Begin a request: there are no values yet for what follows in this context, whatever
    the context of the server is. Return what `end_request()` takes. Never switches.
    """
    return _request.set(object())


def end_request(token: Token[Any]) -> None:
    """End a request. Never switches."""
    try:
        _request.reset(token)
    except ValueError:
        # The garbage collector may close a handler in another context.
        pass


def _task() -> ref[Any] | None:
    if asyncio._get_running_loop() is None:
        return None
    task = asyncio.current_task()
    # The same for each call. The task itself would refer to its context, and back.
    return None if task is None else ref(task)


def _here() -> _Holder:
    holder = _current.get()
    request = _request.get()
    task = _task()
    if holder is None or holder.request is not request:
        holder = _Holder(request, task, {})
    elif task is None or holder.task is task:
        return holder
    else:
        holder = holder.of_child(task)
    _current.set(holder)
    return holder


def _values(local: Any) -> dict[str, Any]:
    found = _here().values.get(id(local))
    if found is None:
        found = _here().values[id(local)] = (local, {})
        # As threading.local does in each thread.
        args, kwargs = _arguments.get(local, ((), {}))
        type(local).__init__(local, *args, **kwargs)
    return found[1]


_MISSING: Any = object()


def _of_class(local: Any, name: str) -> Any:
    for cls in type(local).__mro__:
        if (found := vars(cls).get(name, _MISSING)) is not _MISSING:
            return found
    return _MISSING


def _new(cls: Any, /, *args: Any, **kwargs: Any) -> Any:
    local = threading.local.__new__(cls, *args, **kwargs)
    if args or kwargs:
        _arguments[local] = (args, kwargs)
    # The caller is the one that calls __init__().
    _here().values[id(local)] = (local, {})
    return local


def _getattribute(self: Any, name: str) -> Any:
    """As Python reads attributes, with values of the task for those of the instance."""
    if name == "__dict__":
        return _values(self)
    found = _of_class(self, name)
    get = getattr(type(found), "__get__", None)
    if get is not None and hasattr(type(found), "__set__"):
        return get(found, self, type(self))
    values = _values(self)
    if name in values:
        return values[name]
    if get is not None:
        return get(found, self, type(self))
    if found is _MISSING:
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}",
            name=name,
            obj=self,
        )
    return found


def _setattr(self: Any, name: str, value: Any) -> None:
    found = _of_class(self, name)
    if hasattr(type(found), "__set__"):
        type(found).__set__(found, self, value)
    else:
        _values(self)[name] = value


def _delattr(self: Any, name: str) -> None:
    found = _of_class(self, name)
    if hasattr(type(found), "__delete__"):
        type(found).__delete__(found, self)
        return
    try:
        del _values(self)[name]
    except KeyError:
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}",
            name=name,
            obj=self,
        ) from None


_METHODS = {
    "__new__": _new,
    "__getattribute__": _getattribute,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
}


def is_task_local(value: Any) -> bool:
    """
    Return whether *value* is a class of values of a task, or one of its instances.
    Never switches.
    """
    cls = value if isinstance(value, type) else type(value)
    return getattr(cls, "__getattribute__", None) is _getattribute


def _take_over(cls: type) -> bool:
    """
    Give a subclass of `threading.local` these methods. Return whether it has them: one
    with its own would reach the values of the thread by them.
    """
    if not is_task_local(cls):
        if any(
            getattr(cls, name) is not getattr(threading.local, name)
            for name in _METHODS
        ):
            return False
        for name, method in _METHODS.items():
            setattr(cls, name, staticmethod(method) if name == "__new__" else method)
    return True


class TaskLocal(threading.local):
    """
    A `threading.local` with values of the running request or task. A task that another
    one starts begins with the other's values.
    """


_take_over(TaskLocal)


class _Threading:
    """The module threading, with `TaskLocal` as its `local`."""

    local = TaskLocal

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)


def patch_local(value: Any) -> Any:
    """
    The patch for a global of a module: a `threading.local` that nothing has used yet,
    an instance of a subclass, the subclass, `threading.local` itself or `threading`.
    Anything else, such as what newer versions of a package may have there, is left as
    it is.
    """
    if value is threading:
        return _Threading()
    if value is threading.local:
        return TaskLocal
    cls = value if isinstance(value, type) else type(value)
    if cls is threading.local:
        return TaskLocal()
    if issubclass(cls, threading.local):
        _take_over(cls)
    return value


def replace_locals(paths: Iterable[str]) -> None:
    """
    Put `VINYL["TASK_LOCALS"]` into effect, for each path once its module has been
    imported.

    Raises:
        ImproperlyConfigured: Raised by the import, or at once if the module had been
            imported: a path does not lead to a `threading.local`.

    Never switches.
    """
    for path in paths:
        module, _, name = path.rpartition(".")
        on_import(module, partial(_replace, module, name))


def _replace(module: str, name: str) -> None:
    owner: ModuleType = import_module(module)
    value = getattr(owner, name, None)
    if value is None:
        has = "there is no such name"
    elif (replacement := patch_local(value)) is value and not is_task_local(value):
        has = f"{value!r} is not a threading.local that can belong to a task"
    else:
        setattr(owner, name, replacement)
        return
    raise ImproperlyConfigured(
        f"settings.VINYL['TASK_LOCALS'] contains '{module}.{name}', but {has}. Name a "
        f"threading.local, or a class that inherits from it without methods of its own "
        f"for attributes, or remove the entry."
    )
