"""`vinyl shell`: Django's command, with `await` at the prompt."""

from __future__ import annotations

import ast
import asyncio
import code
import inspect
import select
import sys
from types import CodeType
from typing import Any

from django.core.management.commands import shell

__all__ = ["AsyncConsole", "Command"]


class Command(shell.Command):
    """Run a Python shell, whose code may `await`."""

    help = (
        "Runs a Python interactive interpreter with the models imported. Code that has "
        "no `await` uses the ORM in sync mode; code with one runs on an event loop. "
        "Uses IPython or bpython if one of them is installed. Any standard input is "
        "executed as code."
    )

    def handle(self, **options: Any) -> None:
        source = options["command"]
        if not source and _has_input():
            source = sys.stdin.read()
        if not source:
            super().handle(**options)
            return
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        compiled = compile(source, "<shell>", "exec", flags=flags)
        result = eval(compiled, self.get_namespace(**options))
        if _is_async(compiled):
            asyncio.run(result)

    def python(self, options: dict[str, Any]) -> None:
        # Django's method prepares the names, the history and the completion.
        before = code.interact
        code.interact = _interact  # type: ignore[assignment]  # Django gives only local
        try:
            super().python(options)
        finally:
            code.interact = before


def _has_input() -> bool:
    """Whether there is standard input to execute, as Django decides it."""
    if sys.platform == "win32" or sys.stdin.isatty():
        return False
    return bool(select.select([sys.stdin], [], [], 0)[0])


def _is_async(compiled: CodeType) -> bool:
    return bool(compiled.co_flags & inspect.CO_COROUTINE)


def _interact(*, local: dict[str, Any]) -> None:
    with asyncio.Runner() as runner:
        AsyncConsole(local, runner).interact()


class AsyncConsole(code.InteractiveConsole):
    """
    A console that runs code with `await` on an event loop, and other code without one.
    Tasks continue while later code awaits.

    Args:
        names: The variables of the code.
        runner: Has the event loop.
    """

    def __init__(self, names: dict[str, Any], runner: asyncio.Runner) -> None:
        super().__init__(names)
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self.runner = runner

    def runcode(self, code: CodeType) -> None:
        """Run *code*, and print its error. Switches to the event loop if it awaits."""
        try:
            result = eval(code, self.locals)
            if _is_async(code):
                self.runner.run(result)
        except SystemExit:
            raise
        except KeyboardInterrupt:
            self.write("\nKeyboardInterrupt\n")
        except BaseException:
            self.showtraceback()
