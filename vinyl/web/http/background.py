"""What a view leaves to be done after its response has been sent."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import starlette.background

from vinyl.bridge.greenlets import run

__all__ = ["BackgroundTask", "BackgroundTasks"]

logger = logging.getLogger("vinyl.background")


class BackgroundTask(starlette.background.BackgroundTask):
    """
    A call to make after the response:

        return JSONResponse({}, background=BackgroundTask(count, album))

    An `async def` is awaited; a plain function runs inside the bridge, where it may use
    the ORM, on the connections of the event loop. (Starlette's would run in a thread,
    and leave a connection open there.) What it raises is logged: the client has its
    response already.

    Args:
        func: What to call.
        args, kwargs: Its arguments.
    """

    async def __call__(self) -> None:
        try:
            if self.is_async:
                await self.func(*self.args, **self.kwargs)
            else:
                await run(self.func, *self.args, **self.kwargs)
        except Exception:
            name = getattr(self.func, "__qualname__", repr(self.func))
            logger.exception("The background task %s failed", name)


class BackgroundTasks(starlette.background.BackgroundTasks):
    """
    Several of them, one after the other; one that fails does not stop the next:

        tasks = BackgroundTasks()
        tasks.add_task(send_mail, user)
        return JSONResponse({}, background=tasks)
    """

    def add_task(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.tasks.append(BackgroundTask(func, *args, **kwargs))

    async def __call__(self) -> None:
        for task in self.tasks:
            await ours(task)()


def ours(
    task: starlette.background.BackgroundTask,
) -> starlette.background.BackgroundTask:
    """*task*, if it is Starlette's, as one of vinyl's."""
    if type(task) is starlette.background.BackgroundTask:
        return BackgroundTask(task.func, *task.args, **task.kwargs)
    if type(task) is starlette.background.BackgroundTasks:
        tasks = BackgroundTasks()
        # The same list: what is added to the one is in the other.
        tasks.tasks = task.tasks
        return tasks
    return task
