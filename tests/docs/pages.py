"""The pages of the documentation, and the code on them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"

Example = Callable[..., dict[str, Any]]


def text_of(page: str) -> str:
    """The text of *page*, such as "topics/web.md"."""
    return (DOCS / page).read_text()


def blocks(page: str, language: str) -> str:
    """All the code of *language* on *page*."""
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", text_of(page), re.S))


def python_blocks(page: str) -> list[str]:
    """The blocks of Python on *page*."""
    return re.findall(r"```python\n(.*?)```", text_of(page), re.S)


def execute(page: str, module: ModuleType) -> dict[str, Any]:
    """The names of *module* after it has executed the Python code of *page*."""
    exec(compile(blocks(page, "python"), str(DOCS / page), "exec"), vars(module))
    return vars(module)


async def awaited(page: str, *chosen: int, **given: Any) -> dict[str, Any]:
    """
    The names after the Python code of *page*, which may await outside of functions: all
    its blocks, or those *chosen*, counted from 0. Names that the code takes for granted
    are *given*.
    """
    found = python_blocks(page)
    parts = [found[number] for number in chosen] if chosen else found
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile("\n".join(parts), str(DOCS / page), "exec", flags=flags)
    names = {"__name__": "example", **given}
    result = eval(code, names)
    if inspect.isawaitable(result):
        await result
    return names
