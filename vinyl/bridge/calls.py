"""What a dual-mode call returns in async mode: a coroutine, never used as a value."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from vinyl import bridge
from vinyl.bridge.refusals import refusing
from vinyl.exceptions import AlreadyAwaitedError, NotAwaitedError

__all__ = ["Call", "Done", "Dual"]

T = TypeVar("T", covariant=True)


# Who runs a call, if it is not a task by itself: an `await`, or code outside any task;
# nobody if it was closed before.
BY_AWAIT, BY_NO_TASK, CLOSED = -1, -2, -3


def _task_id() -> int:
    """Return the id of the running task, or BY_NO_TASK."""
    if asyncio._get_running_loop() is None:
        return BY_NO_TASK
    task = asyncio.current_task()
    return BY_NO_TASK if task is None else id(task)


@refusing
class Call(Coroutine[Any, Any, Any]):
    """
    A dual-mode call that has not been awaited yet.

    A coroutine that can be awaited, or passed to `create_task`, `gather`, `wait_for`
    or a task group. If it is never awaited, nothing runs, and Python warns with its
    name.

    Args:
        coroutine: The native coroutine that does the work.
        name: The name of the called function or method, such as `Album.save`.

    Raises:
        NotAwaitedError: It is used as a value.
        AlreadyAwaitedError: It is awaited a second time, or by two tasks, or is used
            as a value after it has been awaited.

    Switches to the event loop when awaited.
    """

    __slots__ = ("_awaited_by", "_coroutine", "__weakref__")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], name: str) -> None:
        # Python's warning shows the name of the native coroutine.
        coroutine.__qualname__ = coroutine.__name__ = name  # type: ignore[attr-defined]
        self._coroutine: Any = coroutine
        # The id of the task that runs it, BY_AWAIT or CLOSED. A reference to the task
        # would create a cycle. Asking the coroutine whether it is closed would make a
        # frame object.
        self._awaited_by: int | None = None

    def __await__(self) -> Generator[Any, Any, Any]:
        self._claim(BY_AWAIT)
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        if self._awaited_by != (task := _task_id()):
            self._claim(task)
        return self._coroutine.send(value)

    def throw(
        self,
        typ: Any,
        val: Any = None,
        tb: TracebackType | None = None,
    ) -> Any:
        if self._awaited_by != (task := _task_id()):
            self._claim(task)
        if val is None and tb is None:
            return self._coroutine.throw(typ)
        return self._coroutine.throw(typ, val, tb)

    def close(self) -> None:
        if self._awaited_by is None:
            self._awaited_by = CLOSED
        self._coroutine.close()

    def __getattr__(self, name: str) -> Any:
        # asyncio and debuggers look at these of any coroutine.
        if name in _COROUTINE_ATTRIBUTES:
            return getattr(self._coroutine, name)
        # asyncio asks whether it is a generator (gi_frame), to show a task.
        if name.startswith("gi_") or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(name)
        self._refuse(f"reading .{name} from it")

    def _claim(self, by: int) -> None:
        """Note who awaits it: a second task would resume it in the middle of a wait."""
        if self._awaited_by is None:
            self._awaited_by = by
            return
        name = self._coroutine.__qualname__
        if self._awaited_by != CLOSED:
            raise AlreadyAwaitedError(
                f"'{name}' was awaited a second time, and a call runs only once. "
                f"{self._origin()} If a cache keeps the call, such as a cached "
                f"property or a dict, let it keep the result instead: `self._total = "
                f"await obj.count()`. Or run the plain function that fills the cache "
                f"in the bridge: `await vinyl.orm.run(function, ...)`. A task can be "
                f"awaited again: `task = asyncio.create_task(obj.count())`."
            )
        raise AlreadyAwaitedError(
            f"'{name}' was awaited after it had been closed, which happens if a call "
            f"is used as a value. Call it again, with `await` before the call."
        )

    def _refuse(self, use: str) -> Any:
        # Python 3.13 asks a task whether it has a coroutine, to show it.
        asker = sys._getframe(2).f_globals.get("__name__")
        if use == "testing its truth value" and asker == "asyncio.base_tasks":
            return True
        name = self._coroutine.__qualname__
        if self._awaited_by not in (None, CLOSED):
            raise AlreadyAwaitedError(
                f"'{name}' was called on the event loop and has been awaited, but what "
                f"was kept is the call and not its result, so {use} is not possible. "
                f"{self._origin()} Keep the result (`self._total = await "
                f"obj.count()`), and run a function that caches its results in the "
                f"bridge: `await vinyl.orm.run(function, ...)`."
            )
        # Python's warning "never awaited" would repeat the error.
        self.close()
        raise NotAwaitedError(
            f"'{name}' was called on the event loop and its result has not been "
            f"awaited, so {use} is not possible. Write `await` before the call."
        )

    def _origin(self) -> str:
        """Where it was made, in a sentence, as far as Python keeps that."""
        for file, line, function in self._coroutine.cr_origin or ():
            owner = bridge.bytecode.owner_of(file)
            if owner not in (bridge.bytecode.VINYL, bridge.bytecode.DJANGO):
                return f"It was made by {function}() at {file}:{line}."
        return "PYTHONASYNCIODEBUG=1 lets this message name the line that made it."

    def __reduce_ex__(self, protocol: Any) -> Any:
        # Caches pickle or copy what they store.
        return self._refuse("pickling or copying it")

    def __repr__(self) -> str:
        return f"<Call {self._coroutine.__qualname__}, to be awaited>"


class Done:
    """The result of a call that has already run on the event loop. Can be awaited."""

    def __await__(self) -> Generator[Any, Any, None]:
        yield from ()


_COROUTINE_ATTRIBUTES = frozenset(
    "__name__ __qualname__ cr_await cr_code cr_frame cr_origin cr_running "
    "cr_suspended".split()
)


if TYPE_CHECKING:

    class Dual(Coroutine[Any, Any, T], Any):  # type: ignore[misc]
        """
        What a dual-mode call returns that gives a *T*: in async mode a coroutine, and
        in sync mode the value, for which `Any` stands.
        """

        # For mypy's check "truthy-bool", which does not ask what `Any` has.
        def __bool__(self) -> bool: ...

else:
    Dual = Call
