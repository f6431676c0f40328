"""Background tasks: calls that are made after the response has been sent."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import starlette.background

from vinyl.bridge.greenlets import run

__all__ = ["BackgroundTask", "BackgroundTasks", "with_bridge"]

logger = logging.getLogger("vinyl.background")


class BackgroundTask(starlette.background.BackgroundTask):
    """
    A call that is made after the response has been sent:

        return JSONResponse({}, background=BackgroundTask(count, album))

    An `async def` function is awaited. A plain function runs in the bridge, where it
    may use the ORM. (Starlette's class would run it in a thread, and leave a connection
    open there.) Errors are logged, because the response has already been sent.

    Args:
        func: The function.
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
    Several calls after the response, one after the other. If one fails, the remaining
    calls are still made:

        tasks = BackgroundTasks()
        tasks.add_task(send_mail, user)
        return JSONResponse({}, background=tasks)
    """

    def add_task(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Append a call of *func*; see `BackgroundTask`. Never switches."""
        self.tasks.append(BackgroundTask(func, *args, **kwargs))

    async def __call__(self) -> None:
        for task in self.tasks:
            await with_bridge(task)()


def with_bridge(
    task: starlette.background.BackgroundTask,
) -> starlette.background.BackgroundTask:
    """Return vinyl's counterpart of *task*, if that is Starlette's. Never switches."""
    if type(task) is starlette.background.BackgroundTask:
        return BackgroundTask(task.func, *task.args, **task.kwargs)
    if type(task) is starlette.background.BackgroundTasks:
        tasks = BackgroundTasks()
        # The same list, so that a task which is added later is in both.
        tasks.tasks = task.tasks
        return tasks
    return task
