"""The pages of the documentation, and the code on them."""

from __future__ import annotations

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


def execute(page: str, module: ModuleType) -> dict[str, Any]:
    """The names of *module* after it has executed the Python code of *page*."""
    exec(compile(blocks(page, "python"), str(DOCS / page), "exec"), vars(module))
    return vars(module)
